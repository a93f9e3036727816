"""The published claims of a study beside our figures in both modes, each with a verdict.

The verdict is on the point-in-time figure where that mode was run, because a reader could act on no other. Its
thresholds are ours: a figure that describes is reproduced within 10%; an effect is reproduced if it has at least 70% of
the published distance from the base rate, and its interval excludes the base rate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from processors.studies.result import Finding, Kind, Mode, Result, Unit

_NO_INTERVAL = "too few cases for an interval"
_NEAR, _FAR, _MOST, _SOME = 0.10, 0.30, 0.70, 0.20


class Verdict(StrEnum):
    """Whether a published claim is found in the data in hand."""

    REPRODUCED = "reproduced"
    WEAKER = "weaker"
    NOT_FOUND = "not found"
    UNCHECKED = "can't be checked"


@dataclass(frozen=True, slots=True)
class Claim:
    """A published figure, ours in both modes, and the verdict.

    Parameters
    ----------
    as_source, point_in_time : our figure in each mode; None where that mode was not run, or has no figure.
    low, high, interval, cases, episodes, base, note : of the mode of the verdict, see `Finding`.
    verdict : None for a figure beside which the source publishes none.
    """

    study: str
    what: str
    source: str
    unit: Unit
    published: float | None
    as_source: float | None
    point_in_time: float | None
    base: float | None
    low: float | None
    high: float | None
    interval: str
    cases: int | None
    episodes: int | None
    verdict: Verdict | None
    note: str


def claims_of(modes: Sequence[Result]) -> list[Claim]:
    """Return the claims of one study, in the order of its findings, from its results in one or both modes."""
    found: dict[str, dict[Mode, Finding]] = {}
    for result in modes:
        for finding in result.findings:
            found.setdefault(finding.what, {})[result.mode] = finding
    out = []
    for what, by_mode in found.items():
        last = by_mode.get(Mode.POINT_IN_TIME) or by_mode[Mode.AS_SOURCE]
        ours = {mode: finding.ours for mode, finding in by_mode.items()}
        out.append(
            Claim(
                modes[0].study, what, modes[0].source, last.unit, last.published,
                ours.get(Mode.AS_SOURCE), ours.get(Mode.POINT_IN_TIME), last.base, last.low, last.high, last.interval,
                last.cases, last.episodes, verdict_of(last), _NO_INTERVAL if _is_thin(last) else last.note,
            )
        )  # fmt: skip
    return out


def verdict_of(finding: Finding) -> Verdict | None:
    """Return the verdict on one figure; None if the source claims nothing of it.

    Examples
    --------
    >>> str(verdict_of(Finding("win rate", 0.40, published=0.61, low=0.34, high=0.46, kind=Kind.EFFECT, base=0.39)))
    'not found'
    """
    if finding.kind is Kind.NONE:
        return None
    if finding.ours is None or _is_thin(finding):
        return Verdict.UNCHECKED
    base = finding.base or 0.0
    sure = finding.low is None or finding.high is None or not finding.low <= base <= finding.high
    match finding.kind:
        case Kind.LEVEL:
            return _graded(-abs(finding.ours / _known(finding) - 1), -_NEAR, -_FAR)
        case Kind.LOSS:
            return _graded(-finding.ours / _known(finding), -1 - _NEAR, -1 - 2 * _FAR)
        case Kind.EFFECT if _known(finding) != base:
            share = (finding.ours - base) / (_known(finding) - base)
        case Kind.EFFECT:  # the source claims that the condition changes nothing
            return _graded(-abs(finding.ours / _known(finding) - 1), -_NEAR, -_FAR)
        case Kind.BELOW | Kind.ABOVE:
            sign = 1 if finding.kind is Kind.ABOVE else -1
            inside = sign * (finding.ours - _known(finding)) >= 0
            share = 1.0 if inside else _SOME * (sign * (finding.ours - base) > 0 and finding.base is not None)
            sure = True
        case Kind.RISES | Kind.FALLS:
            share = (finding.ours - base) * (1 if finding.kind is Kind.RISES else -1) > 0
    return _graded(share if sure else min(share, _SOME), _MOST, _SOME)


def _is_thin(finding: Finding) -> bool:
    """Return whether there are too few cases for the interval of a figure that has one."""
    return finding.ours is not None and bool(finding.interval) and (finding.low is None or finding.high is None)


def _graded(value: float, reproduced: float, weaker: float) -> Verdict:
    if value >= reproduced:
        return Verdict.REPRODUCED
    return Verdict.WEAKER if value >= weaker else Verdict.NOT_FOUND


def _known(finding: Finding) -> float:
    if not finding.published:
        raise ValueError(f"{finding.what}: a claim of kind {finding.kind} needs a published figure other than 0")
    return finding.published


def failures(claims: Sequence[Claim]) -> list[Claim]:
    """Return the claims that are not found, or found weaker."""
    return [claim for claim in claims if claim.verdict in (Verdict.WEAKER, Verdict.NOT_FOUND)]

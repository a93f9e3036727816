"""Figures and texts of studies for readers, in English and Chinese."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from alerts.percents import with_sign
from alerts.plurals import counted
from alerts.subject_names import Language
from processors.industries import ENGLISH
from processors.studies.claims import Claim, Verdict, failures
from processors.studies.result import Cell, Unit
from processors.studies.samples import SAMPLES, share_in_sample
from streams.studies.chinese import CHINESE

NOTHING: Final = "–"
#: A number, or a list of years, also of years with a share each.
_NUMBER = re.compile(r"\d{4} \d+%(?:, \d{4} \d+%)*|\d{4}(?:, \d{4})+|[-−+]?\d(?:[\d.,:-]*\d)?%?")
#: A hyphen that is a minus sign: before a digit, and behind neither a word nor a number.
_HYPHEN = re.compile(r"(?<![A-Za-z0-9.,:%-])-(?=\d)")
_SHOWN_FAILURES = 2
_LARGE = 100
#: Data of which this share lies in the sample of a source are in the sample.
_INSIDE = 0.9


def figure(value: Cell, unit: Unit | None, language: Language = "en") -> str:
    """Return a cell in its unit: ratios in per cent, counts whole, numbers to three decimals (large ones to one), texts translated."""
    if value is None:
        return NOTHING
    if isinstance(value, str):
        return text(value, language)
    if unit is Unit.RATIO:
        return with_sign(f"{value:.2%}")
    if unit is Unit.COUNT or isinstance(value, int):
        return with_sign(f"{value:,.0f}")
    return with_sign(f"{value:,.1f}" if abs(value) >= _LARGE else f"{value:.3f}")


def interval(claim: Claim) -> str:
    """Return the 95% interval; a dash where there is none."""
    if claim.low is None or claim.high is None:
        return NOTHING
    return f"{figure(claim.low, claim.unit)} … {figure(claim.high, claim.unit)}"


def cases(claim: Claim, language: Language = "en") -> str:
    """Return the number of cases, and where it differs the number of cases that do not overlap."""
    if claim.cases is None:
        return NOTHING
    apart = ""
    if claim.episodes not in (None, claim.cases):
        apart = f" ({claim.episodes:,} apart)" if language == "en" else f"（{claim.episodes:,}个不重叠）"
    return f"{claim.cases:,}{apart}"


def text(english: str, language: Language) -> str:
    """Return a text of a result in a language, with the minus signs of print; the industries have Chinese names in both."""
    return _HYPHEN.sub("−", ENGLISH.get(english, english) if language == "en" else translate(english))


def translate(english: str) -> str:
    """Return the Chinese text; numbers keep their places, and a text that is not known stays English.

    Examples
    --------
    >>> translate("up-streak of 8: excess over 20 days")
    '连续增加8日：20日超额收益'
    """
    numbers = [] if english in CHINESE else _NUMBER.findall(english)
    found = CHINESE.get(english) or CHINESE.get(_NUMBER.sub("#", english))
    if found is not None:
        for number in numbers:
            found = found.replace("#", number, 1)
        return found
    head, colon, rest = english.partition(": ")
    return f"{translate(head)}：{translate(rest)}" if colon else english


def headline(claims: Sequence[Claim], first: str, last: str, language: Language) -> str:
    """Return one sentence on the claims of a study; out of the source's sample it says which ones fail."""
    checked = [claim for claim in claims if claim.verdict not in (None, Verdict.UNCHECKED)]
    failed = failures(checked)
    english = language == "en"
    if all(claim.verdict is None for claim in claims):
        return "The source publishes no figure to compare with." if english else "原报告未发表可比较的数字。"
    if not checked:
        return "These data can't check any published claim." if english else "现有数据无法检验任何已发表的结论。"
    where = _where(share_in_sample(claims[0].source, first, last), language)
    if not failed:
        all_claims = f"all {len(checked)} published claims that can be checked are"
        return (
            f"{where}, {'the only published claim that can be checked is' if len(checked) == 1 else all_claims} reproduced."
            if english
            else f"{where}，可检验的{len(checked)}项结论全部得到复现。"
        )
    named = ("; " if english else "；").join(_beside(claim, language) for claim in failed[:_SHOWN_FAILURES])
    some = f"{len(failed)} of {counted(len(checked), 'published claim')} that can be checked {'is' if len(failed) == 1 else 'are'}"
    return (
        f"{where}, {some} not found, or weaker: {named}."
        if english
        else f"{where}，可检验的{len(checked)}项结论中有{len(failed)}项未能复现或明显更弱：{named}。"
    )


def _where(inside: float | None, language: Language) -> str:
    """Return whether the data lie in the sample of the source, of which a share is given."""
    if inside is None:
        words = "On these data", "在现有数据上"
    elif inside >= _INSIDE:
        words = "In the period of the source", "在报告的样本期内"
    elif inside <= 1 - _INSIDE:
        words = "Out of sample", "在样本外"
    else:
        words = "Partly out of sample", "在部分为样本外的数据上"
    return words[0 if language == "en" else 1]


def _beside(claim: Claim, language: Language) -> str:
    """Return a claim with both figures, and whether chance explains ours."""
    ours = claim.point_in_time if claim.point_in_time is not None else claim.as_source
    base = claim.base or 0.0
    chance = claim.low is not None and claim.high is not None and claim.low <= base <= claim.high
    words = ("published", "ours", "not beyond chance") if language == "en" else ("发表值", "本系统", "未超出随机")
    parts = [
        *([f"{words[0]} {figure(claim.published, claim.unit)}"] if claim.published is not None else []),
        f"{words[1]} {figure(ours, claim.unit)}",
        *([words[2]] if chance else []),
    ]
    what = text(claim.what, language)
    return f"{what} ({', '.join(parts)})" if language == "en" else f"{what}（{'，'.join(parts)}）"


def sample_note(source: str, first: str, last: str, language: Language) -> str:
    """Return the period of the source's data beside that of the data in hand; "" where it is not known."""
    known = [sample for key, sample in SAMPLES.items() if key in source]
    if not known or not first:
        return ""
    start, end = known[0]
    if language == "en":
        return f"the source's data are of {start} to {end}, these of {first} to {last}"
    return f"报告数据区间为{start}至{end}，现有数据区间为{first}至{last}"

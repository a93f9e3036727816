"""Industries over any period against plain pandas on the small market, with days that are missing or incomplete."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from processors.industries import INDUSTRIES
from processors.industry_periods import Period, months, period_of
from processors.outputs import IndustrySignals
from streams import readers
from streams.calendars import xshg
from streams.cli.main import app
from streams.cli.render.signals import print_periods
from tests.folding import small_case
from tests.oracle.industries import NAMES, basics

JANUARY = date(2020, 1, 2), date(2020, 1, 14)


@pytest.fixture(scope="module")
def frames() -> list[IndustrySignals]:
    found = small_case().folded.industries
    return [found[day] for day in sorted(found)]


@pytest.fixture(scope="module")
def tables() -> dict[str, pd.DataFrame]:
    return basics(small_case().data)


@pytest.mark.parametrize(
    ("first", "last"), [JANUARY, *months(date(2019, 9, 2), date(2020, 1, 22)), (date(2019, 11, 4), date(2019, 11, 4))]
)
def test_sums_and_ranks_are_those_of_pandas(
    frames: list[IndustrySignals], tables: dict[str, pd.DataFrame], first: date, last: date
) -> None:
    period = period_of(frames, first, last, xshg())
    days = tables["net_buy"].loc[str(first) : str(last)].index
    assert period.sessions == len(days)
    assert {*period.missing} == {day.date() for day in days} - {frame.status.trade_date for frame in frames}
    net, buys, turnover = (
        tables[name].loc[days].sum(min_count=len(days)) * (np.nan if period.missing else 1.0)
        for name in ("net_buy", "fin_buy", "turnover")
    )
    share = buys / turnover
    for row in period.industries:
        for ours, theirs in ((row.net_buy, net), (row.fin_buy, buys), (row.buy_to_turnover, share)):
            assert (np.nan if ours is None else ours) == pytest.approx(theirs[row.industry], nan_ok=True, rel=1e-9)
        for place, values in ((row.net_buy_rank, net), (row.buy_to_turnover_rank, share)):
            expected = None if values.isna().any() else values.rank(ascending=False, method="first")[row.industry]
            assert place == expected
    shown = [row.net_buy for row in period.industries if row.net_buy is not None]
    assert shown == sorted(shown, reverse=True) and {row.industry for row in period.industries} == {*NAMES}


def test_some_periods_have_figures_and_some_lack_them(frames: list[IndustrySignals]) -> None:
    known = [
        sum(row.net_buy is not None for row in period_of(frames, *one, xshg()).industries)
        for one in (JANUARY, *months(date(2019, 9, 2), date(2020, 1, 22)))
    ]
    assert 0 in known and max(known) > len(INDUSTRIES) // 2


def test_a_session_of_which_nothing_is_published_is_named_and_makes_every_sum_absent(
    frames: list[IndustrySignals], capsys: pytest.CaptureFixture[str]
) -> None:
    gone = date(2020, 1, 8)
    period = period_of([f for f in frames if f.status.trade_date != gone], *JANUARY, xshg())
    assert period.missing == (gone,)
    assert all(row.net_buy is None and row.net_buy_rank is None for row in period.industries)
    print_periods([period])
    assert f"9 sessions, nothing of {gone}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("absent", "left_out", "ranked"),
    [
        ((), {}, 31),
        ((0, 1, 2), {}, 30),  # it has no members: the others have their ranks
        ((1,), {}, 0),  # one of its days is not known
        ((0, 1, 2), {"net_buy": "margin.daily lacks all rows of SZSE"}, 0),
    ],
)
def test_an_industry_without_a_figure_in_the_whole_period_has_no_rank(
    frames: list[IndustrySignals], absent: tuple[int, ...], left_out: dict[str, str], ranked: int
) -> None:
    made = []
    for i, frame in enumerate(frames[-3:]):
        values = np.arange(31.0)
        values[[3] if i in absent else []] = np.nan
        columns = frame.columns | dict.fromkeys(("net_buy", "fin_buy", "turnover"), values)
        made.append(IndustrySignals(frame.status, columns, left_out if i == 1 else {}))
    period = period_of(made, made[0].status.trade_date, made[-1].status.trade_date, xshg())
    ranks = {row.industry: row.net_buy_rank for row in period.industries if row.net_buy_rank is not None}
    assert sorted(ranks.values()) == [*range(1, ranked + 1)]
    assert INDUSTRIES[3] not in ranks or not absent


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), [("2020-01-01", "2020-01-23")]),
        (("--from", "2019-11-18", "--to", "2020-01-08"), [("2019-11-18", "2020-01-08")]),
        (("--to", "2019-09-10"), [("2019-09-02", "2019-09-10")]),
        (("--monthly", "--from", "2019-12-16"), [("2019-12-16", "2019-12-31"), ("2020-01-01", "2020-01-23")]),
    ],
)
def test_the_command_shows_the_newest_month_any_period_or_every_month(
    frames: list[IndustrySignals],
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    expected: list[tuple[str, str]],
) -> None:
    of_days = {frame.status.trade_date.isoformat(): frame for frame in frames}

    def published(_settings: object, wanted: Callable[[str], bool]) -> list[IndustrySignals]:
        return [frame for day, frame in of_days.items() if wanted(day)]

    monkeypatch.setattr(readers, "industry_signals", published)
    result = CliRunner().invoke(app, ["latest", "industries", *arguments, "--json"])
    assert result.exit_code == 0, result.output
    shown = json.loads(result.output)
    assert [(one["first"], one["last"]) for one in shown] == expected
    assert all(len(one["industries"]) == len(INDUSTRIES) for one in shown)


def test_of_two_frames_of_a_day_the_later_one_counts(frames: list[IndustrySignals]) -> None:
    last = frames[-3]
    day = last.status.trade_date
    corrected = IndustrySignals(last.status, last.columns | {"net_buy": np.arange(31.0)}, {})

    def best(period: Period) -> str:
        return period.industries[0].industry

    assert best(period_of([*frames, corrected], day, day, xshg())) == INDUSTRIES[30]
    assert period_of([], day, day, xshg()).missing == (day,)

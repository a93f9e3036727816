"""The verdict: a warning has an end, and its words are the same everywhere."""

from __future__ import annotations

from datetime import UTC, date, datetime
from itertools import pairwise
from pathlib import Path

import pandas as pd
import pytest
from msgspec import json, structs
from prometheus_client import REGISTRY

from alerts.model import Text
from alerts.verdict import early_sign, verdict_text
from feeds.folder import read
from processors.days import to_day
from processors.events import RowBatch, concat
from processors.history import replay
from processors.indicators.verdict import VERDICT
from processors.outputs import MarketSignal
from processors.parameters import Parameters
from processors.signal import Value
from streams import latest, metrics
from streams.calendars import xshg
from streams.cli.render.signals import print_market
from tests.building import batch
from tests.folding import EXCHANGES, check_signal, fold_history, rows_of
from tests.oracle.data import Data, Published
from tests.texts import figures_in

CALENDAR = xshg()
SESSIONS = [date.fromordinal(day + date(1970, 1, 1).toordinal())
            for day in CALENDAR.between(to_day(date(2019, 1, 2)), to_day(date(2020, 12, 31))).tolist()]  # fmt: skip
#: The ratio that gives HOT, BREAKDOWN, NORMAL, COLD, EXTREME_COLD.
HOT, BREAK, CALM, COLD, EXTREME = 0.11, 0.09, 0.08, 0.0675, 0.06
UNKNOWN = None  # a day whose turnover is not known
#: The ratio of one day decides.
P = Parameters(ratio_window_days=1)


def market(ratios: list[float | None]) -> dict[int, dict[str, RowBatch]]:
    """A market with these ratios, from the first session on; a day without a figure has no turnover."""
    out = {}
    for day, ratio in zip(SESSIONS, ratios, strict=False):
        bought = 50.0 * (CALM if ratio is None else ratio)
        turnover = float("nan") if ratio is None else 50.0
        totals = {exchange: {"fin_balance": 1e9, "fin_buy": bought} for exchange in EXCHANGES}
        indices = {code: {"close": 10.0, "turnover": turnover} for code in ("000001.SH", "399001.SZ")}
        out[to_day(day)] = {
            "margin.market": batch("margin.market", day, totals), "indices.daily": batch("indices.daily", day, indices)
        }  # fmt: skip
    return out


def verdicts(ratios: list[float | None], parameters: Parameters = P) -> list[MarketSignal]:
    """The verdict of each session."""
    folded = fold_history(market(ratios), parameters)
    return [folded.market[to_day(day), "verdict"] for day in SESSIONS[: len(ratios)]]


def values(ratios: list[float | None], parameters: Parameters = P) -> list[Value | None]:
    return [one.value for one in verdicts(ratios, parameters)]


@pytest.mark.parametrize("lasts", [60, 7])
def test_a_warning_that_nothing_ends_warns_for_its_sessions_cools_for_as_many_and_is_over(lasts: int) -> None:
    parameters = Parameters(ratio_window_days=1, warning_sessions=lasts)
    found = verdicts([HOT, BREAK, *[CALM] * (2 * lasts + 3)], parameters)
    expected = ["HOT", *["WARNED"] * (lasts + 1), *["COOLING"] * lasts, "NO", "NO", "NO"]
    assert [one.value for one in found] == expected
    for session, one in enumerate(found[1 : 2 * lasts + 2]):
        left = lasts - session if session <= lasts else 2 * lasts - session
        assert (one.details["since"], one.details["sessions"], one.details["expires_in"]) == (
            SESSIONS[1].isoformat(), session, left
        )  # fmt: skip
    assert "since" not in found[-1].details


@pytest.mark.parametrize(
    ("ratios", "expected"),
    [
        ([HOT, BREAK, HOT, CALM], "HOT WARNED HOT WARNED"),  # void; the next fall is a new warning
        ([HOT, BREAK, COLD, CALM, CALM], "HOT WARNED COLD NO NO"),  # played out: no warning comes back
        ([HOT, BREAK, EXTREME, CALM], "HOT WARNED COLD NO"),
        ([HOT, BREAK, CALM, CALM, COLD, CALM], "HOT WARNED WARNED COOLING COLD NO"),
        ([HOT, BREAK, CALM, CALM, HOT, 0.101, CALM], "HOT WARNED WARNED COOLING HOT HOT WARNED"),
        ([CALM, 0.102, BREAK], "NO NO NO"),  # never hot: nothing warns
        ([COLD, EXTREME, CALM], "COLD COLD NO"),
    ],
)
def test_hot_again_voids_a_warning_and_cold_plays_it_out(ratios: list[float | None], expected: str) -> None:
    assert values(ratios, Parameters(ratio_window_days=1, warning_sessions=1)) == expected.split()


@pytest.mark.parametrize("gap", [1, 5, 40, 59, 60, 100])
def test_a_warning_ages_on_days_without_a_ratio(gap: int) -> None:
    found = verdicts([HOT, BREAK, CALM, *[UNKNOWN] * gap, CALM])
    for one in found[3:-1]:
        assert one.value is None and "turnover of" in one.reason
        assert one.details["since"] == SESSIONS[1].isoformat()
        assert "ratio" not in one.details
    assert found[-1].details["sessions"] == gap + 2
    assert found[-1].value == ("WARNED" if gap + 2 <= 60 else "COOLING")


def test_the_sessions_of_days_that_never_arrived_count_too() -> None:
    days = market([HOT, BREAK, *[CALM] * 30])
    kept = {day: feeds for i, (day, feeds) in enumerate(sorted(days.items())) if not 3 <= i < 25}
    folded = fold_history(kept, P)
    assert folded.market[to_day(SESSIONS[26]), "verdict"].details["sessions"] == 25


@pytest.mark.parametrize("block_days", [1, 3, 64])
def test_it_is_the_oracle_s_on_a_history_with_every_verdict_and_gaps(block_days: int) -> None:
    first, second = [HOT, BREAK, *[CALM] * 5, None, CALM, None, None, *[CALM] * 9], [HOT, 0.102, None, BREAK, None]
    ratios = [*first, *second, COLD, EXTREME, CALM, HOT, None, None, None, BREAK, BREAK, *[CALM] * 8]
    parameters = Parameters(ratio_window_days=1, warning_sessions=6)
    days = market(ratios)
    folded = fold_history(days, parameters, block_days=block_days, days_per_fold=5)
    totals, indices = (
        rows_of(concat([feeds[t] for feeds in days.values()])) for t in ("margin.market", "indices.daily")
    )
    data = Data(pd.DataFrame(), totals, indices, {}, pd.DatetimeIndex(SESSIONS[: len(ratios)], name="trade_date"))
    assert check_signal(VERDICT, folded, data, Published(ratio_window_days=1, warning_sessions=6)) > 30
    assert set(values(ratios, parameters)) == {"NO", "HOT", "WARNED", "COOLING", "COLD", None}


# -- real data -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", ["data", "data_2016_2021"])
def test_no_warning_of_the_real_years_outlives_its_sessions(data_dir: Path, folder: str, tmp_path: Path) -> None:
    place = data_dir.parent / folder
    if not place.is_dir():
        pytest.skip(f"no real market data at {place}")
    for file in (*place.glob("margin_total_*"), *place.glob("index_daily_*")):  # what the verdict needs
        (tmp_path / file.name).symlink_to(file)
    feeds = (day for _, day in read(tmp_path, CALENDAR).by_day())
    found, breaks = {}, {}
    for one in replay(feeds, Parameters(), EXCHANGES, CALENDAR, days_per_fold=64):
        if isinstance(one, MarketSignal) and one.signal == "verdict":
            found[to_day(one.trade_date)] = one
        elif isinstance(one, MarketSignal) and one.signal == "ratio_state" and one.value == "BREAKDOWN":
            breaks[one.trade_date.isoformat()] = to_day(one.trade_date)
    warned = {day: one for day, one in found.items() if one.value == "WARNED"}
    assert len(breaks) >= 8
    assert {one.details["since"] for one in warned.values()} == breaks.keys()
    for day, one in warned.items():
        age = CALENDAR.position(day) - CALENDAR.position(breaks[str(one.details["since"])])
        assert age == one.details["sessions"] <= 60
    # The warning of 2018-02-06 was still the answer on 2018-11-13.
    assert found[to_day(date(2018, 2, 6))].value == "WARNED"
    assert found[to_day(date(2018, 11, 13))].value == "NO"
    for before, after in pairwise(sorted(found)):
        if found[after].value == "COOLING":
            assert found[before].value in ("WARNED", "COOLING", None)


# -- words -----------------------------------------------------------------------------------------------------------


def answer(ratios: list[float | None], language: str = "en") -> str:
    return str(getattr(verdict_text(verdicts(ratios)[-1]).answer, language))


@pytest.mark.parametrize(
    ("ratios", "en", "zh", "tone"),
    [
        ([CALM], "NO", "否", "calm"),
        ([HOT], "HOT: the peak warning is armed", "过热：顶部预警待触发", "warm"),
        ([HOT, BREAK],
         f"WARNED on {SESSIONS[1]}, expires in 60 sessions", f"{SESSIONS[1]}预警，60个交易日后到期", "hot"),
        ([HOT, BREAK, *[CALM] * 19],
         "WARNED 19 sessions ago, expires in 41", "19个交易日前预警，41个交易日后到期", "hot"),
        ([HOT, BREAK, *[CALM] * 60], "WARNED 60 sessions ago, last session", "60个交易日前预警，当日到期", "hot"),
        ([HOT, BREAK, *[CALM] * 61], "COOLING: the warning has expired", "降温：预警已到期", "warm"),
        ([COLD], "NO: COLD", "否：市场低迷", "cold"),
        ([EXTREME], "NO: EXTREMELY COLD", "否：市场极度低迷", "cold"),
        ([UNKNOWN], "UNKNOWN", "未知", "calm"),
        ([HOT, BREAK, UNKNOWN], f"UNKNOWN on {SESSIONS[2]}; WARNED 1 session ago, expires in 59",
         f"{SESSIONS[2]}未知；1个交易日前预警，59个交易日后到期", "hot"),
        ([HOT, BREAK, *[UNKNOWN] * 61], "UNKNOWN", "未知", "warm"),
    ],
)  # fmt: skip
def test_the_answer_in_words(ratios: list[float | None], en: str, zh: str, tone: str) -> None:
    text = verdict_text(verdicts(ratios)[-1])
    assert (text.answer, text.tone) == (Text(en, zh), tone)


@pytest.mark.parametrize(
    ("ratios", "why", "change"),
    [
        ([0.085], "1-day ratio 8.50%, 1.80 points below the hot line.", "≥ 10.30% arms the peak warning."),
        ([0.10299], "1-day ratio 10.299%, 0.001 points below the hot line.", "≥ 10.30% arms the peak warning."),
        ([HOT, 0.09998],
         f"1-day ratio 9.998%; on {SESSIONS[1]} it fell below 10.00% after a hot phase (≥ 10.30%).",
         "≥ 10.30% voids it; ≤ 6.75% plays it out; it expires in 60 sessions."),
        ([HOT, 0.10002], "1-day ratio 10.00%; it reached 10.30% and has not fallen below 10.00% since.",
         "< 10.00% is the peak warning."),
        ([HOT, 0.102], "1-day ratio 10.20%; it reached 10.30% and has not fallen below 10.00% since.",
         "< 10.00% is the peak warning."),
        ([HOT, *[BREAK] * 20],
         f"1-day ratio 9.00%; on {SESSIONS[1]} it fell below 10.00% after a hot phase (≥ 10.30%).",
         "≥ 10.30% voids it; ≤ 6.75% plays it out; it expires in 41 sessions."),
        ([HOT, *[BREAK] * 61],
         f"1-day ratio 9.00%; on {SESSIONS[1]} it fell below 10.00% after a hot phase (≥ 10.30%).",
         "≥ 10.30% voids it; ≤ 6.75% plays it out; this is its last session."),
        ([HOT, *[BREAK] * 62],
         f"1-day ratio 9.00%; the warning of {SESSIONS[1]} ended after 60 sessions, neither void nor played out.",
         "≥ 10.30% arms a new warning; ≤ 6.75% is COLD; the cooling expires in 59 sessions."),
        ([COLD], "1-day ratio 6.75%, at most 6.75%. Coldness is no bottom signal by itself: 6 of 11 weeks at or below "
         "6.25% preceded a stop or rebound [DG22].", "> 6.75% ends it."),
    ],
)  # fmt: skip
def test_the_reason_and_what_would_change_it(ratios: list[float | None], why: str, change: str) -> None:
    text = verdict_text(verdicts(ratios)[-1])
    assert (text.why.en, text.change.en) == (why, change)
    for one in (text.why, text.change):
        assert figures_in(one.en) == figures_in(one.zh)
        assert any("\u4e00" <= letter <= "\u9fff" for letter in one.zh)


def test_an_absent_ratio_has_its_reason_in_the_words_and_the_warning_goes_on() -> None:
    text = verdict_text(verdicts([HOT, BREAK, UNKNOWN])[-1])
    assert f"The ratio of {SESSIONS[2]} is absent: indices.daily turnover of {SESSIONS[2]}" in text.why.en
    assert f"The warning of {SESSIONS[1]} goes on." in text.why.en
    assert text.why.zh.startswith(f"{SESSIONS[2]}占比缺失：{SESSIONS[2]}的indices.daily turnover未知")
    assert text.change.en == "The next known ratio decides; it expires in 59 sessions."


def test_the_words_follow_the_thresholds_of_the_signal() -> None:
    parameters = Parameters(
        ratio_window_days=1, ratio_hot=0.12, ratio_breakdown=0.11, ratio_cold=0.06, ratio_extreme_cold=0.05
    )
    text = verdict_text(verdicts([0.12, 0.10], parameters)[-1])
    assert text.change.en.startswith("≥ 12.00% voids it; ≤ 6.00% plays it out;")


def test_a_provisional_verdict_is_flagged() -> None:
    (early,) = verdicts([HOT])
    text = verdict_text(structs.replace(early, provisional=True))
    assert text.answer == Text("PROVISIONAL: HOT: the peak warning is armed", "盘中估算：过热：顶部预警待触发")
    assert text.why.en.endswith("The close decides.")


@pytest.mark.usefixtures("no_market_metrics")
def test_terminal_and_metric_show_the_same_words(capsys: pytest.CaptureFixture[str]) -> None:
    first, second = verdicts([HOT, BREAK])
    text = verdict_text(second)
    print_market({"verdict": second}, Parameters())
    shown = capsys.readouterr().out
    assert text.of_day == Text(f"figures of {SESSIONS[1]}", f"{SESSIONS[1]}数据")
    for one in (text.answer, text.why, text.change, text.of_day):
        assert one.en in shown and one.zh in shown
    for signal in (first, second, structs.replace(first, provisional=True)):
        metrics.observe_signal(signal)
    (family,) = (one for one in REGISTRY.collect() if one.name == "marginwatch_verdict_trade_date_seconds")
    (sample,) = family.samples  # one series: that of the newest final verdict
    assert sample.labels["verdict"] == "WARNED"
    for name in ("answer", "why", "change"):
        words = getattr(text, name)
        assert (sample.labels[name], sample.labels[f"{name}_zh"]) == (words.en, words.zh)
    assert sample.value == to_day(second.trade_date) * 86_400


@pytest.mark.usefixtures("no_market_metrics")
def test_terminal_metric_and_newest_value_have_the_reason_of_an_unknown_answer_in_chinese(
    capsys: pytest.CaptureFixture[str],
) -> None:
    (known,) = verdicts([HOT])
    reason = f"margin.market of {SESSIONS[0]} lacks all rows of SZSE"
    unknown = structs.replace(known, value=None, reason=reason, details={})
    chinese = f"{SESSIONS[0]}占比缺失：{SESSIONS[0]}的margin.market缺少SZSE全部数据。"
    print_market({"verdict": unknown}, Parameters())
    shown = capsys.readouterr().out
    assert reason in shown and chinese in shown
    metrics.observe_signal(unknown)
    (family,) = (one for one in REGISTRY.collect() if one.name == "marginwatch_verdict_trade_date_seconds")
    assert [sample.labels["why_zh"] for sample in family.samples] == [chinese]
    assert json.decode(latest._verdict(unknown))["why"]["zh"] == chinese


def test_the_daily_ratio_is_an_early_sign_alone() -> None:
    def daily(state: str) -> MarketSignal:
        return MarketSignal(
            signal="ratio_state_daily", subject="market", trade_date=date(2024, 7, 1), value=state, revision=0,
            available_at=datetime(2024, 7, 2, tzinfo=UTC), details={"ratio": 0.098, "breakdown": 0.1},
        )  # fmt: skip

    sign = early_sign(daily("BREAKDOWN"), verdicts([HOT])[0])
    assert sign is not None
    assert sign.en == "Early sign: the daily ratio fell to 9.80% on 2024-07-01, below 10.00% after a hot phase."
    early = early_sign(structs.replace(daily("BREAKDOWN"), provisional=True), None)
    assert early == Text(f"◔ PROVISIONAL: {sign.en} The close decides.", f"◔ 盘中估算：{sign.zh}以收盘数据为准。")
    assert early_sign(daily("HOT"), None) is None and early_sign(None, None) is None
    assert early_sign(daily("BREAKDOWN"), verdicts([HOT, BREAK])[1]) is None  # warned already

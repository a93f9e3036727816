"""What the console computes: names and search, reasons, exports, marks, industries, prices, earlier days."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest
from nicegui import Client, ui
from nicegui.elements.mixins.text_element import TextElement
from reportlab.lib.pagesizes import A4
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfgen.canvas import Canvas

from alerts import reasons, subject_names
from alerts.model import Acknowledgement, EndedBy, Silence, State, Text
from alerts.rules import base, rules
from alerts.units import Units
from console import (
    cards,
    charts,
    figure,
    formats,
    industry_rows,
    labels,
    panel_charts,
    question,
    record,
    security,
    sheet,
    tiles,
)
from console.charts import Break
from console.daily_inputs import FIGURES_KEPT, DailyInputs, adjusted
from console.directory import Directory
from console.model import ConsoleModel, Feed, Part
from console.past import EarlierModels
from console.theme import View
from console.theme_members import ThemeMember, members
from processors.charts import EMPTY, to_words
from processors.codes import to_id
from processors.days import to_day
from processors.events import FIGURES, RowBatch
from processors.indicators.industry_heat import HEAT, RISK
from processors.industries import INDUSTRIES
from processors.needs import CHARTS
from processors.outputs import ChartFrame, DayStatus, FrameHeader, IdentityCheck, IndustrySignals, SecuritySignals
from processors.parameters import Parameters
from streams.calendars import xshg
from tests.test_console import LANGUAGES, alert, signal

P = Parameters()
UNITS = Units(rules(P))
ZH, EN = View(P, "zh"), View(P, "en")
NAMES = {
    "600519.SH": "贵州茅台",
    "601398.SH": "工商银行",
    "000858.SZ": "五 粮 液",
    "000002.SZ": "万 科Ａ",
    "300015.SZ": "",
}


def moment(day: int, hour: int = 1) -> datetime:
    """A moment of July 2024, 09:00 in Shanghai."""
    return datetime(2024, 7, day, hour, tzinfo=UTC)


def status(day: int, known: int | None = None, **changes: Any) -> DayStatus:
    return DayStatus(
        trade_date=date(2024, 7, day), available_at=moment(day + 1 if known is None else known), revision=0, **changes
    )


@pytest.mark.parametrize(
    ("query", "codes"),
    [
        ("gzmt", ["600519.SH"]), ("茅台", ["600519.SH"]), ("maotai", ["600519.SH"]), ("wly", ["000858.SZ"]),
        ("五粮", ["000858.SZ"]), ("WKA", ["000002.SZ"]), ("gsyh", ["601398.SH"]), ("6013", ["601398.SH"]),
        ("600519.sh", ["600519.SH"]), ("300", ["300015.SZ"]), ("60", ["600519.SH", "601398.SH"]), ("", []), ("zzz", []),
    ],
)  # fmt: skip
def test_a_security_is_found_by_code_name_pinyin_and_initials(query: str, codes: list[str]) -> None:
    assert Directory(NAMES).find(query) == codes


def test_names_stand_before_codes_in_a_text() -> None:
    directory = Directory(NAMES)
    assert directory.annotated("增600519.SH、300015.SZ、1600519.SH") == "增贵州茅台 600519.SH、300015.SZ、1600519.SH"
    assert directory.fits("000858.SZ", "wl") and not directory.fits("000858.SZ", "gz")


@pytest.mark.parametrize(
    ("subject", "shown"),
    [("000300.SH", "沪深300"), ("600519.SH", "贵州茅台 600519.SH"), ("银行", "银行"), ("market", "")],
)
def test_an_alert_names_its_subject_and_the_codes_of_its_text(subject: str, shown: str) -> None:
    model = ConsoleModel(P.streak_flags, xshg())
    model.offer_directory(Directory(NAMES))
    page: Any = SimpleNamespace(view=ZH, site=SimpleNamespace(model=model))
    found = msgspec.structs.replace(alert("a", "market_hot"), subject=subject, text=Text("", "涨601398.SH。"))
    assert record.title(page, found.rule, found.subject) == " · ".join(filter(None, (ZH.rule("market_hot"), shown)))
    assert cards.lines(page, found, whole=True)[-1] == "涨工商银行 601398.SH。"
    over = {"state": State.RESOLVED, "resolved_on": date(2024, 7, 4), "ended_by": EndedBy.VOID}
    assert (
        cards.lines(page, msgspec.structs.replace(found, **over), whole=True)[0] == "自2024-07-04起结束：预警已失效。"
    )
    withdrawn = msgspec.structs.replace(found, state=State.SUPERSEDED)
    assert cards.lines(page, withdrawn, whole=True)[0] == "已撤回：更正后的数据取代或消除了该信号。"


@pytest.mark.parametrize(
    ("rule", "figures", "name", "value", "shown"),
    [
        ("peak_warning", {}, "breakdown", 0.1, "0.1 (10.00%)"),
        ("excess_financing", {"excess_financing": 0.06}, "level", -0.05, "-0.05 (−5.00%)"),
        ("industry_risk_high", {"risk_sigma": 2.1}, "level", 2.0, "2"),
        ("industry_risk_high", {"risk_sigma": 1.5}, "risk_sigma", 1.5, "1.5"),
        ("collateral_low", {"percentile": 0.04}, "level", 0.05, "0.05 (5.00%)"),
        ("collateral_low", {"percentile": 0.04}, "collateral_ratio", 2.57, "2.57 (257.00%)"),
        ("data_quality", {}, "SSE", 1.5e9, "1,500,000,000 (¥1.50 bn)"),
        ("themes", {"Banks": 0.012}, "Banks", 0.012, "0.012 (1.20%)"),
        ("own", {"llt/000300.SH": 1.25}, "llt/000300.SH", 1.25, "1.25"),
        ("own", {"fin_buy_ratio_5d": 0.11}, "clear", 0.105, "0.105 (10.50%)"),
        ("fin_streak", {}, "flagged", 1, "1"),
    ],
)
def test_a_figure_of_an_alert_has_the_unit_of_its_signal_or_rule(
    rule: str, figures: dict[str, Any], name: str, value: float, shown: str
) -> None:
    found = msgspec.structs.replace(alert("a", rule), figures=figures)
    assert cards.exact(value, UNITS.of_figure(found, name), "en") == shown


@pytest.mark.parametrize(
    ("rule", "value", "shown"),
    [
        ("excess_score_top", 0.9287, "▲ 0.9287"), ("fin_streak", -8.0, "▼ 8"), ("fin_extreme", 1.6, "▲ 160.00%"),
        ("fin_divergence", -0.1234, "▼ 12.34%"), ("chart_top", 0.55, "▲ 55.00%"), ("data_quality", -1e6, "▼ 1,000,000"),
    ],
)  # fmt: skip
def test_a_security_of_an_alert_has_the_unit_of_its_signal(rule: str, value: float, shown: str) -> None:
    assert cards.short(value, UNITS.of_members(rule)) == shown


@pytest.mark.parametrize(("fires", "shown"), [(30, []), (33, ["+3 more"])])
def test_the_list_of_alerts_names_how_many_it_leaves_out(fires: int, shown: list[str]) -> None:
    model = ConsoleModel(P.streak_flags, xshg())
    model.as_of = date(2024, 7, 1)  # without buttons
    for number in range(fires):
        model.offer_alert(alert(f"n{number}"))
    page: Any = SimpleNamespace(
        view=EN, site=SimpleNamespace(model=model), path=str, follow=lambda _parts, draw, **_: draw()
    )

    async def drawn() -> list[ui.label]:
        with Client(ui.page("")) as client:
            cards.listing(page)
            return [one for one in client.elements.values() if isinstance(one, ui.label) and one.visible]

    assert [one.text for one in asyncio.run(drawn()) if one.text.startswith("+")] == shown


@pytest.mark.parametrize(("hour", "shown"), [(1, True), (2, False)])
def test_a_silence_that_is_over_is_not_shown(hour: int, shown: bool) -> None:
    made = ConsoleModel(P.streak_flags, xshg())
    made.clock = SimpleNamespace(now=lambda: moment(1, hour))  # type: ignore[assignment]
    page: Any = SimpleNamespace(view=EN, site=SimpleNamespace(model=made), path=str)
    one = msgspec.structs.replace(alert("a"), silence=Silence(id="s", until=moment(1, 2), by="li"))
    with Client(ui.page("/")) as client:
        cards.card(page, one)
    words = {element.text for element in client.elements.values() if isinstance(element, TextElement)}
    assert any(word.startswith("🔕 Silenced until") for word in words) is shown
    assert ("Silence" not in words, "End silence" in words) == (shown, shown)


REASONS = """\
indices.daily 000001.SH pe_ttm of 2020-01-02 is not known (window not full, or the feed is late)
margin.market fin_buy of 2020-01-02 is not known (window not full, or the feed is late): 6 days are needed, 3 are known
indices.daily 000001.SH pe_ttm since 2010-01-04: 20 days are needed, 4 are known
margin.market fin_buy of 2020-09-09 lacks SSE, SZSE: 5 days are needed, 4 are known
prices.daily of 2020-09-09 lacks all rows of SSE; margin.daily of 2020-09-09 lacks 12 rows of SZSE
indices.daily turnover: the calendar does not reach back so far
etf_flow of cross_border is absent: etf.daily: 3 of the 20 funds of the style changed shares and have no price
etf_flow of broad is absent: etf.daily of 2020-01-01 is not known
etf.daily: no fund of the style has a row
etf.daily: no fund of the style has shares of the day before
etf.daily: no fund has a row
etf_flow_total is absent
no security of the day belongs to CSI500
prices.daily: no stock has 20 prices in 200 trading days
prices.daily: no stock has a price of the year before
prices.daily: no stock of margin.daily has a return
trailing quantiles need 250 days of the ratio, 20 are known
the line of 399006.SZ needs 117 days to settle, 12 are known
fewer than 120 pairs of days are known, or a series does not change
margin.daily of the day before is not known
known of 3 industries, 20 are needed
known of 3 industries, 20 are needed (margin.daily of 2020-01-01 is not known)
no live turnover of 000001.SH, 399001.SZ
margin.intraday covers 40% of the last published balance, 80% are needed
margin.intraday is of 10:30, the turnover of 15:00: more than 30 trading minutes apart
margin.intraday is of 10:17, the turnover of 10:17–14:50: more than 30 trading minutes apart
reference names no stock
reference knows less than half of the stocks of SZSE
""".splitlines()


@pytest.mark.parametrize("reason", REASONS)
def test_every_reason_of_absence_is_chinese_on_a_chinese_page(reason: str) -> None:
    shown = reasons.shown(reason, "zh")
    assert re.search("[\u4e00-\u9fff]", shown)
    prose = re.sub(r"[a-z0-9.]+[._][A-Za-z0-9._]+|SSE|SZSE|CSI\d+|ETF|reference|broad|turnover", "", shown)  # ids stay
    assert not re.search("[A-Za-z]{2,}", prose), shown
    assert set(re.findall(r"\d+%?", reason)) == set(re.findall(r"\d+%?", shown))  # no figure is lost
    assert reasons.shown(reason, "en") == reason


def test_a_reason_without_a_translation_is_shown_as_it_is() -> None:
    assert reasons.shown("the moon is not known", "zh") == "the moon is not known"


def test_factors_groups_indices_and_styles_have_names_in_both_languages() -> None:
    assert {*HEAT, *RISK} <= labels.FACTORS.keys()
    assert {*P.timing_indices} <= subject_names.INDICES.keys()
    styles = next(column.labels for column in FIGURES["etf.daily"] if column.name == "style")
    assert {*styles} == subject_names.STYLES.keys()
    assert ZH.signal("group_balance/CSI300").endswith("沪深300")
    assert View(Parameters(excess_lag_days=30), "zh").signal("excess_financing") == "超额融资（30日）"
    for names in (labels.FACTORS, subject_names.GROUPS, subject_names.INDICES, subject_names.STYLES):
        assert all(en and zh for en, zh in names.values())


def test_a_break_of_the_ratio_is_marked_with_its_outcome() -> None:
    model = ConsoleModel(P.streak_flags, xshg())
    for day, ratio in ((1, 0.105), (2, 0.099)):
        model.offer_market(signal("fin_buy_ratio_5d", ratio, day))
        model.offer_market(signal("index_close/000300.SH", 3400.0 + day, day))
    options = charts.history(
        EN, model.curves(charts.RATIO_CURVES), [], ("CSI 300", model.curve("index_close/000300.SH")),
        [Break(date(2024, 7, 2), 0.099, "9.90% · hit ✓", True), Break(date(2024, 7, 1), 0.1, "open", None)],
    )  # fmt: skip
    series = {one["id"]: one for one in options["series"]}
    hit, pending = series["breaks"]["data"]
    assert hit["value"] == ["2024-07-02", 0.099, "9.90% · hit ✓"]
    assert (hit["symbol"], pending["symbol"]) == ("triangle", "emptyTriangle")
    assert series["breaks"]["encode"]["tooltip"] == 2  # hovering shows the words
    assert series["index"]["data"] == [["2024-07-01", 3401.0], ["2024-07-02", 3402.0]]
    assert series["index"]["yAxisIndex"] == 1
    heads, rows = figure.behind(options)
    assert rows[0][0] == "2024-07-02"
    assert dict(zip(heads, rows[0], strict=True))["CSI 300"] == 3402.0


def test_a_legend_lists_no_series_without_a_figure() -> None:
    known, unknown = [(date(2024, 7, 1), 0.1)], [(date(2024, 7, 1), None)]
    curves = {"ratio": known, "daily": known, "quantile_hot": unknown, "quantile_cold": []}

    def named(options: charts.Options) -> set[str]:
        return {one["id"] for one in options["series"] if one["name"]}  # ECharts lists a series by its name

    assert named(charts.history(EN, curves, [])) == {"ratio", "daily"}
    assert named(charts.history(EN, curves, known, ("CSI 300", known), [Break(date(2024, 7, 1), 0.1, "", None)])) == {
        "index", "ratio", "daily", "tail", "breaks"
    }  # fmt: skip
    assert named(charts.excess(EN, known, [])) == {"excess"}


def test_the_band_of_a_small_multiple_has_the_quantiles_of_the_known_days() -> None:
    found = [(date(2024, 7, 1 + i), float(i) if i != 3 else None) for i in range(11)]
    known = [0, 1, 2, 4, 5, 6, 7, 8, 9, 10]
    band = panel_charts.band(replace(ZH, parameters=Parameters(percentile_least=10)), found)
    low, high = (edge["yAxis"] for edge in band["markArea"]["data"][0])
    assert (low, high) == pytest.approx((np.quantile(known, 0.1), np.quantile(known, 0.9)))
    assert band["markLine"]["data"][0]["yAxis"] == 5.5
    assert charts.rank(found, 10) == 1.0
    assert charts.rank([(date(2024, 7, 1), None)], 10) is None


def test_the_figures_of_a_few_days_have_no_percentile() -> None:
    """The only day of a history would be its highest one."""
    few = [(date(2024, 7, 1) + timedelta(i), float(i)) for i in range(P.percentile_least - 1)]
    assert charts.rank(few, P.percentile_least) is None
    assert panel_charts.band(ZH, few)["markArea"]["data"] == []
    assert charts.rank([*few, (date(2026, 7, 1), 0.0)], P.percentile_least) == 2 / P.percentile_least


def test_the_cumulative_flow_is_absent_where_a_day_is_unknown() -> None:
    days = [date(2024, 7, d) for d in (1, 2, 3, 4)]
    total = list(zip(days, (1.0, 2.0, None, 4.0), strict=True))
    options = panel_charts.flows(EN, {"broad": total}, total)
    assert [row[2] for row in reversed(figure.behind(options)[1])] == [1.0, 3.0, None, 4.0]
    assert options["series"][0]["name"] == "Broad"
    assert figure.behind(options)[0] == ["", "Broad ¥bn", "Cumulative ¥bn"]


def test_a_figure_between_two_gaps_is_drawn_as_a_mark() -> None:
    days = [date(2024, 7, day) for day in range(1, 8)]
    found = charts.points(list(zip(days, [1.0, None, 2.0, 3.0, None, None, 4.0], strict=True)))
    assert [one["value"] for one in found if isinstance(one, dict)] == [["2024-07-01", 1.0], ["2024-07-07", 4.0]]
    series = charts.line("one", "x", found, "red")
    assert series["symbol"] == "none" and series.get("showSymbol", True)  # without symbols, marks are none either
    assert figure.behind({"series": [series]})[1][0] == ["2024-07-07", 4.0]


def test_a_chart_is_a_table_and_a_csv_that_no_spreadsheet_runs() -> None:
    heads, rows = figure.behind(charts.heat_map(EN, [("银行", 0.2, -0.3, 1e9)]))
    assert (heads, rows) == (["", "Heat", "Risk"], [["Banks", 0.2, -0.3]])
    text = figure.as_csv(["名称", "x"], [["=1+1", -0.5], ["银行", None]]).decode("utf-8-sig")
    assert list(csv.reader(io.StringIO(text))) == [["名称", "x"], ["'=1+1", "-0.5"], ["银行", ""]]


def no_charts(day: int) -> ChartFrame:
    header = FrameHeader(0, 0, {}, {}, IdentityCheck())
    return ChartFrame(CHARTS, 0, to_day(date(2024, 7, day)), header, np.empty(0, dtype=np.int32), {})


def industries(day: int, net_buy: float, **columns: float) -> IndustrySignals:
    given = {"fin_balance": 100.0 + day, "net_buy": net_buy, "heat": 0.5, "risk": -0.5} | columns
    return IndustrySignals(status(day), {name: np.full(31, value) for name, value in given.items()}, {})


def test_the_net_buy_of_days_is_absent_where_one_of_them_is_unknown() -> None:
    known = [industries(day, float(day)) for day in range(1, 7)]
    row = industry_rows.industry_row(known, 0)
    assert (row["net1"], row["net5"], row["net20"]) == (6.0, 20.0, None)
    assert row["key"] == INDUSTRIES[0]
    assert row["spark"].count("L") == 5 and row["spark"].startswith("M0.0,")
    gap = [*known[:4], industries(5, np.nan), known[5]]
    assert industry_rows.industry_row(gap, 0)["net5"] is None
    assert industry_rows.sparkline([1.0, None, 2.0, 3.0]).count("M") == 2  # a gap interrupts the line
    assert industry_rows.sparkline([1.0]) == ""


def test_a_day_without_figures_hides_no_earlier_day() -> None:
    model = ConsoleModel(P.streak_flags, xshg())
    keys = np.array([to_id("600519.SH")], dtype=np.int32)
    columns = {"extreme": np.ones(1), "fin_change": np.full(1, 0.1), "fin_streak": np.full(1, 5.0)}
    model.offer_securities(SecuritySignals(status(1), keys, columns))
    model.offer_securities(SecuritySignals(status(2, missing={"margin.daily SSE": -1}), keys[:0], {}))
    model.offer_industries(industries(1, 1.0))
    model.offer_industries(industries(2, np.nan, fin_balance=np.nan))
    day, flags = model.securities.flags()
    assert (day, {flag.kind for flag in flags}) == (date(2024, 7, 1), {"extreme", "streak"})
    newest = model.securities.newest()
    assert newest is not None and newest.status.degraded  # and the page reports it
    assert [one.status.trade_date.day for one in model.industry_days(5)] == [1]
    newest_frame = model.newest_industries
    assert newest_frame is not None and newest_frame.status.trade_date == date(2024, 7, 2)


def test_a_session_without_industries_is_a_day_of_their_sums_also_where_nothing_of_it_is_published() -> None:
    model = ConsoleModel(P.streak_flags, xshg())
    for day in (1, 2, 3, 5, 8, 9, 10):
        model.offer_industries(industries(day, float(day)))
    assert [one.status.trade_date.day for one in model.industry_days(5)] == [4, 5, 8, 9, 10]
    assert industry_rows.industry_row(model.industry_days(5), 0)["net5"] is None
    assert dict(model.industry("农林牧渔"))[date(2024, 7, 4)] == {}
    model.offer_industries(industries(11, 11.0))
    row = industry_rows.industry_row(model.industry_days(20), 0)
    assert row["net5"] == 43.0  # of the sessions 5 to 11
    assert row["spark"].count("M") == 2


def batch(topic: str, rows: list[tuple[str, int, int, dict[str, float]]]) -> RowBatch:
    """Rows of code, day, revision and figures."""
    names = FIGURES_KEPT[topic]
    return RowBatch(
        topic,
        np.array([to_id(code) for code, *_ in rows], dtype=np.int32),
        np.array([to_day(date(2024, 7, day)) for _, day, *_ in rows], dtype=np.int32),
        np.array([revision for *_, revision, _ in rows], dtype=np.int32),
        np.array([int(moment(day, 8).timestamp() * 1e6) for _, day, *_ in rows], dtype=np.int64),
        {name: np.array([figures.get(name, np.nan) for *_, figures in rows]) for name in names},
    )


def test_of_several_rows_the_highest_revision_counts_however_they_arrive() -> None:
    inputs = DailyInputs(days_kept=2)
    for day in (1, 2, 3):
        inputs.offer(batch("prices.daily", [("600519.SH", day, 1, {"close": 10.0 * day})]))
    inputs.offer(batch("prices.daily", [("600519.SH", 3, 0, {"close": 99.0}), ("000858.SZ", 3, 0, {"close": 5.0})]))
    for revision in range(40):  # single events are joined
        inputs.offer(batch("margin.daily", [("600519.SH", 3, revision, {"fin_buy": float(revision)})]))
    inputs.offer(batch("reference", [("600519.SH", 1, 0, {"industry": INDUSTRIES.index("食品饮料")})]))
    rows = dict(inputs.of("600519.SH"))
    assert list(rows) == [date(2024, 7, 2), date(2024, 7, 3)]  # two days are kept
    assert (rows[date(2024, 7, 3)]["close"], rows[date(2024, 7, 3)]["fin_buy"]) == (30.0, 39.0)
    assert rows[date(2024, 7, 3)]["open"] is None
    assert inputs.industry("600519.SH") == "食品饮料" and inputs.members("食品饮料") == ["600519.SH"]
    assert (inputs.of("nonsense"), inputs.industry("nonsense"), inputs.industry("000858.SZ")) == ([], "", "")
    assert [day.day for day, _ in inputs.known_at(moment(3, 7)).of("600519.SH")] == [2]


def test_prices_are_adjusted_by_the_published_previous_close() -> None:
    days = [date(2024, 7, d) for d in (1, 2, 3)]
    rows = [
        (days[0], {"open": 9.0, "close": 10.0, "prev_close": 9.0, "volume": 1.0}),
        (days[1], {"close": None, "open": None}),  # suspended
        (days[2], {"open": 5.0, "close": 5.5, "prev_close": 5.0}),  # one share became two
    ]
    found = adjusted(rows)
    assert [(row["open"], row["close"]) for _, row in found] == [(4.5, 5.0), (None, None), (5.0, 5.5)]
    assert found[0][1]["volume"] == 1.0


def test_what_followed_a_flag_begins_at_the_next_open() -> None:
    days = [date(2024, 7, day) for day in (1, 2, 3, 4, 5, 8)]
    rows: dict[date, dict[str, float | None]] = {
        day: {"price_level": 1.0 + i / 10, "open_to_close": 0.1} for i, day in enumerate(days)
    }
    # Entry 1.1 / 1.1 = 1.0, five days later 1.5.
    assert security.after(rows, days[0], 5, xshg()) == pytest.approx(0.5)
    assert security.after(rows, days[1], 5, xshg()) is None  # not over
    entry = rows.pop(days[1])
    rows[date(2024, 7, 9)] = rows[days[-1]]
    assert security.after(rows, days[0], 5, xshg()) is None  # a row that is missing moves no session
    rows[days[1]] = entry | {"open_to_close": None}
    assert security.after(rows, days[0], 5, xshg()) is None
    assert security.ratio(1.0, 0.0) is None and security.ratio(1.0, 4.0) == 0.25


@pytest.mark.skipif(shutil.which("node") is None, reason="node, which runs a formatter, is not installed")
@pytest.mark.parametrize(
    ("language", "shown"),
    [("zh", ["0亿", "0.05亿", "0.1亿", "0.15亿", "12.5亿"]), ("en", ["0m", "5m", "10m", "15m", "1250m"])],
)
def test_ticks_of_small_volumes_differ(language: formats.Language, shown: list[str]) -> None:
    code = f"JSON.stringify([0, 5e6, 1e7, 1.5e7, 1.25e9].map({panel_charts.SHARES_AXIS[language]}))"
    found = subprocess.run(["node", "-p", code], check=True, capture_output=True, text=True).stdout
    assert json.loads(found) == shown


@pytest.mark.parametrize(
    ("value", "percent", "signed", "cny", "yuan"),
    [
        (-4e-6, "0.00%", "0.00%", "0.0 亿", "¥0.00 bn"),
        (4e-6, "0.00%", "0.00%", "0.0 亿", "¥0.00 bn"),
        (-0.0001, "−0.01%", "−0.01%", "−0.1 亿", "−¥0.01 bn"),
        (0.0001, "0.01%", "+0.01%", "+0.1 亿", "+¥0.01 bn"),
    ],
)
def test_a_figure_that_rounds_to_zero_has_no_sign(value: float, percent: str, signed: str, cny: str, yuan: str) -> None:
    assert (formats.percent(value), formats.percent(value, signed=True)) == (percent, signed)
    assert formats.money(value * 1e11, "zh", signed=True) == cny
    assert formats.money(value * 1e11, "en", signed=True) == yuan
    assert formats.level(value * 100) == signed.removesuffix("%")
    assert base.percent(value).replace("-", "−") == percent


@pytest.mark.skipif(shutil.which("node") is None, reason="node, which runs a formatter, is not installed")
@pytest.mark.parametrize(
    ("script", "shown"),
    [
        (formats.script_percent(2), ["−0.01%", "0.00%", "0.00%", "0.00%", "0.01%", "–"]),
        (formats.script_percent(2, "+"), ["−0.01%", "0.00%", "0.00%", "0.00%", "+0.01%", "–"]),
        (formats.script_percent(2, "▲"), ["▼ 0.01%", "▼ 0.00%", "0.00%", "▲ 0.00%", "▲ 0.01%", "–"]),
    ],
)
def test_a_table_and_a_chart_format_figures_as_the_page_does(script: str, shown: list[str]) -> None:
    code = f"JSON.stringify([-1e-4, -4e-6, 0, 4e-6, 1e-4, null].map({script}))"
    found = subprocess.run(["node", "-p", code], check=True, capture_output=True, text=True).stdout
    assert json.loads(found) == shown


@pytest.mark.parametrize(
    ("days", "en", "zh"),
    [(1, "▲ 1 day", "▲ 1 日"), (-1, "▼ 1 day", "▼ 1 日"), (-8, "▼ 8 days", "▼ 8 日"), (None, "–", "–")],
)
def test_a_streak_of_one_day_is_no_plural(days: int | None, en: str, zh: str) -> None:
    assert (tiles.streak(days, "en"), tiles.streak(days, "zh")) == (en, zh)


@pytest.mark.parametrize(("language", "shown"), [("en", "07-01 09:00 Shanghai"), ("zh", "07-01 09:00 北京时间")])
def test_a_moment_names_its_zone(language: formats.Language, shown: str) -> None:
    assert formats.moment(moment(1), language) == shown


def test_candles_have_gaps_marks_and_columns() -> None:
    days = [date(2024, 7, d) for d in (1, 2)]
    prices = [(days[0], {"open": 9.0, "high": 11.0, "low": 8.5, "close": 10.0, "volume": 5.0})]
    mark = panel_charts.Mark(days[0], 10.0, 1, "extreme")
    options = panel_charts.candles(EN, prices, [(d, 1.0) for d in days], [(days[0], 0.1)], [mark])
    series = {one["id"]: one for one in options["series"]}
    assert series["candles"]["data"] == [[9.0, 10.0, 8.5, 11.0], ["-"] * 4]
    heads, rows = figure.behind(options)
    assert [row[0] for row in rows] == ["2024-07-02", "2024-07-01"]
    assert dict(zip(heads, rows[1], strict=True))["Price, adjusted high"] == 11.0
    assert rows[0][heads.index("Price, adjusted close")] is None
    assert heads[1] == "Margin balance ¥bn"  # a column has the unit that only the title of the chart shows


def known_model() -> ConsoleModel:
    """A balance of two days, of which the first was corrected on the 5th; an alert that ended on the 4th."""
    model = ConsoleModel(P.streak_flags, xshg())
    for day, known, value, revision in ((1, 2, 1.0, 0), (2, 3, 2.0, 0), (1, 5, 1.5, 1), (4, 5, 4.0, 0)):
        found = msgspec.structs.replace(
            signal("fin_balance", value, day, revision=revision), available_at=moment(known)
        )
        model.offer_market(found)
    model.offer_market(signal("verdict", None, 2))
    ended = msgspec.structs.replace(
        alert("a", day=2), available_at=moment(3), fired_on=date(2024, 7, 2), state=State.RESOLVED,
        resolved_on=date(2024, 7, 4), ended_at=moment(5), acknowledged=Acknowledgement("li", moment(6)),
    )  # fmt: skip
    model.offer_alert(ended)
    model.offer_alert(msgspec.structs.replace(alert("later", day=4), available_at=moment(5)))
    keys = np.array([to_id("600519.SH")], dtype=np.int32)
    for known, change in ((2, 0.1), (5, 0.2)):
        model.offer_securities(SecuritySignals(status(1, known), keys, {"fin_change": np.full(1, change)}))
    model.offer_industries(industries(1, 1.0))
    model.offer_industries(industries(4, 1.0))
    return model


def test_an_earlier_day_shows_what_was_known_then_and_what_was_corrected_since() -> None:
    model = known_model()
    earlier = model.known_at(date(2024, 7, 3))
    assert earlier.curve("fin_balance") == [(date(2024, 7, 1), 1.0), (date(2024, 7, 2), 2.0)]
    assert earlier.latest["fin_balance"].value == 2.0 and earlier.day == date(2024, 7, 2)
    assert (earlier.alerts["a"].state, earlier.alerts["a"].acknowledged, earlier.alerts.keys()) == (
        State.FIRING, None, {"a"},
    )  # fmt: skip
    assert earlier.securities.rows("600519.SH")[0][1]["fin_change"] == 0.1
    assert [one.status.trade_date.day for one in earlier.industry_days(9)] == [1]
    (corrected,) = model.corrections(earlier)
    assert (corrected.name, corrected.day.day, corrected.then, corrected.now) == ("fin_balance", 1, 1.0, 1.5)
    later = model.known_at(date(2024, 7, 6))
    assert later.curve("fin_balance") == model.curve("fin_balance")
    assert later.alerts["a"].state is State.RESOLVED and model.corrections(later) == []


@pytest.mark.parametrize(
    ("as_of", "known", "listed"),
    [
        (3, 5, True),  # of Monday, on Wednesday: known on Friday
        (1, 2, False),  # the figures of a session are due before the next one
        (1, 5, False),
        (6, 8, False),  # of Friday, on Saturday
    ],
)
def test_an_earlier_day_lists_the_figures_that_it_lacked_and_that_were_due(
    as_of: int, known: int, listed: bool
) -> None:
    model = ConsoleModel(P.streak_flags, xshg())
    day = 5 if as_of == 6 else 1
    model.offer_market(msgspec.structs.replace(signal("index_close/000001.SH", 3000.0, 1), available_at=moment(1)))
    model.offer_market(msgspec.structs.replace(signal("fin_balance", 1.5, day), available_at=moment(known)))
    earlier = model.known_at(date(2024, 7, as_of))
    found = [(one.name, one.day.day, one.then, one.now) for one in model.corrections(earlier)]
    assert found == ([("fin_balance", day, None, 1.5)] if listed else [])


@pytest.mark.parametrize(
    ("changes", "firing"),
    [
        ({"state": State.RESOLVED, "resolved_on": date(2024, 7, 4), "ended_at": moment(5)}, {3, 4}),
        ({"state": State.RESOLVED, "resolved_on": date(2024, 7, 4)}, {3}),  # of an earlier release
        ({"state": State.SUPERSEDED, "ended_at": moment(5)}, {3, 4}),
        ({"state": State.SUPERSEDED}, set()),
        ({}, {3, 4, 5, 6}),
        ({"fired_on": date(2024, 7, 4)}, {5, 6}),  # after a minimum of days; it was pending before
        ({"fired_on": date(2024, 7, 5)}, set()),  # a Friday: its figures are known on Monday
        ({"state": State.RESOLVED, "fired_on": None, "resolved_on": date(2024, 7, 5), "ended_at": moment(6)}, set()),
        ({"state": State.PENDING, "fired_on": None}, set()),
    ],
)
def test_an_earlier_day_shows_an_alert_until_its_end_was_public(changes: dict[str, Any], firing: set[int]) -> None:
    model = ConsoleModel(P.streak_flags, xshg())
    fired = {"fired_on": date(2024, 7, 2)}
    model.offer_alert(msgspec.structs.replace(alert("a", day=2), available_at=moment(3), **(fired | changes)))
    assert {day for day in range(1, 7) if model.known_at(date(2024, 7, day)).firing()} == firing


def test_history_is_reported_while_it_arrives_and_never_for_the_figures_of_today() -> None:
    model = ConsoleModel(P.streak_flags, xshg())
    model.offer_clock(moment(20))
    model.offer_market(signal("fin_balance", 1.0, 19))  # known on the 1st: NOW
    assert model.history_days == 1
    model.offer_market(signal("fin_balance", 2.0, 19, revision=1))  # a correction of a day that is known
    model.offer_market(msgspec.structs.replace(signal("fin_balance", 2.0, 20), available_at=moment(20)))
    model.offer_market(signal("fin_balance", 2.0, 21, provisional=True))
    assert model.history_days == 1
    feeds = model.versions[Part.FEEDS]
    model.offer_feeds((), None, reads_history=True)
    model.offer_feeds((), None, reads_history=True)
    assert model.reads_history and model.versions[Part.FEEDS] == feeds + 1


def test_a_replay_is_reported_until_it_ends() -> None:
    model = ConsoleModel(P.streak_flags, xshg())
    model.offer_clock(None)
    assert not model.clock.replays and model.versions[Part.CLOCK] == 0  # barriers of ordinary feeds draw nothing
    model.offer_clock(moment(3))
    assert model.clock.replays and model.clock.now().day == 3
    model.offer_clock(None)
    assert not model.clock.replays and model.versions[Part.CLOCK] == 2


@pytest.mark.parametrize("text", ["", "nonsense", "2024-13-01", "2024-07-04", "2030-01-01"])
def test_an_address_without_an_earlier_day_shows_the_present(text: str) -> None:
    model = known_model()
    model.offer_clock(moment(4))
    assert EarlierModels(model).model(text) is model


def test_the_address_of_the_newest_day_shows_what_was_known_on_it_once_it_is_over() -> None:
    model = known_model()
    late = msgspec.structs.replace(signal("fin_balance", 7.0, 4), available_at=moment(5, 0))  # before the next open
    model.offer_market(late)
    model.offer_clock(moment(5))
    assert model.latest["fin_balance"].value == 7.0
    assert EarlierModels(model).model("2024-07-04").latest["fin_balance"].trade_date < date(2024, 7, 4)


def test_a_day_before_all_figures_is_not_waiting_for_the_first_ones() -> None:
    earlier = EarlierModels(known_model()).model("2024-06-28")
    assert question.unanswered(earlier, EN) == "Nothing was known on this day."
    assert question.unanswered(ConsoleModel(P.streak_flags, xshg()), EN) == "Waiting for the first signals …"


@pytest.mark.parametrize(
    "change",
    [
        lambda model: model.offer_market(signal("fin_balance", 5.0, 5)),
        # The console reads the topics side by side: these may be behind the signals of the market for a while.
        lambda model: model.offer_industries(industries(2, 1.0)),
        lambda model: model.offer_securities(SecuritySignals(status(2), np.empty(0, dtype=np.int32), {})),
        lambda model: model.offer_charts(no_charts(2)),
        lambda model: model.offer_alert(alert("new")),
        lambda model: model.offer_directory(Directory(NAMES)),
    ],
    ids=["market", "industries", "securities", "charts", "alerts", "names"],
)
def test_models_of_earlier_days_are_kept_until_anything_in_them_changes(change: Callable[[ConsoleModel], None]) -> None:
    model = known_model()
    earlier = EarlierModels(model)
    found = earlier.model("2024-07-03")
    assert found.as_of == date(2024, 7, 3)
    assert earlier.model("2024-07-03") is found
    change(model)
    assert earlier.model("2024-07-03") is not found


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_morning_sheet_is_one_page_whatever_there_is_to_say(
    language: formats.Language, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = known_model()
    model.offer_directory(Directory(NAMES))
    model.offer_market(signal("fin_balance_change", None, 4))
    for day in range(4, 9):
        model.offer_industries(industries(day, 1.0))
        model.offer_market(signal("fin_buy_ratio_5d", 0.1, day))
    keys = np.array([to_id(f"{number}.SH") for number in range(600000, 600030)], dtype=np.int32)
    flagged = {
        "divergence": 1.0,
        "extreme": 1.0,
        "fin_streak": max(P.streak_flags),
        "excess_top": 1.0,
        "fin_change": 0.1,
    }
    columns = {name: np.full(30, value) for name, value in flagged.items()}
    model.offer_securities(SecuritySignals(status(8, 9), keys, columns))
    for number in range(40):
        texts = Text("A long text of 600519.SH. " * 40, "很长的一段文字。" * 80)
        model.offer_alert(msgspec.structs.replace(alert(f"n{number}"), text=texts))
    drawn: list[tuple[float, float, str]] = []
    draw_string = Canvas.drawString

    def recorded(canvas: Any, x: float, y: float, text: str, **others: Any) -> None:
        drawn.append((x + canvas.stringWidth(text), y, text))
        draw_string(canvas, x, y, text, **others)

    monkeypatch.setattr(Canvas, "drawString", recorded)
    pdf = sheet.render(model, View(P, language))
    assert pdf.startswith(b"%PDF") and len(re.findall(rb"/Type /Page\b", pdf)) == 1
    assert max(right for right, *_ in drawn) <= A4[0] - 35
    assert min(y for _, y, _ in drawn) >= 20
    text = "".join(text for *_, text in drawn)
    assert ("贵州茅台" if language == "en" else "很长的一段文字") in text
    assert {"en": "Active alerts", "zh": "当前预警"}[language] in text
    listed = text.count({"en": "A long text", "zh": "很长的一段文字。很长"}[language])
    assert listed > 1
    # What is below the alerts is there whatever they take.
    parts = {
        "en": ("more", "Flags of the day", "Divergence (30)", "Score top 10% (30)", "missing: ", "absent: "),
        "zh": ("条未列出", "当日异动", "背离 (30)", "超额得分前10% (30)", "缺少: ", "缺失: "),
    }
    assert [part for part in parts[language] if part not in text] == []


@pytest.mark.parametrize(
    ("due", "asked"),
    [
        (1, "Near a top? · figures of 2024-07-01"),
        (2, "Near a top? · figures of 2024-07-01 · ⚠ late: figures of 2024-07-02 are due"),
    ],
)
def test_the_question_and_the_sheet_have_the_day_of_the_answer_and_not_that_of_a_newer_figure(
    due: int, asked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = ConsoleModel(P.streak_flags, xshg())
    assert question.dated(model, EN) == "Near a top?"
    model.offer_market(signal("verdict", None, 1))
    model.offer_market(signal("breadth_200", 0.5, 2))
    due_days = {"indices.daily": date(2024, 7, 3), "margin.market": date(2024, 7, due)}
    model.offer_feeds([Feed(name, None, True, day, 1) for name, day in due_days.items()], None)
    assert model.day == date(2024, 7, 2)
    assert question.dated(model, EN) == asked
    assert sheet.title(model, EN) == "Margin watch · Morning sheet · 2024-07-01"
    drawn: list[str] = []
    monkeypatch.setattr(Canvas, "drawString", lambda _canvas, _x, _y, text: drawn.append(text))
    sheet.render(model, EN)
    assert asked.replace("⚠", "!") in "".join(drawn)
    earlier = model.known_at(date(2024, 7, 4))
    assert sheet.title(earlier, EN).endswith("2024-07-01 · As known on 2024-07-04")


@pytest.mark.parametrize("language", LANGUAGES)
def test_figures_of_the_sheet_have_their_days_and_their_changes(
    language: formats.Language, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = ConsoleModel(P.streak_flags, xshg())
    for day, balance, share in ((1, 1.0e9, 0.0950), (2, 1.1e9, 0.0994), (3, 1.2e9, None), (4, None, None)):
        model.offer_market(signal("fin_balance", balance, day))
        old = msgspec.structs.replace(signal("fin_balance_to_float_cap", share), trade_date=date(2019, 7, day))
        model.offer_market(old)
    for day in range(1, 6):
        model.offer_industries(industries(day, 1.0))
    model.offer_industries(industries(6, np.nan, fin_balance=np.nan))
    drawn: list[str] = []
    monkeypatch.setattr(sheet._Sheet, "text", lambda _sheet, _x, _y, text, *_, **__: drawn.append(text))
    sheet.render(model, View(P, language))
    label = next(at for at, text in enumerate(drawn) if text.endswith(" (2019-07-02)"))
    assert drawn[label + 1 : label + 3] == ["9.94%", "▲ +0.44 pp"]
    net = {
        "en": "Industries, 5-day net buy 2024-07-05 · ⚠ 07-06 incomplete",
        "zh": "行业5日净买入 2024-07-05 · ⚠ 07-06 数据不全",
    }
    assert net[language] in drawn
    moved = {"en": "▲ +¥0.10 bn", "zh": "▲ +1.0 亿"}
    assert moved[language] in drawn


def test_a_line_of_the_sheet_breaks_between_words_and_between_characters() -> None:
    pdfmetrics.registerFont(UnicodeCIDFont("STSong-Light"))
    assert sheet.wrapped("one two three", 10, 45, 3) == ["one two", "three"]
    assert sheet.wrapped("融资余额连续增减", 10, 41, 9) == ["融资余额", "连续增减"]
    assert sheet.wrapped("one two three four", 10, 45, 1) == ["one tw…"]
    assert sheet.clipped("融资", 10, 100) == "融资"


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_chart_of_the_console_imports_no_page(language: formats.Language) -> None:
    """Options are JSON: what is sent to a browser contains no other object."""
    view = View(P, language)
    model = known_model()
    days = model.curve("fin_balance")
    for options in (
        charts.history(view, model.curves(charts.RATIO_CURVES), []),
        panel_charts.multiple(view, "x", days, percent=True),
        panel_charts.flows(view, {"broad": days}, days),
        panel_charts.candles(view, [(d, {"close": v}) for d, v in days], days, days, []),
    ):
        assert msgspec.json.decode(msgspec.json.encode(options)) is not None


def test_a_theme_lists_the_stocks_of_its_industry_by_score_and_why_one_has_none() -> None:
    banks, steel = INDUSTRIES.index("银行"), INDUSTRIES.index("钢铁")
    codes = ["000001.SZ", "600000.SH", "600036.SH", "601166.SH", "601398.SH"]
    model = ConsoleModel(P.streak_flags, xshg())
    of_industry = dict.fromkeys(codes, banks) | {"600019.SH": steel}
    listed = np.array([to_id(code) for code in sorted([*codes[:3], "600019.SH"])], dtype=np.int32)
    scores = {"000001.SZ": 0.51, "600000.SH": np.nan, "600019.SH": 0.9, "600036.SH": 0.55}
    week, other = status(5), status(4)
    for of, found in ((week, [scores[c] for c in sorted(scores)]), (other, [0.1] * 4)):
        model.offer_securities(SecuritySignals(of, listed, {"chart_score": np.array(found)}, "pricing"))
    model.inputs.offer(batch("reference", [(code, 1, 0, {"industry": i}) for code, i in of_industry.items()]))
    charted = np.array([to_id(code) for code in ("000001.SZ", "600036.SH", "601166.SH")], dtype=np.int32)
    empty = to_words(np.full((3, 20, 6), EMPTY, dtype=np.uint8))
    header = FrameHeader(0, 0, {}, {}, IdentityCheck())
    model.offer_charts(ChartFrame(CHARTS, 0, to_day(week.trade_date), header, charted, empty))

    assert members(model, "银行", week.trade_date) == [
        ThemeMember("600036.SH", 0.55),
        ThemeMember("000001.SZ", 0.51),
        ThemeMember("600000.SH", None, "theme_few_prices"),
        ThemeMember("601166.SH", None, "theme_unlisted"),
        ThemeMember("601398.SH", None, "theme_unknown"),
    ]
    assert members(model, "传媒", week.trade_date) == []
    assert {one.reason for one in members(model, "银行", date(2024, 7, 1))} == {"waiting"}

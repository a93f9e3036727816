"""Half a market is never summed: what counts as missing, and what is absent then, on the day and on the next."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from alerts.rules import data_quality
from alerts.rules.base import Condition, read_as
from feeds.folder import read
from processors.completeness import CheckedStore, Completeness
from processors.days import to_day
from processors.events import FIGURES, INPUT_ROWS, RowBatch
from processors.history import replay
from processors.industries import INDUSTRIES
from processors.outputs import FAMILIES, IndustrySignals, MarketSignal, SecuritySignals
from processors.parameters import Parameters
from processors.registry import SIGNALS
from streams import asyncapi
from streams.calendars import xshg
from streams.codecs.row_frames import encode_frame
from streams.codecs.signal_codec import decode_security, encode_industry, encode_security
from streams.export import industries_table, market_table, reasons_table, securities_table
from tests.building import DAYS, batch
from tests.folding import Folded, check_signal, fold_history, oracle_data
from tests.made_market import SMALL, small_market
from tests.storing import StoredRows

Rows = dict[str, int]


def lacks(topic: str, *days: tuple[Rows, Rows]) -> list[Rows | None]:
    """What consecutive days lack, by their rows and what the end-of-day counts miss."""
    found = Completeness(topic)
    for day, (rows, counted) in enumerate(days):
        found.update(day, rows, counted)
    return [found.missing(day) for day in range(len(days))]


@pytest.mark.parametrize("topic", ["margin.daily", "prices.daily", "valuations.daily", "etf.daily"])
@pytest.mark.parametrize("exchange", ["SSE", "SZSE", "BSE"])
def test_an_exchange_that_had_rows_and_has_none_is_missing_until_it_has_some(topic: str, exchange: str) -> None:
    full = {"SSE": 30, "SZSE": 40, "BSE": 5}
    half = {name: n for name, n in full.items() if name != exchange}
    assert lacks(topic, (half, {}), (full, {}), (half, {}), (half, {}), (full, {})) == [
        {}, {}, {exchange: -1}, {exchange: -1}, {},
    ]  # fmt: skip


def test_an_exchange_whose_count_is_0_has_published_and_is_missing_once_it_has_none() -> None:
    """A partition may have one security of an exchange, which is suspended."""
    found = Completeness("prices.daily")
    for day, (here, named) in enumerate([(1, ["SZSE"]), (0, ["SZSE"]), (0, []), (1, ["SZSE"])]):
        found.update(day, {"SSE": 30} | ({"SZSE": here} if here else {}), {}, ["SSE", *named])
    assert [found.missing(day) for day in range(4)] == [{}, {}, {"SZSE": -1}, {}]


@pytest.mark.parametrize(
    ("topic", "enough"), [("margin.daily", 80), ("etf.daily", 80), ("prices.daily", 50), ("valuations.daily", 50)]
)
def test_far_fewer_rows_than_usual_are_missing(topic: str, enough: int) -> None:
    assert lacks(topic, ({"SSE": 100}, {}), ({"SSE": enough}, {})) == [{}, {}]
    assert lacks(topic, ({"SSE": 100}, {}), ({"SSE": enough - 1}, {})) == [{}, {"SSE": 101 - enough}]


def test_what_is_usual_is_what_the_last_whole_day_had() -> None:
    found = lacks("margin.daily", *(({"SSE": n}, {}) for n in (100, 30, 31, 100)))
    assert found == [{}, {"SSE": 70}, {"SSE": 59}, {}]


def test_a_list_that_stays_shorter_is_accepted_after_some_days() -> None:
    found = lacks("margin.daily", ({"SSE": 100}, {}), *[({"SSE": 50}, {})] * 8)
    assert found[1:] == [{"SSE": n} for n in (50, 40, 31, 23, 16)] + [{}] * 3


def test_a_few_of_a_handful_may_be_suspended() -> None:
    assert lacks("prices.daily", ({"BSE": 19}, {}), ({"BSE": 1}, {}), ({}, {})) == [{}, {}, {"BSE": -1}]


def test_end_of_day_counts_decide_first() -> None:
    found = lacks("margin.daily", ({"SZSE": 9}, {"SSE": -1}), ({"SSE": 30, "SZSE": 9}, {"SZSE": 1}), ({"SSE": 30}, {}))
    assert found == [{"SSE": -1}, {"SZSE": 1}, {"SZSE": -1}]


def test_completeness_is_loaded_as_it_was_stored_and_forgets_old_days() -> None:
    first, stored = Completeness("margin.daily"), StoredRows()
    for day in range(6):
        first.update(day, {"SSE": 100 if day != 4 else 3}, {})
    stored.store(first.tables)
    first.retain_from(4, before=1)
    stored.store(first.tables)
    second = Completeness("margin.daily")
    stored.load(second.tables)
    assert [second.missing(day) for day in range(6)] == [None, None, None, {}, {"SSE": 97}, {}]
    second.update(6, {}, {})
    assert second.missing(6) == {"SSE": -1}


def test_what_a_day_lacks_is_deleted_with_the_day_also_by_a_row_that_closes_none() -> None:
    store, stored = CheckedStore("etf.daily", late_days=2, history_days=1), StoredRows()
    for at in (0, 1, 2, 4, 3):
        applied = store.apply(batch("etf.daily", DAYS[at], {"510050.SH": {"shares": 1.0}}))
        stored.store(store.tables)
    assert not applied.touched
    assert sorted(store.days) == [to_day(day) for day in DAYS[2:5]]
    assert [name for name in stored.rows if name.startswith("complete.")] == [f"complete.etf.daily/{DAYS[2]}"]


# -- the small market without one exchange -------------------------------------------------------------------------

#: The session whose rows are missing; it ends a week, and the indices of the industries have no valuations on it.
SESSION = 33
#: Means over the factors, or over the days of a window, that are known: not compared with those of whole days.
_MEANS = {"heat", "risk", "risk_turnover_rate_20", "heat_breadth"}
_DAYS_KNOWN = "days"
_SUMS = {
    "margin.daily": ("group_balance", "group_net_buy", "coverage", "equal_weight_return"),
    "prices.daily": ("breadth_200", "ytd_distribution", "equal_weight_return"),
    "etf.daily": ("etf_flow",),
    "valuations.daily": (),
    "reference": ("group_balance", "coverage"),
}


@cache
def whole() -> tuple[dict[int, dict[str, RowBatch]], Folded]:
    days = small_market(sessions=44, gaps=False)
    return days, fold_history(days, SMALL)


@cache
def without(topic: str, exchange: int, keep: int = 0) -> tuple[dict[int, dict[str, RowBatch]], Folded]:
    """The small market with only ``keep`` rows of an exchange on one session (of the reference: on its first)."""
    days = {day: dict(feeds) for day, feeds in whole()[0].items()}
    day = sorted(days)[0 if topic == "reference" else SESSION]
    rows = days[day][topic]
    there = np.flatnonzero(rows.keys % 4 == exchange)
    days[day][topic] = rows.take(np.setdiff1d(np.arange(len(rows)), there[keep:]))
    return days, fold_history(days, SMALL)


CASES = pytest.mark.parametrize(
    ("topic", "exchange", "keep"), [(topic, e, 0) for topic in _SUMS for e in (0, 1)] + [("margin.daily", 0, 20)]
)


@CASES
def test_a_figure_is_the_true_one_or_absent_with_the_reason(topic: str, exchange: int, keep: int) -> None:
    """Everything that sums over securities, on every day; a mean of ranks or of what is known is another thing."""
    (_, true), (_, found) = whole(), without(topic, exchange, keep)
    compared = absent = 0
    for key, signal in found.market.items():
        if signal.signal not in {name for names in _SUMS.values() for name in names}:
            continue
        if signal.value is None:
            absent += true.market[key].value is not None
            assert signal.reason
            continue
        compared += 1
        if signal.signal == "breadth_200" and key[0] > sorted(whole()[0])[SESSION]:
            continue  # its mean of 200 days tolerates a missing one
        assert signal.value == pytest.approx(true.market[key].value, rel=1e-12), (key, signal)
        for name, figure in signal.details.items():
            if name != _DAYS_KNOWN:
                assert figure == pytest.approx(true.market[key].details[name], rel=1e-12), (key, name)
    for day, frame in found.industries.items():
        for name, values in frame.columns.items():
            if name in _MEANS:
                continue
            if name.startswith("theme_") and day > sorted(whole()[0])[SESSION]:
                continue  # a chart tolerates a session without a price
            known, theirs = ~np.isnan(values), true.industries[day].columns[name]
            np.testing.assert_allclose(values[known], theirs[known], rtol=1e-9, atol=1e-9, err_msg=f"{day} {name}")
            lost = (np.isnan(values) & ~np.isnan(theirs)).any()
            absent += int(lost)
            assert not lost or frame.left_out.get(name.removesuffix("_rank")), (day, name)
    assert compared > 300
    assert absent


@CASES
def test_the_oracle_agrees_on_what_is_absent(topic: str, exchange: int, keep: int) -> None:
    from processors.registry import INDUSTRY_SIGNALS, SIGNALS

    days, found = without(topic, exchange, keep)
    data = oracle_data(days)
    for signal in (*(SIGNALS[name] for name in _SUMS[topic]), *INDUSTRY_SIGNALS.values()):
        check_signal(signal, found, data, SMALL)


@pytest.mark.parametrize("topic", [topic for topic in _SUMS if topic != "reference"])
@pytest.mark.parametrize("exchange", [0, 1])
def test_the_day_and_the_next_are_degraded_with_what_is_missing(topic: str, exchange: int) -> None:
    days, found = without(topic, exchange)
    day, following = sorted(days)[SESSION : SESSION + 2]
    name = f"{topic} {('SSE', 'SZSE')[exchange]}"
    earlier = f"{name} of {xshg_date(day)}"
    for signal in _SUMS[topic]:
        of_signal = [s for (d, n), s in found.market.items() if d == day and n.partition("/")[0] == signal]
        assert of_signal
        assert all(s.degraded and name in s.missing for s in of_signal)
        assert all(s.value is None for s in of_signal if s.subject in ("market", "ETF", "CSI300"))
    if topic != "etf.daily":
        assert name in found.industries[day].status.missing or topic == "prices.daily"
    if topic == "margin.daily":
        for status in (found.industries[following].status, found.securities[following, "financing"].status):
            assert (status.degraded, status.missing) == (True, {earlier: -1})
        assert found.market[following, "group_net_buy/ETF"].missing == {earlier: -1}
        assert not found.market[following, "coverage"].degraded
    if topic == "etf.daily":
        assert found.market[following, "etf_flow/broad"].missing == {earlier: -1}
        assert found.market[following, "etf_flow/broad"].value is None


@pytest.mark.parametrize("topic", ["margin.daily", "prices.daily", "etf.daily", "valuations.daily"])
@pytest.mark.parametrize("exchange", [0, 1])
def test_a_feed_that_lacks_an_exchange_is_one_alert_of_the_day(topic: str, exchange: int) -> None:
    days, found = without(topic, exchange)
    rule = data_quality.rule(SMALL)
    day, following = sorted(days)[SESSION : SESSION + 2]
    messages = [*found.market.values(), *found.industries.values(), *found.securities.values()]
    fired = [one for message in messages if read_as(message) in rule.reads for one in rule.evaluate(message)
             if one.condition is Condition.FIRE and "identity" not in one.subject]  # fmt: skip
    expected = [(xshg_date(day), topic)] + [(xshg_date(following), topic)] * (topic == "margin.daily")
    assert [(one.trade_date, one.subject) for one in fired] == expected
    name = f"{topic} {('SSE', 'SZSE')[exchange]}"
    assert fired[0].figures == {name: -1}
    assert f"missing {name}: everything" in fired[0].text.en
    assert f"缺少{name}：全部" in fired[0].text.zh
    for later in fired[1:]:
        assert "complete, but an earlier day lacks margin.daily" in later.text.en
        assert f"此前缺少{name}，{xshg_date(day)}：全部" in later.text.zh


def xshg_date(day: int) -> date:
    return date.fromordinal(day + date(1970, 1, 1).toordinal())


def test_the_tables_of_a_backfill_say_what_is_missing() -> None:
    days, found = without("margin.daily", 1)
    day, following = (pd.Timestamp(xshg_date(d)) for d in sorted(days)[SESSION : SESSION + 2])
    tables = {
        "market": market_table(found.market.values()),
        "securities": securities_table(found.securities.values()),
        "industries": industries_table(found.industries.values()),
    }
    for name, table in tables.items():
        rows = table.groupby(level="trade_date").first()
        # Scores of securities compare with five days before, and a week of industries with the end of the last week.
        later = [pd.Timestamp(xshg_date(sorted(days)[SESSION + 5]))] if name != "market" else []
        assert rows.index[rows["degraded"]].tolist() == [day, following, *later], name
        assert rows.loc[day, "missing"] == "margin.daily SZSE: all"
        assert rows.loc[following, "missing"] == f"margin.daily SZSE of {xshg_date(sorted(days)[SESSION])}: all"
        assert (rows.loc[~rows["degraded"], "missing"] == "").all()


def test_the_types_of_a_backfill_do_not_depend_on_its_figures_and_every_absent_one_has_a_reason() -> None:
    _, found = without("margin.daily", 1)
    table = market_table(found.market.values())
    signals = [name for name in table.columns if name not in ("available_at", "degraded", "missing")]
    kinds = {name: SIGNALS[name.partition("/")[0]].unit == "state" for name in signals}
    assert any(table[name].isna().all() for name in signals)  # a figure that is absent on all days
    assert {name: str(table[name].dtype) for name in signals} == {
        name: "string" if state else "float64" for name, state in kinds.items()
    }
    reasons = reasons_table(found.market.values())
    assert [str(kind) for kind in reasons.dtypes[1:]] == ["string", "string"]
    assert {one["trade_date"].dtype.kind for one in (reasons, reasons_table([]))} == {"M"}
    explained = set(zip(reasons["trade_date"], reasons["signal"], strict=True))
    published = {(pd.Timestamp(one.trade_date), one.name) for one in found.market.values()}
    absent = {(day, name) for name in signals for day in table.index[table[name].isna()]}
    assert explained == absent & published and (reasons["reason"] != "").all()


def test_frames_carry_the_flag_in_their_metadata() -> None:
    days, found = without("margin.daily", 1)
    day = sorted(days)[SESSION]
    for frame, encode in (
        (found.industries[day], encode_industry),
        (found.securities[day, "financing"], encode_security),
    ):
        table = pa.ipc.open_stream(encode(frame, "topic").value).read_all()  # type: ignore[operator]
        assert table.schema.metadata[b"degraded"] == b"true"
        assert b"margin.daily SZSE" in table.schema.metadata[b"status"]


def test_frames_have_the_columns_that_the_asyncapi_document_lists() -> None:
    _, found = whole()
    day = max(found.industries)
    messages = asyncapi.document()["components"]["messages"]

    def columns(name: str, start: str = "") -> set[str]:
        listed = messages[name]["payload"]["x-arrow-columns"]
        return {column for column, text in listed.items() if text.startswith((start, "string"))}

    industries = pa.ipc.open_stream(encode_industry(found.industries[day], "topic").value).read_all()
    assert {*industries.column_names} == columns("IndustrySignals")
    for family in FAMILIES:
        frame = pa.ipc.open_stream(encode_security(found.securities[day, family], "topic").value).read_all()
        assert {*frame.column_names} == columns("SecuritySignals", f"{family}, ")


def test_rows_in_frames_are_as_the_asyncapi_document_describes_them() -> None:
    document = asyncapi.document()["components"]["messages"]
    for topic, rows in whole()[0][min(whole()[0])].items():
        table = pa.ipc.open_stream(encode_frame(rows, "made")).read_all()
        message = document[f"{INPUT_ROWS[topic].__name__}Frame"]
        listed, constants = message["payload"]["x-arrow-columns"], message["description"]
        for name, kind in zip(table.schema.names, table.schema.types, strict=True):
            words = {"double": ("float64", "a number")}.get(str(kind), (str(kind).partition("[")[0],))
            assert any(word in listed[name] for word in words), (topic, name, kind)
        assert {*listed} - {*table.column_names} <= {c.name for c in FIGURES[topic] if c.optional} | {
            name.decode() for name in table.schema.metadata
        } | {*INPUT_ROWS[topic].texts}
        assert all(name.decode() in constants for name in table.schema.metadata)


def test_a_column_without_any_figure_has_its_reason_in_the_metadata() -> None:
    days, _ = whole()
    gone = sorted(days)[SESSION]
    found = fold_history({d: f if d != gone else {t: r for t, r in f.items() if t != "margin.daily"}
                          for d, f in days.items()}, SMALL)  # fmt: skip
    frame = found.securities[sorted(days)[SESSION + 1], "financing"]
    lacking = "margin.daily of the two days before lacks rows of BSE, SSE, SZSE"
    output = encode_security(frame, "topic")
    assert decode_security(output.value).left_out == {
        "fin_change": "no security has a balance of the day before",
        "extreme": "fin_change is absent",
        "consecutive_extreme": "fin_change is absent",
    }
    behind = {day: found.securities[day, "financing"].left_out for day in sorted(days)[SESSION + 2 : SESSION + 4]}
    assert list(behind.values()) == [{"consecutive_extreme": lacking}, {}]


def test_rows_that_arrive_late_make_the_figures_whole_again() -> None:
    days, _ = whole()
    half, day = dict(without("margin.daily", 0)[0]), sorted(days)[SESSION]
    late = {d: dict(feeds) for d, feeds in half.items() if d <= sorted(days)[SESSION + 3]}
    folded = fold_history(late, SMALL)
    assert folded.market[day, "coverage"].value is None
    securities, market = folded.stages or pytest.fail("not folded")
    from tests.folding import market_items

    folded.add(market.fold(market_items(securities, {"margin.daily": days[day]["margin.daily"]})))  # type: ignore[arg-type]
    true = fold_history({d: feeds for d, feeds in days.items() if d in late}, SMALL)
    for key, signal in folded.market.items():
        assert signal.value == true.market[key].value, key
        assert not signal.degraded, key


# -- real figures --------------------------------------------------------------------------------------------------


def test_2020_09_09_without_shanghai(data_dir: Path) -> None:
    """ETF balance 160.1 bn, coverage 33%, banks 64.2 bn; the incomplete day's sums are 65.3 bn, 15% and 6.7 bn."""
    days = dict(read(data_dir, xshg(), date(2020, 9, 1), date(2020, 9, 11)).by_day())
    nine, ten = to_day(date(2020, 9, 9)), to_day(date(2020, 9, 10))
    true = published(days)
    assert true[nine, "group_balance/ETF"] == pytest.approx(160.1e9, rel=1e-3)
    assert true[nine, "银行"] == pytest.approx(64.23e9, rel=1e-3)
    for exchange in (0, 1):
        half = {day: dict(feeds) for day, feeds in days.items()}
        rows = half[nine]["margin.daily"]
        half[nine]["margin.daily"] = rows.take(rows.keys % 4 != exchange)
        found = published(half)
        for name in ("group_balance/ETF", "coverage", "银行"):
            assert found[nine, name] is None
            assert found[ten, name] == true[ten, name]
        for name in ("电子 net buy", "group_net_buy/CSI300"):
            assert found[ten, name] in (None, true[ten, name])
        # Shanghai publishes repayments, Shenzhen's follow from the balance of the day before.
        assert (found[ten, "电子 net buy"] is None) == (exchange == 1)
        assert found[nine, "degraded"] and found[ten, "degraded"]


def published(days: Mapping[int, Mapping[str, RowBatch]]) -> dict[tuple[int, str], object]:
    out: dict[tuple[int, str], object] = {}
    for output in replay(days.values(), Parameters(), ("SSE", "SZSE"), xshg()):
        if isinstance(output, MarketSignal):
            out[to_day(output.trade_date), output.name] = output.value
        elif isinstance(output, IndustrySignals):
            day = to_day(output.status.trade_date)
            for name, label in (("fin_balance", "{}"), ("net_buy", "{} net buy")):
                for industry, value in zip(INDUSTRIES, output.columns[name].tolist(), strict=True):
                    out[day, label.format(industry)] = None if pd.isna(value) else value
        elif isinstance(output, SecuritySignals) and output.family == "financing":
            out[to_day(output.status.trade_date), "degraded"] = output.status.degraded
    return out

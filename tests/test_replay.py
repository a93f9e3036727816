"""Real sessions replayed as they ran: what is known at each moment, provisional and final values, alerts, the clock."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from alerts.desk import AlertDesk
from alerts.market_clock import MarketClock
from alerts.model import Alert, Input, State
from feeds.daily.ledger import PublishLedger
from feeds.daily.replay import Replay, publish_moments
from feeds.errors import ConfigurationError, InputError
from feeds.files.bars import Bars, index_snapshots, read_bars
from feeds.files.dataset import Dataset
from feeds.folder import read
from processors.codes import to_id
from processors.days import SHANGHAI, shanghai_moment, to_date, to_day
from processors.events import RowBatch, concat
from processors.market import INPUTS, Market
from processors.outputs import MarketSignal, StageOutput
from processors.parameters import Parameters
from processors.securities import INPUTS as SECURITIES_INPUTS
from processors.securities import Securities
from streams.alert_rules import rules_of
from streams.calendars import xshg
from streams.settings import Settings
from tests.building import batch, end_of_day, with_half_days
from tests.publishing import MemoryStore

#: The fall of 7% in one day; the session before it and the one after.
FALL, BEFORE, AFTER = date(2025, 4, 7), date(2025, 4, 3), date(2025, 4, 8)
EARLIER = date(2025, 4, 1)
ENDS = [f"{at // 60:02}:{at % 60:02}" for at in (*range(585, 691, 15), *range(795, 901, 15))]


class Stream:
    """The stages and the desk, fed by a replay: a barrier folds everything before it."""

    rows = messages = 0

    def __init__(self) -> None:
        self.calendar = xshg()
        self.securities = Securities(0, Parameters(), ("SSE", "SZSE"), self.calendar)
        self.market = Market(1, Parameters(), ("SSE", "SZSE"), self.calendar)
        self.desk = AlertDesk(rules_of(Settings()), self.calendar)
        self.clock = MarketClock()
        self.at: datetime | None = None
        self.moments: list[str] = []
        self.outputs: list[tuple[str, StageOutput]] = []
        self.alerts: list[Alert] = []
        self.notes: list[tuple[str, str]] = []
        self._items: list[object] = []

    def rows_of(self, rows: RowBatch, note: str = "") -> None:
        self._items.append(rows)
        self.notes.append((rows.topic, note))

    def day(self, batches: dict[str, RowBatch], counted: dict[str, RowBatch] | None = None) -> None:
        for rows in batches.values():
            self._items += [rows, end_of_day(rows)]

    def flush(self) -> None:
        pass

    def barrier(self, at: datetime | None = None) -> str:
        topic = [getattr(one, "topic", "") or one.feed for one in self._items]  # type: ignore[attr-defined]
        own = [one for one, name in zip(self._items, topic, strict=True) if name in SECURITIES_INPUTS]
        rest = [one for one, name in zip(self._items, topic, strict=True) if name in INPUTS]
        found = self.market.fold([*rest, *self.securities.fold(own)])  # type: ignore[arg-type,list-item]
        self.at, self._items = at, []
        when = "" if at is None else f"{at.astimezone(SHANGHAI):%F %R}"
        self.moments.append(when)
        self.outputs += [(when, one) for one in found]
        now, origin = at or datetime.max.replace(tzinfo=SHANGHAI), Input("test", 0, len(self.moments), 0)
        changes = [change for one in found for change in self.desk.fold(one, origin, now)]
        self.alerts += [one.alert for one in [*changes, *self.desk.update_evidence(origin, now)]]
        return when

    def values(self, signal: str, day: date, *, provisional: bool) -> dict[str, object]:
        """Return the last value of each moment."""
        return {
            when: one.value
            for when, one in self.outputs
            if isinstance(one, MarketSignal)
            and (one.signal, one.trade_date, one.provisional) == (signal, day, provisional)
        }


@pytest.fixture(scope="module")
def folder(data_dir: Path) -> Path:
    found = data_dir.parent / "session_2025"
    if not found.is_dir():
        pytest.skip(f"real sessions are not at {found}")
    return found


@pytest.fixture(scope="module")
def bars(folder: Path) -> Bars:
    return read_bars(folder, xshg(), FALL, FALL)


@pytest.fixture(scope="module")
def replayed(folder: Path, bars: Bars) -> Stream:
    stream = Stream()
    dataset = read(folder, stream.calendar, date(2025, 3, 3), FALL)
    Replay(bars, every=15).publish(stream, dataset)
    first = len(stream.outputs)
    stream.barrier()
    publish_moments(stream, Replay(bars, every=15).moments(dataset))  # a second time
    assert not stream.outputs[first:]
    return stream


def test_a_session_is_published_as_it_became_known(replayed: Stream) -> None:
    day = [f"{FALL} {minute}" for minute in ENDS]
    before = [f"{FALL} 00:00"] * 2  # the clock is set before the history and behind it
    expected = [*before, f"{FALL} 08:30", *day, f"{FALL} 15:30", f"{AFTER} 08:30"]
    assert replayed.moments[: len(expected)] == expected


def test_provisional_values_at_each_bar_equal_an_independent_computation(folder: Path, replayed: Stream) -> None:
    totals = {
        exchange: pd.read_parquet(folder / f"margin_total_{exchange}_2025-01_2025-04.parquet").set_index("dt")[
            "margin_balance"
        ]
        for exchange in ("sse", "szse")
    }
    balance = totals["sse"] + totals["szse"] * 1e8
    index = pd.read_parquet(folder / "index_daily_2025-01_2025-04.parquet").query("secid == '1.000001'").set_index("dt")
    start, last = index.index[index.index.get_loc(pd.Timestamp(FALL)) - 15], pd.Timestamp(BEFORE)
    level = np.interp(np.arange(1, 17), [0, 16], index.loc[pd.Timestamp(FALL), ["open", "close"]].to_numpy(float))
    expected = balance[last] / balance[start] - level / index["close"][start]
    found = replayed.values("excess_financing", FALL, provisional=True)
    assert [found[f"{FALL} {minute}"] for minute in ENDS] == pytest.approx(expected.tolist(), rel=1e-9)
    final = balance[pd.Timestamp(FALL)] / balance[start] - index["close"][pd.Timestamp(FALL)] / index["close"][start]
    assert replayed.values("excess_financing", FALL, provisional=False) == {f"{AFTER} 08:30": pytest.approx(final)}


def test_figures_before_the_session_are_final_at_0830_and_nothing_is_provisional_after_the_final_values(
    replayed: Stream,
) -> None:
    assert [*replayed.values("fin_balance", BEFORE, provisional=False)] == [f"{FALL} 08:30"]
    assert [*replayed.values("fin_balance", FALL, provisional=False)] == [f"{AFTER} 08:30"]
    later = [one for when, one in replayed.outputs if when >= f"{AFTER} 08:30" and isinstance(one, MarketSignal)]
    assert later
    assert not any(one.provisional for one in later)


def test_what_needs_margin_figures_of_the_session_is_absent_with_the_reason(replayed: Stream) -> None:
    found = [
        one
        for _, one in replayed.outputs
        if isinstance(one, MarketSignal)
        and one.signal == "fin_buy_ratio"
        and one.provisional
        and one.trade_date == FALL
    ]
    assert found
    assert {(one.value, one.reason.partition(" covers")[0]) for one in found} == {(None, "margin.intraday")}


def test_nothing_alerts_twice(replayed: Stream) -> None:
    fired = [one for one in replayed.alerts if one.state is State.FIRING and one.trade_date == FALL]
    assert {one.rule for one in fired} >= {"excess_financing"}
    first = {}
    for one in fired:
        first.setdefault((one.rule, one.subject), one)
        assert first[one.rule, one.subject].id == one.id
        assert one.raised_at == first[one.rule, one.subject].raised_at


def test_interpolated_rows_carry_it_in_the_name_of_their_source(replayed: Stream) -> None:
    # Bars are published every 15 minutes, indices only at the close.
    assert {note for topic, note in replayed.notes if topic == "prices.intraday"} == {""}
    notes = [note for topic, note in replayed.notes if topic == "indices.intraday"][:16]
    assert notes == ["(interpolated)"] * 15 + [""]


def test_snapshots_are_cumulative_and_end_at_the_day_s_figures(folder: Path, bars: Bars) -> None:
    raw = pd.read_parquet(folder / "bars15m_sse_1001_2025-03_2025-04.parquet")
    raw = raw[(raw["code"] == "600519") & (raw["ts"].dt.date == FALL)].set_index("ts")
    found = {}
    for minute, snapshot in bars.snapshots(to_day(FALL), every=5):
        rows = snapshot.rows.take(snapshot.rows.keys == to_id("600519.SH"))
        found[minute] = {name: values.item() for name, values in rows.figures.items()} | {
            "interpolated": snapshot.interpolated
        }
    assert len(found) == 48
    assert found[900]["turnover"] == raw["amount"].sum()
    assert found[900]["last"] == raw["close"].iloc[-1]
    assert [m for m, row in found.items() if not row["interpolated"]] == [t.hour * 60 + t.minute for t in raw.index]
    # Two thirds of the second bar: 09:55.
    first, second = raw.iloc[0], raw.iloc[1]
    assert found[595]["turnover"] == pytest.approx(first["amount"] + second["amount"] * 2 / 3)
    assert found[595]["last"] == pytest.approx(first["close"] + (second["close"] - first["close"]) * 2 / 3)


# -- files ---------------------------------------------------------------------------------------------------------


def bar(ts: str, code: str = "600000", price: float = 10.0, **figures: float) -> dict[str, object]:
    return {
        "ts": pd.Timestamp(ts),
        "code": code,
        "open": price,
        "close": price,
        "volume": 100,
        "amount": 1000,
    } | figures


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def write(*rows: dict[str, object], name: str = "bars15m_x.parquet") -> Path:
        pd.DataFrame(rows).to_parquet(tmp_path / name)
        return tmp_path

    return write


def test_the_close_before_is_ex_right_where_there_are_adjusted_closes(write: Callable[..., Path]) -> None:
    days = ("2025-04-03 15:00", "2025-04-07 09:45", "2025-04-07 15:00")
    folder = write(*(bar(ts, price=price) for ts, price in zip(days, (10.0, 9.0, 9.1), strict=True)))
    assert read_bars(folder, xshg(), FALL).frame["prev_close"].tolist() == [10.0, 10.0]
    closes = ((BEFORE, 9.5), (FALL, 9.1))
    adjusted = [{"dt": pd.Timestamp(day), "code": "600000", "close": close} for day, close in closes]
    folder = write(*adjusted, name="prices_adj_x.parquet")
    assert read_bars(folder, xshg(), FALL).frame["prev_close"].tolist() == [9.5, 9.5]


def test_the_close_before_of_a_fund_is_in_tenths_of_a_cent(write: Callable[..., Path]) -> None:
    prices = {"2025-04-03 15:00": 0.515, "2025-04-07 09:45": 0.478, "2025-04-07 15:00": 0.478}
    write(*(bar(ts, "512880", price, amount=100 * price) for ts, price in prices.items()))
    adjusted = ((BEFORE, 1.03), (FALL, 0.956))
    closes = [{"dt": pd.Timestamp(day), "code": "512880", "close": close} for day, close in adjusted]
    folder = write(*closes, name="prices_adj_x.parquet")
    assert read_bars(folder, xshg(), FALL).frame["prev_close"].tolist() == [0.515, 0.515]


@pytest.mark.parametrize(
    ("row", "severity", "text"),
    [
        (bar("2025-04-07 10:00", price=0.0, volume=0, amount=0), "warning", "1 bars have no price (suspended)"),
        (bar("2025-04-07 10:00", open=-1.0), "refused", "1 bars have figures that no bar has"),
        (bar("2025-04-07 10:00", amount=float("nan")), "refused", "1 bars have figures that no bar has"),
        (bar("2025-04-07 12:00"), "refused", "do not end a bar of a session"),
        (bar("2025-04-05 10:00"), "refused", "do not end a bar of a session"),
        (bar("2025-04-07 10:00", code="ABC"), "refused", "of no security"),
        (bar("NaT"), "refused", "do not end a bar of a session"),
    ],
)
def test_one_bad_bar_costs_one_bar(
    write: Callable[..., Path], row: dict[str, object], severity: str, text: str
) -> None:
    found = read_bars(write(bar("2025-04-03 15:00"), bar("2025-04-07 09:45"), row), xshg(), FALL)
    assert len(found.frame) == 1
    assert [(one.severity, text in one.text) for one in found.findings] == [(severity, True)]


def test_files_that_are_no_bars_are_refused_with_the_reason(write: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no file bars<N>m_"):
        read_bars(tmp_path, xshg())
    twice = write(bar("2025-04-07 09:45"), bar("2025-04-07 09:45"))
    with pytest.raises(InputError, match="two bars of 600000 end at 2025-04-07 09:45"):
        read_bars(twice, xshg())
    with pytest.raises(InputError, match="no bar between these dates"):
        read_bars(write(bar("2025-04-07 09:45")), xshg(), date(2025, 4, 8))
    with pytest.raises(InputError, match="has no column amount"):
        read_bars(write({"ts": pd.Timestamp(FALL), "code": "600000", "open": 1, "close": 1, "volume": 1}), xshg())
    write(bar("2025-04-07 09:35"), name="bars5m_x.parquet")
    with pytest.raises(InputError, match="several lengths"):
        read_bars(tmp_path, xshg())


def sessions() -> pd.DataFrame:
    """Return all bars of 20 stocks in four sessions; every third one has a larger volume, each session its own."""
    return pd.DataFrame(
        [
            bar(f"{day} {end}", code=str(600_000 + at), volume=volume, amount=10.0 * volume)
            for at in range(20)
            for day in (date(2025, 4, 2), BEFORE, FALL, AFTER)
            for place, end in enumerate(ENDS)
            for volume in [100 + day.day + 200 * (place % 3 == 0)]
        ]
    )


def running(name: str) -> Callable[[pd.DataFrame], pd.Series]:
    return lambda raw: raw.groupby(["code", raw["ts"].dt.date])[name].cumsum()


def halved(name: str) -> Callable[[pd.DataFrame], pd.Series]:
    """Return cumulative figures that begin again in the afternoon."""
    return lambda raw: raw.groupby(["code", raw["ts"].dt.date, raw["ts"].dt.hour > 12])[name].cumsum()


def climbing(raw: pd.DataFrame) -> pd.Series:
    return raw.groupby(["code", raw["ts"].dt.date]).cumcount() / 10


def next_session(raw: pd.DataFrame) -> pd.DataFrame:
    return raw.assign(ts=raw["ts"] + (FALL - BEFORE))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda raw: raw, None),
        (lambda raw: raw.assign(volume=raw["volume"] / 100), "amount is about 100 times volume × close"),
        (lambda raw: raw.assign(amount=raw["amount"] / 1e4), "amount is about 0.0001 times volume × close"),
        (lambda raw: raw.assign(volume=running("volume"), amount=running("amount")), "volume rises from bar to bar"),
        (lambda raw: raw.assign(amount=running("amount")), "turnover rises from bar to bar .* in 100% of the secur"),
        (lambda raw: raw.assign(volume=halved("volume"), amount=halved("amount")), "volume rises from bar to bar"),
        (
            lambda raw: raw.assign(
                volume=raw["volume"].where(raw["code"] < "600005", running("volume")(raw)),
                amount=raw["amount"].where(raw["code"] < "600005", running("amount")(raw)),
            ),
            "volume rises from bar to bar .* in 75% of the secur",
        ),
        (lambda raw: raw.assign(close=raw["close"] + climbing(raw), open=raw["open"] + climbing(raw) - 0.1), None),
        (
            lambda raw: raw.assign(open=raw["close"] + climbing(raw), close=raw["open"] + climbing(raw) - 0.1),
            "opens are farther from the close of the bar before",
        ),
        (
            lambda raw: pd.concat([raw[raw["ts"].dt.date != FALL], next_session(raw[raw["ts"].dt.date == BEFORE])]),
            "2025-04-07: volumes and turnovers of 20 securities are those of the session before",
        ),
        (
            lambda raw: raw.assign(volume=raw["volume"].where(raw["code"] < "600014", raw["volume"] / 100)),
            "384 of 1,280 bars have a turnover, volume, open or close that contradicts",
        ),
        (lambda raw: raw[(raw["code"] < "600014") | (raw["ts"].dt.hour < 13)], "24 of 80 sessions of securities lack"),
        (lambda raw: raw[(raw["ts"].dt.date != FALL) | (raw["ts"].dt.hour < 13)], "2025-04-07: .* that ends at 13:15"),
        (lambda raw: raw[raw["ts"] != pd.Timestamp("2025-04-03 15:00")], "2025-04-03: .* that ends at 15:00"),
        (lambda raw: raw[raw["ts"].dt.date != FALL], "bars of 2025-04-07: there is none"),
        (lambda raw: raw.assign(ts=raw["ts"] - pd.Timedelta(minutes=15)), "160 of 1,280 bars are refused, too many"),
        (lambda raw: raw.assign(ts=raw["ts"] - pd.Timedelta(minutes=15)), "no bar that ends at 11:30: .* beginning"),
    ],
)
def test_bars_that_are_none_of_whole_sessions_are_an_error(
    tmp_path: Path, change: Callable[[pd.DataFrame], pd.DataFrame], text: str | None
) -> None:
    change(sessions()).to_parquet(tmp_path / "bars15m_x.parquet")
    errors = [one.text for one in read_bars(tmp_path, xshg(), BEFORE).findings if one.severity == "error"]
    assert not errors if text is None else any(re.search(text, one) for one in errors)


@pytest.mark.parametrize(
    ("change", "text", "bars"),
    [
        (lambda raw, at: raw[~at], "lack bars, such as that of 600003.SH on 2025-04-07: they are left out", None),
        (lambda raw, at: raw.assign(amount=raw["amount"].mask(at)), "lack bars", "1 bars have figures that no bar"),
        (lambda raw, at: raw.assign(amount=raw["amount"].mask(at, 1e7)), "lack bars", "1 bars have a turnover, volume"),
        (lambda raw, at: raw.assign(close=raw["close"].mask(at, 99.0)), "lack bars", "1 bars have a turnover, volume"),
        (lambda raw, at: raw.assign(open=raw["open"].mask(at, 99.0)), "lack bars", "1 bars have a turnover, volume"),
        (lambda raw, at: raw.assign(ts=raw["ts"].mask(at, raw["ts"] + pd.Timedelta(minutes=1))), "lack bars", "do not"),
    ],
)
def test_the_session_of_a_security_that_lacks_a_bar_is_left_out(
    tmp_path: Path, change: Callable[[pd.DataFrame, pd.Series], pd.DataFrame], text: str, bars: str | None
) -> None:
    """Its cumulative volume would be too small from that bar on."""
    raw = sessions()
    change(raw, (raw["code"] == "600003") & (raw["ts"] == pd.Timestamp("2025-04-07 10:15"))).to_parquet(
        tmp_path / "bars15m_x.parquet"
    )
    found = read_bars(tmp_path, xshg(), FALL, FALL)
    refused = [one.text for one in found.findings if one.severity == "refused"]
    assert len(refused) == 1 + (bars is not None) and text in refused[-1] and (bars or "") in refused[0]
    assert len(found.frame) == 19 * 16 and to_id("600003.SH") not in found.frame["key"].tolist()


@pytest.mark.parametrize(("amount", "refused"), [(1390.0, False), (1410.0, True)])
def test_a_small_volume_that_is_rounded_to_lots_contradicts_nothing(
    tmp_path: Path, amount: float, refused: bool
) -> None:
    raw = sessions()
    at = (raw["code"] == "600003") & (raw["ts"] == pd.Timestamp("2025-04-07 10:15"))
    raw = raw.assign(volume=raw["volume"].mask(at, 40), amount=raw["amount"].mask(at, amount))  # at 10 CNY
    raw.to_parquet(tmp_path / "bars15m_x.parquet")
    assert any("have a turnover" in one.text for one in read_bars(tmp_path, xshg(), FALL, FALL).findings) == refused


def test_a_half_day_has_bars_until_1130_alone(tmp_path: Path) -> None:
    raw = sessions()
    raw[(raw["ts"].dt.date != FALL) | (raw["ts"].dt.hour < 12)].to_parquet(tmp_path / "bars15m_x.parquet")
    assert read_bars(tmp_path, with_half_days(FALL), FALL).findings == []


@pytest.mark.parametrize("filled", [False, True])
def test_sessions_that_the_circuit_breaker_ended_have_bars_until_then_alone(tmp_path: Path, filled: bool) -> None:
    """On 2016-01-04 trading ended at 13:34, on 2016-01-07 at 10:00; some vendors fill the rest with empty bars."""
    days = dict(zip((date(2025, 4, 2), BEFORE, FALL, AFTER), (date(2016, 1, day) for day in (4, 5, 6, 7)), strict=True))
    raw = sessions()
    raw["ts"] = [pd.Timestamp.combine(days[ts.date()], ts.time()) for ts in raw["ts"]]
    late = (raw["ts"] > pd.Timestamp("2016-01-07 10:00")) | raw["ts"].between("2016-01-04 13:46", "2016-01-04 15:00")
    raw = raw.assign(volume=raw["volume"].mask(late, 0), amount=raw["amount"].mask(late, 0.0))
    raw[~late | filled].to_parquet(tmp_path / "bars15m_x.parquet")
    assert read_bars(tmp_path, xshg(), date(2016, 1, 5)).findings == []
    raw[raw["ts"] != pd.Timestamp("2016-01-07 10:00")].to_parquet(tmp_path / "bars15m_x.parquet")
    assert "no bar that ends at 10:00" in read_bars(tmp_path, xshg(), date(2016, 1, 5)).findings[0].text


def minutes() -> pd.DataFrame:
    """Return all bars of a minute of 20 stocks in two sessions."""
    halves = [("09:31", "11:30"), ("13:01", "15:00")]
    ends = [ts for one in halves for ts in pd.date_range(*(f"2025-04-03 {clock}" for clock in one), freq="min")]
    return pd.DataFrame(
        [
            bar(str(ts + pd.Timedelta(days=days)), code=str(600_000 + at), volume=volume, amount=10.0 * volume)
            for at in range(20)
            for days in (0, 4)
            for ts in ends
            for volume in [100 + days + 7 * (ts.minute % 3)]
        ]
    )


def test_the_minutes_within_the_closing_auction_may_lack_bars(tmp_path: Path) -> None:
    """From 14:57 on nothing is traded until the close."""
    raw = minutes()
    clock = raw["ts"].dt.strftime("%H:%M")
    raw[~clock.isin(["14:58", "14:59"])].to_parquet(tmp_path / "bars1m_x.parquet")
    assert read_bars(tmp_path, xshg(), FALL).findings == []
    raw[~clock.isin(["14:57", "14:58", "14:59"])].to_parquet(tmp_path / "bars1m_x.parquet")
    assert "no bar that ends at 14:57" in read_bars(tmp_path, xshg(), FALL).findings[0].text


def test_the_opening_auction_may_have_a_bar_of_its_own(tmp_path: Path) -> None:
    raw = minutes()
    auction = raw[raw["ts"].dt.strftime("%H:%M") == "09:31"]
    auction = auction.assign(ts=auction["ts"] - pd.Timedelta(minutes=1), volume=5_000, amount=50_000.0)
    raw = pd.concat([auction, raw])
    raw.to_parquet(tmp_path / "bars1m_x.parquet")
    found = read_bars(tmp_path, xshg(), FALL)
    assert found.findings == []
    snapshots = dict(found.snapshots(to_day(FALL)))
    assert set(snapshots[570].rows.figures["volume"]) == {5_000.0}
    of_day = raw[(raw["code"] == "600000") & (raw["ts"].dt.date == FALL)]
    assert set(snapshots[900].rows.figures["volume"]) == {float(of_day["volume"].sum())}


def test_a_close_of_an_earlier_session_is_no_close_before_unless_the_security_was_suspended(
    write: Callable[..., Path],
) -> None:
    first, last = bar("2025-04-03 15:00"), bar("2025-04-08 09:45")
    with pytest.raises(InputError, match="no close before the bars between these dates"):
        read_bars(write(first, last), xshg(), AFTER)
    found = read_bars(write(first, last, bar("2025-04-07 15:00", code="600001"), bar("2025-04-08 09:45", "600001")),
                      xshg(), AFTER)  # fmt: skip
    assert found.frame["key"].tolist() == [to_id("600001.SH")]
    assert [one.text for one in found.findings] == ["1 bars are left out: the close before their session is not known"]
    pause = bar("2025-04-07 15:00", price=0.0, volume=0, amount=0)
    assert read_bars(write(first, pause, last), xshg(), AFTER).frame["prev_close"].tolist() == [10.0]


def test_steps_must_divide_the_bars(write: Callable[..., Path]) -> None:
    found = read_bars(write(bar("2025-04-03 15:00"), bar("2025-04-07 09:45")), xshg(), FALL)
    found.check_step(5)
    with pytest.raises(ConfigurationError, match="1m, 3m, 5m, 15m"):
        found.check_step(4)


def test_an_index_without_a_figure_has_no_snapshot() -> None:
    known = {"open": 3.0, "close": 2.0, "prev_close": 3.1, "volume": 8.0, "turnover": 16.0}
    rows = batch("indices.daily", FALL, {"000001.SH": known, "399001.SZ": known | {"turnover": np.nan}})
    ((minute, close),) = index_snapshots(rows, to_day(FALL))
    assert (minute, close.interpolated, close.rows.keys.tolist()) == (900, False, [to_id("000001.SH")])
    half = dict(index_snapshots(rows, to_day(FALL), 120))[690]
    assert {name: values.tolist() for name, values in half.rows.figures.items()} == {
        "last": [2.5], "prev_close": [3.1], "volume": [4.0], "turnover": [8.0],
    }  # fmt: skip


# -- the clock -----------------------------------------------------------------------------------------------------


def test_the_clock_of_a_replay_is_that_of_its_events_and_runs_on_from_there() -> None:
    clock = MarketClock()
    machine = datetime.now(SHANGHAI)
    clock.advance(machine + timedelta(days=1))  # no event moves the machine's clock
    assert abs(clock.now() - machine) < timedelta(minutes=1)
    bar_end = datetime(2025, 4, 7, 10, 0, tzinfo=SHANGHAI)
    clock.set(bar_end)
    assert timedelta() <= clock.now() - bar_end < timedelta(minutes=1)
    clock.advance(bar_end - timedelta(hours=1))
    assert clock.now() >= bar_end
    clock.advance(bar_end + timedelta(hours=1))
    assert clock.now() >= bar_end + timedelta(hours=1)
    clock.set(None)
    assert abs(clock.now() - machine) < timedelta(minutes=1)


def test_an_interrupted_replay_gives_the_market_the_machine_s_clock_again(write: Callable[..., Path]) -> None:
    bars = read_bars(write(bar("2025-04-03 15:00"), bar("2025-04-07 09:45"), bar("2025-04-07 10:00")), xshg(), FALL)
    barriers: list[datetime | None] = []

    class Publisher:
        def rows_of(self, rows: RowBatch, note: str = "") -> None:
            pass

        def flush(self) -> None:
            pass

        def barrier(self, at: datetime | None = None) -> str:
            barriers.append(at)
            return ""

    def stop(_moment: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        publish_moments(Publisher(), Replay(bars).moments(Dataset()), on_moment=stop)  # type: ignore[arg-type]
    assert [at and at.astimezone(SHANGHAI).hour for at in barriers] == [9, None]
    barriers.clear()
    with pytest.raises(KeyboardInterrupt):
        Replay(bars).publish(Publisher(), Dataset(), on_day=stop)  # type: ignore[arg-type]
    assert [at and at.astimezone(SHANGHAI).hour for at in barriers] == [0, 0, 9, None]  # it waits for Kafka once


def test_a_replay_publishes_each_daily_row_once_behind_what_the_stream_has_passed(write: Callable[..., Path]) -> None:
    bars = read_bars(write(bar("2025-04-03 15:00"), bar("2025-04-07 09:45")), xshg(), FALL)
    codes = ["600000.SH", "600001.SH"]
    years = [batch("margin.daily", day, {code: {"fin_balance": 1.0} for code in codes}) for day in (EARLIER, BEFORE)]
    # The figures of the session before the replayed one become known in its morning.
    years[1].stamps[:] = shanghai_moment(to_day(FALL), 8 * 60 + 30)
    dataset = Dataset([{"margin.daily": concat(years)}])
    refused = {to_day(day): {"margin.daily": np.array([to_id("600002.SH")], np.int32)} for day in (EARLIER, BEFORE)}
    said: list[tuple[object, ...]] = []

    class Publisher:
        def rows_of(self, rows: RowBatch, note: str = "") -> None:
            said.append(("rows", rows.topic))

        def day(self, batches: dict[str, RowBatch], counted: dict[str, RowBatch]) -> None:
            said.extend(("day", to_date(int(one.days[0])), len(one)) for one in batches.values())
            said.extend(("counted", to_date(int(one.days[0])), len(one)) for one in counted.values())

        def flush(self) -> None:
            pass

        def barrier(self, at: datetime | None = None) -> str:
            assert at is not None
            return f"{at.astimezone(SHANGHAI):%F %R}"

    def replay(ledger: PublishLedger) -> list[tuple[object, ...]]:
        said.clear()
        one = Replay(bars, follow=lambda barrier: said.append(("passed", barrier)))
        one.publish(Publisher(), dataset, ledger=ledger, refused=refused)  # type: ignore[arg-type]
        assert not ledger.days_open
        return list(said)

    ledger = PublishLedger(MemoryStore())
    midnight, session = ("passed", f"{FALL} 00:00"), [("rows", "prices.intraday"), ("passed", f"{FALL} 09:45")]
    assert replay(ledger) == [
        midnight, ("day", EARLIER, 2), ("counted", EARLIER, 3), midnight,
        ("day", BEFORE, 2), ("counted", BEFORE, 3), ("passed", f"{FALL} 08:30"), *session,
    ]  # fmt: skip
    assert replay(ledger) == [midnight, midnight, ("passed", f"{FALL} 08:30"), *session]


def test_bars_of_a_damaged_file_are_an_error_that_names_it(tmp_path: Path) -> None:
    path = tmp_path / "bars15m_x.parquet"
    pd.DataFrame({"ts": pd.to_datetime(["2025-04-07 09:45"]), "code": ["600519"]}).to_parquet(path)
    content = bytearray(path.read_bytes())
    content[20:40] = bytes(20)
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"bars15m_x.parquet is a damaged parquet file"):
        read_bars(tmp_path, xshg())

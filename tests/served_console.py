"""A console on a made model as a process of its own, for a real browser without a stream."""

from __future__ import annotations

import os
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from alerts.commands import Command
from alerts.model import (
    Acknowledgement,
    Alert,
    Evidence,
    HorizonOutcome,
    PublishedClaim,
    RecordFinding,
    Severity,
    State,
    Text,
)
from alerts.record import CaseRow, RecordCard
from alerts.rules import rules
from console import server
from console.access import Access, Session
from console.model import ConsoleModel, Feed
from console.site import Site
from processors.codes import to_id
from processors.outputs import DayStatus, MarketSignal, SecuritySignals
from processors.parameters import Parameters
from processors.signal import Value
from streams.calendars import xshg
from streams.local.local_service import LOOPBACK, LocalService
from streams.local.processes import http_ok

P = Parameters()
#: The day of the last final verdict, and the number of days with figures before it.
DAY, DAYS = date(2024, 7, 1), 60
_LINES: dict[str, Value] = {
    "hot": 0.103, "breakdown": 0.1, "cold": 0.0675, "extreme_cold": 0.0625, "ratio_days": 5, "warning_sessions": 60,
}  # fmt: skip


class Memory:
    """Sessions and preferences that end with the process."""

    def __init__(self) -> None:
        self.kept: dict[str, Any] = {}

    async def put(self, key: str, session: Session, _seconds: int) -> None:
        self.kept[key] = session

    async def get(self, key: str) -> Session | None:
        return self.kept.get(key)

    async def delete(self, key: str) -> None:
        self.kept.pop(key, None)

    async def load(self, who: str) -> dict[str, Any]:
        return dict(self.kept.get(who, {}))

    async def save(self, who: str, values: dict[str, Any]) -> None:
        self.kept[who] = dict(values)


class ServedConsole(LocalService):
    """The console on the model `full`."""

    name = "console"

    def _command(self) -> list[str]:
        return [sys.executable, "-m", "tests.served_console", str(self.port)]

    def _environment(self) -> dict[str, str]:
        # NiceGUI would run as one of its own tests.
        own = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
        return own | {"PYTHONPATH": str(Path(__file__).resolve().parents[1])}

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}/"

    def _answers(self) -> bool:
        return http_ok(f"{self.url}healthz")


def signal(name: str, value: Value | None, day: date, **changes: Any) -> MarketSignal:
    """A signal of a day; a name with a slash has a subject."""
    base, _, subject = name.partition("/")
    at = datetime(day.year, day.month, day.day, 23, tzinfo=UTC)
    return MarketSignal(
        signal=base, subject=subject or "market", trade_date=day, available_at=at, revision=0, value=value, **changes
    )


def full() -> ConsoleModel:
    """Return a model with the most that the card of the answer can have to say at once: every line, and past cases.

    The final answer is COLD, the newer day is overdue, the running session says HOT and has an early sign.
    """
    model = ConsoleModel(P.streak_flags, xshg(), {rule.name for rule in rules(P) if rule.covers_day})
    for at in range(DAYS, -1, -1):
        day = DAY - timedelta(days=at)
        figures = {
            "fin_buy_ratio_5d": 0.06 + 0.0005 * at, "fin_buy_ratio": 0.06, "excess_financing": 0.01,
            "fin_balance": 1.5e12 - 1e9 * at, "short_balance": 4e10, "collateral_ratio": 2.6, "breadth_200": 0.3,
            "two_way_to_float_cap": 0.021, "fin_balance_to_float_cap": 0.022, "margin_trade_share": 0.08,
            "index_close/000300.SH": 3400.0 + at, "fin_balance_change": 1e9, "excess_level": 0,
        }  # fmt: skip
        for name, value in figures.items():
            model.offer_market(signal(name, value, day))
    model.offer_market(signal("streak", None, DAY, reason="margin.market fin_balance is not known yet"))
    cold = {**_LINES, "ratio": 0.0612, "state": "EXTREME_COLD"}
    model.offer_market(signal("verdict", "COLD", DAY, details=cold))
    hot = {**_LINES, "ratio": 0.1034, "state": "HOT"}
    session = DAY + timedelta(days=1)
    model.offer_market(signal("verdict", "HOT", session, provisional=True, details=hot))
    model.offer_market(signal("ratio_state_daily", "BREAKDOWN", session, provisional=True, details=hot))
    model.offer_securities(_flagged(45))
    model.offer_feeds(
        [Feed(name, DAY, True, session, 1_000) for name in ("margin.market", "indices.daily")],
        200,
        "broker unreachable: connection to 127.0.0.1:9092 refused, retrying once more, twelve failures",
    )
    model.offer_records([_record()])
    model.offer_alert(_alert())
    return model


def _flagged(count: int) -> SecuritySignals:
    """Return a frame of the last day in which every security has a flag: more than a table shows on a page."""
    at = datetime(DAY.year, DAY.month, DAY.day, 23, tzinfo=UTC)
    columns = {"fin_change": np.linspace(0.01, 0.02, count), "fin_streak": np.full(count, float(max(P.streak_flags)))}
    keys = np.array([to_id(f"{600100 + n}.SH") for n in range(count)], dtype=np.int32)
    return SecuritySignals(DayStatus(trade_date=DAY, available_at=at, revision=0), keys, columns)


def _alert() -> Alert:
    """An alert that somebody with a name without a space has acknowledged, with a note without one."""
    at = datetime(2024, 7, 2, 1, tzinfo=UTC)
    return Alert(
        id="peak_alert", rule="peak_warning", severity=Severity.CRITICAL, subject="fin_buy_ratio_5d", trade_date=DAY,
        revision=0, state=State.FIRING, available_at=at, raised_at=at, changed_at=at, figures={"ratio": 0.099},
        thresholds={"breakdown": 0.1}, text=Text("The ratio fell.", "占比下跌。"),
        invalidation=Text("Void at 10.3%.", "重回10.3%则失效。"), provenance=[],
        acknowledged=Acknowledgement("x" * 400, at, "y" * 400), evidence=[_record().evidence],
    )  # fmt: skip


def _record() -> RecordCard:
    rows = [
        CaseRow(
            alert=f"a{n}", subject="fin_buy_ratio_5d", trade_date=DAY - timedelta(days=100 * n), figure=0.0991,
            entry_date=DAY, entry=3400.0,
            returns={"5": 0.01, "20": -0.02, "60": -0.05}, drawdown=-0.12, hit=True,
        )
        for n in range(9, 0, -1)
    ]  # fmt: skip
    definition = Text(
        "no close of the SSE Composite more than 5% above the entry in 60 sessions",
        "60个交易日内上证指数收盘未高于入场价5%以上",
    )
    claim = PublishedClaim(
        Text("about 80% of the breaks were tops or high-level ranges, by eye", "约80%的跌破对应顶部或高位震荡（目测）"),
        "[DG22]", "2018-01…2022-11",
    )  # fmt: skip
    evidence = Evidence(
        since=date(2018, 1, 2), definition=definition, horizon_days=60,
        cases=9, hits=7, episodes=1, base_cases=1000, base_hits=530, low=-0.1,
        high=0.4, finding=RecordFinding.NO_BETTER, outcomes={"60": HorizonOutcome(9, 0.01, -0.184)}, drawdown=-0.21,
        claim=claim,
    )  # fmt: skip
    return RecordCard(
        rule="peak_warning", subject="fin_buy_ratio_5d", source="[DG22]", figure="ratio", unit="ratio", until=DAY,
        rows=rows, evidence=evidence,
    )  # fmt: skip


def main(port: int) -> None:
    """Serve until the process is stopped."""
    memory = Memory()

    async def publish(_command: Command) -> None:
        pass

    async def nothing() -> None:
        pass

    site = Site(full(), Access(LOOPBACK, memory), P, tuple(rules(P)), memory, publish)
    server.run(site, host=LOOPBACK, port=port, secret="s", start=nothing, stop=nothing)


if __name__ == "__main__":
    main(int(sys.argv[1]))

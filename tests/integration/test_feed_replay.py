"""`feed replay` on a real broker, Redis and worker: in order at full speed, once, its clock only while it lasts."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest
from kafka import TopicPartition
from typer.testing import CliRunner

from processors.days import to_date, to_day
from streams import readers, system_status
from streams.calendars import xshg
from streams.cli import feed_replay
from streams.cli.main import app
from streams.local.processes import environment
from streams.records import barrier_of, is_barrier
from streams.stages.stage import CLOCK_FIELD
from streams.topics import Topic
from tests.harness import Stack, wait_until
from tests.test_replay import AFTER, ENDS, FALL, bar

DAYS = [pd.Timestamp(to_date(day)) for day in xshg().between(to_day(FALL) - 35, to_day(FALL)).tolist()]


def write(folder: Path) -> Path:
    """Write totals, two indices, and bars of two securities on the last session."""
    folder.mkdir()
    amounts = {"margin_balance": [1e11 * 1.001**i for i in range(len(DAYS))], "margin_buy_amt": 1e9, "short_qty": 1e6,
               "short_sell_qty": 1e5, "short_value": 1e7}  # fmt: skip
    pd.DataFrame({"dt": DAYS, "margin_repay_amt": 9e8} | amounts).to_parquet(folder / "margin_total_sse_x.parquet")
    small = pd.DataFrame({"dt": DAYS} | amounts)
    small[[*amounts]] /= 1e8
    small.to_parquet(folder / "margin_total_szse_x.parquet")
    level = {"open": 3200.0, "high": 3300.0, "low": 3000.0, "change": 1.0, "volume": 1e8, "amount": 4e11,
             "turnover_rate": 1.0}  # fmt: skip
    indices = [
        {"dt": day, "secid": secid, "close": 3100.0 + i} | level
        for i, day in enumerate(DAYS)
        for secid in ("1.000001", "0.399001")
    ]
    pd.DataFrame(indices).to_parquet(folder / "index_daily_x.parquet")
    ends = ("2025-04-03 15:00", "2025-04-07 14:45", "2025-04-07 15:00")
    bars = [bar(ts, code) for ts in ends for code in ("600000", "000001")]
    pd.DataFrame(bars).to_parquet(folder / "bars15m_x.parquet")
    return folder


@pytest.mark.parametrize("broker", ["embedded"], indirect=True)
def test_a_replay_waits_for_the_stream_and_sets_its_clock_only_while_it_lasts(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment(stack.settings).items():
        monkeypatch.setenv(name, value)
    command = ["feed", "replay", str(write(tmp_path / "session")), "--from", "2025-04-07", "--speed", "max"]
    monkeypatch.setattr(feed_replay, "_PATIENCE_S", 0.5)
    alone = CliRunner().invoke(app, [*command, "--every", "15m"])
    assert (alone.exit_code, "is a worker running?" in str(alone.exception)) == (1, True)
    monkeypatch.undo()

    for name, value in environment(stack.settings).items():
        monkeypatch.setenv(name, value)
    stack.worker().ready()
    done = CliRunner().invoke(app, [*command, "--every", "15m"])
    assert done.exit_code == 0, done.output
    with stack.publisher() as publisher:
        barrier = stack.settle(publisher)
    excess = [one for one in readers.market_signals(stack.settings, until=barrier) if one.signal == "excess_financing"]
    of_day = [one for one in excess if one.trade_date == FALL]
    seen = {f"{one.available_at:%H:%M}" for one in of_day if one.provisional}
    assert seen >= {f"{int(end[:2]) - 8:02}{end[2:]}" for end in ENDS}  # UTC
    (final,) = (one for one in of_day if not one.provisional)
    assert f"{final.available_at:%F %H:%M}" == f"{AFTER} 00:30"
    assert of_day[-1] is final
    raised = {alert.raised_at.date() for alert in stack.alerts(barrier) if alert.trade_date == FALL}
    assert raised <= {AFTER}
    assert not any(stack.redis.hexists(key, CLOCK_FIELD) for key in stack.redis.keys("*:rows"))
    assert system_status.replayed_to(stack.settings, stack.redis) is None

    # While a replay lasts, commands about alerts have its clock; so a silence of hours ends with it.
    at = datetime(2025, 4, 7, 2, tzinfo=UTC)
    with stack.publisher() as publisher:
        begun = publisher.barrier(at)
        wait_until(lambda: system_status.passed(stack.settings, begun, stack.redis))
        silenced = CliRunner().invoke(app, ["alerts", "silence", "--severity", "info", "--hours", "2"])
        shown = CliRunner().invoke(app, ["status"])
        stack.settle_latest(publisher)
    assert re.search(r"until 2025-04-07 12:0\d Shanghai by the clock of the replay", " ".join(silenced.output.split()))
    assert f"the market's clock is at {at.isoformat()}" in " ".join(shown.output.split())
    again = CliRunner().invoke(app, command)
    assert (again.exit_code, "the stream has figures of 2025-04-07" in str(again.exception)) == (1, True)
    assert sum(1 for _ in readers.read(stack.settings, Topic.ALERTS, until=barrier)) < 100


@pytest.mark.parametrize("broker", ["embedded"], indirect=True)
def test_a_command_that_is_ended_within_a_session_gives_the_market_its_own_clock_again(stack: Stack) -> None:
    options = ["--days", "30", "--stocks", "20", "--speed", "60x"]
    simulation = subprocess.Popen(
        [sys.executable, "-m", "streams", "feed", "simulate", *options],
        stderr=subprocess.PIPE,
        env=os.environ | environment(stack.settings),
    )
    partition = TopicPartition(stack.publisher_topic(Topic.PRICES_INTRADAY), 0)

    def clock() -> datetime | None:
        """Return the moment that the newest barrier sets."""
        with readers.consumer(stack.settings) as reader:
            read = [one for _, records in readers.read_to_end(reader, [partition]) for one in records]
        barriers = [barrier_of(one) for one in read if is_barrier(one)]
        return barriers[-1].at if barriers else None

    wait_until(lambda: clock() is not None, what="the session")
    simulation.terminate()
    _, said = simulation.communicate(timeout=60)
    assert simulation.returncode == 143, said.decode()
    assert clock() is None

"""The stream as its users meet it: bad input, the running session, workers that die, the metrics."""

from __future__ import annotations

import json
import signal
import urllib.request
from datetime import date

import msgspec
import numpy as np
import pytest

from alerts.verdict import verdict_text
from feeds import simulate
from processors.days import to_day
from processors.events import RowBatch
from streams import readers
from streams.calendars import xshg
from streams.form import Form
from streams.publisher import Publisher
from streams.records import ARROW, BARRIER_TYPE, CE_TYPE, CONTENT_TYPE
from streams.system_status import latest_market, latest_security, securities_day
from streams.topics import Topic, dead_letters, partition_of
from tests.building import DAYS, batch
from tests.harness import Stack, wait_until


def market_of(days: int = 40) -> simulate.Market:
    return simulate.Market(simulate.Simulation(xshg(), to_day(date(2024, 6, 28)), days=days, stocks=60, funds=4))


def test_bad_input_goes_to_the_dead_letters_and_stops_nothing(stack: Stack) -> None:
    stack.worker().ready()
    place = partition_of("600519.SH", 4)
    good = {"code": "600519.SH", "trade_date": "2020-01-02", "available_at": "2020-01-03T08:30:00+08:00",
            "source": "test", "fin_balance": 2.5e9, "fin_buy": 1e7, "short_volume": 0, "short_sell": 0}  # fmt: skip
    huge = b"x" * (50 * 1024 * 1024)
    bad: list[tuple[str, bytes, str]] = [
        ("margin.daily", b"{not json", "malformed"),
        ("margin.daily", json.dumps({"hello": 1}).encode(), "unknown field"),
        ("margin.daily", json.dumps(good | {"fin_balance": -1}).encode(), ">= 0"),
        ("margin.daily", json.dumps(good | {"trade_date": "2020-01-05"}).encode(), "no trading day"),
        ("margin.daily", huge, "52,428,800 bytes"),
        ("margin.market", json.dumps({k: v for k, v in good.items() if k != "code"} | {"exchange": "NYSE"}).encode(),
         "NYSE"),
    ]  # fmt: skip
    wide = stack.settings.model_copy(update={"max_message_bytes": 60 * 1024 * 1024})
    with Publisher(wide, source="test") as publisher:
        publisher.raw("margin.daily", json.dumps(good | {"fin_balance": 1e9}).encode(), partition=place)
        for topic, value, _ in bad:
            publisher.raw(topic, value, partition=place if topic == "margin.daily" else 0)
        publisher.raw("margin.daily", b"no barrier", partition=place, headers=[(CE_TYPE, BARRIER_TYPE)])
        publisher.raw("margin.daily", b"no frame", partition=place, headers=[(CONTENT_TYPE, ARROW)])
        publisher.raw("margin.daily", json.dumps(good | {"revision": 1}).encode(), partition=place)
        rows = batch("margin.daily", DAYS[0], {"600519.SH": {"fin_balance": 2.5e9, "fin_buy": 1e7},
                                               "000001.SZ": {"fin_balance": 3e9}}, 1)  # fmt: skip
        publisher.rows_of(rows.take(rows.keys % 4 == 1))
        publisher.close_day(rows)
        barrier = stack.settle(publisher)

    letters = []
    for topic, expected in (("margin.daily", len(bad) + 1), ("margin.market", 1)):
        for record in readers.read(stack.settings, dead_letters(topic)):
            letters.append(record)
            expected -= 1
            if not expected:
                break
    found = {(record.value, dict(record.headers)["dlq_topic"]): dict(record.headers) for record in letters}
    assert len(letters) == len(bad) + 2
    for topic, value, reason in [
        *bad,
        ("margin.daily", b"no barrier", "Barrier"),
        ("margin.daily", b"no frame", "not an Arrow IPC stream"),
    ]:
        headers = found[value, stack.publisher_topic(topic).encode()]
        assert reason in headers["dlq_reason"].decode()
        assert int(headers["dlq_offset"]) > 0 or topic == "margin.market"
    # The good rows around them count.
    assert stack.securities(barrier)["fin_balance"].tolist() == [3e9, 2.5e9]


def test_the_session_gives_provisional_values_and_the_close_replaces_them(stack: Stack) -> None:
    stack.worker().ready()
    market = market_of()
    with stack.publisher(Form.EVENTS, simulate.SOURCE) as events, stack.publisher() as frames:
        for _, batches in market.history():
            frames.day(batches)
        stack.settle(frames)
        today = xshg().shift(market.simulation.last_day, 1)
        assert today is not None
        for _, batches in market.session(today, ratio=0.105, every_minutes=60):
            for rows in batches.values():
                events.rows_of(rows)
        stack.settle_latest(events)
        live = latest_market(stack.settings, stack.redis)
        assert live["excess_financing"].provisional
        assert live["excess_financing"].value is not None
        assert live["fin_buy_ratio"].value == pytest.approx(0.105, rel=1e-3)
        assert live["ratio_state_daily"].value == "HOT"
        assert not live["fin_balance"].provisional
        spoken = msgspec.json.decode(stack.redis.get(f"{stack.settings.namespace}:latest:verdict"))
        words: dict[str, object] = msgspec.to_builtins(verdict_text(live["verdict"]))
        words |= {"verdict": live["verdict"].value, "provisional": True}
        assert {name: spoken[name] for name in words} == words

        # A session may look hot: nothing alerts before it is final.
        published = [a for a in readers.alerts(stack.settings) if to_day(a.trade_date) == today]
        assert published == []

        market._ratios = np.array([0.09])
        frames.day(market._day(today, 0.09))
        barrier = stack.settle(frames)
    table = stack.market(barrier)
    assert table.index[-1].date().toordinal() - date(1970, 1, 1).toordinal() == today
    assert table["fin_buy_ratio"].iloc[-1] == pytest.approx(0.09, rel=1e-6)
    wait_until(
        lambda: not latest_market(stack.settings, stack.redis)["fin_buy_ratio"].provisional, 10, "the final value"
    )


def test_metrics_and_health_tell_how_things_stand(stack: Stack) -> None:
    worker = stack.worker().ready()
    with stack.publisher() as publisher:
        for _, batches in market_of(10).history():
            publisher.day(batches)
        stack.settle(publisher)
    text = _get(f"{worker.url}/metrics")
    samples = {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1])
               for line in text.splitlines() if not line.startswith("#")}  # fmt: skip
    assert samples['marginwatch_rows_total{topic="margin.daily"}'] == 640
    assert samples['marginwatch_signal{provisional="false",signal="fin_buy_ratio",subject="market"}'] > 0.05
    assert samples["marginwatch_ready"] == 1
    assert samples["marginwatch_calendar_days_left"] >= 0
    assert samples['marginwatch_batch_seconds_count{stage="market"}'] > 0
    assert any(name.startswith("marginwatch_lag_messages") for name in samples)
    assert json.loads(_get(f"{worker.url}/healthz")) == {"status": "alive"}
    wait_until(lambda: stack.redis.exists(f"{stack.settings.namespace}:latest:security:600000.SH") == 1, 10, "latest")
    newest = latest_security(stack.settings, stack.redis, "600000.SH")
    assert newest["fin_balance"] > 0
    assert newest["trade_date"] == str(securities_day(stack.settings, stack.redis))


def test_a_worker_waits_for_redis_says_so_and_loses_nothing(stack: Stack, redis_server) -> None:
    worker = stack.worker().ready()
    days = list(market_of(10).history())
    with stack.publisher() as publisher:
        for _, batches in days[:5]:
            publisher.day(batches)
        stack.settle(publisher)
        redis_server.pause()
        try:
            for _, batches in days[5:]:
                publisher.day(batches)
            publisher.flush()
            wait_until(lambda: _not_ready(worker.url), 30, "a red readyz")
        finally:
            redis_server.resume()
        barrier = stack.settle(publisher)
    worker.ready()
    assert len(stack.market(barrier)) == len(days)


def test_sigterm_ends_a_worker_whose_kafka_and_redis_are_silent(stack: Stack, broker, redis_server) -> None:
    worker = stack.worker().ready()
    days = list(market_of(10).history())
    with stack.publisher() as publisher:
        for _, batches in days[:5]:
            publisher.day(batches)
        stack.settle(publisher)
        for _, batches in days[5:]:
            publisher.day(batches)
        publisher.flush()
        broker.pause()
        redis_server.pause()
        try:
            worker.process.send_signal(signal.SIGTERM)
            worker.process.wait(120)  # the worker gives itself 8 s
        finally:
            redis_server.resume()
            broker.resume()
        stack.worker().ready()
        barrier = stack.settle(publisher)
    assert len(stack.market(barrier)) == len(days)


def _get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=5) as answer:
        return answer.read().decode()


def _not_ready(url: str) -> bool:
    try:
        _get(f"{url}/readyz")
    except urllib.error.HTTPError as error:
        with error:
            return error.code == 503 and b"Redis" in error.read()
    return False


def test_signals_are_published_once_per_revision(stack: Stack) -> None:
    stack.worker().ready()
    with stack.publisher() as publisher:
        for _, batches in market_of(12).history():
            publisher.day(batches)
        barrier = stack.settle(publisher)
    seen = [(s.name, s.trade_date, s.revision) for s in readers.market_signals(stack.settings, until=barrier)
            if not s.provisional]  # fmt: skip
    assert len(seen) == len(set(seen))
    for name in ("fin_balance", "fin_buy_ratio", "excess_financing", "regime", "group_balance/ETF"):
        assert sum(found == name for found, _, _ in seen) == 12
    ids = [dict(r.headers)["ce_id"] for r in readers.read(stack.settings, Topic.SIGNALS_MARKET, until=barrier)]
    assert len(ids) == len(set(ids))
    contents = [
        msgspec.json.encode(msgspec.structs.replace(alert, changed_at=alert.raised_at, provenance=[]))
        for alert in readers.alerts(stack.settings, until=barrier)
    ]
    assert len(contents) == len(set(contents))


def test_a_correction_supersedes_an_early_sign(stack: Stack) -> None:
    """A breakdown of the daily ratio is corrected away: the alert is superseded, the signals are issued again."""
    stack.worker().ready()
    market = market_of(30)
    market._ratios = np.full(30, 0.09)
    market._ratios[10:15] = 0.105
    days = list(market.history())
    with stack.publisher() as publisher:
        for _, batches in days[:20]:
            publisher.day(batches)
        barrier = stack.settle(publisher)
        (peak,) = [a for a in stack.alerts(barrier) if a.rule == "peak_early_sign"]
        totals = days[15][1]["margin.market"]
        assert to_day(peak.trade_date) == days[15][0]
        more = totals.figures | {"fin_buy": totals.figures["fin_buy"] * 1.12}
        publisher.rows_of(RowBatch(totals.topic, totals.keys, totals.days, totals.revisions + 1, totals.stamps, more))
        barrier = stack.settle(publisher)
    found = {a.trade_date: a for a in stack.alerts(barrier) if a.rule == "peak_early_sign"}
    assert found[peak.trade_date].state == "superseded"
    later = [a for a in found.values() if a.state != "superseded"]
    assert [to_day(a.trade_date) for a in later] == [days[16][0]]


def test_sigterm_ends_a_busy_worker_cleanly(stack: Stack) -> None:
    worker = stack.worker().ready()
    with stack.publisher() as publisher:
        for _, batches in market_of(40).history():
            publisher.day(batches)
        publisher.flush()
        worker.process.send_signal(signal.SIGTERM)
        assert worker.process.wait(120) == 0
        stack.worker().ready()
        barrier = stack.settle(publisher)
    assert len(stack.market(barrier)) == 40

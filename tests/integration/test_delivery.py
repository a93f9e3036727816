"""Alerts reach people: a real Alertmanager, a real webhook receiver, through kills, outages and corrections."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner

from alerts.commands import Acknowledge, SetSilence
from alerts.delivery.channel import Channel
from alerts.delivery.history import Notification, Status
from alerts.delivery.signing import signature
from alerts.model import Severity, Silence, State
from feeds import simulate
from processors.days import to_day
from streams import readers
from streams.calendars import xshg
from streams.cli.main import app
from streams.local.processes import environment
from streams.publisher import Publisher
from streams.topics import Topic
from tests.alertmanager import Alertmanager
from tests.harness import Stack, wait_until

SECRET = "a key that nobody must see"
#: Delivery does not depend on the broker.
pytestmark = pytest.mark.parametrize("broker", ["embedded"], indirect=True)


class Receiver:
    """A webhook receiver that keeps what it receives, and can be down."""

    def __init__(self, port: int = 0) -> None:
        self.received: list[tuple[dict[str, str], bytes]] = []
        self.refusing = False
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                refused = receiver.refusing
                if not refused:  # before the answer: the next request may come at once
                    receiver.received.append((dict(self.headers), body))
                self.send_response(503 if refused else 204)
                self.end_headers()

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/hook/t0ken"

    def keys(self) -> list[str]:
        return [headers["Idempotency-Key"] for headers, _ in list(self.received)]

    def alerts(self, rule: str) -> list[tuple[str, str]]:
        """(subject or day, state) of a rule, in the order of arrival."""
        bodies = [json.loads(body)["alert"] for _, body in list(self.received)]
        return [(b["trade_date"], b["state"]) for b in bodies if b["rule"] == rule]

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


def with_channels(stack: Stack, **channels: dict[str, object]) -> Stack:
    given = {name: Channel(**({"max_age_days": 10_000, "per_minute": 6000} | c)) for name, c in channels.items()}  # type: ignore[arg-type]
    stack.settings = stack.settings.model_copy(update={"channels": given})
    return stack


def market(days: int = 60) -> simulate.Market:
    return simulate.Market(simulate.Simulation(xshg(), to_day(datetime(2024, 6, 28).date()), days=days, stocks=60))


def publish(stack: Stack, days: int = 60, first: int = 0, last: int | None = None) -> None:
    with stack.publisher() as publisher:
        for _, batches in list(market(days).history())[first:last]:
            publisher.day(batches)
        stack.settle(publisher)


def command(stack: Stack, what: Acknowledge | SetSilence) -> None:
    with Publisher(stack.settings, source="test") as publisher:
        publisher.raw(Topic.ALERT_COMMANDS, msgspec.json.encode(what), partition=0)


def notifications(stack: Stack, channel: str) -> dict[str, Notification]:
    found = stack.redis.hgetall(f"{stack.settings.namespace}:notify:{channel}")
    return {name.decode(): msgspec.json.decode(data, type=Notification) for name, data in found.items()}


def all_sent(stack: Stack, channel: str) -> bool:
    found = notifications(stack, channel)
    return bool(found) and all(n.status is not Status.WAITING for n in found.values())


def test_every_notification_is_sent_once_with_a_signature_through_kills_and_an_outage(
    stack: Stack, receiver: Receiver
) -> None:
    with_channels(stack, hook={"kind": "webhook", "url": receiver.url, "secret": SECRET})
    worker = stack.worker().ready()
    publish(stack, last=30)
    wait_until(lambda: all_sent(stack, "hook"), what="everything sent")
    before = set(receiver.keys())
    assert before
    receiver.refusing = True
    publish(stack, first=30, last=45)
    # An attempt is counted before it is made; its error is stored behind it.
    wait_until(lambda: any(n.error for n in notifications(stack, "hook").values() if n.status is Status.WAITING),
               what="a failed attempt")  # fmt: skip
    failing = next(n for n in notifications(stack, "hook").values() if n.status is Status.WAITING and n.error)
    assert "503" in failing.error
    assert "t0ken" not in failing.error
    worker.kill()
    stack.worker().ready()
    publish(stack, first=45)
    receiver.refusing = False
    wait_until(lambda: all_sent(stack, "hook"), what="everything sent after the outage")
    keys = receiver.keys()
    assert len(keys) == len(set(keys)), "a notification was sent twice"
    log = "\n".join(path.read_text() for path in stack._folder.glob("worker-*.log"))
    assert SECRET not in log
    assert "t0ken" not in log
    # Every alert that fires or fired is sent, before its end.
    for alert in {a.id: a for a in readers.alerts(stack.settings)}.values():
        if alert.state is not State.SUPERSEDED:
            sent = [key.partition("/")[2] for key in keys if key.startswith(alert.id)]
            assert sent == [State.FIRING, State.RESOLVED][: 1 + (alert.state is State.RESOLVED)]
    headers, body = receiver.received[0]
    stamp = int(headers["X-Marginwatch-Signature"].split(",")[0][2:])
    assert headers["X-Marginwatch-Signature"] == signature(SECRET.encode(), body, stamp)
    words = json.loads(body)
    assert words["title"]
    assert len(words["text"]) <= 1800


def test_a_day_of_flags_is_one_message_and_a_severity_floor_holds(stack: Stack, receiver: Receiver) -> None:
    with_channels(
        stack,
        all={"kind": "webhook", "url": receiver.url},
        few={"kind": "webhook", "url": receiver.url + "/few", "severity": "critical"},
    )
    stack.worker().ready()
    publish(stack)
    wait_until(lambda: all_sent(stack, "all"), what="everything sent")
    wait_until(lambda: all_sent(stack, "few"), what="everything sent")
    firing = [day for day, state in receiver.alerts("securities_digest") if state == "firing"]
    assert firing
    assert len(firing) == len(set(firing))
    assert {n.alert.severity for n in notifications(stack, "few").values()} == {Severity.CRITICAL}


def test_silences_hold_back_and_acknowledgements_are_remembered(stack: Stack, receiver: Receiver) -> None:
    with_channels(stack, hook={"kind": "webhook", "url": receiver.url, "severity": "critical"})
    stack.worker().ready()
    now = datetime.now(UTC)
    silence = Silence(id="s", until=now + timedelta(days=1), by="li", rule="peak_warning")
    command(stack, SetSilence(silence=silence, at=now))
    publish(stack, last=40)  # the warning of the 32nd day is in force

    def peak() -> Notification | None:
        firing = [n for n in notifications(stack, "hook").values() if n.alert.state is State.FIRING]
        return firing[-1] if firing else None

    wait_until(lambda: peak() is not None, what="a noted peak warning")
    held = peak()
    assert held is not None
    if held.status is Status.WAITING:
        assert held.due == silence.until
        assert not receiver.received
        command(stack, SetSilence(silence=msgspec.structs.replace(silence, until=now), at=datetime.now(UTC)))
        wait_until(lambda: bool(receiver.received), what="the message after the silence")
    command(stack, Acknowledge(alert=held.alert.id, by="li", at=now, note="on it"))
    wait_until(
        lambda: any(a.id == held.alert.id and a.acknowledged is not None for a in readers.alerts(stack.settings)),
        what="the acknowledgement",
    )
    events = [json.loads(r.value) for r in readers.read(stack.settings, Topic.ALERTS_LOG)]
    assert {"firing", "acknowledged"} <= {e["what"] for e in events if e["alert"] == held.alert.id}


@pytest.fixture
def alertmanager(tmp_path: Path) -> Iterator[Alertmanager]:
    server = Alertmanager(tmp_path)
    yield server
    server.stop()


def test_a_real_alertmanager(stack: Stack, alertmanager: Alertmanager) -> None:
    with_channels(stack, desk={"kind": "alertmanager", "url": alertmanager.url})
    worker = stack.worker().ready()
    publish(stack)
    wait_until(lambda: all_sent(stack, "desk"), what="everything sent")
    wanted = {a.id for a in firing(stack)}
    wait_until(lambda: shown(alertmanager).keys() == wanted, what=f"{len(wanted)} alerts in Alertmanager")
    peak = next((a for a in shown(alertmanager).values() if a["labels"]["severity"] == "critical"), None)
    if peak is not None:
        assert peak["labels"].keys() == {"alertname", "severity", "scope", "subject", "trade_date"}
        assert "PEAK WARNING" in peak["annotations"]["description"]
        assert "%" not in " ".join(peak["labels"].values())  # values stand in annotations
    worker.kill()
    stack.worker().ready()
    assert shown(alertmanager).keys() == wanted


def firing(stack: Stack) -> list:  # type: ignore[type-arg]
    last = {a.id: a for a in readers.alerts(stack.settings)}
    return [a for a in last.values() if a.state is State.FIRING]


def shown(alertmanager: Alertmanager) -> dict[str, dict[str, Any]]:
    return {a["annotations"]["id"]: a for a in alertmanager.alerts()}


def test_commands_of_the_desk(stack: Stack, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    with_channels(stack, hook={"kind": "webhook", "url": receiver.url, "severity": "critical"})
    worker = stack.worker().ready()
    publish(stack)
    wait_until(lambda: all_sent(stack, "hook"), what="everything sent")
    for name, value in environment(worker.settings).items():
        monkeypatch.setenv(name, value)

    def marginwatch(*arguments: str) -> str:
        result = CliRunner().invoke(app, list(arguments), env={"COLUMNS": "160"})
        assert result.exit_code == 0, result.output
        return result.output

    peak = next(n.alert for n in notifications(stack, "hook").values())
    why = json.loads(marginwatch("alerts", "why", peak.id[:12], "--json"))
    (given,) = why["inputs"]
    assert given["recomputed"] == peak.id  # the rule gives the same alert from the message at that offset
    assert given["content"]["signal"].startswith("ratio_state")
    assert given["content"]["details"]["ratio"] == peak.figures["ratio"]
    assert next(e["what"] for e in why["history"]) == "firing"
    assert "the rule gives the same alert" in marginwatch("alerts", "why", peak.id)
    assert CliRunner().invoke(app, ["alerts", "ack", "nosuch"]).exit_code == 1
    marginwatch("alerts", "ack", peak.id[:12], "--by", "wang", "--note", "on it")
    wait_until(lambda: "wang" in marginwatch("alerts", "why", peak.id), what="the acknowledgement")
    standing = [n.alert for n in notifications(stack, "hook").values()][-1]
    marginwatch("alerts", "silence", "--rule", "peak_warning", "--hours", "1", "--by", "wang")
    if standing.state is State.FIRING:
        wait_until(lambda: "silenced" in marginwatch("alerts", "why", standing.id), what="the silence")
    assert "sent" in marginwatch("notify", "log")
    before = len(receiver.received)
    assert marginwatch("notify", "test") == "hook: sent\n"
    assert marginwatch("notify", "test", "hook", "hook") == "hook: sent\n"
    assert len(receiver.received) == before + 2
    receiver.refusing = True
    failed = CliRunner().invoke(app, ["notify", "test", "hook"])
    assert failed.exit_code == 1
    assert "503" in failed.output
    assert "t0ken" not in failed.output


def test_a_channel_that_is_added_or_renamed_learns_what_fires(
    stack: Stack, alertmanager: Alertmanager, receiver: Receiver
) -> None:
    """The others have read these alerts long ago, and Kafka keeps how far."""
    with_channels(stack, hook={"kind": "webhook", "url": receiver.url})
    worker = stack.worker().ready()
    publish(stack)
    wait_until(lambda: all_sent(stack, "hook"), what="everything sent")
    before = receiver.keys()
    worker.terminate()
    with_channels(
        stack,
        hook={"kind": "webhook", "url": receiver.url},
        desk={"kind": "alertmanager", "url": alertmanager.url},
    )
    stack.worker().ready()
    wanted = {a.id for a in firing(stack)}
    assert wanted
    wait_until(lambda: shown(alertmanager).keys() == wanted, what=f"{len(wanted)} alerts in Alertmanager")
    assert receiver.keys() == before

"""`marginwatch alerts`: which alerts are listed, and what the reader learns of those that are not."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta

import msgspec
import pytest
from typer.testing import CliRunner

from alerts.commands import SetSilence
from alerts.market_clock import MarketClock
from alerts.model import Alert, Severity, Silence, State, Text
from streams import readers, system_status
from streams.cli import alerts as commands
from streams.cli.main import app
from streams.records import SEQUENCE, PlainRecord

NOW = datetime(2024, 6, 28, 2, 0, tzinfo=UTC)


def alert(day: int, rule: str, severity: Severity, state: State) -> Alert:
    return Alert(
        id=f"{rule}-{day}", rule=rule, severity=severity, subject="s", trade_date=date(2024, 6, day), revision=0,
        state=state, available_at=NOW, raised_at=NOW, changed_at=NOW, figures={}, thresholds={},
        text=Text("It fell.", "下跌。"), invalidation=Text("", ""), provenance=[],
    )  # fmt: skip


PUBLISHED = [
    alert(3, "peak_warning", Severity.CRITICAL, State.RESOLVED),
    alert(4, "market_hot", Severity.INFO, State.FIRING),
    alert(5, "data_quality", Severity.WARNING, State.FIRING),
    alert(6, "market_hot", Severity.INFO, State.RESOLVED),
]


def message(one: Alert, sequence: int) -> PlainRecord:
    value, key = msgspec.json.encode(one), one.id.encode()
    return PlainRecord("alerts", 0, sequence, 0, key, value, [(SEQUENCE, b"%020d" % sequence)])


#: The first states of two alerts, the newest state of all, and one that was published late.
MESSAGES = [
    message(alert(3, "peak_warning", Severity.CRITICAL, State.FIRING), 1),
    message(alert(6, "market_hot", Severity.INFO, State.FIRING), 2),
    *(message(one, 3 + number) for number, one in enumerate(PUBLISHED)),
    message(alert(6, "market_hot", Severity.INFO, State.FIRING), 2),
]


@pytest.mark.parametrize(
    ("options", "listed"),
    [
        ((), [3, 4, 5, 6]),
        (("--state", "firing"), [4, 5]),
        (("--rule", "market_hot"), [4, 6]),
        (("--rule", "market_hot", "--rule", "peak_warning", "--state", "resolved"), [3, 6]),
        (("--severity", "critical", "--severity", "warning"), [3, 5]),
        (("--from", "2024-06-04", "--to", "2024-06-05"), [4, 5]),
        (("--limit", "2"), [5, 6]),
        (("--limit", "9"), [3, 4, 5, 6]),
    ],
)
def test_the_options_choose_alerts(
    monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], listed: list[int]
) -> None:
    monkeypatch.setattr(readers, "read", lambda *_, **__: iter(MESSAGES))
    result = CliRunner().invoke(app, ["alerts", "--json", *options])
    assert result.exit_code == 0, result.output
    days = [int(json.loads(line)["trade_date"][-2:]) for line in result.stdout.splitlines()]
    assert days == listed
    assert ("the newest 2 of 4 alerts" in result.stderr) == (options == ("--limit", "2"))


def test_an_empty_list_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "read", lambda *_, **__: iter(MESSAGES))
    result = CliRunner().invoke(app, ["alerts", "--rule", "market_hot", "--severity", "critical"])
    assert (result.exit_code, result.stdout) == (0, "")
    assert "no alert matches" in result.stderr


@pytest.mark.parametrize(("subject", "noted"), [("s", False), ("nonsense", True)])
def test_a_silence_of_a_subject_that_no_alert_has_is_noted(
    monkeypatch: pytest.MonkeyPatch, subject: str, noted: bool
) -> None:
    sent: list[object] = []
    monkeypatch.setattr(readers, "read", lambda *_, **__: iter(MESSAGES))
    monkeypatch.setattr(system_status, "market_clock", lambda *_: MarketClock())
    monkeypatch.setattr(commands, "_send", sent.append)
    result = CliRunner().invoke(app, ["alerts", "silence", "--subject", subject])
    assert (result.exit_code, len(sent)) == (0, 1)
    assert (f"no alert has the subject {subject} yet" in result.stderr) is noted


@pytest.mark.parametrize(("set_for", "ends"), [((), False), ((8,), True), ((-8,), False), ((8, 0), False)])
def test_a_silence_ends_only_where_it_is_in_force(
    monkeypatch: pytest.MonkeyPatch, set_for: tuple[int, ...], ends: bool
) -> None:
    now, sent = MarketClock().now(), list[SetSilence]()
    for hours in set_for:
        silence = Silence(id="peak_warning/*/*/*", until=now + timedelta(hours=hours), by="li", rule="peak_warning")
        sent.append(SetSilence(silence=silence, at=now))
    stored = [
        PlainRecord("alerts.commands", 0, at, 0, None, msgspec.json.encode(one), []) for at, one in enumerate(sent)
    ]
    monkeypatch.setattr(readers, "read", lambda *_, **__: iter(stored))
    monkeypatch.setattr(system_status, "market_clock", lambda *_: MarketClock())
    monkeypatch.setattr(commands, "_send", sent.append)
    result = CliRunner().invoke(app, ["alerts", "silence", "--rule", "peak_warning", "--hours", "0"])
    assert (result.exit_code, len(sent) > len(set_for)) == ((0, True) if ends else (2, False))

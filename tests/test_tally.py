"""The figures of a rehearsal: alerts a year by rule and severity, newest records, and how they are printed."""

from __future__ import annotations

from datetime import date
from typing import Any

import msgspec
import pytest

from alerts.model import Alert, Evidence, RecordFinding, Severity, State, Text
from alerts.rules import rules
from alerts.tally import IN_DIGEST, counts, records
from processors.parameters import Parameters
from streams.cli.render import alerts as render
from tests.test_delivery import alert
from tests.test_digest import section


def record(hits: int, name: str = "") -> Evidence:
    return Evidence(name=name, definition=Text("index lower", "指数下跌"), cases=100, hits=hits, base_cases=1000,
                    base_hits=480, finding=RecordFinding.NO_BETTER)  # fmt: skip


def of(rule: str, year: int, severity: Severity, **changes: Any) -> Alert:
    day = date(year, 6, 1)
    fields = {
        "id": f"{rule}{year}",
        "rule": rule,
        "trade_date": day,
        "fired_on": day,
        "evidence": [],
        "subject": "market",
    }
    return alert(severity, **(fields | changes))


FOUND = [
    of("peak_warning", 2019, Severity.CRITICAL, evidence=[record(40)]),
    of("peak_warning", 2020, Severity.CRITICAL, evidence=[record(50)]),
    of("peak_warning", 2020, Severity.CRITICAL, state=State.PENDING, fired_on=None),  # never fired: no message
    of("securities_digest", 2020, Severity.INFO,
       sections=[section("fin_streak", record(52, "up")), section("fin_extreme")]),
    of("securities_digest", 2021, Severity.INFO, sections=[section("fin_streak", record(60, "up"))]),
]  # fmt: skip


def test_counts_are_of_what_fired_and_sections_are_no_messages() -> None:
    assert counts(FOUND) == {
        ("peak_warning", "critical"): {2019: 1, 2020: 1},
        ("securities_digest", "info"): {2020: 1, 2021: 1},
        ("fin_streak", IN_DIGEST): {2020: 1, 2021: 1},
        ("fin_extreme", IN_DIGEST): {2020: 1},
    }


def test_two_sections_of_one_rule_on_a_day_count_once() -> None:
    twice = of("securities_digest", 2020, Severity.INFO, sections=[section("data_note"), section("data_note")])
    assert counts([twice])["data_note", IN_DIGEST] == {2020: 1}


def test_the_newest_record_of_each_rule_is_kept_those_of_sections_too() -> None:
    assert {key: one.hits for key, one in records(FOUND).items()} == {
        ("peak_warning", "market", ""): 50, ("fin_streak", "stocks", "up"): 60
    }  # fmt: skip


def test_a_rehearsal_prints_counts_a_year_and_records(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(render.out, "width", 200)
    render.print_rehearsal(FOUND, {"peak_warning", "fin_streak", "securities_digest"})
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["alerts", "a", "year", "severity", "2019", "2020", "2021", "all"] in lines
    assert ["peak_warning", "critical", "1", "1", "0", "2"] in lines
    assert ["fin_streak", "in", "a", "digest", "0", "1", "1", "2"] in lines
    assert ["together", "info", "0", "1", "1", "2"] in lines
    assert [
        "peak_warning",
        "market",
        "index",
        "lower",
        "50/100",
        "50%",
        "48%",
        "no",
        "better",
        "than",
        "any",
        "day",
    ] in lines
    assert not any(line[:1] == ["fin_extreme"] for line in lines)  # not chosen
    fields = msgspec.to_builtins(render.rehearsal_fields(FOUND, {"fin_streak"}))
    assert fields["counts"] == [
        {"rule": "fin_streak", "severity": IN_DIGEST, "year": year, "alerts": 1} for year in (2020, 2021)
    ]
    assert [one["record"]["hits"] for one in fields["records"]] == [60]


def test_no_two_lines_of_the_listing_of_rules_are_equal() -> None:
    listed = [tuple(render.rule_fields(rule).values()) for rule in rules(Parameters())]
    assert len(set(listed)) == len(listed)
    assert [line[2] for line in listed if line[0] == "data_quality"] == [
        "figures of a closed day", "refused messages", "quarantined messages", "live feeds",
        "runs of feeds"
    ]  # fmt: skip

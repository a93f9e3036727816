"""Every record of every rule on real data: at the end, and before each alert, that of an independent computation."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import msgspec
import pandas as pd
import pytest

from alerts.delivery.text import body
from alerts.desk import AlertDesk
from alerts.model import Alert, Evidence, Input, State
from alerts.record import RecordCard, cards
from alerts.rules import rules
from feeds.folder import read
from processors.history import History, blocks
from processors.parameters import Parameters
from streams.calendars import xshg
from tests.charts import MadeModel
from tests.folding import EXCHANGES, oracle_data
from tests.made_market import with_made_rows
from tests.oracle import records as oracle
from tests.oracle.data import Data
from tests.texts import figures_in

P = Parameters()
CALENDAR = xshg()
NOW = datetime(2021, 4, 1, tzinfo=UTC)


@dataclass
class Run:
    """The desk after a history, every alert in its last version, and the history as the oracle has it."""

    desk: AlertDesk
    alerts: list[Alert]
    data: Data
    expected: dict[tuple[str, str], oracle.Record]


@pytest.fixture(scope="module")
def run(data_dir: Path) -> Run:
    days = with_made_rows(dict(read(data_dir, CALENDAR).by_day()))
    history, desk = History(P, EXCHANGES, CALENDAR, MadeModel()), AlertDesk(rules(P), CALENDAR)
    origin, last = Input("signals", 0, 0, 0), {}
    for block in blocks(feeds for _, feeds in sorted(days.items())):
        changes = [change for output in history.fold_block(block) for change in desk.fold(output, origin, NOW)]
        last |= {c.alert.id: c.alert for c in (*changes, *desk.update_evidence(origin, NOW))}
    alerts = [alert for alert in last.values() if alert.state is not State.SUPERSEDED]
    data = oracle_data(days)
    return Run(desk, alerts, data, oracle.records(data, P))


def of(evidence: Evidence) -> oracle.Known:
    return oracle.Known(
        evidence.cases, evidence.hits, evidence.unscored, evidence.base_cases, evidence.base_hits, evidence.episodes,
        pd.Timestamp(evidence.since),
        {h: (o.cases, o.median, o.worst) for h, o in evidence.outcomes.items()}, evidence.drawdown,
    )  # fmt: skip


def assert_equal(found: Evidence, expected: oracle.Known, what: str) -> None:
    ours = of(found)
    assert replace(ours, outcomes={}, drawdown=None) == replace(expected, outcomes={}, drawdown=None), what
    assert ours.drawdown == (None if expected.drawdown is None else pytest.approx(expected.drawdown, rel=1e-9)), what
    assert ours.outcomes.keys() == expected.outcomes.keys(), what
    for horizon, values in ours.outcomes.items():
        assert values == pytest.approx(expected.outcomes[horizon], rel=1e-9), (what, horizon)


def test_every_record_at_the_end_is_the_oracles(run: Run) -> None:
    found = {(card.rule, card.evidence.name): card for rule in rules(P) for card in cards(run.desk, rule, CALENDAR)}
    assert found.keys() == run.expected.keys()  # a record that the oracle lacks: compute it there once more
    behind = run.data.days[-1] + timedelta(days=1)
    for key, card in found.items():
        record = run.expected[key]
        assert_equal(card.evidence, oracle.known_before(record, run.data, behind), str(key))
        assert [pd.Timestamp(row.trade_date) for row in card.rows] == [day for day, _ in record.cases], key


def test_every_alert_has_the_record_that_was_known_before_it(run: Run) -> None:
    index = [(a.fired_on, a.rule, a.evidence) for a in run.alerts if a.evidence]
    sections = [(a.fired_on, s.rule, s.evidence) for a in run.alerts for s in a.sections if s.evidence]
    assert len(index) > 50 and len(sections) > 1500
    for fired_on, rule, records in (*index, *sections[::7]):
        for evidence in records:
            expected = oracle.known_before(run.expected[rule, evidence.name], run.data, pd.Timestamp(fired_on))
            assert_equal(evidence, expected, f"{rule} {evidence.name} {fired_on}")


def test_the_peak_warnings_of_2018_to_2021(run: Run) -> None:
    (rule,) = [one for one in rules(P) if one.name == "peak_warning"]
    (card,) = cards(run.desk, rule, CALENDAR)
    assert isinstance(card, RecordCard)
    assert [str(row.trade_date) for row in card.rows] == [
        "2018-02-06", "2019-03-14", "2019-04-15", "2019-12-24", "2020-02-04", "2020-03-12", "2020-07-22", "2020-08-12"
    ]  # fmt: skip
    first = card.rows[0]
    assert (str(first.entry_date), first.figure) == ("2018-02-07", pytest.approx(0.09862, abs=1e-5))
    assert first.entry == pytest.approx(3412.74, abs=0.01)  # the SSE Composite opened at 3412.74
    lives = [(a.trade_date, a.resolved_on) for a in run.alerts if a.rule == "peak_warning"]
    for begun, ended in lives:
        assert ended is not None
        assert (CALENDAR.count_before((ended - date(1970, 1, 1)).days)
                - CALENDAR.count_before((begun - date(1970, 1, 1)).days)) <= 61  # fmt: skip


def test_both_languages_of_every_notification_have_the_same_figures(run: Run) -> None:
    for alert in run.alerts:
        for one in (alert, msgspec.structs.replace(alert, state=State.FIRING)):
            english, chinese = (figures_in(body(one, language, most=100_000)) for language in ("en", "zh"))
            assert english == chinese, body(one, "both", most=100_000)


def test_no_alert_of_a_day_in_the_past_fires_for_ever(run: Run) -> None:
    newest = run.desk.lifecycle.newest
    for alert in run.alerts:
        assert alert.expires_on is not None
        if alert.state is State.RESOLVED:
            assert alert.resolved_on is not None and alert.resolved_on <= alert.expires_on
            assert alert.ended_by is not None
        else:
            assert alert.expires_on > newest

"""Prometheus metrics of a worker: signals, alerts and the stream. Base units, ratios 0–1, no label per security.

The delivery of notifications has its own in `alerts.delivery.metrics`.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from datetime import date

from prometheus_client import Counter, Gauge, Histogram

from alerts.commands import FeedRun
from alerts.model import Alert, State
from alerts.rules.base import Rule
from alerts.verdict import verdict_text
from processors.days import to_day
from processors.deadlines import DEADLINES as DAILY_FEEDS
from processors.events import INPUT_ROWS
from processors.indicators.ratio_state import RatioState
from processors.indicators.verdict import VERDICT
from processors.industries import INDUSTRIES
from processors.outputs import IndustrySignals, MarketSignal
from processors.registry import INDUSTRY_METRICS

SIGNAL = Gauge(
    "marginwatch_signal",
    "Newest value of a numeric market signal (ratios are fractions, money is CNY).",
    ["signal", "subject", "provisional"],
)
SIGNAL_DAY = Gauge(
    "marginwatch_signal_trade_date_seconds",
    "Trade date of the newest value, seconds since the epoch.",
    ["signal", "subject", "provisional"],
)
SIGNAL_DETAIL = Gauge(
    "marginwatch_signal_detail",
    "Newest value of a numeric detail of a final market signal; an index in the detail's name is the subject.",
    ["signal", "subject", "detail"],
)
STATE = Gauge("marginwatch_ratio_state", "1 for the current state, 0 for the others.", ["basis", "state"])
VERDICT_DAY = Gauge(
    "marginwatch_verdict_trade_date_seconds",
    "Trade date of the newest final verdict, seconds since the epoch; its labels are the verdict in words.",
    ["verdict", "answer", "why", "change", "answer_zh", "why_zh", "change_zh"],
)
DEGRADED = Gauge(
    "marginwatch_signal_degraded", "1 if the newest value was computed from incomplete data.", ["signal", "subject"]
)
INDUSTRY = Gauge(
    "marginwatch_industry",
    "Newest value of an industry's signal (ratios are fractions, money is CNY); no series where it is absent.",
    ["industry", "signal"],
)
INDUSTRY_DAY = Gauge(
    "marginwatch_industry_trade_date_seconds", "Trade date of the newest value, seconds since the epoch.", ["signal"]
)
IDENTITY = Gauge(
    "marginwatch_identity_breaks",
    "Figures of the newest day whose balance is not the previous balance plus buys less repayments.",
    ["topic"],
)
CLOSED = Gauge(
    "marginwatch_closed_day_seconds",
    "Newest closed trade date of a feed, seconds since the epoch.",
    ["topic", "partition"],
)
DUE = Gauge(
    "marginwatch_due_day_seconds",
    "Newest trade date that a feed should have closed by now, seconds since the epoch.",
    ["topic"],
)
DEADLINES = Counter("marginwatch_deadline_closes_total", "Days closed because their deadline passed.", ["topic"])
STATE_DISCARDED = Counter(
    "marginwatch_state_discarded_total",
    "Partitions whose stored state was deleted at a claim, to be computed again from the topics.",
    ["stage", "reason"],
)
TOPICS_LOSING = Gauge(
    "marginwatch_topic_settings_wrong", "Settings of topics that lose messages; the log of the worker names them."
)
STALLED = Gauge("marginwatch_stalled", "1 while a partition of a stage can't make progress.", ["stage", "partition"])
ALERTS = Counter("marginwatch_alerts_total", "Changes of alerts published, by kind.", ["rule", "severity", "state"])
ALERTS_FIRING = Gauge("marginwatch_alerts_firing", "Alerts that fire now.", ["rule", "severity"])
ALERTS_REFUSED = Counter(
    "marginwatch_alert_inputs_refused_total",
    "Evaluations and price levels of days that are older than what the alerts stage keeps; nothing follows from them.",
)

ROWS = Counter("marginwatch_rows_total", "Input rows folded.", ["topic"])
MESSAGES = Counter("marginwatch_messages_total", "Messages read.", ["topic"])
REPEATS = Counter("marginwatch_rows_ignored_total", "Input rows that changed nothing.", ["stage", "reason"])
IMPOSSIBLE = Counter(
    "marginwatch_impossible_figures_total", "Optional figures that no row can have, and that are absent.", ["topic"]
)
DEAD = Counter("marginwatch_dead_letters_total", "Messages refused and sent to a dead-letter topic.", ["topic"])
QUARANTINED = Counter(
    "marginwatch_quarantined_total", "Messages quarantined in a dead-letter topic because their fold failed.", ["topic"]
)
OVERFLOWED = Gauge(
    "marginwatch_join_overflowed_days",
    "Days of a topic of which no signal is computed: they, or those that they are joined with, had been deleted, as "
    "another feed is too far away.",
    ["topic"],
)
FEED_ROWS = Counter(
    "marginwatch_feed_rows_total",
    "Rows of feeds by what became of them: read, published (corrected among them), unchanged; absent against the day "
    "before.",
    ["source", "topic", "exchange", "outcome"],
)
FEED_REFUSED = Counter(
    "marginwatch_feed_refused_total", "Rows, sheets and cells of feeds that were left out.", ["source"]
)
FEED_ERRORS = Counter(
    "marginwatch_feed_errors_total", "Errors in the figures of feeds, which published nothing then.", ["source"]
)
FEED_DAY = Gauge(
    "marginwatch_feed_trade_date_seconds",
    "Newest trade date that a feed has published, seconds since the epoch.",
    ["source"],
)
OUTPUTS = Counter("marginwatch_outputs_total", "Messages published.", ["topic"])
_FAST = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
BATCH = Histogram(
    "marginwatch_batch_seconds", "Time to fold, store and publish one poll of a partition.", ["stage"], buckets=_FAST
)
AGE = Histogram(
    "marginwatch_event_age_seconds",
    "From the newest record's Kafka timestamp to its signals being acknowledged (end to end within a stage).",
    ["stage"],
    buckets=(*_FAST, 30, 60, 300),
)
LAG = Gauge("marginwatch_lag_messages", "Messages behind the end of the partition.", ["topic", "partition"])
TABLE_ROWS = Gauge("marginwatch_table_rows", "Rows of a table's partition in Redis.", ["table", "partition"])
OWNED = Gauge("marginwatch_partitions_owned", "Partitions that this worker owns.", ["table"])
REDIS_RETRIES = Counter("marginwatch_redis_retries_total", "Steps repeated because Redis did not answer.")
KAFKA_RETRIES = Counter("marginwatch_kafka_retries_total", "Steps repeated because Kafka did not answer.")
MARKET_CLOCK = Gauge(
    "marginwatch_market_clock_seconds",
    "The market's clock: the machine's, or that of a replay which has not ended, seconds since the epoch.",
)
CALENDAR_LEFT = Gauge("marginwatch_calendar_days_left", "Announced trading days left in the calendar.")
READY = Gauge("marginwatch_ready", "1 if the worker is ready (/readyz).")

_DAY_S = 86_400
_days: dict[Hashable, date] = {}  # the trade date of what is shown: it is never replaced by an older day
_details: dict[str, set[tuple[str, str, str]]] = {}  # the series of the details by name of the signal


def declare(stage: str, topics: Iterable[str]) -> None:
    """Start the counters of a stage at 0: Prometheus sees no increase in a series that begins with its first event.

    Parameters
    ----------
    topics : the short names of the topics that the stage reads.
    """
    BATCH.labels(stage)
    AGE.labels(stage)
    for topic in topics:
        MESSAGES.labels(topic)
        QUARANTINED.labels(topic)
        if topic in INPUT_ROWS:
            ROWS.labels(topic)
            IMPOSSIBLE.labels(topic)
        if not topic.endswith(".dlq"):
            DEAD.labels(topic)
        if topic in DAILY_FEEDS:
            DEADLINES.labels(topic)


def declare_rules(rules: Iterable[Rule]) -> None:
    """Start the counters of the rules in force at 0."""
    for rule in rules:
        for state in State:
            ALERTS.labels(rule.name, rule.severity.value, state.value)


def observe_signal(signal: MarketSignal) -> None:
    """Set the gauges of a market signal to its newest value; an absent value has no series."""
    final = _days.get((signal.name, False))
    if signal.provisional and final is not None and signal.trade_date <= final:
        return
    if not _is_newest((signal.name, signal.provisional), signal.trade_date):
        return
    labels = (signal.signal, signal.subject, "true" if signal.provisional else "false")
    if isinstance(signal.value, (int, float)):
        SIGNAL.labels(*labels).set(signal.value)
        SIGNAL_DAY.labels(*labels).set(to_day(signal.trade_date) * _DAY_S)
    else:
        SIGNAL.remove(*labels)
        SIGNAL_DAY.remove(*labels)
    if not signal.provisional:
        _observe_final(signal)


def _observe_final(signal: MarketSignal) -> None:
    """Set what only final values have, and remove the provisional value of the same day, or of one before."""
    provisional = _days.get((signal.name, True))
    if provisional is not None and provisional <= signal.trade_date:
        del _days[signal.name, True]
        SIGNAL.remove(signal.signal, signal.subject, "true")
        SIGNAL_DAY.remove(signal.signal, signal.subject, "true")
    if signal.signal.startswith("ratio_state"):
        for state in RatioState:
            if signal.value is None:
                STATE.remove(signal.signal, state.value)
            else:
                STATE.labels(signal.signal, state.value).set(state.value == signal.value)
    if signal.signal == VERDICT.id:
        _observe_verdict(signal)
    DEGRADED.labels(signal.signal, signal.subject).set(signal.degraded)
    _observe_details(signal)


def _is_newest(shown: Hashable, day: date) -> bool:
    """Whether no newer day is shown; then this day is the one that is shown."""
    _days[shown] = max(day, _days.get(shown, day))
    return _days[shown] == day


def _observe_details(signal: MarketSignal) -> None:
    """Set the gauges of the numeric details; a detail that is absent now has no series."""
    found: dict[tuple[str, str, str], float] = {}
    for name, value in signal.details.items():
        if isinstance(value, (int, float)) and value == value:  # no NaN
            index, _, rest = name.rpartition(" ")  # such as "000300.SH drawdown" of the bottom panel
            found[signal.signal, index or signal.subject, rest] = value
    for labels in _details.get(signal.name, set()) - found.keys():
        SIGNAL_DETAIL.remove(*labels)
    for labels, value in found.items():
        SIGNAL_DETAIL.labels(*labels).set(value)
    _details[signal.name] = set(found)


def _observe_verdict(signal: MarketSignal) -> None:
    """Replace the words of the verdict: there is one series, that of the newest."""
    text = verdict_text(signal)
    words = (text.answer, text.why, text.change)
    VERDICT_DAY.clear()
    VERDICT_DAY.labels(str(signal.value or ""), *(w.en for w in words), *(w.zh for w in words)).set(
        to_day(signal.trade_date) * _DAY_S
    )


def observe_industries(signals: IndustrySignals) -> None:
    """Set the gauges of all industries to their newest values; an absent value has no series."""
    if not _is_newest(INDUSTRY, signals.status.trade_date):
        return
    for name in INDUSTRY_METRICS:
        values = signals.columns.get(name)
        if values is None:
            continue
        for industry, value in zip(INDUSTRIES, values.tolist(), strict=True):
            if value is None or value != value:  # NaN
                INDUSTRY.remove(industry, name)
            else:
                INDUSTRY.labels(industry, name).set(value)
        INDUSTRY_DAY.labels(name).set(to_day(signals.status.trade_date) * _DAY_S)


def observe_identity(topic: str, trade_date: date, breaks: int) -> None:
    """Set the number of figures of a day that break the identity of the balance."""
    if _is_newest((IDENTITY, topic), trade_date):
        IDENTITY.labels(topic).set(breaks)


def forget_market() -> None:
    """Remove the newest values: another worker owns the market now, and old values would contradict its own."""
    for gauge in (SIGNAL, SIGNAL_DAY, SIGNAL_DETAIL, STATE, VERDICT_DAY, DEGRADED, INDUSTRY, INDUSTRY_DAY, IDENTITY):
        gauge.clear()
    _days.clear()
    _details.clear()


def observe_feed(run: FeedRun) -> None:
    """Count the rows of a run of a feed."""
    for topic, exchanges in run.rows.items():
        for exchange, counts in exchanges.items():
            for outcome, count in counts.items():
                FEED_ROWS.labels(run.source, topic, exchange, outcome).inc(count)
    FEED_REFUSED.labels(run.source).inc(run.refused)
    FEED_ERRORS.labels(run.source).inc(run.errors)
    if not run.errors:
        FEED_DAY.labels(run.source).set(to_day(run.trade_date) * _DAY_S)


def observe_alert(alert: Alert, what: str) -> None:
    """Count a change of an alert: its new state, or a command about it."""
    ALERTS.labels(alert.rule, alert.severity.value, what).inc()

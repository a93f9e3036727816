"""Tables of the site that follow from declarations: topics, settings, parameters, metrics, rules, input fields."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from prometheus_client import REGISTRY
from prometheus_client.metrics import MetricWrapperBase

import alerts.delivery.metrics
import streams.metrics
from alerts.rules import rules as built_in_rules
from docs import commands, drawing, signal_pages
from docs.markdown import code, table
from processors.events import FIGURES, INPUT_ROWS, Column, DailyRow
from processors.parameters import DEFAULTS
from processors.registry import INDUSTRY_SIGNALS, SIGNALS
from streams.settings import Settings
from streams.topics import BY_CODE, Topic, Topics

_KEYS = {
    "margin.market": "exchange",
    "rates.daily": "tenor",
    "margin.collateral": "market",
    "etf.daily": "code",
    "reference": "code",
    "features.security": "partition/day",
    "features.chart": "partition/day",
    "signals.market": "signal[/subject]/date",
    "signals.security": "date/family (a frame of all securities)",
    "signals.industry": "date (a frame of all industries)",
    "alerts": "alert id",
    "alerts.log": "alert id",
    "alerts.commands": "none",
}


def topics() -> str:
    """Return the topics with their keys, partitions and retention."""
    rows = []
    for short, topic in Topics(Settings.model_construct()).all.items():
        if Topic(short).is_dead_letters:
            continue
        key = _KEYS.get(short, "code" if short in BY_CODE else "index code")
        kept = "compacted" if topic.compacted else "`retention_days`"
        rows.append((code(topic.name), key, "`partitions`" if short in BY_CODE else "1", kept))
    return table(("topic", "key", "partitions", "keeps"), rows)


def fields() -> str:
    """Return for each input topic its figures: name, whether it may be absent, which numbers it may be."""
    sections = []
    for topic, row in INPUT_ROWS.items():
        stamp = "`trade_date`, `available_at`" if issubclass(row, DailyRow) else "`ts`"
        summary = (row.__doc__ or "").partition("\n")[0].partition(": ")[2]
        texts = [(code(name), "no", "text") for name in row.texts]
        rows = [(code(c.name), "no" if c.optional else "yes", _kind(c)) for c in FIGURES[topic]]
        sections.append(
            f"### `{topic}`\n\n{summary[:1].upper()}{summary[1:]}\n\n"
            f"Key `{row.key_field}`; every row also has {stamp}, `source` and `revision`.\n\n"
            + table(("field", "required", "values"), [*texts, *rows])
        )
    return "\n\n".join(sections)


def _kind(column: Column) -> str:
    if column.labels:
        return ", ".join(code(word) for word in column.labels)
    if column.flag:
        return "true or false"
    return "days since 1970-01-01" if column.date else f"{column.sign.value} number"


def settings() -> str:
    """Return every setting with its environment variable, default and meaning."""
    rows = []
    for name, info in Settings.model_fields.items():
        default = "[parameters](#parameters-of-the-signals)" if name == "parameters" else _default(info.default)
        rows.append((code(f"MARGINWATCH_{name.upper()}"), default, info.description or "the numbers of the signals"))
    return table(("variable", "default", "what"), rows)


def _default(value: object) -> str:
    """A default as one would write it; a secret's default is shown, for it is no secret."""
    secret = getattr(value, "get_secret_value", None)
    plain = secret() if callable(secret) else value
    if plain in (None, "", {}, ()):
        return "–"
    return code(",".join(map(str, plain)) if isinstance(plain, tuple) else plain)


def parameters() -> str:
    """Return every parameter with its default and the signals that depend on it."""
    declared = [*SIGNALS.values(), *INDUSTRY_SIGNALS.values()]
    rows = []
    for field in dataclasses.fields(DEFAULTS):
        users = [f"[`{s.id}`](../{signal_pages.path(s)})" for s in declared if field.name in s.parameters]
        value = getattr(DEFAULTS, field.name)
        rows.append((code(field.name), code(value), ", ".join(dict.fromkeys(users)) or "the folds themselves"))
    return table(("parameter", "default", "used by"), rows)


def metrics() -> str:
    """Return every metric of a worker with its labels."""
    labels = {
        metric._name: ", ".join(map(code, metric._labelnames))
        for module in (streams.metrics, alerts.delivery.metrics)
        for metric in vars(module).values()
        if isinstance(metric, MetricWrapperBase)
    }
    rows = [
        (code(f"{m.name}{'_total' if m.type == 'counter' else ''}"), m.type, labels[m.name], m.documentation)
        for m in sorted(REGISTRY.collect(), key=lambda m: m.name)
        if m.name.startswith("marginwatch_")
    ]
    return table(("metric", "type", "labels", "what"), rows)


def rules() -> str:
    """Return every built-in rule: its severity, source, and what counts as a hit in its record."""
    rows = []
    for rule in built_in_rules(DEFAULTS):
        hits = dict.fromkeys(one.definition.en for one in rule.expectations)
        hit = "; ".join(hits) or "no record: it states a fact"
        rows.append((f"[`{rule.name}`](#{rule.name})", rule.severity.value, rule.source, hit))
    return table(("rule", "severity", "source", "a hit of its record"), dict.fromkeys(rows))


#: The generated parts of hand-written pages: a page contains the comment ``<!-- name -->`` where one belongs.
PARTS: dict[str, Callable[[], str]] = {
    "topics": topics,
    "fields": fields,
    "settings": settings,
    "parameters": parameters,
    "metrics": metrics,
    "rules": rules,
    "signals": signal_pages.index,
    "commands": commands.reference,
    "one-row": drawing.svg,
}

"""How things look on a terminal: alerts, signals, status; plain text where the output is no terminal."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from alerts.delivery import text as words
from alerts.model import Alert, Severity, State
from processors.outputs import MarketSignal
from processors.registry import SIGNALS
from processors.signal import Signal

if TYPE_CHECKING:
    from alerts.delivery.log import Note
    from alerts.rules.base import Rule
    from processors.studies.result import Result
    from streams.rebuild import Comparison

_STYLE = {Severity.CRITICAL: "bold red", Severity.WARNING: "yellow", Severity.INFO: "cyan"}
out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


@contextlib.contextmanager
def progress() -> Iterator[Progress]:
    """Show how far long work is, on stderr."""
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description:24}"),
        BarColumn(),
        TextColumn("{task.completed:>5}/{task.total}"),
        TimeElapsedColumn(),
        console=err,
        transient=True,
    ) as bars:
        yield bars


def figure(value: Any, unit: str) -> str:
    """Show a value in its unit: fractions as percent, money in 亿元 (1e8 CNY)."""
    if value is None:
        return "–"
    if isinstance(value, float) and unit == "ratio":
        return f"{value * 100:.2f}%"
    if isinstance(value, float) and unit == "CNY":
        return f"{value / 1e8:,.2f} 亿元"
    return str(value)


def alert(found: Alert) -> None:
    """Print an alert as it changes state."""
    if found.state is State.FIRING:
        out.print(Text(f"● {found.severity.upper():8} {found.rule} [{found.subject}]", style=_STYLE[found.severity]))
        out.print(f"  {found.text.en}\n  {found.text.zh}")
        if found.evidence is not None:
            out.print(Text(f"  {words.evidence(found.evidence)}", style="dim"))
        out.print(Text(f"  {found.invalidation.en}  {found.invalidation.zh}", style="dim"))
    else:
        when = f" on {found.resolved_on}" if found.resolved_on else ""
        out.print(Text(f"○ {found.state}{when}: {found.rule} [{found.subject}] of {found.trade_date}", style="dim"))


def why(found: dict[str, Any]) -> None:
    """Print why an alert was raised."""
    one: Alert = found["alert"]
    alert(one)
    out.print(
        f"  id {one.id}, version {one.rule_version} of the rule, revision {one.revision}: {one.state}", markup=False
    )
    out.print(f"  figures {one.figures}, thresholds {one.thresholds}", markup=False)
    if one.evidence is not None:
        out.print(Text(f"  {words.evidence(one.evidence)}"))
    for given in found["inputs"]:
        place = f"{given['topic']}[{given['partition']}] offset {given['offset']}, revision {given['revision']}"
        out.print(Text(f"input   {place}: {given['note']}", style="bold"))
        if given["content"] is not None:
            out.print_json(data=given["content"], default=str)
    for event in found["history"]:
        said = f" by {event.by}: {event.note}" if event.by else ""
        out.print(f"{event.at:%Y-%m-%d %H:%M:%S} UTC  {event.what}{said}", markup=False)


def rule_words(rule: Rule) -> dict[str, Any]:
    """What there is to say about a rule."""
    return {
        "rule": rule.name,
        "severity": rule.severity.value,
        "version": rule.version,
        "minimum_days": rule.minimum_days,
        "cooldown_days": rule.cooldown_days,
        "source": rule.source,
        "hit": rule.expectation.definition.en if rule.expectation is not None else "",
    }


def rules(found: Iterable[Rule]) -> None:
    """Print the rules in force."""
    table = Table(box=None, pad_edge=False)
    for column in ("rule", "severity", "version", "minimum days", "cool-down", "source", "a hit is"):
        table.add_column(column)
    for rule in found:
        table.add_row(*(str(value) for value in rule_words(rule).values()))
    out.print(table)


def rehearsal(found: list[Alert]) -> None:
    """Print when rules would have fired, with the record of each as it stands at the end."""
    table = Table(box=None, pad_edge=False)
    for column in ("date", "rule", "subject", "state", "until", "record before it", "text"):
        table.add_column(column, overflow="fold" if column == "text" else "ellipsis")
    for one in found:
        record = one.evidence
        before = "" if record is None else f"{record.hits}/{record.cases}" if record.cases else "none yet"
        table.add_row(str(one.trade_date), one.rule, one.subject, one.state, str(one.resolved_on or ""), before,
                      Text(one.text.en))  # fmt: skip
    out.print(table)
    counts = Counter(one.rule for one in found)
    err.print(", ".join(f"{name}: {count}" for name, count in sorted(counts.items())) or "no rule would have fired")


def notes(found: dict[str, list[Note]]) -> None:
    """Print what was told to whom."""
    table = Table(box=None, pad_edge=False)
    for column in ("channel", "noted", "status", "alert", "state", "attempts", "due", "error"):
        table.add_column(column)
    for name, held in found.items():
        for note in held:
            due = f"{note.due:%m-%d %H:%M:%S}" if note.status == "waiting" else ""
            table.add_row(name, f"{note.written:%Y-%m-%d %H:%M:%S}", note.status,
                          f"{note.alert.rule} {note.alert.trade_date}", note.alert.state, str(note.attempts), due,
                          Text(note.error))  # fmt: skip
    out.print(table)


def market(signals: dict[str, MarketSignal]) -> None:
    """Print the market panel."""
    table = Table(title="Market", title_justify="left", box=None, pad_edge=False)
    for column in ("signal", "value", "date", "rev", "", "what"):
        table.add_column(column, justify="right" if column == "value" else "left", no_wrap=column != "what")
    for name, signal in signals.items():
        declared = SIGNALS[signal.signal]
        notes = " ".join(
            word for word, holds in (("provisional", signal.provisional), ("degraded", signal.degraded)) if holds
        )
        table.add_row(
            name,
            figure(signal.value, declared.unit),
            str(signal.trade_date),
            str(signal.revision),
            notes,
            signal.reason or declared.title_zh,
        )
    out.print(table)


def mapping(title: str, values: dict[str, Any]) -> None:
    """Print a flat mapping."""
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, show_header=False)
    for name, value in values.items():
        unit = SIGNALS[name].unit if name in SIGNALS else "CNY" if name == "fin_balance" else ""
        table.add_row(name, figure(value, unit))
    out.print(table)


def status(found: dict[str, Any]) -> None:
    """Print what `streams.status.status` found."""
    feeds = Table(title="Feeds", title_justify="left", box=None, pad_edge=False)
    for column in ("feed", "newest day", "closed", "rows"):
        feeds.add_column(column)
    for name, feed in found["feeds"].items():
        feeds.add_row(name, feed["newest"] or "nothing yet", "yes" if feed["closed"] else "open", str(feed["rows"]))
    out.print(feeds)
    absent = {name: s["reason"] for name, s in found["signals"].items() if s["value"] is None}
    out.print(f"\nSignals: {len(found['signals']) - len(absent)} known, {len(absent)} absent")
    for name, reason in absent.items():
        out.print(f"  {name}: {reason}")
    out.print(f"\nAlerts firing: {len(found['alerts_firing'])}")
    for alert_ in found["alerts_firing"]:
        out.print(f"  {alert_['severity']:8} {alert_['rule']} [{alert_['subject']}] of {alert_['trade_date']}")
    out.print("\nTables")
    for name, table in found["tables"].items():
        out.print(
            f"  {name}: {table['rows']} rows, read up to "
            + (", ".join(f"{t} {o}" for t, o in table["offsets"].items()) or "nothing")
        )
    left = found["calendar_days_left"]
    warning = "  (soon running out: extend it)" if left < 60 else ""
    out.print(f"\nTrading calendar: {left} days left{warning}")


def comparisons(found: Sequence[Comparison], *, check: bool) -> None:
    """Print what a replay said about the tables."""
    table = Table(box=None, pad_edge=False)
    for column in ("table", "messages", "rows", "different", "missing", "surplus", ""):
        table.add_column(column, justify="left" if column in ("table", "") else "right")
    for one in found:
        word = "[green]equal[/green]" if one.equal else "[red]not equal[/red]"
        counts = (one.messages, one.rows, len(one.different), len(one.missing), len(one.surplus))
        table.add_row(f"{one.table}:{one.partition}", *(f"{n:,}" for n in counts), "replaced" if one.replaced else word)
    out.print(table)
    for one in found:
        for what in ("different", "missing", "surplus"):
            names = getattr(one, what)
            if names:
                more = f" and {len(names) - 5} more" if len(names) > 5 else ""
                out.print(f"  {one.table}:{one.partition} {what}: {', '.join(names[:5])}{more}")
    if check and not all(one.equal for one in found):
        out.print("Redis does not hold what the topics say: stop the workers and run `marginwatch rebuild`")


def study(modes: list[Result], rows: list[list[str]]) -> None:
    """Print a study: figures beside the published ones, what each mode says, notes on the method."""
    first = modes[0]
    out.print()
    out.print(Text(f"{first.title} {first.source}", style="bold"))
    out.print(Text(f"{first.first} … {first.last}", style="dim"))
    table = Table(box=None, pad_edge=False)
    table.add_column("figure", min_width=30)
    for name in ("published", *(str(m.mode).replace("-", " ") for m in modes), "95% interval", "cases"):
        table.add_column(name, justify="right")
    table.add_column("note", style="dim", overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    out.print(table)
    for note in dict.fromkeys(note for m in modes for note in m.notes):
        out.print(Text(f"  · {note}", style="dim"))


def explanation(declared: Sequence[tuple[Signal, dict[str, Any]]], derived: dict[str, Any] | None) -> None:
    """Print a signal's declaration, and where a day's value comes from."""
    for signal, parameters in declared:
        out.print(f"[bold]{signal.id}[/bold]  {signal.title}  {signal.title_zh}")
        out.print(f"  of          {signal.level.value}{' (per subject)' if signal.subjects else ''}, in {signal.unit}")
        out.print(Text(f"  formula     {signal.formula}"))
        out.print(Text(f"  source      {signal.source}"))
        out.print(f"  inputs      {', '.join(signal.inputs)}")
        out.print(f"  window      {signal.window_days} trading day{'s' if signal.window_days > 1 else ''}")
        for name, value in parameters.items():
            out.print(f"  parameter   {name} = {value}")
    if derived is None:
        return
    unit = declared[0][0].unit
    out.print(f"\n{derived['trade_date']}  {derived['signal']} = [bold]{figure(derived['value'], unit)}[/bold]")
    if derived["reason"]:
        out.print(Text(f"  absent      {derived['reason']}"))
    out.print(f"  known at    {derived['available_at']:%Y-%m-%d %H:%M %Z}, revision {derived['revision']}")
    for topic, revision in derived["input_revisions"].items():
        out.print(Text(f"  of          {topic}, revision {revision}"))
    for feed, lack in derived["missing"].items():
        out.print(Text(f"  missing     {feed}: {'everything' if lack < 0 else lack}"))
    for name, value in derived["details"].items():
        out.print(Text(f"  {name:32} {value}"))
    for name, why in derived.get("left_out", {}).items():
        out.print(Text(f"  left out    {name}: {why}"))
    for topic, rows in derived.get("inputs", {}).items():
        table = Table(title=f"{topic} (as stored)", title_justify="left", box=None, pad_edge=False)
        names = list(dict.fromkeys(name for row in rows for name in row))
        for name in names:
            table.add_column(name, justify="left" if name in ("key", "trade_date") else "right")
        for row in rows:
            table.add_row(*("" if row.get(n) is None else str(row[n]) for n in names))
        out.print(table)

"""Prints values of signals, their declarations and inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from rich.text import Text

from alerts import plurals
from alerts.percents import with_sign
from alerts.verdict import early_sign, heading, verdict_text
from processors.indicators.verdict import VERDICT
from processors.industry_periods import Period
from processors.outputs import MarketSignal
from processors.parameters import Parameters
from processors.registry import SIGNALS
from processors.signal import Signal
from streams.cli.terminal import out, right, table_of

#: Keys of a need, and days of a window, that a terminal shows.
_MAX_SHOWN = 12
#: Units that are words behind a figure.
_NOUNS = ("days", "years")
#: From here on a figure is an amount of money or shares; separators make it readable.
_AMOUNT = 1e5


def figure(value: Any, unit: str) -> str:
    """Return a value in its unit: ratios in per cent, money in 亿元 (1e8 CNY), days, years; a dash for an absent one.

    Other figures have six digits; ``--json`` has all of them.

    >>> figure(-14, "days"), figure(1, "days"), figure(2.63107, "years")
    ('−14 days', '1 day', '2.63107 years')
    """
    if value is None:
        return "–"
    if unit == "flag":
        return "yes" if value else "no"
    if isinstance(value, float) and unit == "ratio":
        return with_sign(f"{value * 100:.2f}%")
    if isinstance(value, float) and unit == "CNY":
        return with_sign(f"{value / 1e8:,.2f} 亿元")
    shown = f"{value:.0f}" if isinstance(value, float) and value.is_integer() else value
    shown = f"{shown:.6g}" if isinstance(shown, float) else str(shown)
    shown = with_sign(shown) if isinstance(value, (int, float)) else shown
    return f"{shown} {unit.removesuffix('s') if abs(value) == 1 else unit}" if unit in _NOUNS else shown


def print_market(signals: dict[str, MarketSignal], parameters: Parameters, late: date | None = None) -> None:
    """Print the verdict in words, and the market panel, one line per signal.

    Parameters
    ----------
    late : the newest trade date whose verdict is due; None while it is known.
    """
    if VERDICT.id in signals:
        final = signals[VERDICT.id]
        text = verdict_text(final)
        early = early_sign(signals.get("ratio_state_daily"), final)
        asked = heading(final, late)
        for language in ("en", "zh"):
            shown = (asked, text.answer, text.why, text.change, early)
            question, answer, *others = (getattr(one, language) for one in shown if one)
            out.print(Text.assemble(f"{question}  ", (answer, "bold")))
            out.print(Text("  " + (" " if language == "en" else "").join(others)))
        out.print()
    table = table_of("signal", right("value"), "date", "rev", "", "what", title="Market")
    for name, signal in signals.items():
        declared = SIGNALS[signal.signal]
        notes = " ".join(
            label for label, applies in (("provisional", signal.provisional), ("degraded", signal.degraded)) if applies
        )
        table.add_row(
            name,
            figure(signal.value, declared.unit),
            str(signal.trade_date),
            str(signal.revision),
            notes,
            signal.reason or declared.texts(parameters).title_zh,
        )
    out.print(table)


def print_periods(periods: Sequence[Period]) -> None:
    """Print the industries of each period, the largest net buy first."""
    for period in periods:
        missing = f", nothing of {', '.join(map(str, period.missing[:_MAX_SHOWN]))}" if period.missing else ""
        title = f"{period.first} … {period.last}, {period.sessions} sessions{missing}"
        figures = ("净买入 net buy", "rank", "买入额 buys", "成交额 turnover", "买入/成交 buys/turnover", "rank")
        table = table_of("industry", *map(right, figures), title=title)
        for row in period.industries:
            table.add_row(
                row.industry,
                figure(row.net_buy, "CNY"),
                figure(row.net_buy_rank, "count"),
                figure(row.fin_buy, "CNY"),
                figure(row.turnover, "CNY"),
                figure(row.buy_to_turnover, "ratio"),
                figure(row.buy_to_turnover_rank, "count"),
            )
        out.print(table)
    if not periods:
        out.print("No day of the industries is published.")


def print_values(title: str, values: dict[str, Any], declared: Mapping[str, Signal], parameters: Parameters) -> None:
    """Print the values of one subject, one line per signal, with what it is, or the reason why it was left out.

    Parameters
    ----------
    declared : the signals of the subject's level by id; they name the units.
    """
    table = table_of("", "", "", title=title, show_header=False)
    why = values.get("left_out", {})
    for name, value in values.items():
        signal = declared.get(name)
        unit, title = (signal.unit, signal.texts(parameters).title_zh) if signal else ("", "")
        if value is not why:
            table.add_row(name, figure(value, unit), why.get(name, title))
    out.print(table)


def print_explanation(declared: Sequence[Mapping[str, Any]], derived: dict[str, Any] | None) -> None:
    """Print what a signal is, and with ``derived`` the inputs of one day's value."""
    for signal in declared:
        per_subject = " (per subject)" if signal["subjects"] else ""
        out.print(Text.assemble((signal["id"], "bold"), f"  {signal['title']}  {signal['title_zh']}"))
        out.print(f"  of          {signal['level'].value}{per_subject}, in {signal['unit']}")
        out.print(Text(f"  formula     {signal['formula']}"))
        out.print(Text(f"  source      {signal['source']}"))
        for need in signal["needs"]:
            out.print(Text(f"  needs       {need}"))
        out.print(f"  window      {plurals.counted(signal['window_days'], 'trading day')}")
        for name, value in signal["values"].items():
            out.print(f"  parameter   {name} = {value}")
    if derived is None:
        return
    unit = declared[0]["unit"]
    value = figure(derived["value"], unit)
    mark = "  (provisional)" if derived.get("provisional") else ""
    out.print(Text.assemble(f"\n{derived['trade_date']}  {derived['signal']} = ", (value, "bold"), mark))
    if derived["reason"]:
        out.print(Text(f"  absent      {derived['reason']}"))
    out.print(f"  known at    {derived['available_at']:%Y-%m-%d %H:%M %Z}, revision {derived['revision']}")
    for topic, revision in derived["input_revisions"].items():
        out.print(Text(f"  of          {topic}, revision {revision}"))
    for feed, lack in derived["missing"].items():
        out.print(Text(f"  missing     {feed}: {'everything' if lack < 0 else lack}"))
    for name, value in derived["details"].items():
        out.print(Text(f"  {name:32} {_figures(value)}"))
    for name, why in derived.get("left_out", {}).items():
        out.print(Text(f"  left out    {name}: {why}"))
    if derived.get("provisional"):
        out.print("  inputs      those of the running session, which changes them: the final value shows its own")
    elif not derived["inputs"]:
        out.print("  inputs      the figures of this day have left the state: see the export of the day's run")
    for text, figures in derived["inputs"].items():
        out.print(Text(f"\n  {text}"))
        for key, found in list(figures.items())[:_MAX_SHOWN]:
            out.print(Text(f"    {key:12} {_figures(found)}"))
        if len(figures) > _MAX_SHOWN:
            out.print(f"    … and {len(figures) - _MAX_SHOWN:,} more: --json prints all of them")


def _number(value: Any) -> str:
    """A figure as text: amounts with separators, to the hundredth; smaller figures and anything else as they are."""
    return f"{value:,.2f}" if isinstance(value, float) and abs(value) >= _AMOUNT else str(value)


def _figures(found: Any) -> str:
    """Figures as text: one, or the last ones of a window."""
    if not isinstance(found, list):
        return "unknown" if found is None else _number(found)
    shown = [_figures(one) for one in found[-_MAX_SHOWN:]]
    return f"{'… ' if len(found) > _MAX_SHOWN else ''}{', '.join(shown)}"

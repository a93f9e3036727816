"""Prints the state of the system, and how a replay of the topics compares with the tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.text import Text

from streams.cli.terminal import out, right, table_of

if TYPE_CHECKING:
    from streams.rebuild import StateComparison


def print_status(found: dict[str, Any]) -> None:
    """Print the state of the system: `streams.system_status.status` and the workers."""
    if found["replayed_to"] is not None:
        out.print(f"A replay runs: the market's clock is at {found['replayed_to']}\n")
    if found["workers"]:
        out.print(f"Workers: {', '.join(found['workers'])}\n")
        for worker, seconds in found["workers_silent_s"].items():
            out.print(
                f"{worker} hangs, or is stopped, and computes nothing: it has asked nothing of Redis for {seconds} s."
            )
            out.print("Kill it and start another one; nothing is lost.\n")
    else:
        none = "no worker is connected to Redis, so nothing is computed: start one with `marginwatch worker`"
        out.print(f"Workers: {none if found['workers'] is not None else found['workers_unknown']}\n")
    feeds = table_of("feed", "newest day", "closed", "rows", "", title="Feeds")
    for name, feed in found["feeds"].items():
        closed = "yes" if feed["closed"] else "open"
        late = Text(f"late: {feed['due']} is due", "yellow") if feed["late"] else ""
        feeds.add_row(name, feed["newest"] or "nothing yet", closed, str(feed["rows"]), late)
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
    warning = "  (later sessions are predicted: extend it)" if left < 60 else ""
    out.print(f"\nTrading calendar: {left} announced days left{warning}")


def print_comparisons(found: Sequence[StateComparison], *, check: bool) -> None:
    """Print how a replay compares with the tables in Redis."""
    table = table_of("table", *map(right, ("messages", "rows", "different", "missing", "surplus")), "")
    for one in found:
        result = Text("equal", "green") if one.equal else Text("not equal", "red")
        result = Text("replaced") if one.replaced else result
        counts = (one.messages, one.rows, len(one.different), len(one.missing), len(one.surplus))
        table.add_row(f"{one.table}:{one.partition}", *(f"{n:,}" for n in counts), result)
    out.print(table)
    for one in found:
        for what in ("different", "missing", "surplus"):
            names = getattr(one, what)
            if names:
                more = f" and {len(names) - 5} more" if len(names) > 5 else ""
                out.print(f"  {one.table}:{one.partition} {what}: {', '.join(names[:5])}{more}")
    if check and not all(one.equal for one in found):
        out.print("Redis differs from a replay of the topics: stop the workers and run `marginwatch rebuild`")

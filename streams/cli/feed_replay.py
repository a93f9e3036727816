"""`marginwatch feed replay`: real sessions as they ran, from bars and the daily figures around them."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli.options import As, Check, Force, From, Json, NoLedger, To, pace, span
from streams.form import Form

if TYPE_CHECKING:
    from feeds.files.bars import Bars
    from feeds.files.dataset import SourceTables
    from streams.settings import Settings

#: How long the stream may make no progress, and how often the command looks, in seconds.
_PATIENCE_S, _LOOK_S = 60.0, 0.01


def feed_replay(
    folder: Annotated[
        Path, typer.Argument(exists=True, file_okay=False, help="a folder as for `feed files`, with files bars<N>m_*")
    ],
    speed: Annotated[str, typer.Option(help="1× real time or faster, or max; nights pass at once")] = "60×",
    start: From = None,
    end: To = None,
    every: Annotated[
        str, typer.Option(metavar="N[m]", help="add snapshots every N minutes, interpolated within bars and indices")
    ] = "",
    as_: As = Form.FRAMES,
    check: Check = False,
    force: Force = False,
    no_ledger: NoLedger = False,
    json: Json = False,
) -> None:
    """Publish past sessions as they ran, and set the market's clock to them.

    At 08:30 the margin figures of the day before, at the end of each bar its snapshot, after the close prices and
    indices; at the end, the margin figures of the last day. What was known before the first session is published first.
    The market's clock is that of the replay until it ends: silent feeds, quiet hours and alerts follow it. Example:

        marginwatch feed replay ./session --from 2025-04-07 --to 2025-04-08 --speed 120×
    """
    from feeds.daily.replay import Replay
    from feeds.files.bars import adjusted_files, bar_files, read_bars
    from feeds.folder import read_tables, source_of
    from processors.days import to_date
    from streams.calendars import xshg
    from streams.cli.publish import PublishOptions, feed_command
    from streams.cli.terminal import err
    from streams.settings import Settings

    factor, step = pace(speed), _minutes(every)
    if factor is not None and factor < 1:
        raise typer.BadParameter("slower than the session ran: give 1× or more, or max", param_hint="--speed")
    settings = Settings()
    bars = read_bars(folder, xshg(settings.calendar_file), *span(start, end))
    bars.check_step(step)
    days = [to_date(day) for day in bars.days()]
    if not (check or no_ledger):
        _refuse_overtaken(settings, days[0], force=force)
    for note in _notes(bars, step, factor, settings.stale_after_s):
        err.print(f"  note: {note}")

    def read() -> SourceTables:
        tables = read_tables(folder)
        names = tuple(path.name for path in (*bar_files(folder), *adjusted_files(folder)))
        tables.findings = [one for one in tables.findings if not one.text.startswith(names)] + bars.findings
        return tables

    options = PublishOptions(f"replay:{source_of(folder)}", as_, check, force, no_ledger, json, factor)
    with feed_command(options) as command, _stream(settings, follow=not (check or no_ledger)) as follow:
        command.run(read, (None, days[-1]), Replay(bars, step, follow))
    if not check:
        err.print(f"replayed {len(days)} sessions ({days[0]} to {days[-1]}): {len(bars.frame):,} bars")


@contextmanager
def _stream(settings: Settings, *, follow: bool) -> Iterator[Callable[[str], None]]:
    """Return a function that waits until the stream has passed a barrier: topics have no common order otherwise.

    Without ``follow`` it does not wait.
    """
    from feeds.errors import UnavailableError
    from streams.clients import redis_client
    from streams.system_status import passed, progress

    with redis_client(settings) as client:

        def wait(barrier: str) -> None:
            before, deadline = -1, 0.0
            while not passed(settings, barrier, client):
                if (now := progress(settings, client)) != before:
                    before, deadline = now, time.monotonic() + _PATIENCE_S
                elif time.monotonic() > deadline:
                    raise UnavailableError(
                        f"the stream has processed nothing for {_PATIENCE_S:.0f} s: is a worker running? See "
                        "`marginwatch status`; then replay again from the same date. --no-ledger does not wait"
                    )
                time.sleep(_LOOK_S)

        yield wait if follow else lambda _barrier: None


def _minutes(every: str) -> int | None:
    """Return the minutes of ``--every``; None where it is not given."""
    found = re.fullmatch(r"([1-9]\d{0,2})m?", every.strip())
    if every and found is None:
        raise typer.BadParameter(f"{every!r}: expected minutes, such as 1m", param_hint="--every")
    return int(found[1]) if found else None


def _refuse_overtaken(settings: Settings, first: date, *, force: bool) -> None:
    """Raise `InputError` if the stream has figures of the first session or a later one: it would not change them."""
    from feeds.errors import InputError
    from streams.clients import redis_client
    from streams.errors import NothingYetError
    from streams.system_status import latest_market

    try:
        with redis_client(settings) as client:
            market = latest_market(settings, client)
    except NothingYetError:
        return
    newest = max((one.trade_date for one in market.values() if not one.provisional), default=date.min)
    if newest >= first and not force:
        raise InputError(
            f"the stream has figures of {newest}: a replay from {first} would change nothing. Begin later (--from), or "
            "use a namespace of its own (MARGINWATCH_GROUP, MARGINWATCH_NAMESPACE, MARGINWATCH_TOPIC_PREFIX)"
        )


def _notes(bars: Bars, step: int | None, factor: float | None, stale_after_s: float) -> list[str]:
    """Return what a reader of the replay should know."""
    notes = [
        "the folder has no margin figures of running sessions: what needs margin.intraday (fin_buy_ratio) has no "
        "provisional value"
    ]
    if step is None:
        notes.append(
            "the folder has no bars of indices: a session has their close alone, and from the second session on the "
            f"alert stale_feed fires for them; --every {bars.minutes}m adds levels interpolated from open to close, "
            "with (interpolated) in the name of their source"
        )
    pause = (step or bars.minutes) * 60 / (factor or float("inf"))
    if pause > stale_after_s:
        notes.append(
            f"a snapshot follows after {pause:.0f} s, and MARGINWATCH_STALE_AFTER_S is {stale_after_s:.0f}: the alert "
            "stale_feed fires between two of them"
        )
    return notes

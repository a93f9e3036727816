"""The command line: `marginwatch`."""

from __future__ import annotations

import os
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from pydantic import ValidationError
from redis.exceptions import RedisError
from rich.markup import escape

from alerts.commands import Acknowledge, Command, SetSilence
from alerts.model import Alert, Severity, Silence
from processors.errors import MarginwatchError
from streams import show
from streams.cli_calendar import calendar_app
from streams.cli_feed_fetch import feed_fetch
from streams.cli_feed_ledger import feed_ledger
from streams.cli_feed_live import feed_live
from streams.cli_feed_run import feed_run
from streams.cli_publish import opened_ledger, publish_checked, report_published
from streams.cli_reference import reference_app
from streams.settings import Settings

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="[bold]marginwatch[/bold]: a live monitor of margin financing (融资融券) in China's A-share "
    "market.\n\nBegin with [bold]marginwatch up[/bold]: it starts everything on this machine and "
    "feeds a simulated market. Settings come from MARGINWATCH_* and marginwatch.toml.",
)
feed_app = typer.Typer(no_args_is_help=True, help="Publish market data to Kafka.")
topics_app = typer.Typer(no_args_is_help=True, help="Create and check the topics.")
latest_app = typer.Typer(no_args_is_help=True, help="Show the newest values.")
alerts_app = typer.Typer(invoke_without_command=True, help="List alerts; acknowledge, silence, ask why.")
rules_app = typer.Typer(no_args_is_help=True, help="The rules of alerts: list them, rehearse new ones on history.")
notify_app = typer.Typer(no_args_is_help=True, help="The channels that alerts are told to.")
feed_app.command("fetch")(feed_fetch)
feed_app.command("run")(feed_run)
feed_app.command("ledger")(feed_ledger)
feed_app.command("live")(feed_live)
app.add_typer(feed_app, name="feed")
app.add_typer(topics_app, name="topics")
app.add_typer(latest_app, name="latest")
app.add_typer(alerts_app, name="alerts")
app.add_typer(rules_app, name="rules")
app.add_typer(notify_app, name="notify")
app.add_typer(calendar_app, name="calendar")
app.add_typer(reference_app, name="reference")

_DATES = ["%Y-%m-%d"]
From = Annotated[datetime | None, typer.Option("--from", formats=_DATES, help="first trade date")]
To = Annotated[datetime | None, typer.Option("--to", formats=_DATES, help="last trade date")]
Json = Annotated[bool, typer.Option("--json", help="print JSON for machines")]
Check = Annotated[
    bool, typer.Option("--check", help="show the first rows as understood and what is wrong; publish nothing")
]
Force = Annotated[bool, typer.Option("--force", help="publish in spite of errors in the figures")]
As = Annotated[str, typer.Option("--as", help="how rows travel: frames (fast) or events (one JSON each)")]
NoLedger = Annotated[
    bool,
    typer.Option("--no-ledger", help="publish without Redis: rows go out again, corrections get no new revision"),
]


def _settings() -> Settings:
    return Settings()


def _date(moment: datetime | None) -> date | None:
    return moment.date() if moment is not None else None


def _print_json(value: object) -> None:
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n")


@app.command()
def worker() -> None:
    """Run a worker: join the consumer group, fold, publish; SIGTERM ends it cleanly."""
    from streams.worker import run

    run(_settings())


@app.command()
def up(
    data: Annotated[Path | None, typer.Option(help="feed the files of this folder instead of a simulation")] = None,
    start: From = None,
    end: To = None,
    as_: As = "frames",
    broker: Annotated[
        str, typer.Option(help="embedded (nothing to install) or kafka (Apache Kafka, needs Java 17 and Maven)")
    ] = "embedded",
    until_done: Annotated[bool, typer.Option("--until-done", help="return when all that was fed is processed")] = False,
    export: Annotated[Path | None, typer.Option(help="with --until-done: write the final values here")] = None,
    state: Annotated[Path | None, typer.Option(help="keep broker and Redis data here (--broker kafka)")] = None,
) -> None:
    """Start everything on this machine (broker, Redis, worker), feed it and show what happens."""
    from streams.publisher import Form
    from streams.up import Plan, run

    if broker not in ("embedded", "kafka"):
        raise typer.BadParameter("choose embedded or kafka", param_hint="--broker")
    if export is not None and not until_done:
        raise typer.BadParameter("--export needs --until-done", param_hint="--export")
    run(Plan(data, _date(start), _date(end), Form(as_), broker, until_done, export, state), _settings())


@app.command()
def console(
    host: Annotated[
        str | None, typer.Option(help="where it listens; elsewhere than on loopback one must log in")
    ] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65535)] = None,
    simulated: Annotated[
        bool, typer.Option("--simulated", help="say on every page that the figures are simulated")
    ] = False,
) -> None:
    """Serve the console: a live web page for the desk, in Chinese and English."""
    from streams.console import run

    changes = {"console_host": host, "console_port": port}
    settings = _settings().model_copy(update={name: value for name, value in changes.items() if value is not None})
    show.err.print(f"console  http://{settings.console_host}:{settings.console_port}/   (Ctrl-C ends it)")
    run(settings, simulated=simulated)


@app.command("console-password")
def console_password(name: Annotated[str, typer.Argument(help="who may log in")]) -> None:
    """Ask for a password and print a line for the console's users file."""
    from console.access import hash_password

    if not name or ":" in name or name != name.strip():
        raise typer.BadParameter("a name without colons and without blanks around it", param_hint="NAME")
    password = typer.prompt("password", hide_input=True, confirmation_prompt=True, err=True)
    sys.stdout.write(f"{name}:{hash_password(password)}\n")


@feed_app.command("files")
def feed_files(
    folder: Annotated[Path, typer.Argument(help="a folder with margin_detail_sse_*, index_daily_* …")],
    start: From = None,
    end: To = None,
    as_: As = "frames",
    speed: Annotated[str, typer.Option(help="max, or N× real sessions (4 hours a day)")] = "max",
    no_ledger: NoLedger = False,
) -> None:
    """Publish a folder of market files (parquet or CSV), day by day, each closed by its marker.

    Run it again whenever you like: rows that are published already are not sent again, corrected ones go out with the
    next revision.
    """
    from rich.progress import track

    from feeds.folder import read
    from feeds.publish import parse_speed, publish_days
    from streams.calendars import xshg
    from streams.publisher import Form, Publisher

    try:
        pace = parse_speed(speed)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--speed") from error
    settings = _settings()
    found = read(folder, xshg(settings.calendar_file), _date(start), _date(end))
    show.err.print(f"{len(found.files)} files, {found.rows:,} rows, {len(found.days())} trading days")
    for note in found.notes:
        show.err.print(f"  note: {note}")
    with (
        opened_ledger(without=no_ledger) as ledger,
        Publisher(settings, source=found.source, form=Form(as_)) as publisher,
    ):
        publish_days(
            publisher,
            track(found.by_day(), "publishing", total=len(found.days()), console=show.err),
            ledger=ledger,
            speed=pace,
        )
        barrier = publisher.barrier()
    report_published(publisher, ledger, barrier)


@feed_app.command("exchange")
def feed_exchange(
    paths: Annotated[
        list[Path] | None, typer.Argument(help="files as published, or folders; without any, --date is fetched")
    ] = None,
    on: Annotated[
        datetime | None, typer.Option("--date", formats=_DATES, help="trade date of files that tell none; or to fetch")
    ] = None,
    before: Annotated[
        list[Path] | None, typer.Option(help="files of the day before, only to compare with; may be repeated")
    ] = None,
    check: Check = False,
    force: Force = False,
    source: Annotated[str, typer.Option(help="the name under which the figures are published")] = "exchange",
    as_: As = "frames",
    no_ledger: NoLedger = False,
) -> None:
    """Publish the exchanges' own margin files (融资融券 汇总, 明细), recognised by what they hold.

    Shanghai's workbook, Shenzhen's and Beijing's detail and totals; xls, xlsx or CSV. Without files, the figures of
    --date are fetched through akshare.
    """
    from feeds import exchange
    from streams.calendars import xshg

    day = _date(on)
    if paths:
        found = exchange.read(paths, day)
    elif day is not None:
        from feeds.fetch import fetch

        settings = _settings()
        found = fetch(day, xshg(settings.calendar_file), exchanges=settings.exchanges)
    else:
        raise typer.BadParameter("give files, or --date to fetch a day", param_hint="PATH")
    earlier = exchange.read(before) if before else None
    publish_checked(found, source=source, as_=as_, check=check, force=force, before=earlier, no_ledger=no_ledger)


@feed_app.command("vendor")
def feed_vendor(
    paths: Annotated[list[Path], typer.Argument(help="CSV or parquet files, or folders of them")],
    map_: Annotated[Path | None, typer.Option("--map", help="a mapping file; see deploy/mapping.example.toml")] = None,
    start: From = None,
    end: To = None,
    check: Check = False,
    force: Force = False,
    source: Annotated[str, typer.Option(help="the name under which the figures are published")] = "vendor",
    as_: As = "frames",
    no_ledger: NoLedger = False,
) -> None:
    """Publish files of a data vendor: tushare tables, CSV with Chinese headers, anything else by a mapping file."""
    from feeds import mapping, vendor

    found = vendor.read(paths, mapping.load(map_) if map_ is not None else None)
    dates = (_date(start), _date(end))
    publish_checked(
        found,
        source=source,
        as_=as_,
        check=check,
        force=force,
        dates=dates,
        ranked=map_ is not None,
        no_ledger=no_ledger,
    )


@feed_app.command("simulate")
def feed_simulate(
    days: Annotated[int, typer.Option(min=30, help="trading days of history")] = 300,
    stocks: Annotated[int, typer.Option(min=20, help="stocks in the margin list")] = 400,
    seed: Annotated[int, typer.Option(help="the same seed gives the same market")] = 7,
    end: To = None,
    as_: As = "frames",
    session: Annotated[bool, typer.Option(help="go on with a running session")] = True,
    speed: Annotated[str, typer.Option(help="of the running session: max, or N× real time")] = "600×",
) -> None:
    """Publish a SIMULATED market with known episodes: a hot phase, a breakdown, a cold spell, extremes."""
    from rich.progress import track

    from feeds import simulate
    from feeds.publish import parse_speed, publish_days, publish_session
    from processors.days import to_day
    from streams.calendars import xshg
    from streams.publisher import Form, Publisher

    try:
        pace = parse_speed(speed)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--speed") from error
    calendar = xshg(_settings().calendar_file)
    wanted = _date(end)
    last = (
        simulate.last_session(calendar, to_day(datetime.now().astimezone().date()))
        if wanted is None
        else simulate.last_session(calendar, to_day(wanted) + 1)
    )
    market = simulate.Market(simulate.Simulation(calendar, last, days=days, stocks=stocks, seed=seed))
    with Publisher(_settings(), source=simulate.SOURCE, form=Form(as_)) as publisher:
        publish_days(publisher, track(market.history(), "publishing (simulated)", total=days, console=show.err))
        following = calendar.shift(last, 1)
        if session and following is not None:
            publish_session(
                publisher,
                track(list(market.session(following, ratio=0.091)), "running session (simulated)", console=show.err),
                speed=pace,
            )
        barrier = publisher.barrier()
    show.err.print(f"published {publisher.rows:,} simulated rows in {publisher.messages:,} messages; barrier {barrier}")


@topics_app.command("create")
def topics_create() -> None:
    """Create the topics that are missing, with partitions, retention and compaction."""
    from streams.topics import Topics

    created = Topics(_settings()).create()
    for name in created:
        show.out.print(f"created {name}")
    show.err.print(f"{len(created)} topics created" if created else "all topics exist already")


@topics_app.command("check")
def topics_check() -> None:
    """Compare the cluster's topics with what the system needs; exit code 1 if anything is wrong."""
    from streams.topics import Topics

    problems = Topics(_settings()).problems()
    for problem in problems:
        show.out.print(problem)
    if problems:
        raise typer.Exit(1)
    show.out.print("all topics are as they should be")


@latest_app.command("market")
def latest_market(as_json: Json = False) -> None:
    """The newest value of every market signal."""
    from streams.status import latest_market as newest

    found = newest(_settings())
    if as_json:
        _print_json(found)
    else:
        show.market(found)


@latest_app.command("security")
def latest_security(code: Annotated[str, typer.Argument(help="e.g. 600519.SH")], as_json: Json = False) -> None:
    """The newest values of one security."""
    from streams.status import latest_security as newest
    from streams.status import name_of

    found = newest(_settings(), code)
    if as_json:
        _print_json(found)
    else:
        show.mapping(f"{code} {name_of(_settings(), code)}".rstrip(), found)


@latest_app.command("industry")
def latest_industry(
    name: Annotated[str, typer.Argument(help="Shenwan level-1 industry, e.g. 银行")], as_json: Json = False
) -> None:
    """The newest values of one industry."""
    from streams.status import latest_industry as newest

    found = newest(_settings(), name)
    if as_json:
        _print_json(found)
    else:
        show.mapping(name, found)


@alerts_app.callback()
def alerts(
    context: typer.Context,
    start: From = None,
    end: To = None,
    follow: Annotated[bool, typer.Option("--follow", help="go on with what comes; Ctrl-C ends")] = False,
    as_json: Json = False,
) -> None:
    """List alerts by trade date, each in its last state; with --follow every change as it happens."""
    if context.invoked_subcommand is not None:
        return
    from streams import readers
    from streams.export import final_alerts

    settings = _settings()
    low, high = _date(start) or date.min, _date(end) or date.max

    def shown(found: Alert) -> None:
        if low <= found.trade_date <= high:
            if as_json:
                sys.stdout.write(msgspec.json.encode(found).decode() + "\n")
                sys.stdout.flush()
            else:
                show.alert(found)

    if follow:
        for found in readers.alerts(settings):
            shown(found)
    for found in final_alerts(readers.alerts(settings, stop=lambda: True)):
        shown(found)


def _somebody() -> str:
    return os.environ.get("USER", "") or "unknown"


By = Annotated[str, typer.Option(help="who says so", default_factory=_somebody, show_default="you")]
Note = Annotated[str, typer.Option(help="a word for the others")]


def _say(command: Command) -> None:
    from streams.publisher import Publisher
    from streams.topics import ALERT_COMMANDS

    with Publisher(_settings(), source="command line") as publisher:
        publisher.raw(ALERT_COMMANDS, msgspec.json.encode(command), partition=0)


@alerts_app.command("ack")
def alerts_ack(
    alert: Annotated[str, typer.Argument(help="the alert's id")],
    by: By,
    note: Note = "",
    withdraw: Annotated[bool, typer.Option("--withdraw", help="take an acknowledgement back")] = False,
) -> None:
    """Acknowledge an alert: everybody sees who has it in hand; restarts forget nothing."""
    _say(Acknowledge(alert=alert, by=by, at=datetime.now(UTC), note=note, withdraw=withdraw))
    show.err.print("withdrawn" if withdraw else "acknowledged")


@alerts_app.command("silence")
def alerts_silence(
    by: By,
    hours: Annotated[float, typer.Option(min=0, help="for how long; 0 ends the silence of the same matchers")] = 8,
    rule: Annotated[str, typer.Option(help="only this rule")] = "",
    subject: Annotated[str, typer.Option(help="only this subject")] = "",
    severity: Annotated[Severity | None, typer.Option(help="only this severity")] = None,
    alert: Annotated[str, typer.Option(help="only this alert's id")] = "",
    note: Note = "",
) -> None:
    """Hold back notifications of what matches; what still stands when the silence is over is told then."""
    if not (rule or subject or severity or alert):
        raise typer.BadParameter("give at least one of --rule, --subject, --severity, --alert")
    now = datetime.now(UTC)
    identity = "/".join((rule or "*", subject or "*", severity.value if severity else "*", alert or "*"))
    silence = Silence(id=identity, until=now + timedelta(hours=hours), by=by, note=note, rule=rule, subject=subject,
                      severity=severity, alert=alert)  # fmt: skip
    _say(SetSilence(silence=silence, at=now))
    show.err.print(f"silence {identity} until {silence.until:%Y-%m-%d %H:%M} UTC" if hours else f"{identity} is ended")


@alerts_app.command("why")
def alerts_why(
    alert: Annotated[str, typer.Argument(help="the alert's id, or its beginning")], as_json: Json = False
) -> None:
    """Why an alert was raised: its inputs (topics, offsets, revisions), the rule once more on them, every change."""
    from streams.why import why

    found = why(_settings(), alert)
    if as_json:
        _print_json(found)
    else:
        show.why(found)


@rules_app.command("list")
def rules_list(as_json: Json = False) -> None:
    """List every rule in force: severity, durations, source, what counts as a hit."""
    found = _settings().rules()
    if as_json:
        _print_json([show.rule_words(one) for one in found])
    else:
        show.rules(found)


@rules_app.command("test")
def rules_test(
    file: Annotated[Path, typer.Argument(help="a TOML file of rules, see alerts/rules/custom.py")],
    data: Annotated[Path, typer.Option(help="a folder of market files, as for `feed files`")],
    start: From = None,
    end: To = None,
    only: Annotated[list[str] | None, typer.Option("--rule", help="only these rules; may be repeated")] = None,
    as_json: Json = False,
) -> None:
    """Replay history through rules before they go live: when would they have fired, and what followed?"""
    from alerts.rules import RULES
    from alerts.rules.custom import load
    from streams.rehearsal import rehearse

    rules = load(file, RULES)
    with show.progress() as progress:
        task = progress.add_task("folding the history", total=None)
        found = rehearse(
            rules, data, _settings(), _date(start), _date(end),
            lambda done, total: progress.update(task, completed=done, total=total),
        )  # fmt: skip
    found = [a for a in found if not only or a.rule in only]
    if as_json:
        _print_json(found)
    else:
        show.rehearsal(found)


@notify_app.command("test")
def notify_test(
    channels: Annotated[list[str] | None, typer.Argument(help="names of channels; all if none is given")] = None,
) -> None:
    """Send a test message through the channels; exit code 1 if one fails."""
    from streams.notify import send_test

    settings = _settings()
    if not settings.channels:
        raise MarginwatchError("no channel is set: write [channels.NAME] tables into marginwatch.toml, see the README")
    results = send_test(settings, channels or list(settings.channels))
    for name, error in results.items():
        show.out.print(f"{name}: {'sent' if not error else f'failed: {error}'}", markup=False)
    if any(results.values()):
        raise typer.Exit(1)


@notify_app.command("log")
def notify_log(
    waiting: Annotated[bool, typer.Option("--waiting", help="only what has not been told yet")] = False,
    as_json: Json = False,
) -> None:
    """What was told to which channel, and what waits, with the reason."""
    from streams.notify import told

    found = {
        name: [n for n in notes if not waiting or n.status == "waiting"] for name, notes in told(_settings()).items()
    }
    if as_json:
        _print_json(found)
    else:
        show.notes(found)


@app.command()
def status(as_json: Json = False) -> None:
    """How the system stands: feeds, absent signals with their reasons, alerts, tables, calendar."""
    from streams.status import status as standing

    found = standing(_settings())
    if as_json:
        _print_json(found)
    else:
        show.status(found)


@app.command()
def explain(
    signal: Annotated[str, typer.Argument(metavar="ID", help="e.g. fin_buy_ratio_5d; the README lists all of them")],
    on: Annotated[
        datetime | None, typer.Option("--date", formats=_DATES, help="show where this day's value comes from")
    ] = None,
    of: Annotated[str | None, typer.Option(help="a code, an industry, or the subject of a market signal")] = None,
    as_json: Json = False,
) -> None:
    """What a signal is: formula, source, inputs, parameters; with --date the numbers that its value was made of."""
    from streams.explain import declaration, derivation

    settings = _settings()
    declared = declaration(settings, signal)
    derived = derivation(settings, signal, on.date(), of) if on is not None else None
    if as_json:
        _print_json({"declared": [{**msgspec.to_builtins(s), "values": v} for s, v in declared], "derived": derived})
    else:
        show.explanation(declared, derived)


@app.command()
def study(
    name: Annotated[
        str, typer.Argument(help="ratio, excess, streaks, extremes, divergence, rotation, factor, timing, or all")
    ],
    data: Annotated[Path, typer.Option(help="a folder of market files, as for `feed files`")],
    start: From = None,
    end: To = None,
    as_source: Annotated[
        bool, typer.Option("--as-source", help="act at the close of the day that a figure is about, as the reports did")
    ] = False,
    point_in_time: Annotated[
        bool, typer.Option("--point-in-time", help="act at the first open or close after a figure was published")
    ] = False,
    factors: Annotated[
        Path | None, typer.Option(help="for factor: CSV or parquet with date, MKT, SMB, HML, RMW, CMA (fractions)")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="write CSV, JSON and PNG files here")] = None,
    report: Annotated[Path | None, typer.Option(help="write one self-contained HTML page")] = None,
    as_json: Json = False,
) -> None:
    """Check a signal against the published tables, on your data; without a mode both, so that the difference shows.

    The history is folded by the processors of the stream: what a study sees is what the stream publishes.
    """
    from streams.studies import load

    study_run = load()
    modes = study_run.modes(as_source=as_source, point_in_time=point_in_time)
    plan = study_run.Plan(data, study_run.names(name), modes, _date(start), _date(end), factors)
    with show.progress() as progress:
        task = progress.add_task("folding the history", total=None)
        found = study_run.panel(
            plan, _settings(), lambda done, total: progress.update(task, completed=done, total=total)
        )
    results = study_run.run(plan, found)
    if as_json:
        _print_json(results)
    else:
        for one in results:
            show.study(one, study_run.finding_rows(one))
        for note in found.notes:
            show.err.print(f"note: {note}")
    if out is not None:
        show.err.print(f"{len(study_run.write(results, out))} files in {out}")
    if report is not None:
        report.write_text(study_run.report(results, plan, found.notes), "utf-8")
        show.err.print(f"report: {report}")


@app.command()
def rebuild(
    table: Annotated[list[str] | None, typer.Option(help="securities, market or alerts; may be repeated")] = None,
    check: Annotated[
        bool, typer.Option("--check", help="only compare, also while workers run; exit code 1 if not equal")
    ] = False,
    as_json: Json = False,
) -> None:
    """Replay the topics into fresh tables and compare them with Redis; replace what differs.

    Every row follows from the messages before the offsets that stand beside it, so the replay must give the same bytes.
    Stop the workers before tables are replaced. If Redis was emptied, all tables are made anew and signals and alerts
    are published again under their old ids.
    """
    from streams.rebuild import describe
    from streams.rebuild import rebuild as replay

    with show.progress() as progress:
        tasks: dict[str, Any] = {}

        def tell(name: str, done: int, total: int) -> None:
            if name not in tasks:
                tasks[name] = progress.add_task(name, total=total)
            progress.update(tasks[name], completed=done, total=total)

        found = replay(_settings(), table or (), check=check, on_progress=tell)
    if as_json:
        _print_json([describe(one) for one in found])
    else:
        show.comparisons(found, check=check)
    if check and not all(one.equal for one in found):
        raise typer.Exit(1)


def main() -> None:
    """Run the command line; expected errors are one line on stderr, exit code 1."""
    try:
        app()
    except MarginwatchError as error:
        show.err.print(f"[bold red]error[/bold red] {escape(str(error))}", markup=True)
        sys.exit(1)
    except RedisError as error:
        show.err.print(
            f"[bold red]error[/bold red] Redis: {error}: start one, set MARGINWATCH_REDIS_URL, or use `marginwatch up`"
        )
        sys.exit(1)
    except ValidationError as error:
        show.err.print("[bold red]error[/bold red] settings:")
        for problem in error.errors():
            show.err.print(f"  {'.'.join(map(str, problem['loc']))}: {problem['msg']}")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)

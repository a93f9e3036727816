"""The command line: help, version, and the end of every command after a wrong argument."""

from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
from redis.exceptions import AuthenticationError, OutOfMemoryError
from redis.exceptions import ConnectionError as RedisConnectionError
from typer import Context
from typer.main import get_command
from typer.testing import CliRunner, Result

import streams
from alerts.model import State
from console.access import verify
from feeds.web import sources
from processors.studies import STUDIES
from streams.cli.errors import print_error
from streams.cli.main import COMMANDS, app
from streams.cli.options import TableName, Via
from streams.local.local_service import free_port
from streams.stages.registry import STAGES
from streams.studies.names import StudyName
from tests.test_notification_history import alert

ID = "0123456789abcdef"
DAY = "2024-06-11"


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments), env={"COLUMNS": "300"})


def plain(result: Result) -> str:
    """The output without the frame around it."""
    return " ".join(result.output.replace("│", " ").split())


def paths(group: Any, before: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every command and group, by its words."""
    for name in group.list_commands(Context(group)):
        _, command, _ = group.resolve_command(Context(group), [name])
        yield (*before, name)
        if hasattr(command, "list_commands"):
            yield from paths(command, (*before, name))


ALL = list(paths(get_command(app)))


def test_every_command_of_every_group_is_here() -> None:
    assert {words[0] for words in ALL} == set(COMMANDS)
    assert {("feed", "fetch"), ("feed", "files"), ("alerts", "why"), ("reference", "load"), ("worker",)} <= set(ALL)
    assert len(ALL) >= 36


@pytest.mark.parametrize("words", ALL, ids=" ".join)
@pytest.mark.parametrize("option", ["-h", "--help"])
def test_every_command_explains_itself(words: tuple[str, ...], option: str) -> None:
    result = call(*words, option)
    assert result.exit_code == 0
    assert f"{' '.join(words)} [OPTIONS]" in plain(result)
    assert "Show this message and exit" in result.output
    assert "completion" not in result.output  # an option of the program, not of each command


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_help_breaks_prose_where_the_terminal_does_and_fits_80_columns(words: tuple[str, ...]) -> None:
    command = COMMANDS[words[0]].load(words[0])
    for word in words[1:]:
        command = command.commands[word]
    first, *others = command.help.split("\n\n")
    for paragraph in others:
        lines = paragraph.splitlines()
        assert len(lines) == 1 or all(line.startswith("    ") for line in lines), paragraph
        shown = [line.replace("\\[", "[") for line in lines if line.startswith("    ")]
        assert all(len(line) < 80 or "marginwatch" in line or line.count(",") > 4 for line in shown), paragraph
    assert "\n" not in first


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_every_command_refuses_an_unknown_option(words: tuple[str, ...]) -> None:
    result = call(*words, "--no-such-option")
    assert result.exit_code == 2
    assert "No such option: --no-such-option" in plain(result)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("nosuch",), "No such command 'nosuch'"),
        (("alert",), "Did you mean 'alerts'"),
        (("feed", "file"), "Did you mean 'files'"),
        (("up", "--as", "foo"), "'foo' is not one of 'frames', 'events'"),
        (("up", "--broker", "foo"), "'foo' is not one of 'embedded', 'kafka'"),
        (("up", "--data", "/nosuch"), "'--data': dir '/nosuch' does not exist"),
        (("up", "--from", "June"), "'--from': 'June' is no date: write YYYY-MM-DD"),
        (("up", "--to", "2020-06-31"), "'--to': '2020-06-31' is no date: write YYYY-MM-DD"),
        (("up", "--from", "2024-06-12", "--to", DAY), "--from: 2024-06-12 is later than --to 2024-06-11"),
        (("up", "--export", "x"), "--export needs --until-done"),
        (("up", "--from", DAY), "a simulation has its own dates: give --data"),
        (("up", "--to", DAY), "a simulation has its own dates: give --data"),
        (("up", "--state", "state"), "the embedded broker keeps nothing: give --broker kafka"),
        (("up", "--notify"), "sent to nobody: give --data"),
        (("console", "--port", "0"), "'--port': Input should be greater than or equal to 1"),
        (("console-password", "a:b"), "a name without colons"),
        (("console-password", "a\nb"), "a name without colons, line breaks and blanks"),
        (("console-password", "wei"), "standard input has no password"),
        (("feed", "files", "/nosuch"), "dir '/nosuch' does not exist"),
        (("feed", "files", ".", "--as", "foo"), "'foo' is not one of 'frames', 'events'"),
        (("feed", "files", ".", "--speed", "fast"), "expected `max` or a positive factor"),
        (("feed", "exchange"), "give files, or --date"),
        (("feed", "exchange", "--as", "foo", "x"), "'foo' is not one of 'frames', 'events'"),
        (("feed", "vendor"), "Missing argument"),
        (("feed", "vendor", ".", "--as", "foo"), "'foo' is not one of 'frames', 'events'"),
        (("feed", "simulate", "--as", "foo"), "'foo' is not one of 'frames', 'events'"),
        (("feed", "simulate", "--speed", "0"), "expected `max` or a positive factor"),
        (("feed", "simulate", "--days", "3"), "'--days': Input should be greater than or equal to 30"),
        (("feed", "fetch"), "Missing option '--from'"),
        (("feed", "fetch", "--from", DAY, "--via", "wind"), "'wind' is not one of 'akshare', 'tushare'"),
        (("feed", "fetch", "--from", DAY, "--as", "foo"), "'foo' is not one of 'frames', 'events'"),
        (("feed", "fetch", "--from", DAY, "--tables", "foo"), "choose from margin, prices, indices"),
        (("feed", "fetch", "--from", DAY, "--to", "2024-06-03"), "--from: 2024-06-11 is later than --to 2024-06-03"),
        (("feed", "fetch", "--from", "2024-06-08"), "no trading day from 2024-06-08"),
        (("feed", "run"), "Missing argument"),
        (("feed", "live"), "give --snapshots, --positions-folder, --positions-stream or --positions-webhook"),
        (("feed", "live", "--snapshots", "x.csv"), "needs --map"),
        (("reference", "load"), "Missing argument"),
        (("reference", "load", "x.csv", "--as", "foo"), "'foo' is not one of 'frames', 'events'"),
        (("latest", "security"), "Missing argument"),
        (("latest", "industry", "Banks"), "'Banks' is not one of 农林牧渔"),
        (("alerts", "--from", "June"), "'--from': 'June' is no date: write YYYY-MM-DD"),
        (("alerts", "--from", "2024-06-12", "--to", DAY), "2024-06-12 is later than --to 2024-06-11"),
        (("alerts", "--state", "burning"), "'burning' is not one of 'pending', 'firing', 'resolved', 'superseded'"),
        (("alerts", "--rule", "foo"), "there is no rule 'foo': balance_new_high"),
        (("alerts", "--follow", "--limit", "5"), "leave --limit out"),
        (("alerts", "--json", "record", "peak_warning"), "--json: it chooses from the list of alerts: `alerts record`"),
        (("alerts", "--limit", "5", "ack", ID), "--limit: it chooses from the list of alerts: `alerts ack`"),
        (("alerts", "--from", DAY, "why", ID), "--from: it chooses from the list of alerts: `alerts why`"),
        (("alerts", "ack"), "Missing argument"),
        (("alerts", "ack", ID, "--by", " "), "give the name that others see"),
        (("alerts", "silence"), "at least one of --rule, --subject, --severity, --alert"),
        (("alerts", "silence", "--severity", "foo"), "'foo' is not one of 'info', 'warning', 'critical'"),
        (("alerts", "silence", "--rule", "foo"), "there is no rule 'foo': balance_new_high"),
        (("alerts", "silence", "--rule", "fin_streak"), "fin_streak is a section of securities_digest"),
        (
            ("alerts", "silence", "--alert", ID, "--hours", "-1"),
            "'--hours': Input should be greater than or equal to 0",
        ),
        (("alerts", "why"), "Missing argument"),
        (("rules", "test", "/nosuch", "--data", "."), "file '/nosuch' does not exist"),
        (("rules", "test", "pyproject.toml", "--data", "/nosuch"), "dir '/nosuch' does not exist"),
        (("notify", "test", "pager"), "pager: not one of the channels desk"),
        (("explain", "fin_foo"), "there is no signal 'fin_foo': did you mean"),
        (("study", "foo", "--data", "."), "'foo' is not one of 'ratio', 'peak', 'bottom'"),
        (("study", "ratio"), "Missing option '--data'"),
        (("study", "ratio", "--data", "/nosuch"), "dir '/nosuch' does not exist"),
        (("rebuild", "--table", "foo"), "'foo' is not one of 'securities', 'charts', 'market', 'alerts'"),
        (("calendar", "check", "--year", "soon"), "'--year': Input should be a valid integer"),
        (("calendar", "check", "--year", "0"), "'--year': Input should be greater than or equal to 1"),
        (("calendar", "check", "--year", "99999999"), "'--year': Input should be less than or equal to 9999"),
        (("dlq", "show", "margin.daily", "0", "17/"), "'17/' is no offset: expected are 17, 17/3 for a row"),
        (("dlq", "retry", "margin.daily", "0", "x"), "'x' is no offset"),
        (("dlq", "skip", "margin.daily", "0", "17/3/1"), "'17/3/1' is no offset"),
        (("dlq", "skip", "margin.daily", "0", "17-"), "'17-' is no offset"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_a_wrong_argument_ends_with_exit_code_2_and_names_the_choices(
    monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], expected: str
) -> None:
    monkeypatch.setenv("MARGINWATCH_CHANNELS", '{"desk": {"kind": "webhook", "url": "http://127.0.0.1:9/"}}')
    result = call(*arguments)
    assert result.exit_code == 2, result.output
    assert expected in plain(result)
    assert "Traceback" not in result.output


def test_a_rehearsal_refuses_a_rule_that_is_not_in_the_file(tmp_path: Path) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text("")
    result = call("rules", "test", str(rules), "--data", str(tmp_path), "--rule", "foo")
    assert result.exit_code == 2
    _, _, names = plain(result).partition("foo: not one of ")
    assert "fin_streak" in names
    assert names.count("data_quality") == 1  # several rules have this name


def test_a_year_without_sessions_is_wrong() -> None:
    result = call("calendar", "check", "--year", "2100")
    assert result.exit_code == 1
    assert "WRONG 2100 has no sessions" in plain(result)
    assert "MARGINWATCH_CALENDAR_FILE" in plain(result)


def test_choices_are_those_of_the_code_behind_them() -> None:
    assert [*TableName] == [stage.name for stage in STAGES]
    assert [*StudyName] == [*STUDIES, "all"]
    assert tuple(Via) == get_args(sources.Via)


def test_the_version_is_stated_once() -> None:
    result = call("--version")
    assert result.exit_code == 0
    assert result.output == f"marginwatch {streams.__version__}\n"
    assert importlib.metadata.version("marginwatch") == streams.__version__


def test_help_imports_no_command() -> None:
    code = "import sys, streams.cli.main; print(*sorted(m for m in sys.modules if m.startswith('streams.cli.')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["streams.cli.main"]
    before = os.times()
    subprocess.run([sys.executable, "-m", "streams", "--help"], capture_output=True, check=True)
    after = os.times()
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    assert spent < 1.0  # seconds of CPU, whatever else the machine does; 0.2 as a rule


def test_the_log_of_notifications_says_that_no_channel_is_set() -> None:
    result = call("notify", "log", "--json")
    assert result.exit_code == 0
    assert result.stdout.strip() == "{}"
    assert "no channel is set: write [channels.NAME] tables into marginwatch.toml" in plain(result)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"MARGINWATCH_PARTITIONS": "0"}, "error settings: MARGINWATCH_PARTITIONS: Input should be greater than"),
        ({"MARGINWATCH_HTTP_PORT": "99999"}, "error settings: MARGINWATCH_HTTP_PORT: Input should be less than"),
        ({"MARGINWATCH_RULES_FILE": "/nosuch"}, "error MARGINWATCH_RULES_FILE names /nosuch, which is no file:"),
        ({"MARGINWATCH_REDIS_URL": "redis://127.0.0.1:9/0"}, "refused: start one, set MARGINWATCH_REDIS_URL"),
        ({"MARGINWATCH_CALENDAR_FILE": "/nosuch"}, "error"),
    ],
)
def test_an_error_that_the_user_can_remove_is_a_message_and_exit_code_1(
    environment: dict[str, str], expected: str, tmp_path: Path
) -> None:
    commands = {"MARGINWATCH_CALENDAR_FILE": ["calendar", "check"], "MARGINWATCH_RULES_FILE": ["rules", "list"]}
    (command,) = (commands.get(name, ["status"]) for name in environment)
    done = subprocess.run(
        [sys.executable, "-m", "streams", *command],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(Path(streams.__file__).parents[1]), "COLUMNS": "300"} | environment,
        cwd=tmp_path,
    )
    assert done.returncode == 1
    assert expected in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (
            OutOfMemoryError("used memory > 'maxmemory'."),
            "Redis refuses the command: used memory > 'maxmemory': check its",
        ),
        (
            AuthenticationError("WRONGPASS"),
            "Redis refuses the command: WRONGPASS: check its memory and disk, and the user",
        ),
        (RedisConnectionError("refused"), "Redis: refused: start one"),
    ],
)
def test_the_remedy_for_a_redis_that_refuses_is_not_to_start_one(
    error: Exception, shown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert print_error(error)
    assert shown in capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "event", "says"),
    [
        (["worker"], "ended by an error", "no Kafka broker answers"),
        (["feed", "run", "plan.toml"], "ended by an error", "plan.toml"),
        (["worker"], "ended by a defect: report it", "ZeroDivisionError"),
    ],
)
def test_where_the_log_is_json_so_is_the_reason_why_a_service_ends(
    command: list[str], event: str, says: str, tmp_path: Path
) -> None:
    defect = "import streams.worker as w\ndef fail(_): 1 / 0\nw.require_broker = fail\n" if "defect" in event else ""
    program = f"{defect}import streams.clients as c\nc.BOOTSTRAP_MS = 500\nfrom streams.cli.main import main\nmain()"
    variables = {
        "MARGINWATCH_LOG_FORMAT": "json",
        "MARGINWATCH_KAFKA_URL": f"kafka://127.0.0.1:{free_port()}",
        "MARGINWATCH_HTTP_PORT": "0",
        "PYTHONPATH": str(Path(__file__).resolve().parents[1]),
    }
    done = subprocess.run(
        [sys.executable, "-c", program, *command],
        cwd=tmp_path,
        env=os.environ | variables,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert lines[-1]["event"] == event
    assert says in lines[-1].get("error", "") + lines[-1].get("exception", "")


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", "<&- >&- 2>&-"])
def test_a_stream_that_is_closed_is_no_fault(closed: str) -> None:
    command = f"{sys.executable} -m streams calendar check {closed}"
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True)
    assert done.returncode == 0
    assert done.stderr == ""
    assert ("announced" in done.stdout) is (closed in ("2>&-", "<&-"))


def test_up_refuses_a_folder_without_market_files_before_it_starts_anything(tmp_path: Path) -> None:
    (tmp_path / "notes.csv").write_text("a,b\n1,2\n", "utf-8")
    result = call("up", "--data", str(tmp_path))
    assert "has no file with a known name: expected prices_a_" in str(result.exception)
    assert "Starting" not in plain(result)


def test_a_note_that_is_not_utf_8_is_an_error_with_its_remedy(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UnicodeEncodeError) as raised:
        msgspec.json.encode(os.fsdecode(b"wei\xc8"))
    assert print_error(raised.value)
    assert "'wei\\udcc8' is not UTF-8: write it in a terminal" in capsys.readouterr().err


def test_a_password_without_a_terminal_is_the_first_line_of_standard_input() -> None:
    result = CliRunner().invoke(app, ["console-password", "wei"], input="秘密\n")
    name, _, stored = result.stdout.rstrip("\n").partition(":")
    assert (name, result.exit_code) == ("wei", 0)
    assert verify("秘密", stored)
    assert not verify("秘密\n", stored)


def test_an_alert_that_was_withdrawn_is_not_acknowledged_in_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    withdrawn = alert(State.SUPERSEDED)
    monkeypatch.setattr("streams.alert_provenance.alert_of", lambda *_: withdrawn)
    result = call("alerts", "ack", withdrawn.id, "--by", "li")
    assert result.exit_code == 2
    assert f"{withdrawn.id} is superseded: acknowledge the alert that replaced it" in result.output

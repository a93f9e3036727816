"""The command line as a user meets it: one command for everything, an export, and clear errors."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from tests.harness import wait_until


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "streams", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ | environment,
    )


def test_up_until_done_runs_the_main_job_and_leaves_the_tables(tmp_path: Path, data_dir: Path) -> None:
    done = run("up", "--data", str(data_dir), "--from", "2018-01-02", "--to", "2018-02-28", "--until-done",
               "--export", str(tmp_path / "out"), "--workers", "2")  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stderr.count("  worker   http://") == 2
    market = pd.read_parquet(tmp_path / "out" / "market.parquet")
    assert market.index[market["ratio_state"] == "BREAKDOWN"].tolist() == [pd.Timestamp("2018-02-06")]
    assert len(pd.read_parquet(tmp_path / "out" / "securities.parquet")) > 30_000
    assert "peak_warning" in (tmp_path / "out" / "alerts.jsonl").read_text()
    assert "PEAK WARNING 2018-02-06" in done.stdout
    assert "顶部预警" in done.stdout


@pytest.mark.parametrize(
    ("signals", "code"),
    [
        ([signal.SIGHUP, signal.SIGINT, signal.SIGTERM], 128 + signal.SIGHUP),  # its terminal is closed, impatiently
        pytest.param(
            [signal.SIGKILL], -signal.SIGKILL, marks=pytest.mark.skipif(sys.platform != "linux", reason="Linux only")
        ),
    ],
)
def test_no_child_of_up_survives_it(tmp_path: Path, signals: list[signal.Signals], code: int) -> None:
    with _up(tmp_path) as process:
        children = _children(process)
        for number in signals:
            process.send_signal(number)
        _, said = process.communicate()
        assert process.wait() == code, said
    assert len(children) == 4
    wait_until(lambda: not any(_runs(child) for child in children), what="the end of the children")


def test_up_does_not_survive_its_console(tmp_path: Path) -> None:
    with _up(tmp_path) as process:
        os.kill(int(_children(process)[-1]), signal.SIGKILL)
        _, said = process.communicate()
        assert process.wait() == 1
    assert "error the console ended with code -9 during " in said
    assert "Traceback" not in said


@contextlib.contextmanager
def _up(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Run `marginwatch up`, from the moment when its console is there.

    Parameters
    ----------
    folder : for the temporary files that a killed one leaves.
    """
    # NiceGUI refuses to run under pytest without ports of its own choice.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    environment["TMPDIR"] = str(folder)
    with subprocess.Popen(
        [sys.executable, "-m", "streams", "up"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        assert process.stderr is not None
        said = ""
        while "console" not in said:
            line = process.stderr.readline()
            assert line, f"it ended before its console was there:\n{said}"
            said += line
        yield process


def _children(process: subprocess.Popen[str]) -> list[str]:
    """Return the process ids of its children, in the order of their starts."""
    return Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()


def _runs(pid: str) -> bool:
    """Whether a process runs; one that has ended may remain listed until its new parent asks for its exit code."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize(
    ("arguments", "environment", "said"),
    [
        (
            ("topics", "check"),
            {"MARGINWATCH_KAFKA_URL": "kafka://127.0.0.1:1"},
            "no Kafka broker answers at 127.0.0.1:1",
        ),
        (
            ("worker",),
            {"MARGINWATCH_KAFKA_URL": "kafka://127.0.0.1:1", "MARGINWATCH_HTTP_PORT": "0"},
            "no Kafka broker answers at 127.0.0.1:1",
        ),
        (("latest", "market"), {"MARGINWATCH_REDIS_URL": "redis://127.0.0.1:1/0"}, "MARGINWATCH_REDIS_URL"),
        (("status",), {"MARGINWATCH_EXCHANGES": '["NYSE"]'}, "unknown exchange NYSE"),
        (("feed", "files", "/nowhere"), {}, "dir '/nowhere' does not exist"),
        (("feed", "files", "/tmp", "--speed", "quick"), {}, "expected `max`"),
        (("up", "--export", "x"), {}, "--export needs --until-done"),
    ],
)
def test_errors_name_the_cause_and_the_remedy(arguments, environment, said: str) -> None:
    done = run(*arguments, **environment)
    assert done.returncode != 0
    assert said in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr

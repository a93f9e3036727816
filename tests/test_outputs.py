"""Outputs that can't be written, and bad input: one sentence before the work begins, never a traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from processors.studies import STUDIES
from processors.studies.lead_lag import LAGS, correlation
from processors.studies.result import Mode
from streams.cli.main import app
from streams.errors import OutputError
from streams.studies import run
from streams.studies.run import StudyError, StudyPlan


@pytest.mark.parametrize(
    "command",
    [
        ("up", "--until-done", "--export", "{file}"),
        ("study", "ratio", "--data", "{folder}", "--report", "{folder}/no/such/x.html"),
        ("study", "ratio", "--data", "{folder}", "--out", "{file}"),
        ("sheet", "{folder}/no/such/x.pdf"),
        ("charts", "gallery", "--data", "{folder}", "--out", "{folder}/no/such/x.png"),
    ],
    ids=" ".join,
)
def test_an_output_that_cannot_be_written_is_an_error_before_the_work(command: tuple[str, ...], tmp_path: Path) -> None:
    (file := tmp_path / "a-file").write_text("kept")
    result = CliRunner().invoke(app, [word.format(file=file, folder=tmp_path) for word in command])
    assert isinstance(result.exception, OutputError), result.output
    assert "can't be written" in str(result.exception)
    assert [path.name for path in tmp_path.iterdir()] == ["a-file"]
    assert file.read_text() == "kept"


def run_program(*arguments: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "streams", *arguments]
    return subprocess.run(command, stderr=subprocess.PIPE, check=False, **options)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
@pytest.mark.parametrize("option", [(), ("--json",)])
def test_a_full_disk_is_one_sentence_and_exit_code_1(option: tuple[str, ...]) -> None:
    with Path("/dev/full").open("w") as full:
        done = run_program("rules", "list", *option, stdout=full)
    assert done.returncode == 1
    assert done.stderr.decode().startswith("error the output can't be written (No space left on device)")
    assert done.stderr.count(b"\n") == 1


def test_a_reader_that_has_enough_ends_the_command_without_a_message() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = run_program("rules", "list", stdout=writing)
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, b"")


def test_an_interrupt_of_the_imports_ends_as_a_later_one_does(tmp_path: Path) -> None:
    (tmp_path / "typer.py").write_text("raise KeyboardInterrupt")
    done = run_program("--version", env=os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{Path.cwd()}"})
    assert (done.returncode, done.stderr) == (130, b"")


def test_a_character_that_the_encoding_lacks_is_replaced() -> None:
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = run_program("explain", "fin_buy_ratio_5d", stdout=subprocess.PIPE, env=environment)
    assert done.returncode == 0, done.stderr
    assert b"formula     ? fin_buy / ? turnover" in done.stdout


@pytest.mark.parametrize("hours", ["1e9", "nan"])
def test_a_silence_has_an_end(hours: str) -> None:
    result = CliRunner().invoke(app, ["alerts", "silence", "--rule", "market_hot", "--hours", hours])
    assert result.exit_code == 2


@pytest.mark.parametrize("days", [1, 4, 9, 40])
def test_windows_shorter_than_a_lag_have_no_correlation(days: int) -> None:
    returns, growth = np.arange(days) / 100, np.arange(days) / 50
    found = [correlation(returns, growth, k) for k in LAGS]
    assert all((one is not None) == (days - abs(k) >= 30) for k, one in zip(LAGS, found, strict=True))


def test_a_study_that_fails_does_not_lose_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    class Failing(ModuleType):
        def run(self, _panel: object, _mode: Mode) -> None:
            raise IndexError("too many indices")

    class Working(ModuleType):
        def run(self, _panel: object, mode: Mode) -> Mode:
            return mode

    monkeypatch.setitem(STUDIES, "ratio", Failing("ratio"))
    monkeypatch.setitem(STUDIES, "peak", Working("peak"))
    monkeypatch.setattr(run, "claims_of", lambda _results: [])
    found: Any = run.run(StudyPlan(Path(), ("ratio", "peak"), (Mode.AS_SOURCE,)), None, lambda *_: None)  # type: ignore[arg-type]
    assert next(found).results == [Mode.AS_SOURCE]
    with pytest.raises(StudyError, match=r"failed: ratio \(IndexError: too many indices\)"):
        next(found)
    with pytest.raises(IndexError):  # alone it shows where
        next(run.run(StudyPlan(Path(), ("ratio",), (Mode.AS_SOURCE,)), None, lambda *_: None))  # type: ignore[arg-type]

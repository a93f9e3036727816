"""The command line as a user meets it: one command for everything, an export, and clear errors."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    import os

    return subprocess.run(
        [sys.executable, "-m", "streams", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ | environment,
    )


def test_up_until_done_runs_the_main_job_and_leaves_the_tables(tmp_path: Path, data_dir: Path) -> None:
    done = run("up", "--data", str(data_dir), "--from", "2018-01-02", "--to", "2018-02-28", "--until-done",
               "--export", str(tmp_path / "out"))  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    market = pd.read_parquet(tmp_path / "out" / "market.parquet")
    assert market.index[market["ratio_state"] == "BREAKDOWN"].tolist() == [pd.Timestamp("2018-02-06")]
    assert len(pd.read_parquet(tmp_path / "out" / "securities.parquet")) > 30_000
    assert "peak_warning" in (tmp_path / "out" / "alerts.jsonl").read_text()
    assert "PEAK WARNING 2018-02-06" in done.stdout
    assert "顶部预警" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "environment", "said"),
    [
        (
            ("topics", "check"),
            {"MARGINWATCH_KAFKA_URL": "kafka://127.0.0.1:1"},
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

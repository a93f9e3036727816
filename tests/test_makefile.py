"""The set-up of `make demo` and `make test`: when the virtual environment is made."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

MAKEFILE = Path(__file__).resolve().parents[1] / "Makefile"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with an environment that is complete, in a folder with a blank in its name."""
    folder = tmp_path / "a checkout"
    (folder / ".venv/bin").mkdir(parents=True)
    shutil.copy(MAKEFILE, folder)
    for age, name in enumerate(
        (".venv/.installed-charts", ".venv/.installed", ".venv/.demo",
         "requirements-charts.lock", "requirements.lock", "requirements-demo.lock", "pyproject.toml")
    ):  # fmt: skip
        (folder / name).touch()
        os.utime(folder / name, (2e9 - age, 2e9 - age))
    return folder


def commands(folder: Path, target: str) -> str:
    """What make would run."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    done = subprocess.run(["make", "-n", target], cwd=folder, env=kept, capture_output=True, text=True, check=True)
    return done.stdout


@pytest.mark.skipif(shutil.which("make") is None, reason="there is no make")
def test_an_environment_whose_python_is_gone_is_made_again(checkout: Path) -> None:
    pip = checkout / ".venv/bin/pip"
    pip.write_text("#!/bin/sh\n")
    pip.chmod(0o755)
    assert "-m venv" not in commands(checkout, "demo") + commands(checkout, "lint")
    pip.write_text(f"#!{checkout}/python3.11.6\n")  # removed by an upgrade, or in the folder before a move
    for target, lock in (("demo", "requirements-demo.lock"), ("lint", "requirements.lock")):
        found = commands(checkout, target)
        assert found.index("rm -rf .venv\n") < found.index("-m venv .venv") < found.index(f"--require-hashes -r {lock}")

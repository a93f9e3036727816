"""The built wheel, in an environment of its own: it contains what the system reads at run time."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
#: Beside the interpreter, where `make test` installs it, or on the path.
UV = shutil.which("uv", path=os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", ""))))
PACKAGES = ("processors", "feeds", "alerts", "console", "streams")
_UNREACHABLE = re.compile(
    r"failed to fetch|dns error|connect error|new connection|connection (refused|reset)|timed out|name resolution",
    re.IGNORECASE,
)


def call(*command: object, cwd: Path, timeout: float = 240) -> subprocess.CompletedProcess[str]:
    """Run a command that sees neither this environment nor the source tree."""
    kept = {name: os.environ[name] for name in os.environ if not name.startswith(("PYTHON", "MARGINWATCH", "VIRTUAL"))}
    return subprocess.run([str(c) for c in command], cwd=cwd, env=kept, capture_output=True, text=True, timeout=timeout)


def needs_registry(*command: object, cwd: Path) -> None:
    """Run an installer's command; skip the test where the registry can't be reached."""
    done = call(*command, cwd=cwd)
    if done.returncode and _UNREACHABLE.search(done.stderr):
        pytest.skip(f"packages can't be installed here: {done.stderr.strip().splitlines()[-1]}")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of a copy of the tree (a build writes into the tree that it builds)."""
    folder = tmp_path_factory.mktemp("wheel")
    ignore: Callable[[str, list[str]], set[str]] = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in PACKAGES:
        shutil.copytree(ROOT / name, folder / "tree" / name, ignore=ignore)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder / "tree" / name)
    if UV:
        needs_registry(UV, "build", "--wheel", "--out-dir", folder, folder / "tree", cwd=folder)
    else:
        needs_registry(sys.executable, "-m", "pip", "wheel", "--no-deps", "-w", folder, folder / "tree", cwd=folder)
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path) -> Path:
    """The folder of the programs of an environment with nothing but the wheel and what it requires, as locked."""
    folder = wheel.parent
    requirement = f"marginwatch[local] @ {wheel.as_uri()}"
    if UV:
        needs_registry(UV, "venv", "--python", sys.executable, "env", cwd=folder)
        python = folder / "env/bin/python"
        needs_registry(
            UV, "pip", "install", "--python", python, requirement, "-c", ROOT / "requirements.lock", cwd=folder
        )
    else:
        needs_registry(sys.executable, "-m", "venv", "env", cwd=folder)
        # pip takes no hashes from a file of constraints.
        lock = (ROOT / "requirements.lock").read_text("utf-8")
        pins = re.findall(r"^[\w.-]+==[^\s;]+(?: ;[^\\\n]*)?", lock, re.MULTILINE)
        (folder / "pins.txt").write_text("\n".join(pins))
        needs_registry(folder / "env/bin/pip", "install", "-q", requirement, "-c", folder / "pins.txt", cwd=folder)
    return folder / "env/bin"


def test_the_wheel_contains_every_package_its_types_and_its_resources(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert {f"{package}/py.typed" for package in PACKAGES} <= names
    listed = subprocess.run(["git", "ls-files", *PACKAGES], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("this is no checkout of git")
    files = {name for name in listed.stdout.splitlines() if (ROOT / name).is_file()}
    assert files - names == set()


def test_the_installed_wheel_runs_the_whole_system_from_an_empty_folder(installed: Path, tmp_path: Path) -> None:
    done = call(installed / "marginwatch", "up", "--until-done", cwd=tmp_path, timeout=600)
    assert done.returncode == 0, done.stderr
    assert "300 trading days are processed" in done.stderr
    assert re.search(r"^fin_buy_ratio +\d+\.\d+%", done.stdout, re.MULTILINE), done.stdout
    assert re.search(r"^Alerts: .*peak_warning", done.stdout, re.MULTILINE)
    assert list(tmp_path.iterdir()) == []


def test_the_installed_wheel_finds_its_resources(installed: Path, tmp_path: Path) -> None:
    code = (
        "from streams import asyncapi; from streams.local import local_kafka; "
        "print(asyncapi.PATH.is_file(), local_kafka._jar_cache().name)"
    )
    done = call(installed / "python", "-c", code, cwd=tmp_path)
    assert re.fullmatch(r"True kafka-\d+\.\d+\.\d+\n", done.stdout), done.stdout + done.stderr

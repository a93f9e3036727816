"""Stored studies: versions of data and code, one computation at a time, its progress and end, files that are served."""

from __future__ import annotations

import asyncio
import csv
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import msgspec
import pandas as pd
import pytest
import typer

from alerts.rules import rules
from console.study_results import StudyEntry, StudyResults
from feeds.errors import InputError
from processors.days import to_date, to_day
from processors.errors import MarginwatchError
from processors.parameters import Parameters
from processors.studies import STUDIES
from processors.studies.claims import Claim, claims_of
from processors.studies.result import Finding, Kind, Mode
from streams import study_service
from streams.calendars import xshg
from streams.cli.study import study as command
from streams.settings import Settings
from streams.studies import run
from streams.studies.run import Study, StudyPlan
from streams.studies.store import ResultStore, StoreError
from streams.studies.version import InputVersions
from streams.study_service import StudyService
from tests.test_study_claims import result

SPAN = to_day(date(2024, 5, 6)), to_day(date(2024, 6, 28))
DAYS = [pd.Timestamp(to_date(day)) for day in xshg().between(*SPAN).tolist()]


def market_files(folder: Path) -> Path:
    """Write the totals of margin financing and two indices of two months."""
    folder.mkdir()
    rise = [1 + 0.002 * (i % 11) for i in range(len(DAYS))]
    amounts = pd.DataFrame({"dt": DAYS, "margin_balance": 8e11, "margin_buy_amt": [4e10 * r for r in rise],
                            "margin_repay_amt": 4e10, "short_qty": 1e6, "short_sell_qty": 1e5,
                            "short_value": 1e7})  # fmt: skip
    amounts.to_parquet(folder / "margin_total_sse_x.parquet")
    small = amounts.drop(columns="margin_repay_amt")
    small[["margin_balance", "margin_buy_amt", "short_qty", "short_sell_qty", "short_value"]] /= 1e8
    small.to_parquet(folder / "margin_total_szse_x.parquet")
    level = {"open": 3000.0, "close": 3010.0, "high": 3020.0, "low": 2990.0, "change": 1.0, "volume": 1e8,
             "amount": 4e11, "turnover_rate": 1.0}  # fmt: skip
    rows = [{"dt": day, "secid": secid} | level for day in DAYS for secid in ("1.000001", "0.399001")]
    pd.DataFrame(rows).to_parquet(folder / "index_daily_x.parquet")
    return folder


def made(charts: int) -> Study:
    findings = (Finding("weekly mean", 0.001, published=0.003, kind=Kind.EFFECT), Finding("IR", 1.0))
    results = [replace(one, charts=one.charts[:charts]) for one in (result(mode, *findings) for mode in Mode)]
    return Study(results, claims_of(results))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    out = tmp_path / "data"
    out.mkdir()
    (out / "a.csv").write_text("one")
    return out


@pytest.fixture
def store(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> ResultStore:
    """A store whose computations read no file and give one study made by hand."""

    class Panel:
        notes = ("a note",)

    monkeypatch.setattr(run, "panel", lambda _plan, _settings, advance: advance("folding the history", 3, 9) or Panel())
    monkeypatch.setattr(run, "run", lambda *_: iter([made(charts=0)]))
    return ResultStore(tmp_path / "store", folder)


def plan(folder: Path) -> StudyPlan:
    return StudyPlan(folder, ("streaks",), tuple(Mode))


def compute(store: ResultStore, settings: Settings | None = None) -> StudyEntry:
    store.compute(plan(store.data), settings or Settings(), lambda *_: None)
    return store.entries(("streaks",), None)["streaks"]


@pytest.mark.parametrize(
    ("change", "differs"),
    [
        (lambda file: os.utime(file, (1, 1)), False),
        (lambda file: file.write_text("two"), True),
        (lambda file: file.rename(file.with_name("b.csv")), True),
        (lambda file: file.with_name("b.csv").write_text("one"), True),
    ],
)
def test_the_version_of_data_is_that_of_names_and_contents(
    folder: Path, change: Callable[[Path], object], differs: bool
) -> None:
    versions = InputVersions(folder, Settings())
    before = versions.now()
    change(folder / "a.csv")
    assert (versions.now().data != before.data) is differs
    assert versions.now() == InputVersions(folder, Settings()).now()


def test_a_file_is_read_again_only_after_it_has_changed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []
    digest = InputVersions._digest
    monkeypatch.setattr(InputVersions, "_digest", staticmethod(lambda path: read.append(path) or digest(path)))
    versions = InputVersions(folder, Settings())
    versions.now()
    versions.now()
    (folder / "b.csv").write_text("")
    versions.now()
    assert [path.name for path in read] == ["a.csv", "b.csv"]


def test_parameters_and_the_calendar_are_part_of_the_version_of_code(folder: Path, tmp_path: Path) -> None:
    plain = Settings()
    calendar = tmp_path / "calendar.toml"
    calendar.write_text('holidays = ["2030-01-02"]')
    changes = [
        {"parameters": replace(Parameters(), breadth_days=190)},
        {"exchanges": ("SSE",)},
        {"calendar_file": calendar},
    ]
    found = {InputVersions(folder, plain.model_copy(update=change)).now() for change in ({}, *changes)}
    assert len({version.code for version in found}) == 4
    assert len({version.data for version in found}) == 1


def test_a_result_is_stored_with_its_texts_charts_and_claims(
    store: ResultStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "run", lambda *_: iter([made(charts=4)]))
    studies, notes = store.compute(plan(store.data), Settings(), lambda *_: None)
    assert ([one.last.study for one in studies], notes) == (["streaks"], ["a note"])
    version = InputVersions(store.data, Settings()).now()
    entry = store.entries(("ratio", "streaks"), version)["streaks"]
    assert (entry.version, entry.first, entry.last) == (version, "2016-01-04", "2021-03-31")
    assert entry.title[1] != entry.title[0]
    assert {words[0]: count for count, words, _ in entry.counts if count} == {"weaker": 1}

    def text(file: str) -> str:
        return (store.file(str(version), "streaks", file) or b"").decode()

    assert text("en.html").startswith('<p class="headline">Out of sample, 1 of 1') and "周均超额" in text("zh.html")
    images = re.findall(r'<img src="/studies/file/([^/]+)/streaks/([^"]+)"', text("zh.html"))
    assert {at for at, _ in images} == {str(version)} and len(images) == 4
    assert all(text(file).startswith("<svg ") for _, file in images)
    assert [row["what"] for row in csv.DictReader(text("claims.csv").splitlines())] == ["weekly mean", "IR"]


@pytest.mark.parametrize("name", ["../../../a.csv", "..", ".entry.json", "", "a/b", "missing.svg"])
def test_only_files_of_a_result_are_served(store: ResultStore, name: str) -> None:
    version = str(compute(store).version)
    assert store.file(version, "streaks", name) is None
    assert store.file(name, "streaks", "en.html") is None
    assert store.file(version, name, "en.html") is None


def test_of_versions_the_current_one_counts_and_two_are_kept(store: ResultStore) -> None:
    entries = []
    for content in ("one", "two", "three"):
        (store.data / "a.csv").write_text(content)
        entries.append(compute(store))
    assert store.entries(("streaks",), None) == {"streaks": entries[2]}
    assert store.entries(("streaks",), entries[1].version) == {"streaks": entries[1]}
    assert store.entries(("streaks",), entries[0].version) == {"streaks": entries[2]}  # it is not kept any more
    assert len(list(store.folder.glob("*/streaks"))) == len(list(store.folder.glob("*-*"))) == 2
    other = ResultStore(store.folder.parent, store.data.parent)
    assert other.entries(("streaks",), None) == {}  # a folder has results of its own


def test_a_second_computation_is_refused_and_changes_nothing(store: ResultStore) -> None:
    with store._lock(), pytest.raises(StoreError, match="runs already: wait for its end"):
        compute(store)
    assert store.computation() is None


def test_the_progress_and_the_end_of_a_computation_are_read_by_others(
    store: ResultStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, seen = ResultStore(store.folder.parent, store.data), []
    store.compute(plan(store.data), Settings(), lambda *_: seen.append(other.computation()))
    assert seen[0] is not None and (seen[0].studies, seen[0].ended_at, seen[0].error) == (("streaks",), None, None)
    found = other.computation()
    assert found is not None and found.ended_at is not None and found.error is None
    assert (found.step, found.done, found.total) == (("folding the history", "逐日计算历史"), 3, 9)

    def fails(*_: object) -> None:
        raise InputError("a.csv, row 9: remove it")

    monkeypatch.setattr(run, "panel", fails)
    with pytest.raises(InputError):
        compute(store)
    failed = other.computation()
    assert failed is not None and failed.error == ("a.csv, row 9: remove it",) * 2 and failed.ended_at is not None


def test_files_that_change_while_they_are_read_give_no_result(store: ResultStore) -> None:
    def touch(*_: object) -> None:
        (store.data / "a.csv").write_text("changed")

    with pytest.raises(StoreError, match="changed while they were read: compute again"):
        store.compute(plan(store.data), Settings(), touch)
    assert store.entries(("streaks",), None) == {}


def test_a_computation_that_was_killed_is_reported_with_the_remedy(store: ResultStore) -> None:
    program = (
        "import os, sys, signal\nfrom pathlib import Path\nfrom datetime import UTC, datetime\n"
        "from console.study_results import StudyComputation\nfrom streams.studies.store import ResultStore, _Record\n"
        "store = ResultStore(Path(sys.argv[1]), Path(sys.argv[2]))\n"
        "begun = StudyComputation(('streaks',), ('a', 'b'), 1, 2, datetime.now(UTC))\n"
        "with store._lock(), _Record(store._state, begun):\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    arguments = [str(store.folder.parent), str(store.data)]
    subprocess.run([sys.executable, "-c", program, *arguments], check=False, cwd=Path(__file__).parents[1])
    found = store.computation()
    assert found is not None and found.ended_at is not None and found.error is not None
    assert "killed it for its memory" in found.error[0] and "重新计算" in found.error[1]
    assert store.computation() == found
    assert compute(store).name == "streaks"  # the lock is free


def states(settings: Settings, until: Callable[[StudyResults], bool], name: str = "") -> list[StudyResults]:
    """Run the console's studies until a state has a property; compute a study first if one is named."""
    seen: list[StudyResults] = []

    async def follow() -> None:
        service = StudyService(settings, seen.append)
        task = asyncio.create_task(service.follow())
        async with asyncio.timeout(120):
            while not seen:
                await asyncio.sleep(0.01)
            if name:
                await service.compute(name)
            while not until(seen[-1]):
                await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(follow())
    return seen


@pytest.mark.parametrize("empty", [True, False])
def test_a_folder_that_can_t_be_used_is_named_with_the_remedy(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, empty: bool
) -> None:
    def refuse(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    if empty:
        (folder / "a.csv").unlink()
    monkeypatch.setattr(InputVersions, "_digest", staticmethod(refuse))
    settings = Settings(study_data=folder, study_store=tmp_path / "store")
    (*_, last) = states(settings, lambda state: bool(state.problem))
    problem = f"{folder} has no file" if empty else f"{folder / 'a.csv'} can't be read (Permission denied)"
    assert last.problem == f"{problem}: set MARGINWATCH_STUDY_DATA to a folder of market files"


def test_a_process_that_can_t_begin_is_reported_by_the_end_of_its_log(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(study_service.sys, "executable", str(tmp_path / "missing"))
    settings = Settings(study_data=folder, study_store=tmp_path / "store")
    (*_, last) = states(
        settings, lambda one: one.computation is not None and one.computation.error is not None, "ratio"
    )
    assert last.computation is not None and last.computation.error is not None and not last.running
    assert "No such file" in last.computation.error[0]


def test_of_two_clicks_at_once_one_starts_a_process(store: ResultStore, monkeypatch: pytest.MonkeyPatch) -> None:
    started = []

    async def start(*command: str, **_: object) -> SimpleNamespace:
        await asyncio.sleep(0.01)
        started.append(SimpleNamespace(pid=1, returncode=None))
        return started[-1]

    async def click() -> None:
        service = StudyService(Settings(study_data=store.data, study_store=store.folder.parent), lambda _: None)
        first, second = await asyncio.gather(service.compute("ratio"), service.compute("ratio"), return_exceptions=True)
        assert first is None and isinstance(second, MarginwatchError)
        started[0].returncode = 0
        await service.compute("ratio")

    monkeypatch.setattr(asyncio, "create_subprocess_exec", start)
    asyncio.run(click())
    assert len(started) == 2


def test_a_store_that_can_t_be_read_for_a_moment_ends_no_computation(store: ResultStore) -> None:
    ended = []

    def refuse(*_: object) -> dict[str, object]:
        raise OSError(24, "Too many open files")

    async def go() -> None:
        service = StudyService(Settings(study_data=store.data, study_store=store.folder.parent), lambda _: None)
        process = SimpleNamespace(returncode=None, terminate=lambda: ended.append("terminated"))
        service._process = cast("asyncio.subprocess.Process", process)
        assert service._store is not None
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(service._store, "entries", refuse)
            with pytest.raises(OSError, match="Too many"):
                await service.follow()
        assert not ended
        following = asyncio.create_task(service.follow())
        await asyncio.sleep(0.1)
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)

    asyncio.run(go())
    assert ended == ["terminated"]


def test_a_name_that_is_no_study_and_a_console_without_data_start_nothing(folder: Path, tmp_path: Path) -> None:
    settings = Settings(study_data=folder, study_store=tmp_path / "store")
    service = StudyService(settings, lambda _: None)
    with pytest.raises(MarginwatchError, match=r"no study \.\./x: choose ratio, peak"):
        asyncio.run(service.compute("../x"))
    without = StudyService(Settings(), lambda _: None)
    asyncio.run(without.follow())  # ends at once
    assert (without.file("a", "b", "c"), without.claims()) == (None, b"")


def test_the_claims_of_all_results_have_one_header(store: ResultStore) -> None:
    compute(store)
    settings = Settings(study_data=store.data, study_store=store.folder.parent)
    service = StudyService(settings, lambda _: None)
    shown = service._state(store)
    ((name, entry),) = shown.entries.items()
    replaced = {"replaced": msgspec.structs.replace(entry, name="replaced")}  # a moment ago: its file is gone
    service._shown = msgspec.structs.replace(shown, entries={**replaced, name: entry})
    text = service.claims().decode()
    assert len(text.splitlines()) == 3 and text.startswith(",".join(("study", "what", "source")))
    assert len(Claim.__dataclass_fields__) == len(text.splitlines()[0].split(","))


def test_whole_studies_are_stored_alone(folder: Path) -> None:
    with pytest.raises(typer.BadParameter, match="leave out the other options"):
        command("all", folder, cost=0.001, store=True)  # type: ignore[arg-type]


def test_records_link_to_studies_that_exist() -> None:
    assert {rule.study for rule in rules(Parameters()) if rule.study} <= set(STUDIES)

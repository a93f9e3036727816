"""Stored results of studies: computed once for each version of data and code, read by the console.

A folder of market files has a folder of its own in the store::

    <name>-<digest of its path>/
        lock, computation.json, log           of the computation that runs or ran last; it holds the lock
        <version>/<study>/                    written as a whole
            entry.json, claims.csv, en.html, zh.html, <chart>.en.svg, <chart>.zh.svg

Of each study the current result and the newest of an earlier version are kept.
"""

from __future__ import annotations

import contextlib
import fcntl
import re
import shutil
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from hashlib import blake2b
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from console.study_results import StudyComputation, StudyEntry, Version
from processors.errors import MarginwatchError
from streams.files import write_whole
from streams.settings import Settings
from streams.studies.version import InputVersions

if TYPE_CHECKING:
    from alerts.subject_names import Language
    from processors.studies.result import Chart
    from streams.studies.run import Advance, Study, StudyPlan

_VERSIONS_KEPT = 2
#: Seconds between two writes of the progress of one step.
_PROGRESS_S = 0.2
_NAME = re.compile(r"[\w-][\w.-]*")
_LANGUAGES: tuple[Language, ...] = ("en", "zh")
_INTERRUPTED = (
    "the computation ended without a result: it was stopped, or the system killed it for its memory (a history of "
    "fifteen years needs 3 GB). Compute again, or run `marginwatch study all --data DIR --store` on a larger machine",
    "计算未完成即终止：进程被停止，或因内存不足被系统结束（十五年历史约需3 GB）。请重新计算，或在内存更大的机器上运行"
    " `marginwatch study all --data DIR --store`",
)


class StoreError(MarginwatchError):
    """Results can't be computed or stored now; the message names cause and remedy."""


class ResultStore:
    """The stored results of the studies on one folder of market files.

    Parameters
    ----------
    root : the store of all folders.
    data : the folder of market files.
    """

    def __init__(self, root: Path, data: Path) -> None:
        path = data.resolve()
        self.data = path
        self.folder = root.expanduser() / f"{path.name}-{blake2b(str(path).encode(), digest_size=4).hexdigest()}"
        self.log = self.folder / "log"
        self._state = self.folder / "computation.json"

    # -- computing ------------------------------------------------------------------------------------------------

    def compute(self, plan: StudyPlan, settings: Settings, advance: Advance) -> tuple[list[Study], list[str]]:
        """Run studies and store each as soon as it has its results; return them, and the notes on the files.

        Raises
        ------
        StoreError : if another computation runs, or the files change while they are read.
        """
        from streams.studies import labels, run

        with self._lock():
            record = _Record(self._state, StudyComputation(plan.names, ("", ""), 0, 0, datetime.now(UTC)))

            def both(what: str, done: int, total: int) -> None:
                advance(what, done, total)
                record.advance((what, labels.translate(what)), done, total)

            with record:
                versions = InputVersions(self.data, settings)
                version = versions.now()
                panel = run.panel(plan, settings, both)
                if versions.now() != version:
                    raise StoreError(f"files of {self.data} changed while they were read: compute again")
                studies = []
                for study in run.run(plan, panel, both):
                    self._put(study, version)
                    studies.append(study)
        return studies, list(panel.notes)

    @contextlib.contextmanager
    def _lock(self) -> Iterator[None]:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = (self.folder / "lock").open("w")
        except OSError as error:
            raise StoreError(
                f"{self.folder} can't be written ({error.strerror}): set MARGINWATCH_STUDY_STORE"
            ) from error
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise StoreError(f"a computation on {self.data} runs already: wait for its end") from None
            yield

    def _put(self, study: Study, version: Version) -> None:
        from streams.studies import labels, report, run
        from streams.studies.charts import svg

        last, name = study.last, study.last.study
        texts = {language: labels.headline(study.claims, last.first, last.last, language) for language in _LANGUAGES}
        headline = {language: f"{texts[language]} {labels.text(last.remark, language)}" for language in _LANGUAGES}
        entry = StudyEntry(
            name, (labels.text(last.title, "en"), labels.text(last.title, "zh")), last.source,
            (headline["en"].strip(), headline["zh"].strip()), last.first, last.last,
            report.counts(study.claims), version, datetime.now(UTC),
        )  # fmt: skip
        files = {"entry.json": msgspec.json.encode(entry)}
        for language in _LANGUAGES:
            for chart in last.charts:
                if not report.is_empty(chart):
                    files[f"{chart.name}.{language}.svg"] = svg(chart, language).encode()
            page = report.part(study, language, partial(_image, f"/studies/file/{version}/{name}", language))
            files[f"{language}.html"] = page.encode()
        files["claims.csv"] = run.claims_csv([study])
        self._write(name, version, files)
        for _, old in [*self._results(name)][_VERSIONS_KEPT:]:
            shutil.rmtree(old)
            with contextlib.suppress(OSError):  # it has results of other studies
                old.parent.rmdir()

    def _write(self, name: str, version: Version, files: dict[str, bytes]) -> None:
        target, fresh = self.folder / str(version) / name, self.folder / f".{name}"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir()
        for file, content in files.items():
            (fresh / file).write_bytes(content)
        shutil.rmtree(target, ignore_errors=True)
        target.parent.mkdir(exist_ok=True)
        fresh.rename(target)

    # -- reading --------------------------------------------------------------------------------------------------

    def entries(self, names: tuple[str, ...], version: Version | None) -> dict[str, StudyEntry]:
        """Return the result of each study that has one: of a version where it is stored, else the newest."""
        out = {}
        for name in names:
            found = [entry for entry, _ in self._results(name)]
            if found:
                out[name] = next((entry for entry in found if entry.version == version), found[0])
        return out

    def _results(self, name: str) -> Iterator[tuple[StudyEntry, Path]]:
        """Yield the stored results of a study and their folders, the newest first."""
        found = []
        for path in self.folder.glob(f"*/{name}/entry.json"):
            with contextlib.suppress(OSError, msgspec.MsgspecError):  # it is being replaced, or of an earlier form
                found.append((msgspec.json.decode(path.read_bytes(), type=StudyEntry), path.parent))
        yield from sorted(found, key=lambda one: one[0].computed_at, reverse=True)

    def file(self, version: str, name: str, file: str) -> bytes | None:
        """Return a file of a result; None where there is none of that name."""
        if not all(_NAME.fullmatch(part) for part in (version, name, file)):
            return None
        try:
            return (self.folder / version / name / file).read_bytes()
        except OSError:
            return None

    def computation(self) -> StudyComputation | None:
        """Return the computation that runs or ran last; one that ended without a result is marked so."""
        found = self._computation()
        if found is None or found.ended_at is not None:
            return found
        with contextlib.suppress(StoreError), self._lock():  # nobody computes
            found = self._computation()
            if found is not None and found.ended_at is None:
                found = msgspec.structs.replace(found, ended_at=datetime.now(UTC), error=_INTERRUPTED)
                write_whole(self._state, msgspec.json.encode(found))
        return found

    def _computation(self) -> StudyComputation | None:
        try:
            return msgspec.json.decode(self._state.read_bytes(), type=StudyComputation)
        except (OSError, msgspec.MsgspecError):
            return None


def _image(folder: str, language: Language, chart: Chart) -> str:
    """Return the element of a chart's file."""
    from streams.studies import labels

    title = escape(labels.text(chart.title, language))
    return f'<img src="{folder}/{chart.name}.{language}.svg" alt="{title}" loading="lazy">'


class _Record:
    """Writes the state of a computation for other processes; a block of ``with`` is the computation."""

    def __init__(self, path: Path, state: StudyComputation) -> None:
        self._path, self._now, self._written = path, state, 0.0

    def __enter__(self) -> None:
        self._write()

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        shown = None
        if error is not None:
            text = str(error) if isinstance(error, MarginwatchError) else f"{type(error).__name__}: {error}"
            shown = text, text
        self._now = msgspec.structs.replace(self._now, ended_at=datetime.now(UTC), error=shown)
        self._write()

    def advance(self, step: tuple[str, str], done: int, total: int) -> None:
        """Set what is done, and how much of how much."""
        same = step == self._now.step
        self._now = msgspec.structs.replace(self._now, step=step, done=done, total=total)
        if not same or time.monotonic() - self._written >= _PROGRESS_S:
            self._write()

    def _write(self) -> None:
        self._written = time.monotonic()
        write_whole(self._path, msgspec.json.encode(self._now))

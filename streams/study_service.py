"""The studies of the console: their stored results, and a computation in a process of its own at a low priority.

The console reads small files alone: `marginwatch study --store` computes, draws and translates a result.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime

import structlog

from alerts.subject_names import Language
from console.study_results import StudyComputation, StudyEntry, StudyResults, Version
from processors.errors import MarginwatchError
from streams.local.local_service import tail
from streams.local.processes import environment
from streams.settings import Settings
from streams.studies import STYLE
from streams.studies.names import StudyName
from streams.studies.store import ResultStore
from streams.studies.version import InputVersions

log = structlog.get_logger()
#: Seconds between two looks at the store while a computation runs and else, and between two looks at the data.
_RUNNING_S, _IDLE_S, _VERSION_S = 0.5, 3.0, 15.0
_STARTING = ("starting", "启动中")
_NAMES = tuple(name.value for name in StudyName if name is not StudyName.ALL)


class StudyService:
    """The studies on the folder of the setting ``study_data``; without one it has none.

    Parameters
    ----------
    offer : called with the state at the start, and whenever it may have changed.
    """

    style = STYLE

    def __init__(self, settings: Settings, offer: Callable[[StudyResults], None]) -> None:
        self._settings, self._offer = settings, offer
        data = settings.study_data
        self._store = None if data is None else ResultStore(settings.study_store, data)
        self._process: asyncio.subprocess.Process | None = None
        self._one_at_a_time = asyncio.Lock()
        self._started = datetime.fromtimestamp(0, UTC)
        self._version: Version | None = None
        self._problem = ""
        self._shown = StudyResults()
        self._wake = asyncio.Event()

    async def follow(self) -> None:
        """Offer the state until the task is cancelled, which ends a computation that this console has started."""
        if self._store is None:
            return
        versions, looked = InputVersions(self._store.data, self._settings), 0.0
        loop = asyncio.get_running_loop()
        try:
            while True:
                self._shown = await asyncio.to_thread(self._state, self._store)
                self._offer(self._shown)
                if loop.time() >= looked:
                    await asyncio.to_thread(self._look, versions)
                    looked = loop.time() + _VERSION_S
                    continue
                self._wake.clear()
                try:
                    async with asyncio.timeout(_RUNNING_S if self._shown.running else _IDLE_S):
                        await self._wake.wait()
                except TimeoutError:
                    pass
        except asyncio.CancelledError:
            if self._process is not None and self._runs:
                self._process.terminate()
            raise

    @property
    def _runs(self) -> bool:
        """Whether the process that this console has started last runs; its state is shown a moment later."""
        return self._process is not None and self._process.returncode is None

    def _look(self, versions: InputVersions) -> None:
        """Compute the version of now; it reads the files that have changed."""
        remedy = "set MARGINWATCH_STUDY_DATA to a folder of market files"
        try:
            self._version = versions.now()
            self._problem = "" if versions.files else f"{self._settings.study_data} has no file: {remedy}"
        except OSError as error:
            self._version, self._problem = None, f"{error.filename} can't be read ({error.strerror}): {remedy}"

    def _state(self, store: ResultStore) -> StudyResults:
        entries = store.entries(_NAMES, self._version)
        return StudyResults(str(store.data), _NAMES, self._version, entries, self._computation(store), self._problem)

    def _computation(self, store: ResultStore) -> StudyComputation | None:
        """Return the computation in the store; that of this console's process until it has begun to write."""
        found = store.computation()
        if self._process is None or (found is not None and found.started_at >= self._started):
            return found
        starting = StudyComputation((), _STARTING, 0, 0, self._started)
        if self._process.returncode is None:
            return starting
        why = tail(store.log) or f"the process ended with code {self._process.returncode}"
        return StudyComputation((), _STARTING, 0, 0, self._started, datetime.now(UTC), (why, why))

    async def compute(self, name: str) -> None:
        """Start the process that computes a study, or ``all``; raises `MarginwatchError` while one runs."""
        async with self._one_at_a_time:
            await self._start(name)

    async def _start(self, name: str) -> None:
        if self._store is None or self._shown.running or self._runs:
            raise MarginwatchError("a computation runs already: wait for its end")
        if name not in (*_NAMES, StudyName.ALL):
            raise MarginwatchError(f"there is no study {name}: choose {', '.join(_NAMES)}")
        command = ["nice", "-n", "15", sys.executable, "-m", "streams", "study", name, "--store",
                   "--data", str(self._store.data)]  # fmt: skip
        try:
            self._store.folder.mkdir(parents=True, exist_ok=True)
            with self._store.log.open("wb") as out:
                self._started = datetime.now(UTC)
                self._process = await asyncio.create_subprocess_exec(
                    *command, stdout=out, stderr=out, stdin=asyncio.subprocess.DEVNULL,
                    env=os.environ | environment(self._settings) | {"NO_COLOR": "1"},
                )  # fmt: skip
        except OSError as error:
            raise MarginwatchError(f"{error.filename}: {error.strerror}: set MARGINWATCH_STUDY_STORE") from error
        log.info("a computation of studies begins", study=name, pid=self._process.pid)
        self._wake.set()

    def part(self, entry: StudyEntry, language: Language) -> str:
        """Return the HTML of a result, empty if it has just been replaced."""
        return (self.file(str(entry.version), entry.name, f"{language}.html") or b"").decode()

    def file(self, version: str, name: str, file: str) -> bytes | None:
        """Return a file of a result; None where there is none."""
        return None if self._store is None else self._store.file(version, name, file)

    def claims(self) -> bytes:
        """Return the claims of every result that is shown, as CSV with one header."""
        files = (self.file(str(entry.version), entry.name, "claims.csv") for entry in self._shown.entries.values())
        found = [file.partition(b"\n") for file in files if file is not None]  # one may have been replaced just now
        return b"".join([*(head + b"\n" for head, *_ in found[:1]), *(rows for *_, rows in found)])

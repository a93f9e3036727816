"""A drop folder: files that other programs write into it are published once, and again when they change."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

import structlog
from redis.exceptions import RedisError

from feeds.cells.workbooks import files_of, subfolders
from feeds.errors import ConfigurationError, InputError
from feeds.files import exchange, vendor
from feeds.files.dataset import SourceTables
from feeds.mappings import mapping
from feeds.plan import DropFolder, PositionsFolder
from feeds.ports import FeedState
from feeds.tasks import FeedTask
from processors.errors import MarginwatchError

log = structlog.get_logger()
_DONE, _FAILED = "done", "failed"
RowsT = TypeVar("RowsT")


@dataclass(frozen=True, slots=True)
class _Refusal:
    """A refused file and what else decided that; it is read again when one of these changes.

    Parameters
    ----------
    digest, mapping : digests of the file and of the mapping file, None for no mapping file.
    retry_at : seconds since the epoch, if the file came too early.
    """

    digest: str
    mapping: str | None
    retry_at: float


@dataclass(slots=True)
class FolderTask(FeedTask, Generic[RowsT]):
    """Reads new and changed files together, or one by one if that fails, oldest first.

    A process reads a refused file again when the file or its mapping changes, or its session is over. The next process
    reads it again, too: calendar, changes of codes, packages and code may have changed.

    Parameters
    ----------
    read : reads files; raises `InputError`.
    publish : publishes what was read and returns how much of it was refused; raises `InputError` if nothing can be
        published.
    suffixes : the suffixes of the files, in lower case.
    finish : called when the task ends.
    unreadable : called with the error of files that can't be read or published, once, before it is stored.
    """

    name: str
    feed: DropFolder | PositionsFolder
    state: FeedState
    read: Callable[[Sequence[Path]], RowsT]
    publish: Callable[[RowsT], int]
    suffixes: Sequence[str]
    finish: Callable[[], None] = lambda: None
    unreadable: Callable[[InputError], None] = lambda _error: None
    failures: int = 0
    _digests: dict[Path, tuple[tuple[int, int, int], str]] = field(default_factory=dict)  # by the result of `stat`
    _refusals: dict[Path, _Refusal] = field(default_factory=dict)
    _mapping: str | None = None
    _unreadable: set[Path] = field(default_factory=set)
    _others: set[Path] = field(default_factory=set)

    def tick(self, now: float) -> float:
        """Publish new and changed files; return when to look again."""
        if not self.feed.path.is_dir():
            raise ConfigurationError(f"{self.feed.path} is not a folder: create it, or correct [feeds.{self.name}]")
        known = self.state.load()
        self._mapping = self._digest(self.feed.map) if self.feed.map is not None else None
        changed, again = dict[Path, str](), dict[Path, str]()
        waiting = False
        for path in self._files():
            if self._is_settling(path, now):
                waiting = True
                continue
            digest = self._digest(path)
            if digest is None:
                continue
            outcome, _, stored = known.get(f"file/{path.name}", "").partition(" ")
            if stored != digest:
                changed[path] = digest
            elif outcome == _FAILED and not self._is_refused(path, digest, now):
                again[path] = digest
        if changed and not self._publish(changed, final=len(changed) == 1):
            again |= changed
        for path in sorted(again, key=lambda path: self._digests[path][0]):  # the newest one has the last word
            self._publish({path: again[path]}, final=True)
        return now + (min(self.feed.every_s, max(self.feed.settle_s, 0.1)) if waiting else self.feed.every_s)

    def pending(self, now: float) -> bool:
        """Whether a file may still be written, so that it is read in a moment."""
        return any(self._is_settling(path, now) for path in self._files())

    def close(self) -> None:
        """Close the connections of `publish`."""
        self.finish()

    def _files(self) -> list[Path]:
        files, others = files_of(self.feed.path, self.suffixes)
        found = {*others, *subfolders(self.feed.path)}
        for one in exchange.unread(sorted(found - self._others), self.suffixes):
            log.warning("finding", feed=self.name, what=str(one))
        self._others = found
        return files

    def _is_settling(self, path: Path, now: float) -> bool:
        """Whether a file may still be written; a file from the future is not: another machine wrote it."""
        try:
            return abs(now - path.stat().st_mtime) < self.feed.settle_s
        except OSError:  # removed meanwhile; `_digest` reports any other reason
            return False

    def _is_refused(self, path: Path, digest: str, now: float) -> bool:
        """Whether a file would be refused again."""
        refusal = self._refusals.get(path)
        return (
            refusal is not None
            and (refusal.digest, refusal.mapping) == (digest, self._mapping)
            and now < refusal.retry_at
        )

    def _digest(self, path: Path) -> str | None:
        """Return a digest of a file, which is read only if it has changed; None, logged once, if it can't be read."""
        try:
            found = path.stat()
            stamp = (found.st_mtime_ns, found.st_ctime_ns, found.st_size)
            if path not in self._digests or self._digests[path][0] != stamp:
                self._digests[path] = stamp, hashlib.sha256(path.read_bytes()).hexdigest()
        except FileNotFoundError:
            return None
        except OSError as error:
            if path not in self._unreadable:
                self.unreadable(InputError(f"{path.name} can't be read ({error.strerror}): let this user read it"))
                self._unreadable.add(path)
                self.failures += 1
                log.warning("file can't be read", feed=self.name, file=path.name, error=str(error))
            return None
        self._unreadable.discard(path)
        return self._digests[path][1]

    def _publish(self, files: Mapping[Path, str], *, final: bool) -> bool:
        """Publish files and store the result; return whether there is one.

        Parameters
        ----------
        final : log and store a failure. Else only return false.
        """
        try:
            refused = self.publish(self.read(list(files)))
        except InputError as error:
            if final:
                self._refuse(files, error)
            return final
        except (MarginwatchError, RedisError, OSError):  # no file is the cause: the scheduler calls again
            raise
        except Exception as error:
            if final:
                names = ", ".join(path.name for path in files)
                log.exception("file failed: this is a bug of marginwatch", feed=self.name, file=names)
                text = f"{names} can't be read or published ({error!r}): this is a bug of marginwatch, report it"
                self._refuse(files, InputError(text))
            return final
        self.failures += bool(refused)
        for path, digest in files.items():
            self.state.set(f"file/{path.name}", f"{_DONE} {digest}")
        return True

    def _refuse(self, files: Mapping[Path, str], error: InputError) -> None:
        """Report files that can't be published, and store that."""
        self.unreadable(error)
        self.failures += 1
        for path, digest in files.items():
            log.warning("file refused", feed=self.name, file=path.name, error=str(error))
            self.state.set(f"file/{path.name}", f"{_FAILED} {digest}")
            self._refusals[path] = _Refusal(digest, self._mapping, error.retry_at)


def read_daily_files(name: str, feed: DropFolder, files: Sequence[Path]) -> SourceTables:
    """Read files of daily figures in the format of a feed; raises `InputError` naming the file."""
    if feed.format == "exchange":
        return exchange.read(files)
    rules = mapping.load(feed.map) if feed.map is not None else None
    if rules is not None:
        mapped = [path for path in files if mapping.tables_of(rules, path.name)]
        if not mapped:
            raise InputError(f"no table of the mapping file fits {', '.join(path.name for path in files)}")
        for path in set(files) - set(mapped):
            log.warning("file left out: no table of the mapping fits", feed=name, file=path.name)
        files = mapped
    return vendor.read(files, rules)

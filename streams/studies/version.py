"""The version of a study's results: a digest of the files that it reads, and one of the code and the settings.

Results of an unchanged version are those that a computation would give again.
"""

from __future__ import annotations

from functools import cache
from hashlib import blake2b, file_digest
from pathlib import Path

import msgspec

from console.study_results import Version
from streams.settings import Settings

_BYTES = 6
_ROOT = Path(__file__).resolve().parents[2]
#: What the figures of a study depend on.
_CODE = ("processors/**/*.py", "feeds/**/*.py", "feeds/**/*.toml", "streams/studies/*", "streams/resources/*.json")


class InputVersions:
    """Computes versions; it reads a file again only after its size or time has changed.

    Parameters
    ----------
    folder : of the market files.
    """

    def __init__(self, folder: Path, settings: Settings) -> None:
        self._folder, self._settings = folder, settings
        self._known: dict[Path, tuple[tuple[int, int], bytes]] = {}

    @property
    def files(self) -> int:
        """The number of files of the last version."""
        return len(self._known)

    def now(self) -> Version:
        """Return the version of the files, the code and the settings; raises `OSError` if a file can't be read."""
        data = blake2b(digest_size=_BYTES)
        paths = sorted(path for path in self._folder.rglob("*") if path.is_file())
        for path in paths:
            data.update(f"{path.relative_to(self._folder)}\0".encode())
            data.update(self._content(path))
        self._known = {path: self._known[path] for path in paths}
        return Version(data.hexdigest(), self._code())

    def _code(self) -> str:
        code = blake2b(_source(), digest_size=_BYTES)
        code.update(msgspec.json.encode((self._settings.parameters, self._settings.exchanges), order="deterministic"))
        given = [self._settings.calendar_file] if self._settings.calendar_file is not None else []
        if self._settings.chart_model is not None:
            given += sorted(path for path in self._settings.chart_model.iterdir() if path.is_file())
        for path in given:
            code.update(self._digest(path))
        return code.hexdigest()

    def _content(self, path: Path) -> bytes:
        found = path.stat()
        stamp = found.st_size, found.st_mtime_ns
        known = self._known.get(path)
        if known is None or known[0] != stamp:
            known = self._known[path] = stamp, self._digest(path)
        return known[1]

    @staticmethod
    def _digest(path: Path) -> bytes:
        with path.open("rb") as file:
            return file_digest(file, lambda: blake2b(digest_size=_BYTES)).digest()


@cache
def _source() -> bytes:
    """Return the digest of the code that computes and shows studies."""
    out = blake2b(digest_size=_BYTES)
    for path in sorted({path for pattern in _CODE for path in _ROOT.glob(pattern) if path.is_file()}):
        out.update(f"{path.relative_to(_ROOT)}\0".encode())
        out.update(path.read_bytes())
    return out.digest()

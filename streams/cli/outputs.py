"""Whether what a command shall write can be written: asked before its work begins."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryFile

from streams.errors import OutputError


def require_folder(folder: Path | None) -> None:
    """Create a folder; raises `OutputError` if no file can be created in it. None is no output."""
    if folder is not None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with TemporaryFile(dir=folder):
                pass
        except OSError as error:
            raise _refused(folder, error, "folder") from error


def require_file(file: Path | None) -> None:
    """Raise `OutputError` if a file can't be written; a file that is there stays as it is. None is no output."""
    if file is not None:
        new = not file.exists()
        try:
            file.open("ab").close()
            if new:
                file.unlink()
        except OSError as error:
            raise _refused(file, error, "file") from error


def _refused(path: Path, error: OSError, kind: str) -> OutputError:
    return OutputError(f"{path} can't be written ({error.strerror}): name another {kind}, or create its folder")

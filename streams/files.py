"""Files that appear whole or not at all: a disk that is full leaves what was there before."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from streams.errors import OutputError


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """Yield the path of a new file, which replaces ``path`` at the end of the block.

    What is no regular file (``/dev/stdout``, a pipe) can't be replaced, and is written itself.

    Raises
    ------
    OutputError : if it can't be written; a file of before is unchanged.
    """
    try:
        if path.exists() and not path.is_file():
            yield path
            return
        target = Path(os.path.realpath(path))
        part = target.with_name(f".{target.name}.part")
        try:
            yield part
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"{path} can't be written ({error.strerror}): free space, or write elsewhere") from error


def write_whole(path: Path, content: bytes) -> None:
    """Write a file as `replaced` does."""
    with replaced(path) as part:
        part.write_bytes(content)

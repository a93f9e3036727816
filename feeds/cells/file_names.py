"""Files in texts: their names, which need not be UTF-8 (Chinese archives have GBK), and paths without a file."""

from __future__ import annotations

import os
from pathlib import Path


def valid_text(text: str) -> str:
    """Return a text that can be published: bytes of a file's name that are not UTF-8 become question marks.

    Examples
    --------
    >>> valid_text(b"\\xc8\\xda.csv".decode(errors="surrogateescape"))
    '??.csv'
    """
    return text.encode(errors="replace").decode()


def unusable(path: Path, wanted: str) -> str:
    """Return why nothing can be read at a path, and what to give: pipes, devices and links to nothing are no files."""
    fault = "is neither a file nor a folder" if os.path.lexists(path) else "does not exist"
    return f"{path} {fault}: give {wanted}, or a folder of them"

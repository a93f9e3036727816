"""Names of files in texts: a name need not be UTF-8 (an archive of a Chinese vendor has names in GBK)."""

from __future__ import annotations


def valid_text(text: str) -> str:
    """Return a text that can be published: bytes of a file's name that are not UTF-8 become question marks.

    Examples
    --------
    >>> valid_text(b"\\xc8\\xda.csv".decode(errors="surrogateescape"))
    '??.csv'
    """
    return text.encode(errors="replace").decode()

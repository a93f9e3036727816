"""Redis that answers and refuses: it is full, can't write its disk, is a replica, or does not let this user in."""

from __future__ import annotations

import re

from redis.exceptions import AuthenticationError, NoPermissionError, OutOfMemoryError, ReadOnlyError, ResponseError

_REMEDY = "check its memory and disk, and the user in MARGINWATCH_REDIS_URL"
#: Errors and codes of commands that Redis accepts, unchanged, as soon as somebody has mended it or its user.
_MENDED = (AuthenticationError, NoPermissionError, OutOfMemoryError, ReadOnlyError)
_MENDED_CODES = re.compile(r"\b(MISCONF|NOREPLICAS|MASTERDOWN)\b")


def refusal(error: BaseException) -> str:
    """Return in Redis' own words what it refuses, and what to check; empty if this is no refusal."""
    if not isinstance(error, ResponseError | AuthenticationError):
        return ""
    return f"Redis refuses the command: {str(error).removesuffix('.')}: {_REMEDY}"


def accepts_later(error: BaseException) -> bool:
    """Whether Redis will accept the same command later; any other refusal is that of a command or state in error."""
    return isinstance(error, _MENDED) or (
        isinstance(error, ResponseError) and _MENDED_CODES.search(str(error)) is not None
    )

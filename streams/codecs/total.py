"""Decoders that end in a content or a `RowError`, whatever the bytes are.

A decoder refuses what it foresees with a reason of its own. Bytes that nobody foresaw end in the error of some library
(nesting too deep, a year that a date does not have); these are refused as well, under the error's name. Only a lack of
memory is no fault of the bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from processors.errors import RowError

P = ParamSpec("P")
T = TypeVar("T")


def total(decode: Callable[P, T]) -> Callable[P, T]:
    """Return a decoder whose every error is a `RowError`."""

    @wraps(decode)
    def decoded(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return decode(*args, **kwargs)
        except (RowError, MemoryError):
            raise
        except Exception as error:
            raise RowError(f"{type(error).__name__}: {error}") from error

    return decoded

"""The one way in which a request of a source is repeated: five attempts, with growing waits while the network fails.

A process that ends waits no more, and asks no more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias, TypeVar

from feeds.errors import InputError, StoppedError

_ATTEMPTS, _FIRST_WAIT_S = 5, 2.0
_T = TypeVar("_T")
#: Waits for seconds; returns true if the process ends.
Sleep: TypeAlias = Callable[[float], object]


class BrokenAnswerError(Exception):
    """A missing or unreadable answer; the next attempt may succeed.

    Attributes
    ----------
    wait_s : how long the source wants to be left alone; None if it does not state that.
    """

    def __init__(self, reason: str, wait_s: float | None = None) -> None:
        super().__init__(reason)
        self.wait_s = wait_s


def until_answered(ask: Callable[[], _T], sleep: Sleep, where: str, remedy: str) -> _T:
    """Return what a request returns; repeat it while it raises `BrokenAnswerError`.

    Parameters
    ----------
    where : the name of the source in messages.
    remedy : what to check if no attempt succeeds.

    Raises
    ------
    InputError : if no attempt succeeds.
    StoppedError : if the process ends meanwhile.
    """
    wait, failures = _FIRST_WAIT_S, 0
    while True:
        try:
            return ask()
        except BrokenAnswerError as error:
            failures += 1
            if failures == _ATTEMPTS:
                raise InputError(f"{where}: no answer in {_ATTEMPTS} attempts ({error}): {remedy}") from error
            rest(sleep, wait if error.wait_s is None else error.wait_s, where)
            wait = 2 * wait


def rest(sleep: Sleep, seconds: float, where: str) -> None:
    """Wait before a request; raises `StoppedError` if the process ends meanwhile."""
    if sleep(seconds):
        raise StoppedError(f"the process ends while {where} is requested")

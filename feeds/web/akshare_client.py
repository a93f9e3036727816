"""Calling akshare, an optional package that asks public web pages: ``pip install 'marginwatch[fetch]'``."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from zipfile import BadZipFile

import pandas as pd

from feeds.errors import ConfigurationError, InputError, NotPublishedError
from feeds.publication_times import is_final, not_published
from feeds.web.attempts import BrokenAnswerError, Sleep, until_answered
from processors.errors import MarginwatchError


@dataclass(frozen=True, slots=True)
class AkshareCall:
    """A call of a function of akshare.

    Parameters
    ----------
    publisher, figures : the publisher of the figures and their description, for messages.
    due : when they are published, µs since the epoch.
    """

    function: str
    arguments: dict[str, str]
    publisher: str
    figures: str
    due: int

    def not_published(self, reason: str = "") -> NotPublishedError:
        """Return the error of figures that are not published yet."""
        return not_published(self.publisher, self.figures, self.due, reason)


def require_akshare() -> None:
    """Raise `ConfigurationError` if akshare is not installed: at the start, not when the first day is due."""
    if importlib.util.find_spec("akshare") is None:
        raise ConfigurationError("akshare is not installed: pip install 'marginwatch[fetch]'")


def load_akshare() -> Any:
    """Import akshare; raises `ConfigurationError` if it is not installed."""
    os.environ.setdefault("TQDM_DISABLE", "1")  # akshare would draw progress bars into the log
    try:
        return importlib.import_module("akshare")
    except ImportError as error:
        raise ConfigurationError(
            "fetching needs akshare: pip install 'marginwatch[fetch]', fetch margin figures by `marginwatch feed fetch "
            "--via exchanges`, or download the exchanges' files and give them to `marginwatch feed exchange`"
        ) from error


def call_akshare(module: Any, call: AkshareCall, now: Callable[[], float], sleep: Sleep) -> pd.DataFrame:
    """Call a function of akshare; repeat the call with growing waits while the network fails.

    Parameters
    ----------
    module : akshare.
    now : seconds since the epoch.

    Returns
    -------
    at least one row.

    Raises
    ------
    NotPublishedError : if there is no row, or an unreadable answer within a day after the figures were due.
    InputError : if the page can't be reached, or its answer is unreadable later.
    StoppedError : if the process ends meanwhile.
    """
    function = getattr(module, call.function, None)
    if function is None:
        raise ConfigurationError(f"this akshare has no {call.function}: pip install --upgrade akshare")

    def ask() -> Any:
        try:
            return function(**call.arguments)
        except MarginwatchError:
            raise
        except OSError as error:  # the base class of the errors of requests
            raise BrokenAnswerError(str(error)) from error
        except (ValueError, KeyError, IndexError, AttributeError, TypeError, BadZipFile) as error:
            # akshare names the columns of an answer without checking whether it is empty.
            if not is_final(call.due, now()):
                raise call.not_published(str(error)) from error
            raise InputError(
                f"{call.publisher}: {call.function} gave no readable answer for {call.figures} ({error}); they were "
                "due more than a day ago, so the page may have changed: pip install --upgrade akshare, or give files"
            ) from error

    where, remedy = f"{call.publisher} {call.function}", "check the network, and whether the page answers"
    frame = until_answered(ask, sleep, where, remedy)
    if not len(frame):
        raise call.not_published()
    return pd.DataFrame(frame)

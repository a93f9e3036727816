"""The messages of errors that a user can remove; any other exception is a defect and keeps its traceback."""

from __future__ import annotations

import errno

import structlog
from pydantic import ValidationError
from redis.exceptions import RedisError
from rich.text import Text

from processors.errors import MarginwatchError
from streams import logs
from streams.cli.terminal import err
from streams.redis_refusals import refusal
from streams.settings import describe_problem

log = structlog.get_logger()
#: What writing fails with where there is no space left.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def print_error(error: Exception) -> bool:
    """Print an error of the system's own, of Redis or of the settings on stderr; return False for any other.

    Where the log is JSON, an error is a line of it, and so is a defect with its traceback.
    """
    text = _described(error)
    if logs.is_json():
        if text is None:
            log.critical("ended by a defect: report it", exc_info=error)
        elif text:
            log.critical("ended by an error", error=text)
        return True
    if text:
        err.print(Text.assemble(("error ", "bold red"), text))
    return text is not None


def _described(error: Exception) -> str | None:
    """Return the message and the remedy of an error; empty where there is nothing to say, None for a defect."""
    match error:
        case MarginwatchError():
            return str(error)
        case RedisError():
            remedy = "start one, set MARGINWATCH_REDIS_URL, or use `marginwatch up`"
            return refusal(error) or f"Redis: {str(error).removesuffix('.')}: {remedy}"
        case ValidationError():
            return "\n  ".join(["settings:", *map(describe_problem, error.errors())])
        case UnicodeEncodeError(object=text):  # Python has such a character for each byte that it can't decode
            return f"{text!a} is not UTF-8: write it in a terminal whose encoding is UTF-8"
        case BrokenPipeError():
            return ""  # whoever read the output, such as head, has enough
        case OSError(errno=number, strerror=reason) if number in _FULL:
            return f"the output can't be written ({reason}): free space, or write elsewhere"
        case _:
            return None

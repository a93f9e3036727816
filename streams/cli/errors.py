"""The messages of errors that a user can remove; any other exception is a defect and keeps its traceback."""

from __future__ import annotations

import errno

from pydantic import ValidationError
from redis.exceptions import AuthenticationError, RedisError, ResponseError
from rich.text import Text

from processors.errors import MarginwatchError
from streams.cli.terminal import err
from streams.settings import describe_problem

#: What writing fails with where there is no space left.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_ERROR = ("error ", "bold red")


def print_error(error: Exception) -> bool:
    """Print an error of the system's own, of Redis or of the settings on stderr; return False for any other."""
    match error:
        case MarginwatchError():
            err.print(Text.assemble(_ERROR, str(error)))
        case ResponseError() | AuthenticationError():
            remedy = "check its memory and disk, and the user in MARGINWATCH_REDIS_URL"
            err.print(Text.assemble(_ERROR, f"Redis refuses the command: {str(error).removesuffix('.')}: {remedy}"))
        case RedisError():
            remedy = "start one, set MARGINWATCH_REDIS_URL, or use `marginwatch up`"
            err.print(Text.assemble(_ERROR, f"Redis: {str(error).removesuffix('.')}: {remedy}"))
        case ValidationError():
            err.print(Text.assemble(_ERROR, "settings:"))
            for problem in error.errors():
                err.print(f"  {describe_problem(problem)}")
        case BrokenPipeError():
            pass  # whoever read the output, such as head, has enough
        case OSError(errno=number, strerror=reason) if number in _FULL:
            err.print(Text.assemble(_ERROR, f"the output can't be written ({reason}): free space, or write elsewhere"))
        case _:
            return False
    return True

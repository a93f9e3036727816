"""The messages of errors that a user can remove; any other exception is a defect and keeps its traceback."""

from __future__ import annotations

from pydantic import ValidationError
from redis.exceptions import RedisError
from rich.markup import escape

from processors.errors import MarginwatchError
from streams.cli.terminal import err

_ERROR = "[bold red]error[/bold red]"


def print_error(error: Exception) -> bool:
    """Print an error of the system's own, of Redis or of the settings on stderr; return False for any other."""
    match error:
        case MarginwatchError():
            err.print(f"{_ERROR} {escape(str(error))}", markup=True)
        case RedisError():
            err.print(
                f"{_ERROR} Redis: {escape(str(error))}: start one, set MARGINWATCH_REDIS_URL, or use `marginwatch up`"
            )
        case ValidationError():
            err.print(f"{_ERROR} settings:")
            for problem in error.errors():
                err.print(f"  {'.'.join(map(str, problem['loc']))}: {problem['msg']}", markup=False)
        case _:
            return False
    return True

"""Studies on a folder of market files: runs `processors.studies` and writes tables, charts and a page."""

from __future__ import annotations

from types import ModuleType

from processors.errors import MarginwatchError


def load() -> ModuleType:
    """Return `streams.studies.run`.

    Raises
    ------
    MarginwatchError : if the libraries of the studies are not installed.
    """
    try:
        from streams.studies import run
    except ModuleNotFoundError as error:
        raise MarginwatchError(f"studies need {error.name}: pip install 'marginwatch[study]'") from error
    return run

"""Workers of the tests, forked from a process that has imported the program: most of a start is the imports.

Such a worker is the program itself, with an environment, a log and an exit status of its own. It only inherits the
modules, and the seed of Python's hashes. Starts from nothing are tested where users make them (`marginwatch up`, the
wheel), and by the chaos tests, which compare the bytes of workers with different seeds.
"""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
from collections.abc import Mapping, Sequence
from multiprocessing import get_context
from pathlib import Path
from signal import Signals

_CONTEXT = get_context("forkserver")
#: What a worker imports; none of them imports pandas, which a worker forgoes.
_CONTEXT.set_forkserver_preload(["streams.cli.main", "streams.cli.up", "streams.worker", "streams.app"])


class ForkedProcess:
    """``python -m module arguments`` in a forked process, with the methods of `subprocess.Popen`.

    Parameters
    ----------
    environment : all of its environment variables.
    log : a file to which stdout and stderr are appended.
    """

    def __init__(self, module: str, arguments: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self._command = (module, *arguments)
        self._process = _CONTEXT.Process(
            target=_run, args=(module, list(arguments), dict(environment), str(log)), daemon=True
        )
        self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid

    @property
    def returncode(self) -> int | None:
        """The exit status, or the negative number of the signal that ended it; None while it runs."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """Return `returncode`."""
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end; return the exit status.

        Raises
        ------
        subprocess.TimeoutExpired : if it still runs after ``timeout`` seconds.
        """
        self._process.join(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired(self._command, timeout or 0.0)
        return self.returncode

    def send_signal(self, number: Signals) -> None:
        """Send a signal; nothing happens if it has ended."""
        if self.returncode is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it by SIGKILL."""
        self._process.kill()


def _run(module: str, arguments: Sequence[str], environment: Mapping[str, str], log: str) -> None:
    os.environ.clear()
    os.environ.update(environment)
    with open(log, "ab") as out:
        for stream in (sys.stdout, sys.stderr):
            os.dup2(out.fileno(), stream.fileno())
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)

"""Worker and console as child processes of this process; their settings travel by environment variables."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from streams.errors import LocalRunError
from streams.local_service import tail
from streams.security import kafka_password
from streams.settings import Settings

_READY_S = 60.0


class WorkerProcess:
    """The worker as a child process; its log goes to a file."""

    name = "worker"

    def __init__(self, settings: Settings, log: Path) -> None:
        self._settings = settings
        self.log = log
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def arguments(self) -> list[str]:
        """Return the arguments of the command line."""
        return [self.name]

    @property
    def ready_url(self) -> str:
        """Return the URL that answers with 200 once the process is ready."""
        return f"http://127.0.0.1:{self._settings.http_port}/readyz"

    def start(self) -> None:
        """Start the process and wait until it is ready; raises `LocalRunError` if it ends or is not ready in 60 s."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "streams", *self.arguments],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                env=os.environ | environment(self._settings),
            )
        deadline = time.monotonic() + _READY_S
        while not http_ok(self.ready_url):
            self.check("its start")
            if time.monotonic() > deadline:
                raise LocalRunError(
                    f"the {self.name} is not ready after {_READY_S:.0f} s; the end of {self.log}:\n{tail(self.log)}"
                )
            time.sleep(0.05)

    @property
    def pid(self) -> int:
        """Return the process id; raises `LocalRunError` before `start`."""
        if self._process is None:
            raise LocalRunError(f"the {self.name} is not running: start it first")
        return self._process.pid

    def check(self, what: str) -> None:
        """Raise `LocalRunError` if the process has ended; ``what`` names the step for the message."""
        if self._process is not None and self._process.poll() is not None:
            raise LocalRunError(
                f"the {self.name} ended with code {self._process.returncode} during {what}; the end of {self.log}:\n"
                + tail(self.log)
            )

    def wait(self) -> None:
        """Return when the process ends; raises `LocalRunError`, as nobody stopped it."""
        if self._process is not None:
            self._process.wait()
            self.check("its work")

    def stop(self) -> None:
        """End the process by SIGTERM, after 15 s by SIGKILL."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(15)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


class ConsoleProcess(WorkerProcess):
    """The console as a child process."""

    name = "console"

    def __init__(self, settings: Settings, log: Path, *, simulated: bool = False) -> None:
        super().__init__(settings, log)
        self._simulated = simulated

    @property
    def arguments(self) -> list[str]:
        return [self.name, *(["--simulated"] if self._simulated else [])]

    @property
    def address(self) -> str:
        """Return the address for a browser on this machine."""
        host = self._settings.console_host
        return f"http://{'127.0.0.1' if host in ('0.0.0.0', '::') else host}:{self._settings.console_port}/"

    @property
    def ready_url(self) -> str:
        return f"{self.address}healthz"


def environment(settings: Settings) -> dict[str, str]:
    """Return settings as environment variables for a child process, secrets in clear text."""
    values = settings.model_dump(
        mode="json", exclude={"redis_url_file", "kafka_password_file", "channels"}, exclude_none=True
    )
    # The dump masks secrets.
    for name in ("console_token", "tushare_token", "positions_secret"):
        if name in values:
            values[name] = getattr(settings, name).get_secret_value()
    values |= {"redis_url": settings.redis, "channels": {n: c.in_clear() for n, c in settings.channels.items()}}
    values["kafka_password"] = str(kafka_password(settings))
    return {
        f"MARGINWATCH_{name.upper()}": value if isinstance(value, str) else json.dumps(value)
        for name, value in values.items()
    }


def http_ok(url: str) -> bool:
    """Whether a URL answers with 200."""
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False

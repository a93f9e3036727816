"""Worker and console as child processes of this process; their settings travel by environment variables."""

from __future__ import annotations

import json
import os
import sys
import urllib.error
import urllib.request
from pathlib import Path

from streams.local.local_service import LOOPBACK, LocalService
from streams.security import kafka_password
from streams.settings import Settings


class WorkerProcess(LocalService):
    """The worker as a child process; its log goes to a file.

    Parameters
    ----------
    folder : for its log.
    """

    name = "worker"
    start_timeout_s = 60.0

    def __init__(self, settings: Settings, folder: Path) -> None:
        super().__init__(folder, settings.http_port)
        self._settings = settings

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    def _command(self) -> list[str]:
        return [sys.executable, "-m", "streams", self.name]

    def _environment(self) -> dict[str, str]:
        # The variables and the file of this process would add what the settings don't have, such as a channel.
        own = {name: value for name, value in os.environ.items() if not name.startswith("MARGINWATCH_")}
        (empty := self.data_dir / "settings.toml").touch()
        return own | environment(self._settings) | {"MARGINWATCH_CONFIG": str(empty)}

    @property
    def _folder(self) -> None:
        """Settings may contain relative paths."""

    def _answers(self) -> bool:
        return http_ok(f"{self.url}/readyz")


class ConsoleProcess(WorkerProcess):
    """The console as a child process."""

    name = "console"

    def __init__(self, settings: Settings, folder: Path, *, simulated: bool = False) -> None:
        super().__init__(settings, folder)
        self.port = settings.console_port
        self._simulated = simulated

    def _command(self) -> list[str]:
        return [*super()._command(), *(["--simulated"] if self._simulated else [])]

    @property
    def url(self) -> str:
        host = self._settings.console_host
        return f"http://{LOOPBACK if host in ('0.0.0.0', '::') else host}:{self.port}/"

    def _answers(self) -> bool:
        return http_ok(f"{self.url}healthz")


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
        # A child of this process on this machine: no TLS, and starting it need not import a library of clients.
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: TID251
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False

"""A real Alertmanager, for tests."""

from __future__ import annotations

import json
import shutil
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from streams.local.local_service import free_port
from streams.local.processes import http_ok
from tests.harness import wait_until

CONFIG = Path(__file__).resolve().parents[1] / "deploy/alertmanager/alertmanager.yml"


class Alertmanager:
    """A server on a free port, by default with the project's own configuration; skips a test if it is not installed."""

    def __init__(self, folder: Path, config: Path = CONFIG) -> None:
        program = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
        if program is None:
            pytest.skip("Alertmanager is not installed (Debian: prometheus-alertmanager)")
        self.address = f"127.0.0.1:{free_port()}"
        self.url = f"http://{self.address}"
        with (folder / "alertmanager.log").open("wb") as log:
            self.process = subprocess.Popen(
                [
                    program,
                    f"--config.file={config}",
                    f"--storage.path={folder / 'alertmanager'}",
                    f"--web.listen-address={self.address}",
                    "--cluster.listen-address=",
                ],
                stdout=log,
                stderr=log,
            )
        wait_until(lambda: http_ok(f"{self.url}/-/ready"), 20, "a ready Alertmanager")

    def alerts(self) -> list[dict[str, Any]]:
        with urllib.request.urlopen(f"{self.url}/api/v2/alerts", timeout=10) as answer:
            return json.load(answer)

    def post(self, *labels: dict[str, str]) -> None:
        body = json.dumps([{"labels": one, "annotations": {}} for one in labels]).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.url}/api/v2/alerts", body, headers)
        urllib.request.urlopen(request, timeout=10).close()

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(120)

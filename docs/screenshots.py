"""The pictures of the console in the desk guide: Chromium on the real stream, fed the simulated market of the sample.

``python -m docs.screenshots`` takes about a minute and overwrites the PNG files in ``pages/images``. It needs Chromium
(Debian's package) and the extras ``local``, ``console`` and ``dev``.
"""

from __future__ import annotations

import io
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import ViewportSize, sync_playwright

from bench.services import services
from docs import sample
from feeds import simulate
from processors.errors import MarginwatchError
from processors.signal import Level
from streams import readers
from streams.clients import redis_client
from streams.local_service import free_port
from streams.processes import ConsoleProcess, WorkerProcess
from streams.publisher import Publisher
from streams.settings import Settings
from streams.system_status import passed
from streams.topics import Topics

FOLDER = Path(__file__).resolve().parent / "pages" / "images"
#: No picture is larger: the repository keeps them.
MOST_BYTES = 200_000
_CHROMIUM = "/usr/bin/chromium"
_FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
_DESK, _PHONE = ViewportSize(width=1366, height=768), ViewportSize(width=390, height=844)
_TIMEOUT_S = 120.0


def main() -> None:
    """Feed the sample up to its breakdown, then take every picture."""
    with (
        tempfile.TemporaryDirectory() as name,
        services("embedded", Path(name)) as make,
        _running(make, Path(name)) as at,
    ):
        settings, address = at
        alerts = [a for a in readers.alerts(settings) if a.rule == "peak_warning"]
        peak = next(a for a in alerts if a.subject == "fin_buy_ratio_5d")
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=_CHROMIUM, args=_FLAGS)
            desk = browser.new_context(viewport=_DESK, locale="en-US").new_page()
            _take(desk, address, "WARNED", "console-home")
            _take(desk, f"{address}alerts/{peak.id}", "fell to", "console-alert")
            _take(desk, f"{address}security/300015.SZ", "Adjusted price", "console-security")
            _take(desk, f"{address}industry/银行", "Banks", "console-industry")
            phone = browser.new_context(viewport=_PHONE, locale="zh-CN", has_touch=True).new_page()
            _take(phone, address, "个交易日前预警", "console-phone")
            browser.close()


@contextmanager
def _running(make: Callable[..., Settings], folder: Path) -> Iterator[tuple[Settings, str]]:
    """Run a worker and the console over the sample; yield the settings and the console's address."""
    settings = make("docs", http_port=free_port(), console_port=free_port())
    Topics(settings).create()
    with WorkerProcess(settings, folder):
        _feed(settings)
        with ConsoleProcess(settings, folder, simulated=True) as console:
            yield settings, console.url


def _feed(settings: Settings) -> None:
    """Publish the sample until two sessions after its first breakdown, and wait until the worker has processed it."""
    states = sample.curves()[Level.MARKET, "ratio_state"].values
    market, redis = sample.market(), redis_client(settings)
    with Publisher(settings, source=simulate.SOURCE) as publisher, redis:
        for number, (_, batches) in enumerate(sample.days(market)):
            publisher.day(batches)
            if number == states.index("BREAKDOWN") + 2:
                break
        barrier = publisher.barrier()
        deadline = time.monotonic() + _TIMEOUT_S
        while not passed(settings, barrier, redis):
            if time.monotonic() > deadline:
                raise MarginwatchError(f"the worker did not process the sample within {_TIMEOUT_S:.0f} s: see its log")
            time.sleep(0.1)


def _take(page: Any, address: str, text: str, name: str) -> None:
    """Wait for a text on a page, then keep a picture of the window with at most 128 colours."""
    page.goto(address)
    page.get_by_text(text).first.wait_for()
    page.wait_for_timeout(1_500)  # charts are drawn with an animation
    image = Image.open(io.BytesIO(page.screenshot())).convert("RGB").quantize(128)
    path = FOLDER / f"{name}.png"
    image.save(path, optimize=True)
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise MarginwatchError(f"{path} has {size:,} bytes, more than {MOST_BYTES:,}: show less on it")


if __name__ == "__main__":
    main()

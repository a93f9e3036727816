"""The overview in a real browser while a session runs sixty times as fast: first paint, pushes, errors, layout, memory.

``python -m bench.page`` feeds the sample of the documentation and plays the session after it. ``--session DIR`` replays
a folder of `marginwatch feed replay` instead. It needs Chromium (Debian's package) and the extras ``local``,
``console`` and ``dev``.
"""

from __future__ import annotations

import itertools
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer
from playwright.sync_api import sync_playwright

from bench.figures import Figure, table_of
from bench.services import services
from docs import screenshots
from feeds import simulate
from feeds.daily.replay import moments_of, publish_moments
from streams.calendars import xshg
from streams.cli.terminal import out
from streams.local.local_service import free_port
from streams.local.processes import ConsoleProcess, WorkerProcess, environment
from streams.publisher import Publisher
from streams.settings import Settings
from streams.topics import Topics

SPEED = 60.0
_SECURITY = "security/300015.SZ"
_HEAP_EVERY_S = 5.0
#: Loads of each page; the median counts.
_LOADS = 5
#: Cumulative layout shift as browsers define it: the largest window of at most 5 s without a pause of a second.
_OBSERVE = """window.shift = 0; window.painted = 0;
let sum = 0, first = 0, last = -Infinity;
new PerformanceObserver(list => {
  for (const one of list.getEntries()) {
    if (one.hadRecentInput) continue;
    if (one.startTime - last > 1000 || one.startTime - first > 5000) { sum = 0; first = one.startTime; }
    last = one.startTime;
    sum += one.value;
    window.shift = Math.max(window.shift, sum);
  }
}).observe({type: 'layout-shift', buffered: true});
new PerformanceObserver(list => { for (const one of list.getEntries()) window.painted = one.startTime; })
  .observe({type: 'largest-contentful-paint', buffered: true});"""
_FIRST = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
_HTML = "performance.getEntriesByType('navigation')[0].responseEnd"


@dataclass
class Watched:
    """What a page has received and done.

    Parameters
    ----------
    pushes : when each message arrived, seconds of the browser's clock.
    heap : bytes that scripts use, after a collection of garbage each.
    """

    pushes: list[float] = field(default_factory=list)
    bytes: int = 0
    errors: list[str] = field(default_factory=list)
    heap: list[float] = field(default_factory=list)
    shift: float = 0.0

    def busiest(self) -> int:
        """Return the pushes of the busiest second."""
        return max((sum(begin <= at < begin + 1.0 for at in self.pushes) for begin in self.pushes), default=0)

    def growth(self) -> float:
        """Return the heap of the last third over that of the middle one: 1.0 is flat."""
        third = len(self.heap) // 3
        return statistics.median(self.heap[-third:]) / statistics.median(self.heap[third : 2 * third])


def paints(browser: Any, url: str) -> Iterator[Figure]:
    """Measure how soon the pages are there, each load in a browser without a cache."""
    for name, path in (("overview", ""), ("security", _SECURITY)):
        found: list[tuple[float, float, float]] = []
        for _ in range(_LOADS):
            context = browser.new_context(viewport={"width": 1440, "height": 900})
            page = context.new_page()
            page.add_init_script(_OBSERVE)
            page.goto(url + path)
            page.locator("canvas").first.wait_for()
            page.wait_for_function("window.painted > 0")
            found.append((page.evaluate(_HTML), page.evaluate(_FIRST), page.evaluate("window.painted")))
            context.close()
        html, first, largest = (statistics.median(column) for column in zip(*found, strict=True))
        yield Figure(f"{name}: HTML", html, "ms", at_most=None if not path else 300)
        yield Figure(f"{name}: first contentful paint", first, "ms", at_most=1000)
        yield Figure(f"{name}: largest contentful paint", largest, "ms")


def watch(browser: Any, url: str, seconds: float, begin: Callable[[], None]) -> Watched:
    """Watch the overview while a session runs."""
    page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    page.add_init_script(_OBSERVE)
    seen = Watched()
    page.on("pageerror", lambda error: seen.errors.append(str(error)))
    page.on("console", lambda one: seen.errors.append(one.text) if one.type == "error" else None)
    devtools = page.context.new_cdp_session(page)
    devtools.send("Network.enable")
    devtools.send("Performance.enable")

    def received(event: dict[str, Any]) -> None:
        content = event["response"]["payloadData"]
        if content.startswith("42["):  # anything else keeps the connection open
            seen.pushes.append(event["timestamp"])
            seen.bytes += len(content)

    devtools.on("Network.webSocketFrameReceived", received)
    page.goto(url)
    page.locator("canvas").first.wait_for()
    begin()
    page.wait_for_timeout(3_000)
    seen.pushes.clear()
    seen.bytes = 0
    page.evaluate("window.shift = 0")
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        devtools.send("HeapProfiler.collectGarbage")
        metrics = {one["name"]: one["value"] for one in devtools.send("Performance.getMetrics")["metrics"]}
        seen.heap.append(metrics["JSHeapUsedSize"])
        page.wait_for_timeout(_HEAP_EVERY_S * 1000)
    seen.shift = page.evaluate("window.shift")
    page.context.close()
    return seen


def figures(seen: Watched, seconds: float) -> Iterator[Figure]:
    """Yield the figures of a session."""
    yield Figure("pushes, busiest second", seen.busiest(), "/s", at_most=3)
    yield Figure("pushes, mean", len(seen.pushes) / seconds, "/s")
    yield Figure("bytes", seen.bytes / seconds / 1024, "KB/s")
    yield Figure("errors in the browser's log", len(seen.errors), "", at_most=0)
    yield Figure("layout shift", seen.shift, "", at_most=0.1)
    yield Figure("heap at the end", seen.heap[-1] / 1e6, "MB")
    yield Figure("heap, last third over the middle one", seen.growth(), "×", at_most=1.1)


@contextmanager
def of_sample(make: Callable[..., Settings], folder: Path) -> Iterator[tuple[str, Callable[[], None]]]:
    """Run the sample; yield the console's address, and a function that begins the session after it."""
    with screenshots.running(make, folder) as at:
        today = xshg().shift(at.day, 1)
        assert today is not None
        stop = threading.Event()

        def play() -> None:
            moments = moments_of(today, at.market.session(today, ratio=0.09, every_minutes=1))
            with Publisher(at.settings, source=simulate.SOURCE) as publisher:
                publish_moments(publisher, itertools.takewhile(lambda _: not stop.is_set(), moments), speed=SPEED)

        player = threading.Thread(target=play)
        try:
            yield at.console.url, player.start
        finally:
            stop.set()
            if player.is_alive():
                player.join()


@contextmanager
def of_folder(
    make: Callable[..., Settings], folder: Path, data: Path, options: list[str]
) -> Iterator[tuple[str, Callable[[], None]]]:
    """Run an empty stream; yield the console's address, and a function that begins the replay of a folder."""
    settings = make("page", http_port=free_port(), console_port=free_port())
    Topics(settings).create()
    started: list[subprocess.Popen[bytes]] = []
    command = [sys.executable, "-m", "streams", "feed", "replay", str(data), "--speed", f"{SPEED:g}×", *options]
    with WorkerProcess(settings, folder), ConsoleProcess(settings, folder) as console:
        try:
            yield (
                console.url,
                lambda: started.append(subprocess.Popen(command, env=os.environ | environment(settings))),
            )
        finally:
            for process in started:
                process.terminate()
                process.wait()


def main(
    seconds: Annotated[float, typer.Option(min=30, help="how long the session is watched, at 60×")] = 120.0,
    session: Annotated[Path | None, typer.Option(help="a folder of `feed replay`; else a simulated session")] = None,
    start: Annotated[str, typer.Option("--from", help="the first session of the folder")] = "",
    end: Annotated[str, typer.Option("--to", help="the last session of the folder")] = "",
    every: Annotated[str, typer.Option(help="as of `feed replay`")] = "1m",
) -> None:
    """Measure and print."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        make = stack.enter_context(services("embedded", folder))
        given = {"--every": every, "--from": start, "--to": end}
        options = ["--force", *(part for name, value in given.items() if value for part in (name, value))]
        running = of_sample(make, folder) if session is None else of_folder(make, folder, session.resolve(), options)
        url, begin = stack.enter_context(running)
        playwright = stack.enter_context(sync_playwright())
        browser = playwright.chromium.launch(executable_path=screenshots.CHROMIUM, args=screenshots.FLAGS)
        painted = list(paints(browser, url)) if session is None else []
        seen = watch(browser, url, seconds, begin)
        browser.close()
    out.print(
        table_of(f"the overview, {seconds * SPEED / 60:g} minutes of a session", [*painted, *figures(seen, seconds)])
    )
    for error in seen.errors:
        out.print(error)


if __name__ == "__main__":
    typer.run(main)

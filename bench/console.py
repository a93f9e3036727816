"""The console under many open pages: its CPU, pushes and bytes a page, and how soon a page is there.

``python -m bench.console`` feeds the sample of the documentation, opens the pages and plays a session of it. Clients
are websockets without a browser, so that the CPU of browsers is not measured along. ``--url`` and ``--pid`` name a
console that runs already.
"""

from __future__ import annotations

import argparse
import ast
import asyncio
import json
import os
import re
import statistics
import tempfile
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import socketio

from bench.services import services
from docs import screenshots
from feeds import simulate
from processors.days import to_date
from streams.calendars import xshg
from streams.publisher import Publisher

_QUERY = re.compile(r"query: (\{.*\}),")
_TICKS = os.sysconf("SC_CLK_TCK")
#: Paths whose time is measured, and how often.
_TIMED = {"home": "", "security": "security/300015.SZ", "morning sheet": "sheet.pdf"}
_TIMES = 7
#: Days before the newest one that a page of an earlier day shows.
_EARLIER_DAYS = 28


class OpenPage:
    """One open page without a browser: counts what the console pushes."""

    def __init__(self) -> None:
        self.pushes = 0
        self.bytes = 0
        self._socket = socketio.AsyncClient(reconnection=False)

    async def open(self, client: httpx.AsyncClient, url: str) -> None:
        """Load the page as a browser does, then its websocket."""
        answer = await client.get(url)
        found = _QUERY.search(answer.text)
        assert found is not None, "the page has no websocket"
        query = ast.literal_eval(found[1]) | {
            "document_id": str(uuid.uuid4()),
            "tab_id": str(uuid.uuid4()),
            "old_tab_id": None,
        }
        self._socket.on("*", self._count)
        await self._socket.connect(url, socketio_path="/_nicegui_ws/socket.io", transports=["websocket"])
        if not await self._socket.call("handshake", query):
            raise RuntimeError("the console refused the page")

    def _count(self, *content: Any) -> None:
        self.pushes += 1
        self.bytes += len(json.dumps(content))

    async def close(self) -> None:
        """Close the websocket."""
        await self._socket.disconnect()


def cpu_s(pid: int) -> float:
    """Return the CPU time of a process, seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


async def measure(
    url: str, pid: int, pages: int, seconds: float, begin_session: Callable[[], None], paths: dict[str, str]
) -> None:
    """Print the times of the paths, then the load of open pages while a session runs."""
    async with httpx.AsyncClient(timeout=120) as client:
        for name, path in paths.items():
            times = []
            for _ in range(_TIMES):
                begin = time.perf_counter()
                (await client.get(url + path)).raise_for_status()
                times.append(time.perf_counter() - begin)
            print(f"{name:16} {statistics.median(times) * 1e3:8.0f} ms median, {max(times) * 1e3:.0f} ms at most")
        opened = [OpenPage() for _ in range(pages)]
        for page in opened:
            await page.open(client, url)
        begin_session()
        await asyncio.sleep(2.0)
        for page in opened:
            page.pushes = page.bytes = 0
        before, begin = cpu_s(pid), time.perf_counter()
        await asyncio.sleep(seconds)
        used, took = cpu_s(pid) - before, time.perf_counter() - begin
        print(f"{pages} open pages    {used / took:8.2f} cores of the console over {took:.0f} s")
        print(f"pushes           {statistics.mean(p.pushes for p in opened) / took:8.2f} a second and page")
        print(f"bytes            {statistics.mean(p.bytes for p in opened) / took:8.0f} a second and page")
        for page in opened:
            await page.close()


def play(at: screenshots.Running, stop: threading.Event) -> None:
    """Publish the minutes of the next session, four a second."""
    today = xshg().shift(at.day, 1)
    assert today is not None
    with Publisher(at.settings, source=simulate.SOURCE) as publisher:
        for _, batches in at.market.session(today, ratio=0.09, every_minutes=1):
            for rows in batches.values():
                publisher.rows_of(rows)
            publisher.flush()
            if stop.wait(0.25):
                return


def main() -> None:
    """Measure a console of its own, or the one that is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url")
    parser.add_argument("--pid", type=int)
    parser.add_argument("--pages", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=20.0)
    given = parser.parse_args()
    if given.url:
        asyncio.run(measure(given.url, given.pid, given.pages, given.seconds, lambda: None, _TIMED))
        return
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        make = stack.enter_context(services("embedded", folder))
        at = stack.enter_context(screenshots.running(make, folder))
        stop = threading.Event()
        player = threading.Thread(target=play, args=(at, stop))
        try:
            paths = _TIMED | {"earlier day": f"?asof={to_date(at.day - _EARLIER_DAYS)}"}
            asyncio.run(measure(at.console.url, at.console.pid, given.pages, given.seconds, player.start, paths))
        finally:
            stop.set()
            if player.is_alive():
                player.join()


if __name__ == "__main__":
    main()

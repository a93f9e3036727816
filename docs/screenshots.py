"""The pictures of the console: Chromium on the real stream, fed the simulated market of the sample.

``python -m docs.screenshots`` takes every page in both languages, both themes and three sizes into ``out/console``, and
overwrites the pictures of the documentation in ``pages/images``. It takes some minutes and needs Chromium (Debian's
package) and the extras ``local``, ``console`` and ``dev``. With MARGINWATCH_CHART_MODEL, the page of the
themes shows the scores of that model.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image
from playwright.sync_api import ViewportSize, sync_playwright

from bench.services import services
from docs import sample
from feeds import simulate
from processors.codes import to_code
from processors.days import to_date
from processors.errors import MarginwatchError
from processors.signal import Level
from streams import readers
from streams.clients import redis_client
from streams.feed_services import store_security_names
from streams.local.local_service import free_port
from streams.local.processes import ConsoleProcess, WorkerProcess, environment
from streams.publisher import Publisher
from streams.settings import Settings
from streams.system_status import passed
from streams.topics import Topics

FOLDER = Path(__file__).resolve().parent / "pages" / "images"
ALL = Path(__file__).resolve().parent.parent / "out" / "console"
#: No picture of the documentation is larger: the repository keeps them.
MOST_BYTES = 200_000
CHROMIUM = "/usr/bin/chromium"
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
_SIZES = {"desk": (1440, 900), "tablet": (820, 1180), "phone": (390, 844)}
_DESK, _PHONE = ViewportSize(width=1366, height=768), ViewportSize(width=390, height=844)
_TIMEOUT_S = 120.0
_SECURITY, _INDUSTRY = "security/300015.SZ", "industry/银行"


def main() -> None:
    """Feed the sample up to its breakdown, then take every picture."""
    with (
        tempfile.TemporaryDirectory() as name,
        services("embedded", Path(name)) as make,
        running(make, Path(name)) as at,
        sync_playwright() as playwright,
    ):
        peak = next(
            a.id for a in readers.alerts(at.settings) if a.rule == "peak_warning" and a.subject == "fin_buy_ratio_5d"
        )
        earlier = f"?asof={to_date(at.day - 28)}"
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        _documentation(browser, at.console.url, peak)
        paths = {
            "home": "",
            "earlier": earlier,
            "alert": f"alerts/{peak}",
            "security": _SECURITY,
            "industry": _INDUSTRY,
            "studies": "studies",
            "study": "studies/peak",
            "themes": "themes",
        }
        ALL.mkdir(parents=True, exist_ok=True)
        for size, (width, height) in _SIZES.items():
            for language in ("zh-CN", "en-US"):
                page = browser.new_context(
                    viewport=ViewportSize(width=width, height=height), locale=language
                ).new_page()
                for theme in ("light", "dark"):
                    for name_of, path in paths.items():
                        _open(page, at.console.url + path)
                        page.screenshot(path=str(ALL / f"{name_of}-{language[:2]}-{theme}-{size}.png"), full_page=True)
                    page.goto(at.console.url)
                    page.locator("[aria-label='Dark or light'],[aria-label='深色/浅色']").click()
                    page.locator("body.body--dark" if theme == "light" else "body:not(.body--dark)").wait_for()
                _sheet(page, at.console.url, language)
        browser.close()


def _documentation(browser: Any, address: str, peak: str) -> None:
    """Take the pictures that the documentation shows."""
    desk = browser.new_context(viewport=_DESK, locale="en-US").new_page()
    desk.goto(address)
    desk.get_by_text("WARNED").first.wait_for()
    desk.get_by_text("reading history").wait_for(state="hidden")  # the console has just started
    _take(desk, "", "WARNED", "console-home")
    _take(desk, "", "Industries", "console-panels", scrolled=".panels")
    _take(desk, f"{address}alerts/{peak}", "fell to", "console-alert")
    _take(desk, f"{address}{_SECURITY}", "Price, adjusted", "console-security")
    _take(desk, f"{address}{_INDUSTRY}", "Banks", "console-industry")
    phone = browser.new_context(viewport=_PHONE, locale="zh-CN", has_touch=True).new_page()
    _take(phone, address, "个交易日前预警", "console-phone")


def _sheet(page: Any, address: str, language: str) -> None:
    """Store the morning sheet in a language; a request beside the page does not name the browser's."""
    answer = page.request.get(f"{address}sheet.pdf", headers={"accept-language": language})
    (ALL / f"sheet-{language[:2]}.pdf").write_bytes(answer.body())


@dataclass(frozen=True, slots=True)
class Running:
    """A worker and a console after the sample, whose market and last day may go on."""

    settings: Settings
    console: ConsoleProcess
    market: simulate.Market
    day: int


@contextmanager
def running(make: Callable[..., Settings], folder: Path) -> Iterator[Running]:
    """Run a worker and the console over the sample."""
    history = _market_files(folder / "history")
    results = {"study_data": history, "study_store": folder / "studies"}
    settings = make("docs", http_port=free_port(), console_port=free_port(), **results)
    command = [sys.executable, "-m", "streams", "study", "all", "--store", "--data", str(history)]
    subprocess.run(command, check=True, env=os.environ | environment(settings), stdout=subprocess.DEVNULL)
    Topics(settings).create()
    with WorkerProcess(settings, folder):
        market, day = _feed(settings)
        with ConsoleProcess(settings, folder, simulated=True) as console:
            yield Running(settings, console, market, day)


def _feed(settings: Settings) -> tuple[simulate.Market, int]:
    """Publish the sample until two sessions after its first breakdown, and wait until the worker has processed it."""
    states = sample.curves()[Level.MARKET, "ratio_state"].values
    market, redis, last = sample.market(), redis_client(settings), 0
    with Publisher(settings, source=simulate.SOURCE) as publisher, redis:
        for number, (day, batches) in enumerate(sample.days(market)):
            publisher.day(batches)
            last = day
            if number == states.index("BREAKDOWN") + 2:
                break
        barrier = publisher.barrier()
        deadline = time.monotonic() + _TIMEOUT_S
        while not passed(settings, barrier, redis):
            if time.monotonic() > deadline:
                raise MarginwatchError(f"the worker did not process the sample within {_TIMEOUT_S:.0f} s: see its log")
            time.sleep(0.1)
    store_security_names(settings, simulate.names(market.keys))
    return market, last


def _market_files(folder: Path) -> Path:
    """Write the totals and indices of the sample as files, on which the studies of the market compute."""
    folder.mkdir()
    totals: list[pd.DataFrame] = []
    indices: list[pd.DataFrame] = []
    for day, batches in sample.days(sample.market()):
        for rows, out in ((batches["margin.market"], totals), (batches["indices.daily"], indices)):
            out.append(pd.DataFrame({"dt": pd.Timestamp(to_date(day)), "key": rows.keys} | rows.figures))
    total, index = pd.concat(totals), pd.concat(indices)
    names = {"fin_balance": "margin_balance", "fin_buy": "margin_buy_amt", "fin_repay": "margin_repay_amt",
             "short_volume": "short_qty", "short_sell": "short_sell_qty", "short_balance": "short_value"}  # fmt: skip
    for key, (exchange, unit) in enumerate((("sse", 1.0), ("szse", 1e8))):
        frame = total[total["key"] == key].rename(columns=names)[["dt", *names.values()]]
        frame[[*names.values()]] /= unit
        frame = frame if exchange == "sse" else frame.drop(columns="margin_repay_amt")
        frame.to_parquet(folder / f"margin_total_{exchange}_sample.parquet")
    codes = [to_code(int(key)) for key in index["key"]]
    index["secid"] = [f"{int(code.endswith('.SH'))}.{code[:6]}" for code in codes]
    index["change"] = index["close"] - index["prev_close"]
    index["turnover_rate"] *= 100
    index = index[~np.char.startswith(codes, "801")].rename(columns={"turnover": "amount"})
    columns = ["dt", "secid", "open", "high", "low", "close", "change", "volume", "amount", "turnover_rate"]
    index.reindex(columns=columns).to_parquet(folder / "index_daily_sample.parquet")
    return folder


def _open(page: Any, address: str) -> None:
    """Open a page and wait until its charts or pictures are drawn."""
    page.goto(address)
    page.locator("canvas, .part img, .report .study, .card").first.wait_for()
    page.evaluate("document.querySelectorAll('img').forEach(image => image.loading = 'eager')")
    page.wait_for_timeout(1_500)


def _take(page: Any, address: str, text: str, name: str, *, scrolled: str = "") -> None:
    """Wait for a text on a page, then keep a picture of the window with at most 128 colours.

    Parameters
    ----------
    address : the page; "" for the one that is open.
    scrolled : the element that is at the top of the picture.
    """
    if address:
        page.goto(address)
    page.get_by_text(text).first.wait_for()
    if scrolled:
        page.locator(scrolled).evaluate("element => element.scrollIntoView()")
    page.wait_for_timeout(1_500)  # charts are drawn with an animation
    image = Image.open(io.BytesIO(page.screenshot())).convert("RGB").quantize(128)
    path = FOLDER / f"{name}.png"
    image.save(path, optimize=True)
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise MarginwatchError(f"{path} has {size:,} bytes, more than {MOST_BYTES:,}: show less on it")


if __name__ == "__main__":
    main()

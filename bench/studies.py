"""Seconds and peak memory of the command that runs all studies, on data folders and on a lengthened one.

``python -m bench.studies [--data ../shared/data ../shared/data_2016_2021] [--years 15]``. The lengthened folder repeats
the rows of the last folder on earlier trading days: its results are meaningless, only its size matters.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from processors.days import to_date
from streams.calendars import xshg

#: Files that are repeated, and their column of dates; the others reach back far enough.
_DATED = {
    "margin_detail": "dt", "margin_total": "dt", "index_daily": "dt", "sw_industry_daily": "dt",
    "csi300_prices": "date",
    "prices_a_": "dt", "sz_turn_": "dt",
}  # fmt: skip


def measure(folder: Path) -> tuple[float, float, float]:
    """Run ``study all`` with its report in a process of its own; return seconds, CPU seconds and peak MB."""
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, "-m", "streams", "study", "all", "--data", str(folder)]
        start = time.perf_counter()
        process = subprocess.Popen([*command, "--report", f"{out}/report.html"], stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            raise SystemExit(f"the studies failed on {folder}")
        return time.perf_counter() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def lengthen(folder: Path, out: Path, years: int) -> int:
    """Write copies of the folder's rows on earlier trading days, until they span ``years``; return the margin rows.

    The calendar begins later than some files, and a copy before its first session is left out.
    """
    calendar = xshg()
    totals = pd.concat(pd.read_parquet(path, columns=["dt"]) for path in folder.glob("margin_total*"))
    first, last = (int(pd.Timestamp(day).to_datetime64().astype("datetime64[D]").astype(np.int32))
                   for day in (totals["dt"].min(), totals["dt"].max()))  # fmt: skip
    start, span = calendar.position(first), calendar.position(last) - calendar.position(first) + 1
    rows = 0
    for path in sorted(folder.iterdir()):
        column = next((c for prefix, c in _DATED.items() if path.name.startswith(prefix)), None)
        if column is None:
            if path.suffix in (".parquet", ".csv") and not path.name.startswith("bars_"):
                (out / path.name).write_bytes(path.read_bytes())
            continue
        frame = pd.read_parquet(path)
        days = pd.to_datetime(frame[column]).to_numpy("datetime64[D]").astype(np.int32)
        frame, days = frame[days >= first], days[days >= first]
        position = {int(d): calendar.position(int(d)) for d in np.unique(days)}
        parts = []
        for copy in range(min(round(years * 243 / span), start // span + 1)):
            moved = {d: str(to_date(calendar.day_at(at - copy * span))) for d, at in position.items()}
            parts.append(frame.assign(**{column: pd.to_datetime(pd.Series(days).map(moved).tolist())}))
        pd.concat(parts).to_parquet(out / path.name)
        rows += sum(len(p) for p in parts) if path.name.startswith("margin_detail") else 0
    return rows


def main() -> None:
    """Measure both folders and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    folders = [Path("../shared/data"), Path("../shared/data_2016_2021")]
    parser.add_argument("--data", type=Path, nargs="+", default=folders)
    parser.add_argument("--years", type=int, default=15, help="length of the lengthened folder; 0 leaves it out")
    arguments = parser.parse_args()
    print("| folder | margin rows | seconds | CPU seconds | peak MB |\n| --- | --: | --: | --: | --: |")
    for folder in arguments.data:
        _print(folder.name, "", measure(folder))
    if arguments.years:
        with tempfile.TemporaryDirectory() as name:
            rows = lengthen(arguments.data[-1], Path(name), arguments.years)
            _print(f"{arguments.years} years", f"{rows:,}", measure(Path(name)))


def _print(name: str, rows: str, measured: tuple[float, float, float]) -> None:
    seconds, used, peak = measured
    print(f"| {name} | {rows} | {seconds:.1f} | {used:.1f} | {peak:,.0f} |", flush=True)


if __name__ == "__main__":
    main()

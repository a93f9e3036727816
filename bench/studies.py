"""Seconds and peak memory of the command that runs all studies, on a data folder and on a lengthened one.

``python -m bench.studies [--data ../shared/data] [--years 15]``. The lengthened folder repeats the rows on earlier
trading days: its results are meaningless, only its size matters.
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

_DATED = {"margin_": "dt", "index_daily": "dt", "sw_industry": "dt", "csi300_prices": "date"}


def measure(folder: Path) -> tuple[float, float]:
    """Run ``study all`` with its report in a process of its own; return seconds and peak MB."""
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, "-m", "streams", "study", "all", "--data", str(folder)]
        start = time.perf_counter()
        process = subprocess.Popen([*command, "--report", f"{out}/report.html"], stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            raise SystemExit(f"the studies failed on {folder}")
        return time.perf_counter() - start, usage.ru_maxrss / 1024


def lengthen(folder: Path, out: Path, years: int) -> int:
    """Write copies of the folder's rows on earlier trading days, until they span ``years``; return the margin rows."""
    calendar = xshg()
    rows = 0
    for path in sorted(folder.glob("*.parquet")):
        column = next((c for prefix, c in _DATED.items() if path.name.startswith(prefix)), None)
        if column is None:
            continue
        frame = pd.read_parquet(path)
        days = pd.to_datetime(frame[column]).to_numpy("datetime64[D]").astype(np.int32)
        frame, days = frame[days >= _FIRST], days[days >= _FIRST]
        distinct = np.unique(days)
        position = {int(d): calendar.position(int(d)) for d in distinct}
        span = calendar.position(_LAST) - calendar.position(_FIRST) + 1
        parts = []
        for copy in range(round(years * 243 / span)):
            moved = {d: str(to_date(calendar.day_at(at - copy * span))) for d, at in position.items()}
            parts.append(frame.assign(**{column: pd.to_datetime(pd.Series(days).map(moved).tolist())}))
        pd.concat(parts).to_parquet(out / path.name)
        rows += sum(len(p) for p in parts) if path.name.startswith("margin_detail") else 0
    for path in folder.glob("*.csv"):
        if path.name.startswith("sw_l1"):
            (out / path.name).write_bytes(path.read_bytes())
    return rows


_FIRST, _LAST = (int(np.datetime64(d, "D").astype(np.int32)) for d in ("2018-01-02", "2021-03-31"))


def main() -> None:
    """Measure both folders and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--years", type=int, default=15)
    arguments = parser.parse_args()
    print("| folder | margin rows | seconds | peak MB |\n| --- | --: | --: | --: |")
    seconds, peak = measure(arguments.data)
    print(f"| {arguments.data.name} | | {seconds:.1f} | {peak:,.0f} |", flush=True)
    with tempfile.TemporaryDirectory() as name:
        rows = lengthen(arguments.data, Path(name), arguments.years)
        seconds, peak = measure(Path(name))
        print(f"| {arguments.years} years | {rows:,} | {seconds:.1f} | {peak:,.0f} |", flush=True)


if __name__ == "__main__":
    main()

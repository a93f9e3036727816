"""A measured figure beside its target, and the table of many."""

from __future__ import annotations

import math
import os
import platform
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from rich.table import Column, Table

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure.

    Parameters
    ----------
    what : what was measured.
    value, unit : the figure; ``×`` is a ratio to another figure of the same run.
    at_most, at_least : the target; None for a figure that is there to compare with.
    """

    what: str
    value: float
    unit: str
    at_most: float | None = None
    at_least: float | None = None

    @property
    def target(self) -> str:
        """The target as text; empty without one."""
        if self.at_most is not None:
            return f"≤ {_text(self.at_most)}"
        return f"≥ {_text(self.at_least)}" if self.at_least is not None else ""

    @property
    def share(self) -> float | None:
        """How much of the target is reached: 1 and more meets it; None without a target.

        Examples
        --------
        >>> Figure("rows", 150_000, "/s", at_least=200_000).share, Figure("time", 8.0, "s", at_most=10.0).share
        (0.75, 1.25)
        """
        if self.at_most is not None:
            return self.at_most / self.value if self.value else math.inf
        return self.value / self.at_least if self.at_least is not None else None


def table_of(title: str, figures: Iterable[Figure]) -> Table:
    """Return a table of figures, its title the machine that they were measured on."""
    right = [Column(name, justify="right") for name in ("figure", "target", "share of it")]
    table = Table("what", *right, title=f"{title}\n{machine()}", title_justify="left", box=None)
    for one in figures:
        share = "" if one.share is None else f"{one.share:.2f}{'' if one.share >= 1 else ' ✗'}"
        table.add_row(one.what, f"{_text(one.value)} {one.unit}", one.target, share)
    return table


def machine() -> str:
    """Return what the figures depend on: processor, cores, memory, load before, Python."""
    cpu = platform.processor() or platform.machine()
    memory = ""
    if (info := Path("/proc/cpuinfo")).exists():
        names = [line.partition(":")[2].strip() for line in info.read_text().splitlines() if "model name" in line]
        cpu = names[0] if names else cpu
        memory = f", {os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB"
    load = f", load of the last minute {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    return f"{cpu}, {os.cpu_count()} cores{memory}, Python {platform.python_version()}{load}"


def _text(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"

"""The Grafana dashboards as code: `rendered` returns the text of ``deploy/grafana/dashboards/*.json``.

Titles, threshold lines and states come from the declarations of the signals and their parameters. Only this package
needs grafana-foundation-sdk (extra ``dev``); a running system mounts the files.
"""

from __future__ import annotations

from pathlib import Path

from console.dashboards.boards import alerts, industries, pipeline, sentiment
from console.dashboards.market_boards import bottom, desk, groups, leverage
from console.dashboards.of_signals import STATES
from processors.parameters import Parameters

FOLDER = Path(__file__).resolve().parents[2] / "deploy" / "grafana" / "dashboards"
__all__ = ["FOLDER", "STATES", "rendered"]


def rendered(parameters: Parameters) -> dict[Path, str]:
    """Return the path and text of every dashboard; threshold lines follow the parameters."""
    with_lines = (sentiment, leverage, bottom, desk)
    boards = (alerts(), industries(), pipeline(), groups(), *(board(parameters) for board in with_lines))
    return {FOLDER / f"{board.name}.json": board.rendered() for board in boards}

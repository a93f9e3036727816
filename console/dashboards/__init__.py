"""The Grafana dashboards as code: ``python -m console.dashboards`` writes ``deploy/grafana/dashboards/*.json``.

Titles, lines and states come from the declarations of the signals and their parameters; a test holds the files against
this package. Only it needs grafana-foundation-sdk (extra ``dev``); a running system mounts the files.
"""

from __future__ import annotations

from pathlib import Path

from console.dashboards.boards import STATES, alerts, industries, pipeline, sentiment

FOLDER = Path(__file__).resolve().parents[2] / "deploy" / "grafana" / "dashboards"
__all__ = ["FOLDER", "STATES", "rendered"]


def rendered() -> dict[Path, str]:
    """Return every dashboard's file and its text."""
    return {FOLDER / f"{make.__name__}.json": make().rendered() for make in (alerts, industries, pipeline, sentiment)}

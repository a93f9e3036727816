"""Errors of the chart model."""

from __future__ import annotations

from processors.errors import MarginwatchError


class ChartModelError(MarginwatchError):
    """A chart model can't be trained or loaded; the message names cause and remedy."""

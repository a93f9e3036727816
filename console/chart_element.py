"""The element of a chart, and the element that brings new series to the charts of an open page.

NiceGUI sends an element with all that it contains whenever something in it changes. The options of a chart contain
years of figures, so it does not observe them: `ChartUpdates` sends the series that have changed, in the one message
that updates the other elements too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from nicegui import ui
from nicegui.events import EChartPointClickEventArguments


class ChartElement(ui.echart):
    """A chart whose options are sent with the page; a later change is sent by `ChartUpdates`.

    Parameters
    ----------
    on_point : called with a click on a point.
    """

    def __init__(
        self, options: dict[str, Any], on_point: Callable[[EChartPointClickEventArguments], None] | None = None
    ) -> None:
        super().__init__({}, on_point_click=on_point)
        _set_unobserved(self, "options", options)
        self.classes("chart")


class ChartUpdates(ui.element, component="chart_element.js"):
    """An element without a look; its property contains the series that the browser does not have yet."""

    def __init__(self) -> None:
        super().__init__()
        self._update_method = "apply"  # the browser calls it after each update of this element
        self._waiting: dict[str, dict[str, dict[str, Any]]] = {}  # chart → id of a series → what has changed of it

    def send(self, chart: ChartElement, series: Sequence[dict[str, Any]]) -> None:
        """Send series of a chart, each as its id and what has changed of it: zoom and hover are kept."""
        if self.id not in self.client.outbox.updates:
            self._waiting = {}  # the browser has the earlier ones
        waiting = self._waiting.setdefault(str(chart.id), {})
        for new in series:
            waiting[new["id"]] = waiting.get(new["id"], {}) | new
        _set_unobserved(self, "series", {key: list(found.values()) for key, found in self._waiting.items()})
        self.update()


def _set_unobserved(element: ui.element, name: str, value: Any) -> None:
    """Set a property without NiceGUI's observation of every list and dictionary in it."""
    dict.__setitem__(element._props, name, value)

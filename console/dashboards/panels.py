"""The parts of every dashboard: the grid, colours, units, and the kinds of panels."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TypeAlias, TypeVar

from grafana_foundation_sdk.builders import (
    bargauge,
    common,
    dashboard,
    prometheus,
    stat,
    statetimeline,
    table,
    timeseries,
)
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common as kinds
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from processors.industries import ENGLISH

Panel: TypeAlias = timeseries.Panel | stat.Panel | table.Panel | bargauge.Panel | statetimeline.Panel
_ByIndustry = TypeVar("_ByIndustry", bargauge.Panel, timeseries.Panel)
Steps: TypeAlias = list[tuple[float | None, str]]  # from this value on, this colour

SOURCE = model.DataSourceRef(type_val="prometheus", uid="${datasource}")
UNITS = {"CNY": "currency:¥", "ratio": "percentunit", "z": "short", "days": "short"}
DAY = "time:YYYY-MM-DD"
_WIDTH = 24
# As in China: red for rising and hot, green for falling and cold; blue for neither.
HOT, WARM, COLD, CALM = "red", "orange", "green", "blue"
GOOD: Steps = [(None, "green")]
BAD_ABOVE_0: Steps = [(None, "green"), (1, "red")]


class Board:
    """A dashboard that grows panel by panel, from left to right; ids count up, so the file is reproducible."""

    def __init__(self, name: str, title: str, title_zh: str, *, span: str) -> None:
        self.name = name
        self.builder = (
            dashboard.Dashboard(f"marginwatch: {title} {title_zh}")
            .uid(f"marginwatch-{name}")
            .tags(["marginwatch"])
            .timezone("Asia/Shanghai")
            .time(f"now-{span}", "now")
            .refresh("5s" if span == "1h" else "30s")
            .tooltip(model.DashboardCursorSync.CROSSHAIR)
            .with_variable(
                dashboard.DatasourceVariable("datasource")
                .label("Data source 数据源")
                .type("prometheus")
                .current(model.VariableOption(selected=True, text="Prometheus", value="prometheus"))
            )
            .link(
                dashboard.DashboardLink("marginwatch")
                .type(model.DashboardLinkType.DASHBOARDS)
                .tags(["marginwatch"])
                .as_dropdown(True)
                .keep_time(True)
            )
        )
        self._x = self._y = self._tallest = self._id = 0

    def add(self, panel: Panel, *, width: int, height: int = 8) -> None:
        """Place a panel beside the last one, or below where it doesn't fit."""
        if self._x + width > _WIDTH:
            self._x, self._y, self._tallest = 0, self._y + self._tallest, 0
        self._id += 1
        place = model.GridPos(x=self._x, y=self._y, w=width, h=height)
        self.builder.with_panel(panel.id(self._id).datasource(SOURCE).grid_pos(place))
        self._x, self._tallest = self._x + width, max(self._tallest, height)

    def rendered(self) -> str:
        """Return the text of the file."""
        return json.dumps(self.builder.build(), cls=JSONEncoder, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def targets(queries: Mapping[str, str], *, instant: bool = False, as_table: bool = False) -> list[prometheus.Dataquery]:
    """Return the queries of a panel.

    Parameters
    ----------
    queries : legend → PromQL expression.
    """
    out = []
    for number, (legend, expr) in enumerate(queries.items()):
        target = prometheus.Dataquery().ref_id(chr(ord("A") + number)).expr(expr).legend_format(legend)
        target.datasource(SOURCE)
        target = target.instant() if instant else target.range()
        out.append(target.format(PromQueryFormat.TABLE) if as_table else target)
    return out


def steps_of(steps: Steps) -> dashboard.ThresholdsConfig:
    """Return the thresholds of a panel."""
    thresholds = [model.Threshold(value=value, color=colour) for value, colour in steps]
    return dashboard.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(thresholds)


def colour_by(mode: model.FieldColorModeId) -> dashboard.FieldColor:
    """Return the colour mode of a panel's values."""
    return dashboard.FieldColor().mode(mode)


def curves(
    title: str, unit: str, queries: Mapping[str, str], text: str = "", lines: Steps | None = None
) -> timeseries.Panel:
    """Return curves over time, with dashed lines at the thresholds ``lines``."""
    panel = (
        timeseries.Panel()
        .title(title)
        .description(text)
        .unit(unit)
        .targets(list(targets(queries)))
        .line_width(2)
        .fill_opacity(0)
        .show_points(kinds.VisibilityMode.NEVER)
        .legend(common.VizLegendOptions().display_mode(kinds.LegendDisplayMode.LIST).placement(kinds.LegendPlacement.BOTTOM).show_legend(True))
        .tooltip(common.VizTooltipOptions().mode(kinds.TooltipDisplayMode.MULTI).sort(kinds.SortOrder.DESCENDING))
    )  # fmt: skip
    if lines is None:
        return panel
    style = common.GraphThresholdsStyleConfig().mode(kinds.GraphTresholdsStyleMode.DASHED)
    known = [value for value, _ in lines if value is not None]
    # The axis includes the lines when the curve is far from them.
    panel.thresholds(steps_of(lines)).thresholds_style(style).axis_soft_min(min(known)).axis_soft_max(max(known))
    return panel


def figure(
    title: str,
    unit: str,
    expr: str,
    steps: Steps = GOOD,
    *,
    mappings: list[model.ValueMapping] | None = None,
    decimals: int | None = None,
) -> stat.Panel:
    """Return a panel of one number, coloured by its thresholds."""
    panel = (
        stat.Panel()
        .title(title)
        .description("")
        .unit(unit)
        .targets(list(targets({"": expr}, instant=True)))
        .thresholds(steps_of(steps))
        .color_scheme(colour_by(model.FieldColorModeId.THRESHOLDS))
        .mappings(mappings or [])
        .graph_mode(kinds.BigValueGraphMode.NONE)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(False))
    )
    return panel if decimals is None else panel.decimals(decimals)


def bars(title: str, unit: str, expr: str, steps: Steps, text: str = "") -> bargauge.Panel:
    """Return a bar per industry, the largest first."""
    panel = (
        bargauge.Panel()
        .title(title)
        .description(text)
        .unit(unit)
        .targets(list(targets({"{{industry}}": f"sort_desc({expr})"}, instant=True)))
        .thresholds(steps_of(steps))
        .color_scheme(colour_by(model.FieldColorModeId.THRESHOLDS))
        .orientation(kinds.VizOrientation.HORIZONTAL)
        .display_mode(kinds.BarGaugeDisplayMode.BASIC)
        .min_viz_height(8)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(False))
    )
    return bilingual(panel)


def bilingual(panel: _ByIndustry) -> _ByIndustry:
    """Add the English names of the industries to a panel whose series are industries."""
    for name, english in ENGLISH.items():
        panel.override_by_name(name, [model.DynamicConfigValue(id_val="displayName", value=f"{english} {name}")])
    return panel


def table_of(title: str, key: str, columns: Mapping[str, tuple[str, str]], *, sort: str, text: str = "") -> table.Panel:
    """Return a table of instant queries side by side, joined by a label.

    Parameters
    ----------
    columns : title → query and unit.
    """
    queries = {name: expr for name, (expr, _) in columns.items()}
    panel = (
        table.Panel()
        .title(title)
        .description(text)
        .targets(list(targets(queries, instant=True, as_table=True)))
        .sort_by([common.TableSortByFieldState().display_name(sort).desc(True)])
    )
    values = dict(zip((f"Value #{chr(ord('A') + i)}" for i in range(len(columns))), columns, strict=True))
    if len(columns) == 1:
        values = {"Value": next(iter(columns))}
    else:
        panel.with_transformation(
            model.DataTransformerConfig(id_val="joinByField", options={"byField": key, "mode": "outer"})
        )
    hidden = {f"Time{suffix}": True for suffix in ("", *(f" {i}" for i in range(1, len(columns) + 1)))}
    panel.with_transformation(
        model.DataTransformerConfig(id_val="organize", options={"excludeByName": hidden, "renameByName": values})
    )
    for name, (_, unit) in columns.items():
        panel.override_by_name(name, [model.DynamicConfigValue(id_val="unit", value=unit)])
    return panel

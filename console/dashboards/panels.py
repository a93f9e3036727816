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
UNITS = {"CNY": "currency:¥", "ratio": "percentunit"} | dict.fromkeys(
    ("z", "days", "years", "count", "side", "points"), "short"
)
DAY = "time:YYYY-MM-DD"
_WIDTH = 24
#: Where the documentation is served, as in deploy/prometheus/prometheus.yml; a variable of every board.
DOCS = "http://127.0.0.1:8000"
# As in China: red for rising and hot, green for falling and cold; blue for neither.
HOT, WARM, COLD, CALM = "red", "orange", "green", "blue"
GOOD: Steps = [(None, "green")]
BAD_ABOVE_0: Steps = [(None, "green"), (1, "red")]
_FIRED = 'sum by (rule) (increase(marginwatch_alerts_total{{state="firing", severity="{}"}}[2m])) > 0'
#: Name, colour, query and title of what is marked on every curve.
ANNOTATIONS = (
    ("Critical alerts 严重预警", "red", _FIRED.format("critical"), "{{rule}}"),
    ("Warnings 警告", "orange", _FIRED.format("warning"), "{{rule}}"),
    ("Alerts of the system 系统告警", "purple", 'count by (alertname) (ALERTS{alertstate="firing"})', "{{alertname}}"),
)


class Board:
    """A dashboard that grows panel by panel, from left to right; ids count up, so the file is reproducible.

    Alerts that begin to fire are annotations of every board.

    Parameters
    ----------
    span : the time that it shows.
    page : the page of the documentation that panels without a page of their own link to.
    """

    def __init__(self, name: str, title: str, title_zh: str, *, span: str, page: str) -> None:
        self.name = name
        self._page = page
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
            .with_variable(_address_of_docs())
            .annotations([_annotation(*one) for one in ANNOTATIONS])
            .link(
                dashboard.DashboardLink("marginwatch")
                .type(model.DashboardLinkType.DASHBOARDS)
                .tags(["marginwatch"])
                .as_dropdown(True)
                .keep_time(True)
            )
        )
        self._x = self._y = self._tallest = self._id = 0

    def with_labels(self, name: str, title: str, metric: str, label: str) -> None:
        """Add a variable with the values of a label; all of them are chosen at first."""
        self.builder.with_variable(
            dashboard.QueryVariable(name)
            .label(title)
            .datasource(SOURCE)
            .query(f"label_values({metric}, {label})")
            .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
            .sort(model.VariableSort.ALPHABETICAL_ASC)
            .multi(True)
            .include_all(True)
            .current(model.VariableOption(selected=True, text=["All"], value=["$__all"]))
        )

    def add(self, panel: Panel, *, width: int, height: int = 8, page: str = "") -> None:
        """Place a panel beside the last one, or below where it doesn't fit.

        Parameters
        ----------
        page : the page of the documentation that explains it; that of the board if empty.
        """
        if self._x + width > _WIDTH:
            self._x, self._y, self._tallest = 0, self._y + self._tallest, 0
        self._id += 1
        place = model.GridPos(x=self._x, y=self._y, w=width, h=height)
        link = dashboard.DashboardLink("Documentation 文档").type(model.DashboardLinkType.LINK).target_blank(True)
        link.url(f"${{docs}}/{page or self._page}.html")
        self.builder.with_panel(panel.id(self._id).datasource(SOURCE).grid_pos(place).links([link]))
        self._x, self._tallest = self._x + width, max(self._tallest, height)

    def rendered(self) -> str:
        """Return the text of the file."""
        board = json.loads(json.dumps(self.builder.build(), cls=JSONEncoder))
        for annotation, (*_, title) in zip(board["annotations"]["list"], ANNOTATIONS, strict=True):
            annotation["titleFormat"] = title  # the SDK does not know it
        return json.dumps(board, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _address_of_docs() -> dashboard.TextBoxVariable:
    chosen = model.VariableOption(selected=True, text=DOCS, value=DOCS)
    return dashboard.TextBoxVariable("docs").label("Documentation 文档").default_value(DOCS).current(chosen)


def _annotation(name: str, colour: str, expr: str, _title: str) -> dashboard.AnnotationQuery:
    return dashboard.AnnotationQuery().name(name).datasource(SOURCE).enable(True).icon_color(colour).expr(expr)


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
    text: str = "",
    *,
    mappings: list[model.ValueMapping] | None = None,
    decimals: int | None = None,
) -> stat.Panel:
    """Return a panel of one number, coloured by its thresholds."""
    panel = (
        stat.Panel()
        .title(title)
        .description(text)
        .unit(unit)
        .targets(list(targets({"": expr}, instant=True)))
        .thresholds(steps_of(steps))
        .color_scheme(colour_by(model.FieldColorModeId.THRESHOLDS))
        .mappings(mappings or [])
        .graph_mode(kinds.BigValueGraphMode.NONE)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(False))
    )
    return panel if decimals is None else panel.decimals(decimals)


def bars(title: str, unit: str, expr: str, steps: Steps, text: str = "", *, by: str = "industry") -> bargauge.Panel:
    """Return a bar per industry, or per value of another label, the largest first."""
    panel = (
        bargauge.Panel()
        .title(title)
        .description(text)
        .unit(unit)
        .targets(list(targets({f"{{{{{by}}}}}": f"sort_desc({expr})"}, instant=True)))
        .thresholds(steps_of(steps))
        .color_scheme(colour_by(model.FieldColorModeId.THRESHOLDS))
        .orientation(kinds.VizOrientation.HORIZONTAL)
        .display_mode(kinds.BarGaugeDisplayMode.BASIC)
        .min_viz_height(8)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(False))
    )
    return bilingual(panel) if by == "industry" else panel


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

"""The Grafana dashboards as code: ``python -m alerts.dashboards`` writes ``deploy/grafana/dashboards/*.json``.

Titles, lines and states come from the declarations of the signals and their parameters; a test holds the files against
this module. Only this module needs grafana-foundation-sdk (extra ``dev``); a running system mounts the files.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

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

from alerts.metrics import INDUSTRY_SIGNALS as INDUSTRY_METRICS
from processors.indicators.ratio_state import RatioState
from processors.industries import ENGLISH
from processors.parameters import Parameters
from processors.registry import INDUSTRY_SIGNALS, SIGNALS

FOLDER = Path(__file__).resolve().parents[1] / "deploy" / "grafana" / "dashboards"
Panel: TypeAlias = timeseries.Panel | stat.Panel | table.Panel | bargauge.Panel | statetimeline.Panel
Steps: TypeAlias = list[tuple[float | None, str]]  # from this value on, this colour

_SOURCE = model.DataSourceRef(type_val="prometheus", uid="${datasource}")
_UNITS = {"CNY": "currency:¥", "ratio": "percentunit", "z": "short", "days": "short"}
_DAY = "time:YYYY-MM-DD"
_WIDTH = 24
# As in China: what rises or is hot is red, what falls or is cold is green. Blue stays for what is neither.
_HOT, _WARM, _COLD, _CALM = "red", "orange", "green", "blue"
_GOOD: Steps = [(None, "green")]
_BAD_ABOVE_0: Steps = [(None, "green"), (1, "red")]
#: `basis:marginwatch_ratio_state:code` in deploy/prometheus/rules.yml.
STATES = {
    RatioState.EXTREME_COLD: (-2, "极冷", "dark-green"),
    RatioState.COLD: (-1, "冷", _COLD),
    RatioState.NORMAL: (0, "正常", _CALM),
    RatioState.HOT: (1, "过热", _WARM),
    RatioState.BREAKDOWN: (2, "顶部预警", _HOT),
}


class Board:
    """A dashboard that grows panel by panel, from left to right; ids count up: the file never changes by chance."""

    def __init__(self, name: str, title: str, title_zh: str, *, span: str) -> None:
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
        self.builder.with_panel(panel.id(self._id).datasource(_SOURCE).grid_pos(place))
        self._x, self._tallest = self._x + width, max(self._tallest, height)

    def rendered(self) -> str:
        """The file's text."""
        return json.dumps(self.builder.build(), cls=JSONEncoder, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


# -- panels ------------------------------------------------------------------------------------------------------


def _targets(
    queries: Mapping[str, str], *, instant: bool = False, as_table: bool = False
) -> list[prometheus.Dataquery]:
    """Queries by their legend."""
    out = []
    for number, (legend, expr) in enumerate(queries.items()):
        target = prometheus.Dataquery().ref_id(chr(ord("A") + number)).expr(expr).legend_format(legend)
        target.datasource(_SOURCE)
        target = target.instant() if instant else target.range()
        out.append(target.format(PromQueryFormat.TABLE) if as_table else target)
    return out


def _thresholds(steps: Steps) -> dashboard.ThresholdsConfig:
    made = [model.Threshold(value=value, color=colour) for value, colour in steps]
    return dashboard.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(made)


def _colour(mode: model.FieldColorModeId) -> dashboard.FieldColor:
    return dashboard.FieldColor().mode(mode)


def _lines(
    title: str, unit: str, queries: Mapping[str, str], text: str = "", lines: Steps | None = None
) -> timeseries.Panel:
    """Curves over time, with dashed lines at the thresholds that matter."""
    panel = (
        timeseries.Panel()
        .title(title)
        .description(text)
        .unit(unit)
        .targets(list(_targets(queries)))
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
    # The lines stay in sight when the curve is far from them.
    panel.thresholds(_thresholds(lines)).thresholds_style(style).axis_soft_min(min(known)).axis_soft_max(max(known))
    return panel


def _stat(
    title: str,
    unit: str,
    expr: str,
    steps: Steps = _GOOD,
    *,
    text: str = "",
    legend: str = "",
    mappings: list[model.ValueMapping] | None = None,
    decimals: int | None = None,
) -> stat.Panel:
    """One number, coloured by its thresholds."""
    panel = (
        stat.Panel()
        .title(title)
        .description(text)
        .unit(unit)
        .targets(list(_targets({legend: expr}, instant=True)))
        .thresholds(_thresholds(steps))
        .color_scheme(_colour(model.FieldColorModeId.THRESHOLDS))
        .mappings(mappings or [])
        .graph_mode(kinds.BigValueGraphMode.NONE)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(False))
    )
    return panel if decimals is None else panel.decimals(decimals)


def _bars(title: str, unit: str, expr: str, steps: Steps, text: str = "") -> bargauge.Panel:
    """A bar per industry, the largest first."""
    panel = (
        bargauge.Panel()
        .title(title)
        .description(text)
        .unit(unit)
        .targets(list(_targets({"{{industry}}": f"sort_desc({expr})"}, instant=True)))
        .thresholds(_thresholds(steps))
        .color_scheme(_colour(model.FieldColorModeId.THRESHOLDS))
        .orientation(kinds.VizOrientation.HORIZONTAL)
        .display_mode(kinds.BarGaugeDisplayMode.BASIC)
        .min_viz_height(8)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(False))
    )
    return _bilingual(panel)


def _bilingual(panel: bargauge.Panel | timeseries.Panel) -> bargauge.Panel:
    for name, english in ENGLISH.items():
        panel.override_by_name(name, [model.DynamicConfigValue(id_val="displayName", value=f"{english} {name}")])
    return panel  # type: ignore[return-value]


def _table(title: str, key: str, columns: Mapping[str, tuple[str, str]], *, sort: str, text: str = "") -> table.Panel:
    """Instant queries side by side, joined by a label.

    Parameters
    ----------
    columns : title → query and unit.
    """
    queries = {name: expr for name, (expr, _) in columns.items()}
    panel = (
        table.Panel()
        .title(title)
        .description(text)
        .targets(list(_targets(queries, instant=True, as_table=True)))
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


# -- the four dashboards -----------------------------------------------------------------------------------------


def _title(signal: str) -> str:
    declared = SIGNALS[signal]
    return f"{declared.title} {declared.title_zh}"


def _newest(signals: str, by: str = "signal", **labels: str) -> str:
    """The newest value, whichever worker tells it; while ownership moves, two may."""
    picked = "".join(f', {name}="{value}"' for name, value in labels.items())
    return f'max by ({by}) (marginwatch_signal{{signal=~"{signals}"{picked}}})'


def _signal(signal: str, *others: str, lines: Steps | None = None) -> timeseries.Panel:
    """Signals of one unit over time; what is computed during the session is told apart."""
    queries = {}
    for name in (signal, *others):
        words = f"{SIGNALS[name].title_zh} {name}"
        queries[words] = _newest(name, provisional="false")
        if SIGNALS[name].provisional:
            queries[f"{words} (provisional 盘中)"] = _newest(name, provisional="true")
    return _lines(_title(signal), _UNITS[SIGNALS[signal].unit], queries, SIGNALS[signal].formula, lines)


def sentiment() -> Board:
    """How hot the market is."""
    p = Parameters()
    board = Board("sentiment", "market sentiment", "市场情绪", span="30d")
    ratio: Steps = [(None, _COLD), (p.ratio_cold, _CALM), (p.ratio_breakdown, _WARM), (p.ratio_hot, _HOT)]
    excess: Steps = [(None, _COLD), (-p.excess_level, _CALM), (p.excess_level, _HOT)]
    states = [
        model.ValueMap(
            options={
                str(code): model.ValueMappingResult(text=f"{name.value} {chinese}", color=colour, index=i)
                for i, (name, (code, chinese, colour)) in enumerate(STATES.items())
            }
        )
    ]
    code = "basis:marginwatch_ratio_state:code"
    board.add(
        _stat(
            _title("fin_buy_ratio_5d"),
            "percentunit",
            _newest("fin_buy_ratio_5d", provisional="false"),
            ratio,
            decimals=2,
        ),
        width=4,
        height=5,
    )
    board.add(
        _stat(_title("fin_buy_ratio"), "percentunit", _newest("fin_buy_ratio", provisional="false"), ratio, decimals=2),
        width=4,
        height=5,
    )
    board.add(
        _stat(_title("ratio_state"), "short", f'{code}{{basis="ratio_state"}}', mappings=list(states)),
        width=4,
        height=5,
    )
    board.add(
        _stat(
            _title("excess_financing"),
            "percentunit",
            _newest("excess_financing", provisional="false"),
            excess,
            decimals=2,
        ),
        width=4,
        height=5,
    )
    board.add(
        _stat(
            "Trade date 交易日",
            _DAY,
            'max(marginwatch_signal_trade_date_seconds{signal="fin_buy_ratio", provisional="false"}) * 1000',
            [(None, "text")],
        ),
        width=4,
        height=5,
    )
    board.add(
        _stat(
            "Degraded signals 数据不全的信号",
            "short",
            "sum(max by (signal) (marginwatch_signal_degraded))",
            _BAD_ABOVE_0,
        ),
        width=4,
        height=5,
    )
    board.add(_signal("fin_buy_ratio_5d", "fin_buy_ratio", lines=ratio), width=12, height=10)
    board.add(_signal("excess_financing", "excess_level", lines=excess), width=12, height=10)
    board.add(
        statetimeline.Panel()
        .title("State of the ratio 融资买入占比状态")
        .description(SIGNALS["ratio_state"].formula)
        .targets(list(_targets({"{{basis}}": code})))
        .mappings(list(states))
        .color_scheme(_colour(model.FieldColorModeId.THRESHOLDS))
        .thresholds(_thresholds([(None, "text")]))
        .show_value(kinds.VisibilityMode.AUTO)
        .merge_values(True),
        width=24,
        height=6,
    )
    board.add(_signal("fin_balance"), width=8)
    board.add(_signal("fin_balance_to_float_cap"), width=8)
    board.add(_signal("margin_trade_share"), width=8)
    board.add(_signal("breadth_200"), width=8)
    board.add(_signal("ytd_distribution"), width=8)
    board.add(_signal("risk_premium"), width=8)
    board.add(
        _table(
            "Signals: completeness and trade date 信号状态",
            "signal",
            {
                "Degraded 数据不全": ("max by (signal) (marginwatch_signal_degraded)", "bool_yes_no"),
                "Trade date 交易日": (
                    'max by (signal) (marginwatch_signal_trade_date_seconds{provisional="false"}) * 1000',
                    _DAY,
                ),
            },
            sort="Degraded 数据不全",
            text="Degraded: computed of incomplete data. A trade date that lags behind: the signal is absent since.",
        ),
        width=24,
        height=12,
    )
    return board  # fmt: skip


def industries() -> Board:
    """Which industries are hot, and which risky."""
    board = Board("industries", "industries", "行业", span="30d")
    board.builder.with_variable(
        dashboard.QueryVariable("industry")
        .label("Industry 行业")
        .datasource(_SOURCE)
        .query("label_values(marginwatch_industry, industry)")
        .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(model.VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .current(model.VariableOption(selected=True, text=["All"], value=["$__all"]))
    )

    def of(name: str) -> str:
        return f'max by (industry) (marginwatch_industry{{signal="{name}", industry=~"$industry"}})'

    def words(name: str) -> str:
        return f"{INDUSTRY_SIGNALS[name].title} {INDUSTRY_SIGNALS[name].title_zh}"

    side: Steps = [(None, _COLD), (0, _WARM), (0.5, _HOT)]
    board.add(_bars(words("heat"), "short", of("heat"), side, INDUSTRY_SIGNALS["heat"].formula), width=8, height=20)
    board.add(_bars(words("risk"), "short", of("risk"), side, INDUSTRY_SIGNALS["risk"].formula), width=8, height=20)
    board.add(
        _bars(
            words("net_buy"),
            "currency:¥",
            of("net_buy"),
            [(None, _COLD), (0, _HOT)],
            INDUSTRY_SIGNALS["net_buy"].formula,
        ),
        width=8,
        height=20,
    )
    columns = {words(name): (of(name), _UNITS[INDUSTRY_SIGNALS[name].unit]) for name in INDUSTRY_METRICS}
    board.add(_table("All figures 全部指标", "industry", columns, sort=words("heat")), width=18, height=14)
    day = "max(marginwatch_industry_trade_date_seconds) * 1000"
    board.add(_stat("Trade date 交易日", _DAY, day, [(None, "text")]), width=6, height=7)
    known = 'count(max by (industry) (marginwatch_industry{signal="fin_balance"}))'
    board.add(
        _stat("Industries with a balance 有数据的行业", "short", known, [(None, "red"), (31, "green")]),
        width=6,
        height=7,
    )
    for name in INDUSTRY_METRICS:
        unit = _UNITS[INDUSTRY_SIGNALS[name].unit]
        panel = _lines(words(name), unit, {"{{industry}}": of(name)}, INDUSTRY_SIGNALS[name].formula)
        _bilingual(panel)
        board.add(panel, width=12, height=10)
    return board  # fmt: skip


def alerts() -> Board:
    """What fires, of the market and of the system itself."""
    board = Board("alerts", "alerts", "预警", span="7d")
    firing = "max by (rule, severity) (marginwatch_alerts_firing)"
    for severity, chinese, colour in (
        ("critical", "严重", "red"),
        ("warning", "警告", "orange"),
        ("info", "提示", "blue"),
    ):
        expr = f'sum(max by (rule) (marginwatch_alerts_firing{{severity="{severity}"}})) or vector(0)'
        board.add(
            _stat(f"Firing, {severity} 触发中（{chinese}）", "short", expr, [(None, "green"), (1, colour)]),
            width=4,
            height=5,
        )
    monitoring = 'count(ALERTS{alertstate="firing"}) or vector(0)'
    board.add(_stat("Of the system itself 系统告警", "short", monitoring, _BAD_ABOVE_0), width=4, height=5)
    published = "sum(increase(marginwatch_alerts_total[1d]))"
    board.add(_stat("Published in a day 一日内发布", "short", published, decimals=0), width=8, height=5)
    board.add(_lines("Firing by rule 触发中的规则", "short", {"{{rule}} ({{severity}})": firing}), width=16, height=10)
    board.add(
        _table("Firing now 当前触发", "rule", {"Alerts 条数": (firing, "short")}, sort="Alerts 条数"),
        width=8,
        height=10,
    )
    for by, title in (("state", "by state 按状态"), ("severity", "by severity 按级别"), ("rule", "by rule 按规则")):
        rate = f"sum by ({by}) (increase(marginwatch_alerts_total[1h]))"
        board.add(_lines(f"Published in an hour, {title}", "short", {f"{{{{{by}}}}}": rate}), width=8)
    system = {"Series 数": ("count by (alertname, severity, alertstate) (ALERTS)", "short")}
    board.add(_table("Alerts of the system itself 系统告警", "alertname", system, sort="Series 数"), width=24)
    return board  # fmt: skip


def pipeline() -> Board:
    """Whether everything flows."""
    board = Board("pipeline", "pipeline health", "链路状态", span="1h")
    up = 'sum(up{job="marginwatch"})'
    board.add(
        _stat("Workers up 在线进程", "short", up, [(None, "red"), (1, "orange"), (2, "green")]), width=3, height=4
    )
    board.add(
        _stat("Ready 就绪", "bool_yes_no", "min(marginwatch_ready)", [(None, "red"), (1, "green")]), width=3, height=4
    )
    board.add(
        _stat("Stalled 停滞分区", "short", "sum(marginwatch_stalled) or vector(0)", _BAD_ABOVE_0), width=3, height=4
    )
    board.add(
        _stat(
            "Lag 积压",
            "short",
            "sum(topic:marginwatch_lag_messages:sum)",
            [(None, "green"), (1_000, "orange"), (10_000, "red")],
        ),
        width=3,
        height=4,
    )
    board.add(
        _stat(
            "Dead letters, 1 h 死信",
            "short",
            "sum(increase(marginwatch_dead_letters_total[1h]))",
            _BAD_ABOVE_0,
            decimals=0,
        ),
        width=3,
        height=4,
    )
    board.add(
        _stat(
            "Closed by deadline, 1 d 超时关闭",
            "short",
            "sum(increase(marginwatch_deadline_closes_total[1d]))",
            _BAD_ABOVE_0,
            decimals=0,
        ),
        width=3,
        height=4,
    )
    board.add(
        _stat(
            "Calendar left, days 日历剩余",
            "short",
            "min(marginwatch_calendar_days_left)",
            [(None, "red"), (5, "orange"), (20, "green")],
        ),
        width=3,
        height=4,
    )
    board.add(
        _stat(
            "Identity breaks 勾稽不平",
            "short",
            "sum(max by (topic) (marginwatch_identity_breaks))",
            [(None, "green"), (1, "orange")],
        ),
        width=3,
        height=4,
    )
    for title, metric in (
        ("Rows a second 行/秒", "rows"),
        ("Messages a second 消息/秒", "messages"),
        ("Published a second 发布/秒", "outputs"),
    ):
        expr = f"sum by (topic) (rate(marginwatch_{metric}_total[1m]))"
        board.add(_lines(title, "cps", {"{{topic}}": expr}), width=8)
    for title, metric in (("Step 单步耗时", "batch"), ("Event age 端到端时延", "event_age")):
        buckets = f"stage_le:marginwatch_{metric}_seconds_bucket:rate5m"
        quantiles = {f"{{{{stage}}}} p{q}": f"histogram_quantile(0.{q}, {buckets})" for q in (50, 95, 99)}
        board.add(_lines(f"{title} p50/p95/p99", "s", quantiles), width=12)
    board.add(_lines("Lag by topic 积压", "short", {"{{topic}}": "topic:marginwatch_lag_messages:sum"}), width=8)
    dead = "sum by (topic) (increase(marginwatch_dead_letters_total[5m]))"
    board.add(_lines("Dead letters in 5 minutes 死信", "short", {"{{topic}}": dead}), width=8)
    retries = {
        f"{name} {{{{instance}}}}": f"rate(marginwatch_{name.lower()}_retries_total[5m])"
        for name in ("Redis", "Publish")
    }
    board.add(_lines("Retries a second 重试", "cps", retries), width=8)
    board.add(
        _lines(
            "Rows ignored a second 忽略的行",
            "cps",
            {"{{stage}} {{reason}}": "sum by (stage, reason) (rate(marginwatch_rows_ignored_total[5m]))"},
        ),
        width=8,
    )
    board.add(
        _lines("Partitions owned 持有分区", "short", {"{{instance}} {{table}}": "marginwatch_partitions_owned"}),
        width=8,
    )
    troubles = {
        "ready {{instance}}": "marginwatch_ready",
        "stalled {{stage}}:{{partition}} {{instance}}": "marginwatch_stalled",
    }
    board.add(_lines("Ready and stalled 就绪与停滞", "short", troubles), width=8)
    closed, due = "topic:marginwatch_closed_day_seconds:min", "max by (topic) (marginwatch_due_day_seconds)"
    days = {"Closed 已关闭": (f"{closed} * 1000", _DAY), "Due 应关闭": (f"{due} * 1000", _DAY)}
    board.add(_table("Closed day by feed 各数据源已关闭交易日", "topic", days, sort="Due 应关闭"), width=24, height=9)
    return board  # fmt: skip


def rendered() -> dict[Path, str]:
    """Return every dashboard's file and its text."""
    return {FOLDER / f"{make.__name__}.json": make().rendered() for make in (alerts, industries, pipeline, sentiment)}


if __name__ == "__main__":
    for path, text in rendered().items():
        path.write_text(text, "utf-8")

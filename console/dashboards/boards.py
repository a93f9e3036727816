"""The four dashboards: what each shows, and the queries behind it."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard, stat, statetimeline, timeseries
from grafana_foundation_sdk.models import common as kinds
from grafana_foundation_sdk.models import dashboard as model

from console.dashboards.panels import (
    BAD_ABOVE_0,
    CALM,
    COLD,
    DAY,
    HOT,
    SOURCE,
    UNITS,
    WARM,
    Board,
    Steps,
    bars,
    bilingual,
    colour_by,
    curves,
    figure,
    steps_of,
    table_of,
    targets,
)
from processors.indicators.ratio_state import RatioState
from processors.parameters import Parameters
from processors.registry import INDUSTRY_METRICS, INDUSTRY_SIGNALS, SIGNALS

#: `basis:marginwatch_ratio_state:code` in deploy/prometheus/rules.yml.
STATES = {
    RatioState.EXTREME_COLD: (-2, "极冷", "dark-green"),
    RatioState.COLD: (-1, "冷", COLD),
    RatioState.NORMAL: (0, "正常", CALM),
    RatioState.HOT: (1, "过热", WARM),
    RatioState.BREAKDOWN: (2, "顶部预警", HOT),
}


def _title(signal: str) -> str:
    declared = SIGNALS[signal]
    return f"{declared.title} {declared.title_zh}"


def _newest(signals: str, by: str = "signal", **labels: str) -> str:
    """Return the query of the newest value; while the market partition moves, two workers may export one."""
    picked = "".join(f', {name}="{value}"' for name, value in labels.items())
    return f'max by ({by}) (marginwatch_signal{{signal=~"{signals}"{picked}}})'


def _signal(signal: str, *others: str, lines: Steps | None = None) -> timeseries.Panel:
    """Return a panel of signals of one unit over time, final and provisional values apart."""
    queries = {}
    for name in (signal, *others):
        legend = f"{SIGNALS[name].title_zh} {name}"
        queries[legend] = _newest(name, provisional="false")
        if SIGNALS[name].provisional:
            queries[f"{legend} (provisional 盘中)"] = _newest(name, provisional="true")
    return curves(_title(signal), UNITS[SIGNALS[signal].unit], queries, SIGNALS[signal].formula, lines)


def _final(signal: str, steps: Steps) -> stat.Panel:
    """Return a panel of the newest final value of a ratio."""
    return figure(_title(signal), "percentunit", _newest(signal, provisional="false"), steps, decimals=2)


def _verdict() -> stat.Panel:
    """Return the panel of the verdict in words; while the market partition moves, the newer of two workers' words."""
    newest = "topk(1, marginwatch_verdict_trade_date_seconds)"
    legends = ("{{answer}} {{why}} {{change}}", "{{answer_zh}} {{why_zh}} {{change_zh}}")
    return (
        figure("Near a top? 是否接近顶部？", DAY, newest, [(None, "text")])
        .description(SIGNALS["verdict"].formula)
        .targets([*targets(dict.fromkeys(legends, newest), instant=True)])
        .text_mode(kinds.BigValueTextMode.NAME)
    )


def sentiment(p: Parameters) -> Board:
    """How hot the market is."""
    board = Board("sentiment", "market sentiment", "市场情绪", span="30d")
    ratio: Steps = [(None, COLD), (p.ratio_cold, CALM), (p.ratio_breakdown, WARM), (p.ratio_hot, HOT)]
    excess: Steps = [(None, COLD), (-p.excess_level, CALM), (p.excess_level, HOT)]
    states = [
        model.ValueMap(
            options={
                str(code): model.ValueMappingResult(text=f"{name.value} {chinese}", color=colour, index=i)
                for i, (name, (code, chinese, colour)) in enumerate(STATES.items())
            }
        )
    ]
    code = "basis:marginwatch_ratio_state:code"
    degraded = "sum(max by (signal) (marginwatch_signal_degraded))"
    day = 'max(marginwatch_signal_trade_date_seconds{signal="fin_buy_ratio", provisional="false"}) * 1000'
    board.add(_verdict(), width=24, height=4)
    for panel in (
        _final("fin_buy_ratio_5d", ratio),
        _final("fin_buy_ratio", ratio),
        figure(_title("ratio_state"), "short", f'{code}{{basis="ratio_state"}}', mappings=list(states)),
        _final("excess_financing", excess),
        figure("Trade date 交易日", DAY, day, [(None, "text")]),
        figure("Degraded signals 数据不全的信号", "short", degraded, BAD_ABOVE_0),
    ):
        board.add(panel, width=4, height=5)
    board.add(_signal("fin_buy_ratio_5d", "fin_buy_ratio", lines=ratio), width=12, height=10)
    board.add(_signal("excess_financing", "excess_level", lines=excess), width=12, height=10)
    board.add(
        statetimeline.Panel()
        .title("State of the ratio 融资买入占比状态")
        .description(SIGNALS["ratio_state"].formula)
        .targets([*targets({"{{basis}}": code})])
        .mappings(list(states))
        .color_scheme(colour_by(model.FieldColorModeId.THRESHOLDS))
        .thresholds(steps_of([(None, "text")]))
        .show_value(kinds.VisibilityMode.AUTO)
        .merge_values(True),
        width=24,
        height=6,
    )
    others = ("fin_balance", "fin_balance_to_float_cap", "margin_trade_share", "breadth_200", "ytd_distribution")
    for name in (*others, "risk_premium"):
        board.add(_signal(name), width=8)
    dates = 'max by (signal) (marginwatch_signal_trade_date_seconds{provisional="false"}) * 1000'
    columns = {
        "Degraded 数据不全": ("max by (signal) (marginwatch_signal_degraded)", "bool_yes_no"),
        "Trade date 交易日": (dates, DAY),
    }
    text = "Degraded: computed of incomplete data. A trade date that lags behind: the signal is absent since."
    title = "Signals: completeness and trade date 信号状态"
    board.add(table_of(title, "signal", columns, sort="Degraded 数据不全", text=text), width=24, height=12)
    return board


def industries() -> Board:
    """Which industries are hot, and which risky."""
    board = Board("industries", "industries", "行业", span="30d")
    board.builder.with_variable(
        dashboard.QueryVariable("industry")
        .label("Industry 行业")
        .datasource(SOURCE)
        .query("label_values(marginwatch_industry, industry)")
        .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(model.VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .current(model.VariableOption(selected=True, text=["All"], value=["$__all"]))
    )

    def of(name: str) -> str:
        return f'max by (industry) (marginwatch_industry{{signal="{name}", industry=~"$industry"}})'

    def title(name: str) -> str:
        return f"{INDUSTRY_SIGNALS[name].title} {INDUSTRY_SIGNALS[name].title_zh}"

    side: Steps = [(None, COLD), (0, WARM), (0.5, HOT)]
    sign: Steps = [(None, COLD), (0, HOT)]
    for name, unit, steps in (("heat", "short", side), ("risk", "short", side), ("net_buy", "currency:¥", sign)):
        board.add(bars(title(name), unit, of(name), steps, INDUSTRY_SIGNALS[name].formula), width=8, height=20)
    columns = {title(name): (of(name), UNITS[INDUSTRY_SIGNALS[name].unit]) for name in INDUSTRY_METRICS}
    board.add(table_of("All figures 全部指标", "industry", columns, sort=title("heat")), width=18, height=14)
    day = "max(marginwatch_industry_trade_date_seconds) * 1000"
    board.add(figure("Trade date 交易日", DAY, day, [(None, "text")]), width=6, height=7)
    known = 'count(max by (industry) (marginwatch_industry{signal="fin_balance"}))'
    board.add(
        figure("Industries with a balance 有数据的行业", "short", known, [(None, "red"), (31, "green")]),
        width=6,
        height=7,
    )
    for name in INDUSTRY_METRICS:
        unit = UNITS[INDUSTRY_SIGNALS[name].unit]
        panel = curves(title(name), unit, {"{{industry}}": of(name)}, INDUSTRY_SIGNALS[name].formula)
        bilingual(panel)
        board.add(panel, width=12, height=10)
    return board


def alerts() -> Board:
    """The alerts that fire: of the market, and of the system itself."""
    board = Board("alerts", "alerts", "预警", span="7d")
    firing = "max by (rule, severity) (marginwatch_alerts_firing)"
    for severity, chinese, colour in (
        ("critical", "严重", "red"),
        ("warning", "警告", "orange"),
        ("info", "提示", "blue"),
    ):
        expr = f'sum(max by (rule) (marginwatch_alerts_firing{{severity="{severity}"}})) or vector(0)'
        board.add(
            figure(f"Firing, {severity} 触发中（{chinese}）", "short", expr, [(None, "green"), (1, colour)]),
            width=4,
            height=5,
        )
    monitoring = 'count(ALERTS{alertstate="firing"}) or vector(0)'
    board.add(figure("Of the system itself 系统告警", "short", monitoring, BAD_ABOVE_0), width=4, height=5)
    published = "sum(increase(marginwatch_alerts_total[1d]))"
    board.add(figure("Published in a day 一日内发布", "short", published, decimals=0), width=8, height=5)
    board.add(curves("Firing by rule 触发中的规则", "short", {"{{rule}} ({{severity}})": firing}), width=16, height=10)
    board.add(
        table_of("Firing now 当前触发", "rule", {"Alerts 条数": (firing, "short")}, sort="Alerts 条数"),
        width=8,
        height=10,
    )
    for by, title in (("state", "by state 按状态"), ("severity", "by severity 按级别"), ("rule", "by rule 按规则")):
        rate = f"sum by ({by}) (increase(marginwatch_alerts_total[1h]))"
        board.add(curves(f"Published in an hour, {title}", "short", {f"{{{{{by}}}}}": rate}), width=8)
    system = {"Series 数": ("count by (alertname, severity, alertstate) (ALERTS)", "short")}
    board.add(table_of("Alerts of the system itself 系统告警", "alertname", system, sort="Series 数"), width=24)
    return board


def pipeline() -> Board:
    """Whether the stream makes progress."""
    board = Board("pipeline", "pipeline health", "链路状态", span="1h")
    workers: Steps = [(None, "red"), (1, "orange"), (2, "green")]
    lag: Steps = [(None, "green"), (1_000, "orange"), (10_000, "red")]
    dead = "sum(increase(marginwatch_dead_letters_total[1h]))"
    overdue = "sum(increase(marginwatch_deadline_closes_total[1d]))"
    days: Steps = [(None, "red"), (5, "orange"), (20, "green")]
    gaps: Steps = [(None, "green"), (1, "orange")]
    for panel in (
        figure("Workers up 在线进程", "short", 'sum(up{job="marginwatch"})', workers),
        figure("Ready 就绪", "bool_yes_no", "min(marginwatch_ready)", [(None, "red"), (1, "green")]),
        figure("Stalled 停滞分区", "short", "sum(marginwatch_stalled) or vector(0)", BAD_ABOVE_0),
        figure("Lag 积压", "short", "sum(topic:marginwatch_lag_messages:sum)", lag),
        figure("Dead letters, 1 h 死信", "short", dead, BAD_ABOVE_0, decimals=0),
        figure("Closed by deadline, 1 d 超时关闭", "short", overdue, BAD_ABOVE_0, decimals=0),
        figure("Calendar left, days 日历剩余", "short", "min(marginwatch_calendar_days_left)", days),
        figure("Identity breaks 勾稽不平", "short", "sum(max by (topic) (marginwatch_identity_breaks))", gaps),
    ):
        board.add(panel, width=3, height=4)
    for title, metric in (
        ("Rows a second 行/秒", "rows"),
        ("Messages a second 消息/秒", "messages"),
        ("Published a second 发布/秒", "outputs"),
    ):
        expr = f"sum by (topic) (rate(marginwatch_{metric}_total[1m]))"
        board.add(curves(title, "cps", {"{{topic}}": expr}), width=8)
    for title, metric in (("Step 单步耗时", "batch"), ("Event age 端到端时延", "event_age")):
        buckets = f"stage_le:marginwatch_{metric}_seconds_bucket:rate5m"
        quantiles = {f"{{{{stage}}}} p{q}": f"histogram_quantile(0.{q}, {buckets})" for q in (50, 95, 99)}
        board.add(curves(f"{title} p50/p95/p99", "s", quantiles), width=12)
    board.add(curves("Lag by topic 积压", "short", {"{{topic}}": "topic:marginwatch_lag_messages:sum"}), width=8)
    by_topic = "sum by (topic) (increase(marginwatch_dead_letters_total[5m]))"
    board.add(curves("Dead letters in 5 minutes 死信", "short", {"{{topic}}": by_topic}), width=8)
    retries = {
        f"{name} {{{{instance}}}}": f"rate(marginwatch_{name.lower()}_retries_total[5m])" for name in ("Redis", "Kafka")
    }
    board.add(curves("Retries a second 重试", "cps", retries), width=8)
    ignored = {"{{stage}} {{reason}}": "sum by (stage, reason) (rate(marginwatch_rows_ignored_total[5m]))"}
    board.add(curves("Rows ignored a second 忽略的行", "cps", ignored), width=8)
    owned = {"{{instance}} {{table}}": "marginwatch_partitions_owned"}
    board.add(curves("Partitions owned 持有分区", "short", owned), width=8)
    troubles = {
        "ready {{instance}}": "marginwatch_ready",
        "stalled {{stage}}:{{partition}} {{instance}}": "marginwatch_stalled",
    }
    board.add(curves("Ready and stalled 就绪与停滞", "short", troubles), width=8)
    closed, due = "topic:marginwatch_closed_day_seconds:min", "max by (topic) (marginwatch_due_day_seconds)"
    state = {"Closed 已关闭": (f"{closed} * 1000", DAY), "Due 应关闭": (f"{due} * 1000", DAY)}
    feeds = table_of("Closed day by feed 各数据源已关闭交易日", "topic", state, sort="Due 应关闭")
    board.add(feeds, width=24, height=9)
    return board

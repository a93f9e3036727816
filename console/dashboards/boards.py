"""The boards of heat, industries, alerts and the stream itself: what each shows, and the queries behind it."""

from __future__ import annotations

from grafana_foundation_sdk.builders import statetimeline
from grafana_foundation_sdk.models import common as kinds
from grafana_foundation_sdk.models import dashboard as model

from console.dashboards.of_signals import (
    FALLS,
    STATE_CODE,
    VERDICT_DAY,
    curve,
    final,
    page_of,
    state,
    state_words,
    trade_date,
    verdict,
)
from console.dashboards.panels import (
    BAD_ABOVE_0,
    CALM,
    COLD,
    DAY,
    HOT,
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
from processors.parameters import Parameters
from processors.registry import INDUSTRY_METRICS, INDUSTRY_SIGNALS, SIGNALS


def sentiment(p: Parameters) -> Board:
    """How hot the market is."""
    board = Board("sentiment", "market sentiment", "市场情绪", span="30d", page="signals/index")
    ratio: Steps = [(None, COLD), (p.ratio_cold, CALM), (p.ratio_breakdown, WARM), (p.ratio_hot, HOT)]
    excess: Steps = [(None, COLD), (-p.excess_level, CALM), (p.excess_level, HOT)]
    degraded = "sum(max by (signal) (marginwatch_signal_degraded))"
    text = "Signals whose newest value is computed of incomplete data."
    day = 'max(marginwatch_signal_trade_date_seconds{signal="fin_buy_ratio", provisional="false"})'
    board.add(verdict(), width=20, height=4, page=page_of("verdict"))
    board.add(trade_date(VERDICT_DAY), width=4, height=4, page=page_of("verdict"))
    for panel, signal in (
        (final("fin_buy_ratio_5d", ratio), "fin_buy_ratio_5d"),
        (final("fin_buy_ratio", ratio), "fin_buy_ratio"),
        (state(), "ratio_state"),
        (final("excess_financing", excess), "excess_financing"),
    ):
        board.add(panel, width=4, height=5, page=page_of(signal))
    board.add(trade_date(day), width=4, height=5)
    board.add(figure("Degraded signals 数据不全的信号", "short", degraded, BAD_ABOVE_0, text), width=4, height=5)
    board.add(
        curve("fin_buy_ratio_5d", "fin_buy_ratio", lines=ratio), width=12, height=10, page=page_of("fin_buy_ratio_5d")
    )
    board.add(
        curve("excess_financing", "excess_level", lines=excess), width=12, height=10, page=page_of("excess_financing")
    )
    board.add(
        statetimeline.Panel()
        .title("State of the ratio 融资买入占比状态")
        .description(SIGNALS["ratio_state"].formula)
        .unit("short")
        .targets([*targets({"{{basis}}": STATE_CODE})])
        .mappings(state_words())
        .color_scheme(colour_by(model.FieldColorModeId.THRESHOLDS))
        .thresholds(steps_of([(None, "text")]))
        .show_value(kinds.VisibilityMode.AUTO)
        .merge_values(True),
        width=24,
        height=6,
        page=page_of("ratio_state"),
    )
    others = ("fin_balance", "fin_balance_to_float_cap", "margin_trade_share", "breadth_200", "ytd_distribution")
    for name in (*others, "risk_premium"):
        board.add(curve(name), width=8, page=page_of(name))
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
    board = Board("industries", "industries", "行业", span="30d", page="signals/index")
    board.with_labels("industry", "Industry 行业", "marginwatch_industry", "industry")

    def of(name: str) -> str:
        return f'max by (industry) (marginwatch_industry{{signal="{name}", industry=~"$industry"}})'

    def title(name: str) -> str:
        return f"{INDUSTRY_SIGNALS[name].title} {INDUSTRY_SIGNALS[name].title_zh}"

    side: Steps = [(None, COLD), (0, WARM), (0.5, HOT)]
    for name, unit, steps in (("heat", "short", side), ("risk", "short", side), ("net_buy", "currency:¥", FALLS)):
        panel = bars(title(name), unit, of(name), steps, INDUSTRY_SIGNALS[name].formula)
        board.add(panel, width=8, height=20, page=f"signals/industry/{name}")
    columns = {title(name): (of(name), UNITS[INDUSTRY_SIGNALS[name].unit]) for name in INDUSTRY_METRICS}
    text = "The newest figures of Shenwan's industries; each has a page of its own in the documentation."
    board.add(table_of("All figures 全部指标", "industry", columns, sort=title("heat"), text=text), width=18, height=14)
    board.add(trade_date("max(marginwatch_industry_trade_date_seconds)"), width=6, height=7)
    text = "Industries whose balance of the newest day is known."
    known = 'count(max by (industry) (marginwatch_industry{signal="fin_balance"}))'
    board.add(
        figure("Industries with a balance 有数据的行业", "short", known, [(None, "red"), (31, "green")], text),
        width=6,
        height=7,
    )
    for name in INDUSTRY_METRICS:
        unit = UNITS[INDUSTRY_SIGNALS[name].unit]
        curve_of = bilingual(curves(title(name), unit, {"{{industry}}": of(name)}, INDUSTRY_SIGNALS[name].formula))
        board.add(curve_of, width=12, height=10, page=f"signals/industry/{name}")
    return board


def alerts() -> Board:
    """The alerts that fire: of the market, and of the system itself."""
    board = Board("alerts", "alerts", "预警", span="7d", page="desk")
    firing = "max by (rule, severity) (marginwatch_alerts_firing)"
    for severity, chinese, colour, text in (
        ("critical", "严重", "red", "Alerts that demand a decision today."),
        ("warning", "警告", "orange", "Alerts to look at before the close."),
        ("info", "提示", "blue", "What the day's digest contains, and notes on the data."),
    ):
        expr = f'sum(max by (rule) (marginwatch_alerts_firing{{severity="{severity}"}})) or vector(0)'
        board.add(
            figure(f"Firing, {severity} 触发中（{chinese}）", "short", expr, [(None, "green"), (1, colour)], text),
            width=4,
            height=5,
        )
    monitoring = 'count(ALERTS{alertstate="firing"}) or vector(0)'
    text = "Alerts of Prometheus on the stream itself; each links to its section of the runbook."
    panel = figure("Of the system itself 系统告警", "short", monitoring, BAD_ABOVE_0, text)
    board.add(panel, width=4, height=5, page="operations/runbook")
    published = "sum(increase(marginwatch_alerts_total[1d]))"
    text = "Changes of alerts: begun, ended, superseded, acknowledged, silenced."
    board.add(figure("Published in a day 一日内发布", "short", published, text=text, decimals=0), width=8, height=5)
    text = "Alerts that fire, by the rule that raised them."
    by_rule = {"{{rule}} ({{severity}})": firing}
    board.add(curves("Firing by rule 触发中的规则", "short", by_rule, text), width=16, height=10)
    board.add(
        table_of("Firing now 当前触发", "rule", {"Alerts 条数": (firing, "short")}, sort="Alerts 条数", text=text),
        width=8,
        height=10,
    )
    for by, title in (("state", "by state 按状态"), ("severity", "by severity 按级别"), ("rule", "by rule 按规则")):
        rate = f"sum by ({by}) (increase(marginwatch_alerts_total[1h]))"
        text = "Changes of alerts in an hour; a correction of old days publishes many at once."
        board.add(curves(f"Published in an hour, {title}", "short", {f"{{{{{by}}}}}": rate}, text), width=8)
    system = {"Series 数": ("count by (alertname, severity, alertstate) (ALERTS)", "short")}
    text = "What Prometheus' own rules report, pending or firing."
    reported = table_of("Alerts of the system itself 系统告警", "alertname", system, sort="Series 数", text=text)
    board.add(reported, width=24, page="operations/runbook")
    return board


def pipeline() -> Board:
    """Whether the stream makes progress."""
    board = Board("pipeline", "pipeline health", "链路状态", span="1h", page="operations/metrics")
    workers: Steps = [(None, "red"), (1, "orange"), (2, "green")]
    lag: Steps = [(None, "green"), (1_000, "orange"), (10_000, "red")]
    dead = "sum(increase(marginwatch_dead_letters_total[1h]))"
    overdue = "sum(increase(marginwatch_deadline_closes_total[1d]))"
    days: Steps = [(None, "red"), (5, "orange"), (20, "green")]
    gaps: Steps = [(None, "green"), (1, "orange")]
    for panel in (
        figure("Workers up 在线进程", "short", 'sum(up{job="marginwatch"})', workers, "Workers that answer a scrape."),
        figure(
            "Ready 就绪",
            "bool_yes_no",
            "min(marginwatch_ready)",
            [(None, "red"), (1, "green")],
            "Whether every worker has its state, Redis and Kafka: /readyz names what is missing.",
        ),
        figure(
            "Stalled 停滞分区",
            "short",
            "sum(marginwatch_stalled) or vector(0)",
            BAD_ABOVE_0,
            "Partitions of stages that make no progress: /readyz names the reason and the remedy.",
        ),
        figure(
            "Lag 积压", "short", "sum(topic:marginwatch_lag_messages:sum)", lag, "Messages that are not processed yet."
        ),
        figure("Dead letters, 1 h 死信", "short", dead, BAD_ABOVE_0, "Messages that were refused.", decimals=0),
        figure(
            "Closed by deadline, 1 d 超时关闭",
            "short",
            overdue,
            BAD_ABOVE_0,
            "Days that a deadline closed because their feed did not.",
            decimals=0,
        ),
        figure(
            "Calendar left, days 日历剩余",
            "short",
            "min(marginwatch_calendar_days_left)",
            days,
            "Announced sessions that the trading calendar has left.",
        ),
        figure(
            "Identity breaks 勾稽不平",
            "short",
            "sum(max by (topic) (marginwatch_identity_breaks))",
            gaps,
            "Figures whose balance is not the one before plus buys less repayments.",
        ),
    ):
        board.add(panel, width=3, height=4)
    for title, metric, text in (
        ("Rows a second 行/秒", "rows", "Rows that the stages fold."),
        ("Messages a second 消息/秒", "messages", "Messages that the stages read; a frame has many rows."),
        ("Published a second 发布/秒", "outputs", "Messages that the stages publish."),
    ):
        expr = f"sum by (topic) (rate(marginwatch_{metric}_total[1m]))"
        board.add(curves(title, "cps", {"{{topic}}": expr}, text), width=8)
    for title, metric, text in (
        ("Step 单步耗时", "batch", "The time to fold, store and publish what one poll returned."),
        ("Event age 端到端时延", "event_age", "From the timestamp of the newest record to its acknowledged outputs."),
    ):
        buckets = f"stage_le:marginwatch_{metric}_seconds_bucket:rate5m"
        quantiles = {f"{{{{stage}}}} p{q}": f"histogram_quantile(0.{q}, {buckets})" for q in (50, 95, 99)}
        board.add(curves(f"{title} p50/p95/p99", "s", quantiles, text), width=12)
    by_topic = "sum by (topic) (increase(marginwatch_dead_letters_total[5m]))"
    retries = {
        f"{name} {{{{instance}}}}": f"rate(marginwatch_{name.lower()}_retries_total[5m])" for name in ("Redis", "Kafka")
    }
    ignored = "sum by (stage, reason) (rate(marginwatch_rows_ignored_total[5m]))"
    troubles = {
        "ready {{instance}}": "marginwatch_ready",
        "stalled {{stage}}:{{partition}} {{instance}}": "marginwatch_stalled",
    }
    for title, unit, queries, text in (
        ("Lag by topic 积压", "short", {"{{topic}}": "topic:marginwatch_lag_messages:sum"},
         "Messages that are not processed yet: a backfill catches up by itself."),
        ("Dead letters in 5 minutes 死信", "short", {"{{topic}}": by_topic},
         "Messages that were refused; `marginwatch dlq list` names the reasons."),
        ("Retries a second 重试", "cps", retries, "Steps that wait for Redis or Kafka; nothing is lost meanwhile."),
        ("Rows ignored a second 忽略的行", "cps", {"{{stage}} {{reason}}": ignored},
         "Rows that changed nothing: repeated, of a lower revision, or older than what is kept."),
        ("Partitions owned 持有分区", "short", {"{{instance}} {{table}}": "marginwatch_partitions_owned"},
         "Each partition has one owner; after a crash the others take them."),
        ("Ready and stalled 就绪与停滞", "short", troubles, "1 is yes; /readyz on the worker names the reason."),
    ):  # fmt: skip
        board.add(curves(title, unit, queries, text), width=8)
    closed, due = "topic:marginwatch_closed_day_seconds:min", "max by (topic) (marginwatch_due_day_seconds)"
    columns = {"Closed 已关闭": (f"{closed} * 1000", DAY), "Due 应关闭": (f"{due} * 1000", DAY)}
    text = "The newest closed day of each feed, and the day that its deadline asks for."
    feeds = table_of("Closed day by feed 各数据源已关闭交易日", "topic", columns, sort="Due 应关闭", text=text)
    board.add(feeds, width=24, height=9, page="operations/runbook")
    return board

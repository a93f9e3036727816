"""Boards of the market beside its heat: groups and funds, lent shares and collateral, bottoms; and the wall board."""

from __future__ import annotations

import re

from console.dashboards.of_signals import (
    FALLS,
    VERDICT_DAY,
    bars_of,
    by_subject,
    curve,
    detail,
    final,
    newest,
    page_of,
    state,
    title_of,
    trade_date,
    verdict,
)
from console.dashboards.panels import BAD_ABOVE_0, CALM, COLD, HOT, WARM, Board, Steps, bars, curves, figure, table_of
from processors.industries import INDUSTRIES
from processors.parameters import Parameters
from processors.registry import INDUSTRY_SIGNALS, SIGNALS

_PLAIN: Steps = [(None, "text")]
#: The expression of the alert FeedLate: a feed that has never closed a day is late, too.
LATE_FEEDS = (
    'max by (topic) (marginwatch_due_day_seconds{topic=~"margin.daily|margin.market|indices.daily|prices.daily"}) '
    "unless on (topic) "
    "(topic:marginwatch_closed_day_seconds:min >= on (topic) max by (topic) (marginwatch_due_day_seconds))"
)
_DAY = 'max(marginwatch_signal_trade_date_seconds{{signal="{}", provisional="false"}})'


def groups() -> Board:
    """Which groups of securities are bought on margin, what flows into funds, and which style of shares leads."""
    board = Board("groups", "groups and ETFs", "分组与ETF", span="30d", page=page_of("group_balance"))
    board.with_labels("group", "Group 分组", 'marginwatch_signal{signal="group_balance"}', "subject")
    board.with_labels("style", "Style of funds ETF风格", 'marginwatch_signal{signal="etf_flow"}', "subject")
    chosen = {"by": "subject", "subject": "$group"}
    columns = {
        "Balance 融资余额": (newest("group_balance", provisional="false", **chosen), "currency:¥"),
        "Share of all 占比": (detail("group_balance", "share", **chosen), "percentunit"),
        "Net buy 当日净买入": (newest("group_net_buy", provisional="false", **chosen), "currency:¥"),
        "Net buy, 5 days 5日": (detail("group_net_buy", "five_days", **chosen), "currency:¥"),
        "Net buy, 20 days 20日": (detail("group_net_buy", "twenty_days", **chosen), "currency:¥"),
        "Securities 证券数": (detail("group_balance", "members", **chosen), "short"),
    }
    text = SIGNALS["group_net_buy"].formula
    board.add(
        table_of("All figures 全部指标", "subject", columns, sort="Net buy 当日净买入", text=text), width=18, height=9
    )
    board.add(trade_date(_DAY.format("group_balance")), width=6, height=9)
    for signal in ("group_balance", "group_net_buy"):
        board.add(by_subject(signal, "group"), width=12, height=10, page=page_of(signal))
    board.add(bars_of("etf_flow", "style"), width=8, height=10, page=page_of("etf_flow"))
    board.add(by_subject("etf_flow", "style"), width=16, height=10, page=page_of("etf_flow"))
    for signal in ("etf_flow_total", "etf_flow_5d"):
        board.add(curve(signal), width=12, height=8, page=page_of(signal))
    for signals, by, title in (
        ("index_return", "subject", title_of("index_return")),
        ("large_small.*", "signal", title_of("large_small")),
        ("value_growth.*", "signal", "Value against growth stocks, 20 days 价值相对成长（20日）"),
    ):
        first = next(name for name in SIGNALS if re.fullmatch(signals, name))
        returns = {f"{{{{{by}}}}}": newest(signals, by, provisional="false")}
        panel = curves(title, "percentunit", returns, SIGNALS[first].formula)
        board.add(panel, width=8, page=page_of(first))
    return board


def leverage(p: Parameters) -> Board:
    """How much is lent, against what, and how far the line of forced selling is."""
    board = Board("leverage", "short balance and collateral", "融券与担保", span="30d", page=page_of("short_balance"))
    collateral: Steps = [(None, HOT), (p.collateral_line + 1.0, WARM), (p.collateral_line + 1.2, CALM)]
    parts = {
        "change": "day change 担保比例日变动",
        "distance": "above the line 高于平仓线",
        "percentile": "percentile 担保比例分位",
    }
    board.add(final("short_balance", _PLAIN), width=4, height=5, page=page_of("short_balance"))
    board.add(final("short_balance_change", FALLS), width=4, height=5, page=page_of("short_balance_change"))
    board.add(final("collateral_ratio", collateral), width=4, height=5, page=page_of("collateral_ratio"))
    for name, title in parts.items():
        panel = figure(
            f"Collateral ratio: {title}", "percentunit", detail("collateral_ratio", name), _PLAIN,
            SIGNALS["collateral_ratio"].formula, decimals=1,
        )  # fmt: skip
        board.add(panel, width=4, height=5, page=page_of("collateral_ratio"))
    line: Steps = [(None, "text"), (p.collateral_line, HOT)]
    board.add(curve("collateral_ratio", lines=line), width=12, height=10, page=page_of("collateral_ratio"))
    board.add(curve("short_balance"), width=12, height=10, page=page_of("short_balance"))
    for signal in ("fin_balance_to_float_cap", "two_way_to_float_cap", "margin_trade_share"):
        board.add(curve(signal), width=8, page=page_of(signal))
    for signal in ("fin_balance_to_float_cap", "two_way_to_float_cap", "margin_trade_share"):
        percentiles = curve(f"{signal}_percentile", f"{signal}_percentile_expanding")
        board.add(percentiles, width=8, page=page_of(f"{signal}_percentile"))
    return board


def bottom(p: Parameters) -> Board:
    """What the figures of past bottoms are today, index by index, side by side; and what shares earn above bonds."""
    board = Board(
        "bottom", "bottom panel and risk premium", "底部观察与风险溢价", span="30d", page=page_of("bottom_panel")
    )
    board.with_labels("index", "Index 指数", 'marginwatch_signal{signal="index_pe_percentile"}', "subject")
    chosen = {"by": "subject", "subject": "$index"}
    columns = {
        "Drawdown 距高点": (detail("bottom_panel", "drawdown", **chosen), "percentunit"),
        "Past bears 历史熊市数": (detail("bottom_panel", "bear_markets", **chosen), "short"),
        "Past bears less deep 较浅熊市占比": (detail("bottom_panel", "deeper_than", **chosen), "percentunit"),
        "Below 250-day high 距250日高点": (newest("oversold", provisional="false", **chosen), "percentunit"),
        "Turnover percentile 换手率分位": (detail("bottom_panel", "turnover_rate_percentile", **chosen), "percentunit"),
        "RSI": (detail("oversold", "rsi_14", **chosen), "short"),
        "To 250-day mean 距250日均线": (detail("oversold", "mean_distance", **chosen), "percentunit"),
        "PE percentile 市盈率分位": (newest("index_pe_percentile", provisional="false", **chosen), "percentunit"),
    }
    text = SIGNALS["bottom_panel"].formula
    table = table_of("Bottom panel, index by index 底部观察面板", "subject", columns, sort="Drawdown 距高点", text=text)
    board.add(table, width=18, height=10)
    board.add(final("bottom_panel", _PLAIN, decimals=0), width=3, height=5)
    zone = detail("bottom_panel", "cold_zone")
    board.add(figure("Cold zone 低迷区间", "bool_yes_no", zone, [(None, CALM), (1, COLD)], text), width=3, height=5)
    sse = {"by": "subject", "subject": "000001.SH"}
    for name, title, decimals in (
        ("turnover_rate_month", "turnover rate, month 上证月均换手率", 2),
        ("pe_percentile", "PE percentile 上证市盈率分位", 0),
    ):
        expr = detail("bottom_panel", name, **sse)
        board.add(
            figure(f"SSE Composite: {title}", "percentunit", expr, _PLAIN, text, decimals=decimals), width=3, height=5
        )
    high: Steps = [(None, "text"), (p.risk_premium_high, COLD)]
    premium = curves(
        title_of("risk_premium"),
        "percentunit",
        {
            "股权风险溢价 risk_premium": newest("risk_premium", provisional="false"),
            "{{detail}}": detail("risk_premium", "mean|upper|lower", by="detail"),
        },
        SIGNALS["risk_premium"].formula,
        high,
    )
    board.add(premium, width=12, height=10, page=page_of("risk_premium"))
    board.add(by_subject("oversold", "index"), width=12, height=10, page=page_of("oversold"))
    others = newest("risk_premium_by_index", "subject", provisional="false")
    panel = curves(
        title_of("risk_premium_by_index"), "percentunit", {"{{subject}}": others},
        SIGNALS["risk_premium_by_index"].formula, high,
    )  # fmt: skip
    board.add(panel, width=8, page=page_of("risk_premium_by_index"))
    for signal in ("llt", "index_pe_percentile"):
        board.add(by_subject(signal, "index"), width=8, page=page_of(signal))
    cycle = SIGNALS["index_cycle"]
    years = newest("index_cycle", "subject", provisional="false")
    panel = curves(title_of("index_cycle"), "short", {"{{subject}}": years}, cycle.formula)
    board.add(panel, width=12, page=page_of("index_cycle"))
    falls = detail("index_cycle", "fall")
    board.add(
        curves("Fall of the last bear market 上轮熊市跌幅", "percentunit", {"{{subject}}": falls}, cycle.formula),
        width=12,
        page=page_of("index_cycle"),
    )
    return board


def desk(p: Parameters) -> Board:
    """The board for a wall: the answer, the figures behind it, where the heat is, and whether all of it is current."""
    board = Board("desk", "desk", "大屏", span="12h", page="desk")
    ratio: Steps = [(None, COLD), (p.ratio_cold, CALM), (p.ratio_breakdown, WARM), (p.ratio_hot, HOT)]
    excess: Steps = [(None, COLD), (-p.excess_level, CALM), (p.excess_level, HOT)]
    board.add(verdict(), width=16, height=5, page=page_of("verdict"))
    board.add(trade_date(VERDICT_DAY), width=4, height=5, page=page_of("verdict"))
    board.add(state(), width=4, height=5, page=page_of("ratio_state"))
    for signal, steps in (
        ("fin_buy_ratio_5d", ratio),
        ("excess_financing", excess),
        ("fin_balance", _PLAIN),
        ("fin_balance_change", FALLS),
        ("short_balance", _PLAIN),
        ("risk_premium", _PLAIN),
    ):
        board.add(final(signal, steps), width=4, height=6, page=page_of(signal))
    board.add(
        curve("fin_buy_ratio_5d", "fin_buy_ratio", lines=ratio), width=12, height=9, page=page_of("fin_buy_ratio_5d")
    )
    board.add(curve("excess_financing", lines=excess), width=12, height=9, page=page_of("excess_financing"))
    heat = INDUSTRY_SIGNALS["heat"]
    hottest = 'topk(10, max by (industry) (marginwatch_industry{signal="heat", industry=~"$industry"}))'
    board.with_labels("industry", "Industry 行业", "marginwatch_industry", "industry")
    title = f"{heat.title}, the first ten {heat.title_zh}前十"
    board.add(bars(title, "short", hottest, [(None, WARM), (0.5, HOT)], heat.formula), width=8, height=10,
              page="signals/industry/heat")  # fmt: skip
    board.with_labels("group", "Group 分组", 'marginwatch_signal{signal="group_balance"}', "subject")
    board.add(bars_of("group_net_buy", "group"), width=8, height=10, page=page_of("group_net_buy"))
    for name, chinese, colour, text in (
        ("critical", "严重", "red", "Alerts that demand a decision today."),
        ("warning", "警告", "orange", "Alerts to look at before the close."),
    ):
        expr = f'sum(max by (rule) (marginwatch_alerts_firing{{severity="{name}"}})) or vector(0)'
        panel = figure(f"Firing, {name} 触发中（{chinese}）", "short", expr, [(None, "green"), (1, colour)], text)
        board.add(panel, width=4, height=5)
    text = "Feeds that have not closed the day that is due."
    late = f"count({LATE_FEEDS}) or vector(0)"
    board.add(figure("Feeds late 迟到数据源", "short", late, BAD_ABOVE_0, text), width=4, height=5,
              page="operations/runbook")  # fmt: skip
    known = 'count(max by (industry) (marginwatch_industry{signal="fin_balance"}))'
    complete: Steps = [(None, "red"), (len(INDUSTRIES), "green")]
    text = "Industries whose balance of the newest day is known."
    board.add(figure("Industries known 有数据的行业", "short", known, complete, text), width=4, height=5,
              page="signals/industry/fin_balance")  # fmt: skip
    return board

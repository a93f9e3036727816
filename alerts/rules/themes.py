"""themes 每周主题 and chart_top 图表得分前列: the week's industries and stocks whose charts the network scores highest [GF25].

Both are absent without a chart model.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from alerts.model import ALL_INDUSTRIES, Alert, Basis, Severity, Text
from alerts.plurals import counted
from alerts.rules.base import (
    Condition,
    Evaluation,
    Expectation,
    Message,
    Rule,
    Scope,
    ends_higher,
    security_frame,
    short_percent,
)
from alerts.rules.digest import members, named
from processors.indicators.themes import TOP
from processors.industries import CODE_OF, ENGLISH, INDUSTRIES
from processors.needs import CHARTS
from processors.outputs import PRICING, IndustrySignals, SecuritySignals
from processors.parameters import Parameters

INDUSTRY, STOCKS = ALL_INDUSTRIES, "stocks"
_HORIZON_DAYS = 5
_INVALIDATION = Text("It covers its week only; the next week has its own themes.", "仅代表当周，下周另有主题。")
_THEMES_LEAD = Text("beats the mean of all industries over 5 days", "5日跑赢行业均值")
_STOCKS_LEAD = Text("beats the mean of all stocks over 5 days", "5日跑赢等权市场")


def industries(message: Message) -> Iterator[Evaluation]:
    """Fire once a week with the five themes."""
    if not isinstance(message, IndustrySignals):
        return
    status, scores = message.status, message.columns["theme_score"]
    if np.isnan(scores).all():
        return
    best = np.argsort(-scores, kind="stable")[: min(TOP, int((~np.isnan(scores)).sum()))].tolist()
    names = [INDUSTRIES[i] for i in best]
    yield Evaluation.of(
        status,
        INDUSTRY,
        Condition.FIRE,
        {ENGLISH[name]: float(scores[i]) for name, i in zip(names, best, strict=True)},
        {"themes": TOP},
        Text(
            f"Themes of the week to {status.trade_date}, by the charts of their stocks: "
            f"{', '.join(ENGLISH[name] for name in names)} (model {status.models.get(CHARTS, '')}).",
            f"截至{status.trade_date}当周主题（按个股图表）：{'、'.join(names)}（模型{status.models.get(CHARTS, '')}）。",
        ),
        _INVALIDATION,
        charted=True,
    )


def stocks(parameters: Parameters, message: Message) -> Iterator[Evaluation]:
    """Fire once a week with the stocks of the highest scores."""
    frame = security_frame(message, PRICING)
    if frame is None or np.isnan(scores := frame.columns["chart_score"]).all():
        return
    status, top = frame.status, frame.columns["chart_top"] == 1
    if not top.any():
        yield Evaluation.of(status, STOCKS, Condition.END, charted=True)
        return
    found = members(frame, top, "chart_score", [""] * int(top.sum()), scores[top])
    share = short_percent(parameters.chart_top)
    yield Evaluation.of(
        status,
        STOCKS,
        Condition.FIRE,
        {"stocks": len(found), "lowest_score": float(scores[top].min())},
        {"share": parameters.chart_top},
        Text(
            f"Chart scores of the week to {status.trade_date}: the top {share} of the margin list: "
            f"{counted(len(found), 'stock')}, led by {named(found)}.",
            f"截至{status.trade_date}当周图表得分：两融标的前{share}共{len(found)}只，居前：{named(found, '、')}。",
        ),
        _INVALIDATION,
        found,
        charted=True,
    )


def rule(_: Parameters) -> Rule:
    """Return the rule of the industries."""
    return Rule(
        "themes",
        Severity.INFO,
        industries,
        reads=(IndustrySignals,),
        source="[GF25]",
        horizon_days=_HORIZON_DAYS,
        expectations=(
            Expectation(_THEMES_LEAD, ends_higher, horizon_days=_HORIZON_DAYS, basis=Basis.INDUSTRIES, members=_themes),
        ),
        about="industries",
        units=dict.fromkeys(ENGLISH.values(), "ratio"),
        scope=Scope.INDUSTRY,
        study="charts",
    )


def stocks_rule(parameters: Parameters) -> Rule:
    """Return the rule of the stocks."""
    return Rule(
        "chart_top",
        Severity.INFO,
        partial(stocks, parameters),
        reads=(SecuritySignals,),
        source="[GF25]",
        horizon_days=_HORIZON_DAYS,
        expectations=(
            Expectation(
                _STOCKS_LEAD, ends_higher, horizon_days=_HORIZON_DAYS, basis=Basis.MEMBERS, figure="lowest_score"
            ),
        ),
        about="stocks",
        units={"lowest_score": "ratio", "share": "ratio"},
        member_signal="chart_score",
        scope=Scope.SECURITY,
    )


def _themes(alert: Alert) -> list[str]:
    return [CODE_OF[name] for name in INDUSTRIES if ENGLISH[name] in alert.figures]

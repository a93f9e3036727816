"""excess_score_top 超额得分前列: the day's securities with the largest excess scores [ZT21]."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from alerts.model import Basis, Severity, Text
from alerts.rules.base import Evaluation, Expectation, Kind, Message, Rule, ends_higher, short_percent
from alerts.rules.digest import OF_ITS_DAY, members, named
from processors.outputs import SecuritySignals
from processors.parameters import Parameters

_NOTES = {-1: "early positioning", 0: "", 1: "chasing"}


def evaluate(parameters: Parameters, message: Message) -> Iterator[Evaluation]:
    """Fire once a day with the top of the scores."""
    if not isinstance(message, SecuritySignals) or message.family != "pricing":
        return
    status, top = message.status, message.columns["excess_top"] == 1
    if not top.any():
        yield Evaluation.of(status, "stocks", Kind.END)
        return
    kinds = message.columns["excess_kind"][top]
    found = members(message, top, "excess_score", [_NOTES[int(k)] for k in kinds.tolist()])
    share = short_percent(parameters.score_top)
    figures: dict[str, float | int | str] = {
        "early_positioning": int((kinds == -1).sum()),
        "chasing": int((kinds == 1).sum()),
    }
    yield Evaluation.of(
        status,
        "stocks",
        Kind.FIRE,
        figures,
        {"share": parameters.score_top},
        Text(
            f"Excess score {status.trade_date}: the top {share} are {len(found)} stocks, {figures['early_positioning']} "
            f"of early positioning, {figures['chasing']} chasing; highest: {named(found)}.",
            f"超额得分 {status.trade_date}：前{share}共{len(found)}只，提前布局{figures['early_positioning']}只、追涨"
            f"{figures['chasing']}只；最高：{named(found)}。",
        ),
        OF_ITS_DAY,
        found,
    )


def rule(parameters: Parameters) -> Rule:
    """Return the rule."""
    return Rule(
        "excess_score_top",
        Severity.INFO,
        partial(evaluate, parameters),
        source="[ZT21]",
        expectations=(
            Expectation(
                Text("the securities beat the mean of all stocks over 20 days", "20个交易日后平均跑赢等权市场"),
                ends_higher,
                basis=Basis.MEMBERS,
            ),
        ),
    )

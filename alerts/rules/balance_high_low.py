"""balance_new_high, balance_new_low 融资余额创新高/新低: the total balance at the end of its range [DG22]."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from alerts.model import Severity, Text
from alerts.percents import decimals_apart
from alerts.rules.base import INDEX_HIGHER, Condition, Evaluation, Message, Rule, final_signal
from processors.parameters import Parameters
from processors.signal import Value

_COOLDOWN_DAYS = 20
_DECIMALS = 4  # of trillions


def evaluate(parameters: Parameters, side: int, message: Message) -> Iterator[Evaluation]:
    """Yield whether the balance of all exchanges is at its high (``side`` 1) or low (−1) on the message's day."""
    signal = final_signal(message, "new_high_low")
    if signal is None:
        return
    if signal.value != side:
        yield Evaluation.of(signal, signal.subject, Condition.ABSENT if signal.value is None else Condition.END)
        return
    days, (word, word_zh) = parameters.high_low_days, ("high", "高") if side > 0 else ("low", "低")
    balance, before = signal.details.get("balance"), signal.details.get(f"previous_{word}")
    decimals = _decimals(balance, before)
    yield Evaluation.of(
        signal,
        signal.subject,
        Condition.ON,
        {name: value for name, value in (("balance", balance), (f"previous_{word}", before)) if value is not None},
        {"days": days},
        Text(
            f"Margin balance of the market {signal.trade_date}: {_trillions(balance, decimals)} CNY, its {days}-day {word}; the "
            f"previous {word} was {_trillions(before, decimals)} CNY.",
            f"全市场融资余额 {signal.trade_date}：{_trillions(balance, decimals, '万亿')}元，创{days}日新{word_zh}；此前{word_zh}点为"
            f"{_trillions(before, decimals, '万亿')}元。",
        ),
        Text(
            f"Over on the first day on which the balance is at no {days}-day {word}.",
            f"余额不再处于{days}日新{word_zh}时结束。",
        ),
    )


def _decimals(balance: Value | None, before: Value | None) -> int:
    """Return the decimals with which a new high or low, in trillions, does not read as the one before."""
    if balance is None or before is None:
        return _DECIMALS
    return decimals_apart(float(balance) / 1e12, float(before) / 1e12, _DECIMALS)


def _trillions(value: Value | None, decimals: int, unit: str = " tn") -> str:
    return "–" if value is None else f"{float(value) / 1e12:.{decimals}f}{unit}"


def high_rule(parameters: Parameters) -> Rule:
    """Return the rule on a new high over `Parameters.high_low_days`."""
    return _rule("balance_new_high", parameters, 1)


def low_rule(parameters: Parameters) -> Rule:
    """Return the rule on a new low over `Parameters.high_low_days`."""
    return _rule("balance_new_low", parameters, -1)


def _rule(name: str, parameters: Parameters, side: int) -> Rule:
    return Rule(
        name, Severity.INFO, partial(evaluate, parameters, side), reads=("new_high_low",), source="[DG22]", cooldown_days=_COOLDOWN_DAYS,
        expectations=(INDEX_HIGHER,), units=dict.fromkeys(("balance", "previous_high", "previous_low"), "CNY"),
    )  # fmt: skip

"""One page for each registered signal, and the index of them: all of it follows from the declarations.

The declaration knows neither the console nor the rules. `CONSOLE` and `RULES_OF` name, by hand, where a signal is
shown and which built-in rules read it; tests check that every id and every rule in them exists.
"""

from __future__ import annotations

import dataclasses

from docs import chart
from docs.markdown import cited, code, plain, sentence, table
from docs.sample import curves
from processors.indicators.verdict import VERDICT
from processors.parameters import DEFAULTS
from processors.registry import INDUSTRY_METRICS, PRICING_INDICATORS, signals_of
from processors.signal import Level, Signal
from streams.settings import Settings
from streams.topics import Topic, Topics

#: Where the console shows a signal, besides the list of absent signals that names every market signal.
CONSOLE: dict[tuple[Level, str], str] = {
    (Level.MARKET, "fin_buy_ratio_5d"): "home: the gauge and its history",
    (Level.MARKET, "fin_buy_ratio"): "home: history of the ratio",
    (Level.MARKET, "verdict"): "home: the answer, its reason and what would change it",
    (Level.MARKET, "ratio_state"): "home: the gauge",
    (Level.MARKET, "ratio_state_daily"): "home: the early sign below the answer",
    (Level.MARKET, "ratio_state_quantile"): "home: the thin lines of the ratio's history",
    (Level.MARKET, "excess_financing"): "home: tile and chart",
    (Level.MARKET, "excess_level"): "home: the chart of excess financing",
    (Level.MARKET, "fin_balance"): "home: tile",
    (Level.MARKET, "fin_balance_change"): "home: tile of the balance",
    (Level.MARKET, "streak"): "home: tile",
    (Level.MARKET, "new_high_low"): "home: tile of the streak",
    (Level.MARKET, "fin_balance_to_float_cap"): "home: tile",
    (Level.MARKET, "fin_balance_to_float_cap_percentile"): "home: tile of the share of float cap",
    (Level.MARKET, "breadth_200"): "home: tile",
    (Level.MARKET, "margin_trade_share"): "home: tile",
    (Level.SECURITY, "fin_balance"): "page of a security",
    (Level.SECURITY, "fin_change"): "page of a security; flags",
    (Level.SECURITY, "fin_streak"): "page of a security; flags",
    (Level.SECURITY, "extreme"): "page of a security; flags",
    (Level.SECURITY, "consecutive_extreme"): "page of a security; flags (★)",
    (Level.SECURITY, "price_level"): "page of a security",
    (Level.SECURITY, "excess_score"): "page of a security",
    (Level.SECURITY, "excess_kind"): "flags",
    (Level.SECURITY, "excess_top"): "page of a security; flags",
    (Level.SECURITY, "streak_excess"): "page of a security; flags",
    (Level.SECURITY, "divergence"): "page of a security; flags",
    (Level.SECURITY, "chart_score"): "page Themes",
    (Level.INDUSTRY, "theme_score"): "page Themes",
    (Level.INDUSTRY, "theme_top5"): "page Themes",
    (Level.INDUSTRY, "heat"): "home: map of industries; page of an industry",
    (Level.INDUSTRY, "risk"): "home: map of industries; page of an industry",
    (Level.INDUSTRY, "fin_balance"): "home: map of industries; page of an industry",
    (Level.INDUSTRY, "net_buy"): "page of an industry",
    (Level.INDUSTRY, "buy_to_turnover"): "page of an industry",
    (Level.INDUSTRY, "week_change"): "page of an industry",
}
#: Which built-in rules read a signal.
RULES_OF: dict[tuple[Level, str], tuple[str, ...]] = {
    (Level.MARKET, "ratio_state"): ("peak_warning", "market_hot", "market_cold"),
    (Level.MARKET, "ratio_state_daily"): ("peak_early_sign",),
    (Level.MARKET, "excess_level"): ("excess_financing",),
    (Level.MARKET, "new_high_low"): ("balance_new_high", "balance_new_low"),
    (Level.MARKET, "risk_premium"): ("risk_premium_high", "data_quality"),
    (Level.MARKET, "collateral_ratio"): ("collateral_low", "data_quality"),
    (Level.MARKET, "fin_balance"): ("data_quality", "data_note"),
    **{(Level.MARKET, name): ("data_quality",) for name in ("turnover_mean_5d", "breadth_200", "etf_flow_total")},
    (Level.SECURITY, "fin_streak"): ("fin_streak", "securities_digest"),
    (Level.SECURITY, "extreme"): ("fin_extreme", "securities_digest"),
    (Level.SECURITY, "consecutive_extreme"): ("fin_extreme", "securities_digest"),
    (Level.SECURITY, "divergence"): ("fin_divergence", "securities_digest"),
    (Level.SECURITY, "excess_top"): ("excess_score_top", "securities_digest"),
    (Level.SECURITY, "excess_kind"): ("excess_score_top", "securities_digest"),
    (Level.INDUSTRY, "risk"): ("industry_risk_high",),
    (Level.SECURITY, "chart_score"): ("chart_top",),
    (Level.SECURITY, "chart_top"): ("chart_top",),
    (Level.INDUSTRY, "theme_score"): ("themes",),
}
#: Signals whose alerts read a state that follows from them.
READ_THROUGH: dict[tuple[Level, str], str] = {
    (Level.MARKET, "fin_buy_ratio"): "ratio_state_daily",
    (Level.MARKET, "fin_buy_ratio_5d"): "ratio_state",
    (Level.MARKET, "excess_financing"): "excess_level",
    (Level.MARKET, "fin_balance"): "new_high_low",
    (Level.SECURITY, "excess_score"): "excess_top",
}
_TOPICS = {
    Level.MARKET: Topic.SIGNALS_MARKET,
    Level.SECURITY: Topic.SIGNALS_SECURITY,
    Level.INDUSTRY: Topic.SIGNALS_INDUSTRY,
}
_HEADS = {Level.MARKET: "The market", Level.SECURITY: "Securities", Level.INDUSTRY: "Industries"}


def path(signal: Signal) -> str:
    """Return where the page of a signal is, relative to the site."""
    return f"signals/{signal.level.value}/{signal.id}.md"


def pages() -> dict[str, str]:
    """Return the text of every signal's page by its path."""
    return {path(signal): page(signal) for level in Level for signal in signals_of(level)}


def navigation() -> list[dict[str, list[str]]]:
    """Return the navigation below the index: a group for each level."""
    return [{_HEADS[level]: [path(signal) for signal in signals_of(level)]} for level in Level]


def index() -> str:
    """Return the table of all signals, a section for each level."""
    sections = []
    for level in Level:
        rows = [
            (
                f"[`{s.id}`]({path(s).removeprefix('signals/')})",
                f"{s.title} {s.title_zh}",
                s.unit,
                plain(s.formula),
                s.source,
            )
            for s in signals_of(level)
        ]
        sections.append(f"## {_HEADS[level]}\n\n" + table(("id", "what", "unit", "definition", "source"), rows))
    return "\n\n".join(sections)


def page(signal: Signal) -> str:
    """Return the page of one signal: what it is, what it needs, a chart, where it appears."""
    topics = ", ".join(code(topic) for topic in signal.inputs)
    if signal.optional:
        topics += f"; used where known: {', '.join(code(topic) for topic in signal.optional)}"
    facts = [
        ("unit", signal.unit),
        ("about", signal.level.value + (", a value for each subject" if signal.subjects else "")),
        ("topics", topics),
        ("inputs", "".join(f"\n    - {plain(need.text(DEFAULTS))}" for need in signal.needs)),
        ("window", f"{signal.window_days} trading day{'s' if signal.window_days != 1 else ''}"),
        ("provisional values", "yes, during the session" if signal.provisional else "no, final values only"),
        ("source", cited(signal.source)),
    ]
    return "\n\n".join(
        [
            f"---\ntitle: {signal.id}\n---\n# `{signal.id}` {signal.title_zh}",
            sentence(signal.title),
            f"## Definition\n\n{plain(signal.formula)}",
            _listed(facts),
            f"## Parameters\n\n{_parameters(signal)}",
            f"## Sample\n\n{_chart(signal)}",
            f"## Where it appears\n\n{_listed(_places(signal))}",
            "## Ask for it\n\n```sh\n" + "\n".join(_commands(signal)) + "\n```",
        ]
    ) + "\n"  # fmt: skip


def _listed(facts: list[tuple[str, str]]) -> str:
    return "\n".join(f"- **{name}:** {value}" for name, value in facts)


def _parameters(signal: Signal) -> str:
    if not signal.parameters:
        return "None: the definition has no number to choose."
    defaults = dataclasses.asdict(DEFAULTS)
    rows = [
        (code(name), code(defaults[name]), code(f"MARGINWATCH_PARAMETERS__{name.upper()}"))
        for name in signal.parameters
    ]
    return table(("parameter", "default", "setting"), rows)


def _chart(signal: Signal) -> str:
    curve = curves().get((signal.level, signal.id))
    if curve is None or not any(value is not None for value in curve.values):
        return "The sample contains no value of this signal."
    of = "" if curve.subject == "market" else f", for {curve.subject}"
    title = f"{signal.id}{of}: simulated"
    return f"A **simulated** market{of}, not real figures; gaps are days without a value.\n\n" + chart.svg(
        curve, title, signal.unit
    )


def _places(signal: Signal) -> list[tuple[str, str]]:
    topics = Topics(Settings.model_construct())
    topic = code(topics.name(_TOPICS[signal.level]))
    if signal.level is Level.MARKET:
        key = f"`{signal.id}/<subject>/<date>`" if signal.subjects else f"`{signal.id}/<date>`"
        latest = "`mw:latest:market`"
        where = f"{topic}, key {key}"
    elif signal.level is Level.SECURITY:
        family = "pricing" if any(signal in module.SIGNALS for module in PRICING_INDICATORS) else "financing"
        where, latest = f"{topic}, column `{signal.id}` of family `{family}`", "`mw:latest:security:<code>`"
    else:
        where, latest = f"{topic}, column `{signal.id}`", "`mw:latest:industry:<name>`"
    key_of = (signal.level, signal.id)
    rules = _rules(key_of)
    if (state := READ_THROUGH.get(key_of)) is not None:
        rules += [f"{rule} through `{state}`" for rule in _rules((signal.level, state))]
    return [
        ("topic", where),
        ("newest value in Redis", latest),
        ("metric", _metric(signal)),
        ("console", CONSOLE.get(key_of, "state of data, where it is absent" if signal.level is Level.MARKET else "–")),
        ("built-in alerts", ", ".join(rules) or "none; [a rule of your own](../../guides/rule.md) may use it"
         if signal.level is Level.MARKET else ", ".join(rules) or "none"),
    ]  # fmt: skip


def _rules(key: tuple[Level, str]) -> list[str]:
    return [f"[`{rule}`](../../desk.md#{rule})" for rule in RULES_OF.get(key, ())]


def _metric(signal: Signal) -> str:
    if signal.level is Level.SECURITY:
        return "none: no metric has a label for each security"
    if signal.level is Level.INDUSTRY:
        return code(f'marginwatch_industry{{signal="{signal.id}"}}') if signal.id in INDUSTRY_METRICS else "none"
    if signal.id == VERDICT.id:
        return code("marginwatch_verdict_trade_date_seconds")
    if signal.id.startswith("ratio_state"):
        return code(f'marginwatch_ratio_state{{basis="{signal.id}"}}')
    if signal.unit == "state":
        return "none: its value is a word"
    return code(f'marginwatch_signal{{signal="{signal.id}"}}')


def _commands(signal: Signal) -> list[str]:
    subject = {Level.SECURITY: " --of 600519.SH", Level.INDUSTRY: " --of 银行"}.get(signal.level, "")
    if signal.subjects:
        curve = curves().get((signal.level, signal.id))
        subject = f" --of {curve.subject}" if curve is not None else ""
    return [
        f"marginwatch explain {signal.id}",
        f"marginwatch explain {signal.id} --date 2024-06-28{subject}",
    ]

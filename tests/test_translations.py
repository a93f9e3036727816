"""Everything that a page says is Chinese on a Chinese page: every reason in the processors' source, every name."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

import processors
from alerts import reasons, subject_names
from alerts.desk import AlertDesk
from alerts.model import Severity, State
from alerts.rules import rules
from console import dashboards, labels
from processors.indicators.industry_heat import HEAT, RISK
from processors.indicators.ratio_state import RatioState
from processors.parameters import Parameters
from processors.registry import INDUSTRY_SIGNALS, SIGNALS
from tests.test_desk import CALENDAR, DAYS, RULES, fold, state

ROOT = Path(processors.__file__).parent
GLOSSARY = ROOT.parent / "docs" / "pages" / "glossary.md"
#: Words that make a text prose.
PROSE = re.compile(r"\b(?:is|are|has|have|needs?|lacks?|known|names|knows|covers|no)\b")
#: Texts with such words that say something else: of formulas, of `explain`, of errors.
NO_REASONS = re.compile(r"[=≥≤−Σ]|days since 1970|a worker of this release")
#: What stands for a placeholder whose expression contains the word; the first that fits counts.
EXAMPLES = (
    ("to_date", "2020-01-02"),
    ("where", "margin.daily of 2020-01-02"),
    ("style", "broad"),
    ("group", "CSI300"),
    ("exchange", "SSE"),
    ("EXCHANGE", "SSE"),
    ("join(", "SSE, SZSE"),
    ("_lack(", "lacks SSE, SZSE"),
    ("code", "000001.SH"),
    ("index", "000300.SH"),
    (".0%", "40%"),
    ("share", "40%"),
    ("coverage", "80%"),
    ("_CAUSES", "(window not full, or the feed is late)"),
    ("cause", ""),
    ("reason", "etf.daily: no fund has a row"),
    ("year", "2020"),
    ("digest", "4dd89c213d8b"),
    ("since", "2010-01-04"),
    ("what", "margin.market fin_buy"),
    ("figure", "fin_buy"),
    ("need.signal.id", "fin_buy_ratio"),
    ("topic", "margin.daily"),
    ("PRICES", "prices.daily"),
    ("DETAIL", "margin.daily"),
    ("REFERENCE", "reference"),
    ("TOPIC", "reference"),
    ("FUNDS", "etf.daily"),
    ("INDICES", "indices.daily"),
    ("rows", "12"),
    ("", "20"),
)
#: The beginning of a reason whose end is written elsewhere: its end → an example of its beginning.
BEGINNINGS = {
    ": ": "margin.market fin_buy of 2020-01-02 lacks SSE",
    "lacks ": "margin.daily of 2020-01-02 ",
    "is not known {": "margin.daily of 2020-01-02 ",
    "(window": "margin.daily of 2020-01-02 is not known ",
}


def skipped(tree: ast.Module) -> set[int]:
    """Docstrings, declarations, errors, logs, and the parts of f-strings."""
    out: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and isinstance(node.body[0], ast.Expr):
            out.add(id(node.body[0].value))
        called = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
        if isinstance(node, ast.Raise) or re.search(r"[sS]ignal$|Error$|Need$|compile$|^log\.", called):
            out |= {id(part) for part in ast.walk(node)}
        if isinstance(node, ast.JoinedStr):
            out |= {id(part) for value in node.values for part in ast.walk(value)}
    return out


def example_of(part: ast.expr) -> str:
    if isinstance(part, ast.Constant):
        return str(part.value)
    text = ast.unparse(part)
    return next(example for word, example in EXAMPLES if word in text)


def written_reasons() -> Iterator[tuple[str, str]]:
    """Yield the place and an example of every text of the processors that says why a figure is absent."""
    for path in sorted(ROOT.rglob("*.py")):
        if path.parent.name == "studies":
            continue
        tree = ast.parse(path.read_text("utf-8"))
        left_out = skipped(tree)
        for node in ast.walk(tree):
            if id(node) in left_out or not isinstance(node, (ast.JoinedStr, ast.Constant)):
                continue
            parts = node.values if isinstance(node, ast.JoinedStr) else [node]
            fixed = "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in parts)
            if " " in fixed.strip() and PROSE.search(fixed) and not NO_REASONS.search(fixed):
                begin = next((text for end, text in BEGINNINGS.items() if fixed.startswith(end)), "")
                yield f"{path.name}:{node.lineno}", begin + "".join(map(example_of, parts)).strip()


REASONS = sorted(set(written_reasons()))


def test_the_walk_finds_the_reasons_of_every_room_of_the_processors() -> None:
    found = {place.partition(":")[0] for place, _ in REASONS}
    assert {"block.py", "cross_sections.py", "signal.py", "chart_scores.py", "etf_flow.py", "verdict.py"} <= found
    assert len(REASONS) > 40


@pytest.mark.parametrize(("place", "reason"), REASONS, ids=[place for place, _ in REASONS])
def test_every_reason_that_a_processor_gives_has_a_translation(place: str, reason: str) -> None:
    shown = reasons.shown(reason, "zh")
    assert shown != reason and re.search("[\u4e00-\u9fff]", shown), f"{place}: add a phrase to alerts/reasons.py"
    ids = r"[a-z0-9.]+[._][A-Za-z0-9._]+|SSE|SZSE|CSI\d+|ETF|reference|[A-Z_]{9,}|4dd89c213d8b|broad|turnover"
    assert not re.search("[A-Za-z]{2,}", re.sub(ids, "", shown)), shown


def is_table_of_names(table: object) -> bool:
    return isinstance(table, dict) and all(map(is_pair, table.values()))


def is_pair(texts: object) -> bool:
    return isinstance(texts, tuple) and len(texts) == 2 and all(isinstance(text, str) for text in texts)


def test_every_name_that_a_page_shows_is_chinese_on_a_chinese_page() -> None:
    tables = {
        name: table
        for name, table in (vars(labels) | vars(subject_names)).items()
        if name.isupper() and is_table_of_names(table)
    }
    assert {"LABELS", "RULES", "STATES", "FACTORS", "GROUPS", "STYLES", "INDICES"} <= tables.keys()
    named = {f"{name}.{key}": texts for name, table in tables.items() for key, texts in table.items()}
    named |= {one.id: (one.title, one.title_zh) for one in (*SIGNALS.values(), *INDUSTRY_SIGNALS.values())}
    assert all(en for en, _ in named.values())
    plain = {key for key, (_, zh) in named.items() if not re.search("[\u4e00-\u9fff]", zh)}
    assert plain == {"FACTORS.rsi_14", "GROUPS.ETF"}  # the same in both languages


def test_every_label_is_used() -> None:
    pages = Path(labels.__file__).parent.rglob("*.py")
    source = "".join(path.read_text("utf-8") for path in pages if path.name != "labels.py")
    made = ("flag_", "palette_", "after_")  # the beginnings of labels that a page composes
    used = set(re.findall(r"[\"']([a-z_0-9]+)[\"']", source))
    assert {key for key in labels.LABELS if not key.startswith(made)} - used == set()


def test_nothing_that_a_page_shows_lacks_a_name() -> None:
    assert {rule.name for rule in rules(Parameters())} == labels.RULES.keys()
    for kind, names in ((Severity, labels.SEVERITIES), (State, labels.ALERT_STATES), (RatioState, labels.STATES)):
        assert {one.value for one in kind} <= names.keys()
    assert {*HEAT, *RISK} <= labels.FACTORS.keys()
    given = [value if isinstance(value, tuple) else (value,) for value in asdict(Parameters()).values()]
    named = {str(one) for value in given for one in value if re.fullmatch(r"\d{6}\.(?:SH|SZ)", str(one))}
    assert "000001.SH" in named and named <= subject_names.INDICES.keys()


@pytest.mark.parametrize(("rule", "entered", "ratio"), [("market_hot", "HOT", 0.104), ("market_cold", "COLD", 0.066)])
def test_a_state_of_the_market_has_one_name_in_list_text_and_guide(rule: str, entered: str, ratio: float) -> None:
    desk = AlertDesk([one for one in RULES if one.name == rule], CALENDAR)
    fold(desk, state(DAYS[0], "NORMAL", "NORMAL", 0.09), state(DAYS[1], entered, "NORMAL", ratio))
    (alert,) = desk.lifecycle.alerts.values()
    english, chinese = labels.RULES[rule]
    assert (alert.text.en.startswith(english), alert.text.zh.startswith(chinese)) == (True, True)
    assert labels.STATES[entered][1] in chinese
    guide = (ROOT.parent / "docs" / "pages" / "desk.md").read_text("utf-8")
    assert f"## {english} {chinese} {{ #{rule} }}" in guide


def test_boards_name_the_states_of_the_ratio_as_the_console_does() -> None:
    # A break of the daily ratio, or of its quantiles, is no peak warning.
    boards = [path.read_text("utf-8") for path in dashboards.FOLDER.glob("*.json")]
    for name, (_, chinese) in labels.STATES.items():
        assert {found for text in boards for found in re.findall(rf'"{name} (\w+)"', text)} == {chinese}


def test_the_glossary_has_the_words_of_the_console() -> None:
    terms = dict(re.findall(r"^\| ([^|]+) \| ([^|]+) \|", GLOSSARY.read_text("utf-8"), re.MULTILINE))
    named = {"provisional": labels.LABELS["provisional"][1], "degraded": labels.LABELS["degraded"][1],
             "peak warning": labels.RULES["peak_warning"][1]}  # fmt: skip
    assert {term: terms[term] for term in named} == named

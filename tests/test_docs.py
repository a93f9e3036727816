"""The documentation builds, states what the code declares, and its commands and files are ones that exist."""

from __future__ import annotations

import ast
import html
import json
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from alerts.rules import custom, rules
from docs import commands, drawing, signal_pages, tables
from feeds import plan
from feeds.mappings import mapping
from processors.events import INPUT_ROWS, Barrier, EndOfDay
from processors.parameters import DEFAULTS
from processors.registry import INDUSTRY_SIGNALS, SIGNALS, signals_of
from processors.signal import Level, Signal
from streams import asyncapi, calendars
from streams.cli.main import COMMANDS
from streams.codecs.row_codec import Decoder
from streams.records import PlainRecord, sequence_header
from streams.settings import Settings
from streams.stages.alerts_stage import AlertsStage
from streams.tables import numbered
from streams.topics import Topic, Topics

ROOT = Path(__file__).resolve().parents[1]
RULES = rules(DEFAULTS)
PAGES = ROOT / "docs" / "pages"
EVERY_SIGNAL = [signal for level in Level for signal in signals_of(level)]
TEXTS = {path: path.read_text("utf-8") for path in [*PAGES.rglob("*.md"), *ROOT.glob("*.md")]}


def test_every_signal_that_shows_coldness_says_that_it_is_no_bottom_signal() -> None:
    cold = [signal.formula for signal in SIGNALS.values() if "cold" in signal.formula.lower()]
    assert len(cold) > 3 and all("no bottom signal by itself: 6 of 11" in formula for formula in cold)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site; a warning of the builder is an error."""
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def shown(page: Path) -> str:
    """The text that a reader of a page sees."""
    return html.unescape(re.sub(r"<[^>]+>", "", page.read_text("utf-8")))


def anchors(page: Path) -> set[str]:
    return set(re.findall(r'id="?([\w.-]+)', page.read_text("utf-8")))


# -- the site ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("signal", EVERY_SIGNAL, ids=lambda s: f"{s.level}-{s.id}")
def test_every_signal_has_a_page_with_its_declaration_a_chart_and_its_places(site: Path, signal: Signal) -> None:
    page = site / signal_pages.path(signal).replace(".md", ".html")
    text = shown(page)
    for part in (signal.title, signal.title_zh, signal.unit, *signal.inputs, *signal.optional, *signal.parameters):
        assert part in text
    assert " ".join(signal.formula.split()) in " ".join(text.split())
    assert f"signals.{signal.level}.v1" in text
    assert '<svg class="chart"' in page.read_text("utf-8"), "the sample has no value: extend docs/sample.py"


def test_what_is_said_of_console_and_rules_names_what_exists() -> None:
    declared = {(s.level, s.id) for s in EVERY_SIGNAL}
    # Balance and streak of securities are columns beside the declared signals.
    assert {key for key in signal_pages.CONSOLE if key not in declared} <= {(Level.SECURITY, "fin_balance")}
    assert signal_pages.RULES_OF.keys() | signal_pages.READ_THROUGH.keys() <= declared
    assert {(level, state) for (level, _), state in signal_pages.READ_THROUGH.items()} <= signal_pages.RULES_OF.keys()
    assert {rule for rules in signal_pages.RULES_OF.values() for rule in rules} == {rule.name for rule in RULES}


def test_every_table_is_on_a_page_and_names_everything(site: Path) -> None:
    marks = {name for text in TEXTS.values() for name in re.findall(r"<!-- ([\w-]+) -->", text)}
    assert marks == tables.PARTS.keys()
    built = "\n".join(page.read_text("utf-8") for page in site.rglob("*.html"))
    assert not re.search(r"<!-- (" + "|".join(tables.PARTS) + r") -->", built)
    settings = shown(site / "operations/settings.html")
    for name in Settings.model_fields:
        assert f"MARGINWATCH_{name.upper()}" in settings
    assert "redis://127.0.0.1:6379/0" in settings  # a default is no secret
    topics = shown(site / "api.html")
    for topic in Topics(Settings.model_construct()).all.values():
        assert topic.name in topics or topic.name.endswith(".dlq")


def test_every_rule_has_a_section_of_the_desk_guide(site: Path) -> None:
    assert {rule.name for rule in RULES} <= anchors(site / "desk.html")


def test_every_alert_of_prometheus_links_to_its_section_of_the_runbook(site: Path) -> None:
    groups = yaml.safe_load((ROOT / "deploy/prometheus/rules.yml").read_text("utf-8"))["groups"]
    alerts = [rule for group in groups for rule in group["rules"] if "alert" in rule]
    for alert in alerts:
        begin, _, link = alert["annotations"]["runbook_url"].partition("/")
        assert begin == "{{ $externalLabels.docs }}"
        page, _, anchor = link.partition("#")
        assert anchor in anchors(site / page), alert["alert"]
    sections = re.findall(r"^## (\w+)$", TEXTS[PAGES / "operations/runbook.md"], re.MULTILINE)
    assert sections == [alert["alert"] for alert in alerts]
    config = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text("utf-8"))
    assert config["global"]["external_labels"]["docs"].startswith("http")


def test_pages_load_nothing_from_elsewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        for tag in re.findall(r"<(?:script|img|link|iframe|source)\b[^>]*>", page.read_text("utf-8")):
            assert "://" not in tag.replace("http://www.w3.org", ""), f"{page}: {tag}"
    for sheet in site.rglob("*.css"):
        assert not re.search(r"url\(\W*https?:|@import", sheet.read_text("utf-8")), sheet
    assert (site / "search/search_index.json").exists()


def test_the_drawn_way_of_a_row_has_at_most_eight_stations_of_modules_that_exist() -> None:
    assert len(drawing.STATIONS) <= 8
    for station in drawing.STATIONS:
        place = ROOT / station.where.replace(".", "/")
        assert place.is_dir() or place.with_suffix(".py").is_file(), station.where


def test_the_reference_of_commands_is_written_as_one_types_them() -> None:
    reference = commands.reference()
    assert "\\[" not in reference  # what Rich needs
    assert "<Via" not in reference and "| `--via VIA` | `akshare` |" in reference
    assert "    [feeds.exchange]\n    kind = " in reference


# -- files beside it ---------------------------------------------------------------------------------------------


def test_the_asyncapi_file_is_up_to_date_and_names_every_topic() -> None:
    text = asyncapi.PATH.read_text("utf-8")
    assert text == asyncapi.rendered(), "run `python -m docs`"
    document = json.loads(text)
    assert document["channels"].keys() == Topics(Settings()).all.keys() - {Topic.FEATURES, Topic.CHARTS}
    for reference in re.findall(r'"\$ref": "#/([^"]+)"', text):
        found = document
        for part in reference.split("/"):
            found = found[part]  # raises where a reference leads nowhere
    balance = document["components"]["schemas"]["MarginDaily"]["properties"]["fin_balance"]
    assert balance == {"type": "number", "minimum": 0}


def test_punctuation_as_the_guide_and_the_asyncapi_document_describe_it_is_read() -> None:
    """Its bytes alone would be a row: a header names what a service sends or skips."""
    document = asyncapi.document()
    example = json.loads(re.findall(r"```json\n(.*?)```", TEXTS[PAGES / "guides" / "feed.md"], re.DOTALL)[0])
    for name, value, kind in (("EndOfDay", example, EndOfDay), ("Barrier", {"barrier": "1"}, Barrier)):
        fixed = document["components"]["messages"][name]["headers"]["properties"]
        headers = [(header, schema["const"].encode()) for header, schema in fixed.items()]
        record = PlainRecord("margin.daily.v1", 0, 0, 0, None, json.dumps(value).encode(), headers)
        items, dead = Decoder("margin.daily", calendars.xshg(), ("SSE", "SZSE"), None, 1_000).decode([record])
        assert [type(item) for item in items] == [kind] and not dead
        assert f"`{fixed['ce_type']['const']}`" in TEXTS[PAGES / "api.md"]
    assert "ce_type: marginwatch.session_close.v1" in TEXTS[PAGES / "guides" / "feed.md"]


@pytest.mark.parametrize("short", [t for t in Topic if not t.is_dead_letters])
def test_the_asyncapi_document_names_the_barriers_of_every_topic_that_has_them(short: Topic) -> None:
    document = asyncapi.document()
    if short in document["channels"] and short is not Topic.ALERT_COMMANDS:
        name = "Barrier" if short in INPUT_ROWS else "PassedBarrier"
        assert name in document["channels"][short]["messages"]


def test_the_asyncapi_document_has_the_headers_of_the_barriers_that_a_stage_publishes() -> None:
    settings = Settings(partitions=1)
    stage = AlertsStage(settings, Topics(settings), calendars.xshg())
    state = stage.open(0)
    published = [one for origin in stage.barrier_origins for one in state.barrier(Barrier(barrier="1"), origin)]
    declared = asyncapi.document()["components"]["messages"]["PassedBarrier"]["headers"]
    for output in numbered(published, 0, stage.output_names):
        assert [name for name, _ in output.headers] == declared["required"]
        assert msgspec.json.decode(output.value, type=Barrier).barrier == "1"
    assert published


def test_the_readme_is_one_screen_and_its_links_lead_somewhere() -> None:
    text = TEXTS[ROOT / "README.md"]
    assert len(text.splitlines()) < 120
    assert "make demo" in text
    assert "make test" in text
    for link in re.findall(r"\]\(([^)#]+)\)", text):
        assert (ROOT / link).exists(), link


def test_pictures_are_small() -> None:
    pictures = [*(PAGES / "images").glob("*.png")]
    assert pictures
    for picture in pictures:
        assert picture.stat().st_size < 200_000, picture


# -- what pages tell a reader to type ----------------------------------------------------------------------------


def blocks(language: str) -> Iterator[tuple[Path, str]]:
    """Every code block of a language, with its page."""
    for path, text in TEXTS.items():
        for block in re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
            yield path, block


def typed() -> Iterator[tuple[Path, list[str]]]:
    """Every command line of ours: in blocks, and in words of a sentence where an option or a subcommand follows."""
    for path, block in blocks("sh"):
        for line in block.splitlines():
            words = shlex.split(line.partition("$(")[0], comments=True) if "marginwatch " in line else []
            if "marginwatch" in words:
                yield path, words[words.index("marginwatch") + 1 :]
    for path, text in TEXTS.items():
        if path.name != "CHANGELOG.md":  # it names what is no more
            for words in re.findall(r"`marginwatch ([^`\n]+)`", text):
                yield path, shlex.split(words.replace("[", "").replace("]", ""))


def said() -> Iterator[tuple[Path, list[str]]]:
    """Every command line of ours in the texts of the code: of messages, help and docstrings."""
    for room in ("alerts", "console", "feeds", "processors", "streams"):
        for path in sorted((ROOT / room).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                parts = node.values if isinstance(node, ast.JoinedStr) else [node]
                text = "".join(
                    part.value if isinstance(part, ast.Constant) and isinstance(part.value, str) else "X"
                    for part in parts
                    if isinstance(part, (ast.Constant, ast.FormattedValue))
                )
                for words in re.findall(r"`marginwatch ([^`]+)`", text):
                    yield path, shlex.split(words.replace("[", "").replace("]", ""))


def check(words: list[str]) -> None:
    """Follow a command line through the commands; raise where a subcommand or an option does not exist."""
    if words[0] in ("--version", "--help", "COMMAND"):
        return
    assert words[0] in COMMANDS, f"no command {words[0]}"
    command, at = COMMANDS[words[0]].load(words[0]), 1
    while at < len(words) and words[at] in getattr(command, "commands", {}):
        command, at = command.commands[words[at]], at + 1
    options = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    if words[at:] == ["…"]:
        return
    for word in words[at:]:
        if word in (">>", ">", "|"):
            break
        if word.startswith("--") and word != "--help":
            assert word.partition("=")[0] in options, f"no option {word} of {' '.join(words[:at])}"
    if hasattr(command, "commands") and not command.invoke_without_command:
        assert at == len(words), f"{' '.join(words)} is no command"


@pytest.mark.parametrize("found", [typed, said], ids=["pages", "messages"])
def test_every_command_that_a_page_or_a_message_shows_exists(
    found: Callable[[], Iterator[tuple[Path, list[str]]]],
) -> None:
    seen = 0
    for path, words in found():
        seen += 1
        try:
            check(words)
        except AssertionError as error:
            raise AssertionError(f"{path.relative_to(ROOT)}: {error}") from error
    assert seen > 40


def test_every_toml_block_is_one_that_its_reader_takes(tmp_path: Path, make_settings: Any, monkeypatch: Any) -> None:
    kinds = set()
    for path, block in blocks("toml"):
        file = tmp_path / "block.toml"
        file.write_text(block, "utf-8")
        found = tomllib.loads(block)
        (kind,) = {"holidays" if key == "weekdays_until" else key for key in found} or {""}
        kinds.add(kind)
        match kind:
            case "feeds":
                plan.load(file)
            case "table":
                mapping.load(file)
            case "rules":
                assert len(custom.load(file, RULES)) == len(RULES) + 1, path
            case "holidays":
                calendars.load(file)
            case _:
                monkeypatch.setenv("MARGINWATCH_CONFIG", str(file))
                make_settings()
    assert kinds == {"feeds", "table", "rules", "holidays", "channels", "parameters", "deadlines"}


def test_settings_that_pages_name_exist() -> None:
    for path, text in TEXTS.items():
        if path.name == "CHANGELOG.md":
            continue
        for name in re.findall(r"MARGINWATCH_([A-Z_]+)", text):
            known = name.lower().removesuffix("__").partition("__")[0] in {*Settings.model_fields, "config", "data", ""}
            assert known, f"{path.relative_to(ROOT)}: MARGINWATCH_{name}"


def test_the_reference_consumer_ignores_repeats_late_messages_and_provisional_values() -> None:
    (source,) = [block for path, block in blocks("python") if path == PAGES / "api.md"]
    names: dict[str, Any] = {"__name__": "page"}
    exec(compile(source, "api.md", "exec"), names)  # the page's own code
    newest = names["Newest"]()

    def offer(identity: str | None, value: float | None, revision: int = 0, sequence: int = 0, **more: object) -> bool:
        headers = [("ce_id", identity.encode())] if identity is not None else []
        if sequence:
            headers.append(sequence_header(sequence))
        signal = {"signal": "s", "subject": "market", "trade_date": "2024-06-28", "revision": revision, "value": value}
        return newest.offer(json.dumps(signal | more).encode(), headers) is not None

    assert offer("a", 1.0, provisional=True)
    assert offer("b", 2.0)
    assert not offer("b", 2.0)
    assert not offer("c", 3.0, revision=5, provisional=True)
    assert offer("d", None, revision=1, reason="margin.market lacks SZSE")
    assert not offer("e", 2.0)
    assert not offer(None, 9.0)
    assert newest.values["s", "market", "2024-06-28"]["value"] is None
    assert offer("f", 4.0, revision=2, sequence=8)
    assert offer("g", 5.0, revision=1, sequence=9)  # computed again from fewer messages
    assert not offer("f", 4.0, revision=2, sequence=8)  # late
    assert not offer("g", 5.0, revision=1, sequence=9)
    assert offer("p1", 6.0, revision=1, sequence=10, provisional=True)
    assert offer("p2", 7.0, revision=1, sequence=11, provisional=True)
    assert offer("p1", 6.0, revision=1, sequence=12, provisional=True)  # a content that returns has its earlier id
    assert newest.values["s", "market", "2024-06-28"]["value"] == 6.0
    assert offer("g", 5.0, revision=1, sequence=13)
    assert newest.values["s", "market", "2024-06-28"]["value"] == 5.0


def test_signals_of_all_registries_are_covered() -> None:
    assert len(EVERY_SIGNAL) == len(SIGNALS) + len(INDUSTRY_SIGNALS)

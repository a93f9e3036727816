"""The files generated from the declarations: the README's tables, the AsyncAPI file and the dashboards.

``python -m streams.docs`` writes them; tests fail when a file is out of date.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from prometheus_client import REGISTRY
from pydantic import SecretStr

import streams.metrics  # noqa: F401 - both register their metrics
from processors.registry import INDUSTRY_SIGNALS, SIGNALS
from streams import asyncapi
from streams.settings import Settings
from streams.topics import BY_CODE, Topic, Topics

_README = Path(__file__).resolve().parents[1] / "README.md"


def tables() -> dict[str, str]:
    """Return each generated table by its name."""
    settings = Settings.model_construct()
    return {"signals": _signals(), "topics": _topics(), "settings": _settings(settings), "metrics": _metrics()}


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _signals() -> str:
    rows = [
        (f"`{s.id}`", s.level.value, f"{s.title} {s.title_zh}", s.unit, s.formula, s.source)
        for s in (*SIGNALS.values(), *INDUSTRY_SIGNALS.values())
    ]
    return _table(("id", "about", "what", "unit", "definition", "source"), rows)


def _topics() -> str:
    keys = {
        "margin.market": "exchange",
        "rates.daily": "tenor",
        "etf.daily": "code",
        "reference": "code",
        "features.security": "partition/day",
        "signals.market": "signal[/subject]/date",
        "signals.security": "date/family (a frame of all securities)",
        "signals.industry": "date (a frame of all industries)",
        "alerts": "alert id",
        "alerts.log": "alert id",
        "alerts.commands": "alert id",
    }
    rows = []
    for short, topic in Topics(Settings()).all.items():
        if Topic(short).is_dead_letters:
            continue
        key = keys.get(short, "code" if short in BY_CODE else "index code")
        kept = "compacted" if topic.compacted else "retention_days"
        rows.append((f"`{topic.name}`", key, "partitions" if short in BY_CODE else "1", kept))
    return _table(("topic", "key", "partitions", "keeps"), rows)


def _settings(settings: Settings) -> str:
    rows = []
    for name, info in type(settings).model_fields.items():
        default = "see `processors/parameters.py`" if name == "parameters" else f"`{_plain(info.default)}`"
        rows.append((f"`MARGINWATCH_{name.upper()}`", default, info.description or "the numbers of the signals"))
    return _table(("variable", "default", "what"), rows)


def _plain(default: object) -> object:
    """Return a default in plain text: a value that stands in the code is no secret."""
    return default.get_secret_value() if isinstance(default, SecretStr) else default


def _metrics() -> str:
    rows = [
        (f"`{m.name}{'_total' if m.type == 'counter' else ''}`", m.type, m.documentation)
        for m in sorted(REGISTRY.collect(), key=lambda m: m.name)
        if m.name.startswith("marginwatch_")
    ]
    return _table(("metric", "type", "what"), rows)


def rendered(text: str) -> str:
    """Return a README with every generated table replaced."""
    for name, table in tables().items():
        start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
        before, _, rest = text.partition(start)
        _, _, after = rest.partition(end)
        text = f"{before}{start}\n{table}\n{end}{after}"
    return text


if __name__ == "__main__":
    from console import dashboards  # needs the extra ``dev``

    for path, content in dashboards.rendered(Settings.model_construct().parameters).items():
        path.write_text(content, "utf-8")
    _README.write_text(rendered(_README.read_text("utf-8")), "utf-8")
    asyncapi.PATH.write_text(asyncapi.rendered(), "utf-8")

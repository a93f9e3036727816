"""Markdown tables and links for generated pages."""

from __future__ import annotations

import html
from collections.abc import Iterable


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Return a Markdown table; a ``|`` within a cell is escaped."""
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def code(text: object) -> str:
    """Return text as inline code; an empty text stays empty, for Markdown knows no empty code."""
    shown = str(text)
    return f"`{shown}`" if shown else ""


def plain(text: str) -> str:
    """Return text in which nothing is markup: ``heat_<factor>`` is no HTML, ``*`` is a product."""
    return html.escape(text, quote=False).replace("*", "\\*").replace("_", "\\_")


def sentence(text: str) -> str:
    """Return text with a full stop at its end."""
    return text if text.endswith((".", "!", "?", "。")) else text + "."


def cited(source: str) -> str:
    """Turn the keys of a source, ``[DG22, DG24]``, into links to the bibliography (from ``signals/<level>/``)."""
    out, rest = "", source
    while "[" in rest:
        before, _, rest = rest.partition("[")
        keys, _, rest = rest.partition("]")
        links = [f"[{key.strip()}](../../bibliography.md#{key.strip().lower()})" for key in keys.split(",")]
        out += before + ", ".join(links)
    return out + rest

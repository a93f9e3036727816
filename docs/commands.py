"""The reference of the command line, from the commands themselves.

Typer brings a Click of its own, whose classes are not those of the package `click`; so parameters are read by the
attributes that both have.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from docs.markdown import code, table
from streams.cli.main import COMMANDS

PROGRAM = "marginwatch"
_HIDDEN = {"help", "install_completion", "show_completion"}
#: Tags of Rich, which colour the help in a terminal.
_MARKUP = re.compile(r"\[/?(bold|dim|italic|underline|cyan|green|red|yellow)\]")


def reference() -> str:
    """Return a section for each command: what it does, its arguments and options with their defaults."""
    return "\n\n".join(
        _section(full, command)
        for name, entry in COMMANDS.items()
        for full, command in walk(entry.load(name), f"{PROGRAM} {name}")
    )


def walk(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Yield every command that does something, by its full name; a group that does something itself is among them."""
    children = getattr(command, "commands", None)
    if children is None:
        yield name, command
        return
    if command.invoke_without_command:
        yield name, command
    for word, child in children.items():
        yield from walk(child, f"{name} {word}")


def _section(name: str, command: Any) -> str:
    rows = [
        (_named(parameter), _default(parameter), (parameter.help or "").strip())
        for parameter in command.params
        if parameter.name not in _HIDDEN
    ]
    words = _MARKUP.sub("", command.help).replace("\\[", "[")  # which Rich would take for markup
    text = f"## `{name}`\n\n{words}"
    return f"{text}\n\n{table(('option', 'default', 'what'), rows)}" if rows else text


def _named(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return code(parameter.metavar or parameter.name.upper()) + ("" if parameter.required else " (optional)")
    value = "" if parameter.is_flag else f" {parameter.metavar or parameter.opts[0].lstrip('-').upper()}"
    return ", ".join(code(f"{option}{value}") for option in (*parameter.opts, *parameter.secondary_opts))


def _default(parameter: Any) -> str:
    default = parameter.default
    if parameter.required:
        return "required"
    if default is None or callable(default) or default is False or default in ((), []):
        return ""
    values = default if isinstance(default, (list, tuple)) else [default]
    return ", ".join(code(getattr(value, "value", value)) for value in values)

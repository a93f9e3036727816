"""The alert rules in force: the built-in ones with the parameters of the settings, and the desk's own."""

from __future__ import annotations

from pathlib import Path

from alerts.rules import rules
from alerts.rules.base import Rule
from alerts.rules.custom import load
from streams.errors import SettingsError
from streams.settings import Settings


def rules_of(settings: Settings, rules_file: Path | None = None) -> tuple[Rule, ...]:
    """Return the built-in rules as the rules file changes them, and the rules that it adds.

    Parameters
    ----------
    rules_file : read instead of `Settings.rules_file`, e.g. to rehearse a file before it goes live.

    Raises
    ------
    RuleError : if the file or a rule in it can't be read.
    SettingsError : if the settings name a file that does not exist.
    """
    built_in = rules(settings.parameters)
    path = rules_file or settings.rules_file
    if path is not None and path == settings.rules_file and not path.is_file():
        raise SettingsError(f"MARGINWATCH_RULES_FILE names {path}, which is no file: correct or unset it")
    return built_in if path is None else load(path, built_in)

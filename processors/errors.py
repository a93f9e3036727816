"""The project's own exceptions. A message names what was expected, what arrived, and what to do."""


class MarginwatchError(Exception):
    """Base of every error that marginwatch raises on purpose."""


class RowError(MarginwatchError):
    """An input does not decode or validate. The stream writes it to the dead-letter topic and continues."""


class StateError(MarginwatchError):
    """Stored state can't be read: its schema version differs, or its bytes are damaged."""


class UndeclaredNeedError(MarginwatchError):
    """An indicator reads an input that no registered signal declares."""

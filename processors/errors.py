"""The project's own exceptions: a small tree, each naming what was expected, what came and what to do."""


class MarginwatchError(Exception):
    """Base of every error that marginwatch raises on purpose."""


class RowError(MarginwatchError):
    """An input that doesn't decode or validate: it goes to the dead-letter topic, the stream goes on."""


class StateError(MarginwatchError):
    """Stored state that can't be read: a wrong schema version or damaged bytes."""


class UndeclaredNeedError(MarginwatchError):
    """An indicator reads an input that no registered signal declares."""

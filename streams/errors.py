"""The expected errors of this room: each message names what was expected, what was found, and what to do.

A command prints them as one line and exits with code 1. Every one derives from `MarginwatchError`, except
`RevokedError`, which the worker handles itself and no operator sees.
"""

from __future__ import annotations

from feeds.errors import UnavailableError
from processors.errors import MarginwatchError


class SettingsError(MarginwatchError):
    """The settings file does not exist, or can't be read."""


class SecurityError(MarginwatchError):
    """Settings of TLS or SASL that can't work, or a certificate or secret file that can't be read."""


class TopicError(MarginwatchError):
    """The cluster can't be reached, or its topics are missing or differ from what the system needs."""


class PublishError(UnavailableError):
    """The broker can't be reached, or did not accept what was published."""


class ReadError(MarginwatchError):
    """A topic serves no messages before its known end, or the position that was asked for does not exist."""


class FencedError(MarginwatchError):
    """The partition in Redis is not as this owner left it (claimed by another worker, emptied, or set back)."""


class RevokedError(Exception):
    """The partition was revoked while a step waited: the step is given up, its next owner repeats it."""


class RebuildError(MarginwatchError):
    """The topics can't be replayed, or the tables can't be replaced."""


class RunningWorkersError(RebuildError):
    """Workers run that would lose their tables, or it can't be seen whether any do."""


class CalendarError(MarginwatchError):
    """A calendar file that can't be read, or contradicts itself."""


class NothingYetError(MarginwatchError):
    """Redis contains no such value."""


class ExplainError(MarginwatchError):
    """There is no such signal, or nothing was published of it on that day."""


class SubjectError(ExplainError):
    """The signal has no value of the subject that was named, or one must be named."""


class WhyError(MarginwatchError):
    """There is no such alert, or the id is ambiguous."""


class PreflightError(MarginwatchError):
    """Redis is not as a worker requires it; the message names the remedy."""


class PortError(MarginwatchError):
    """A port that a server shall listen on is taken, or its host is not this machine; the message names the setting."""


class InputLostError(MarginwatchError):
    """An input topic has lost messages; the message names the topic, what is lost and the command that helps."""


class RecordError(MarginwatchError):
    """There is no such rule, it keeps no record, or the stored alerts are those of another release."""


class OutputError(MarginwatchError):
    """A file or folder that a command shall write can't be written."""


class LocalServiceError(MarginwatchError):
    """A process on this machine did not start, has ended, or its program is missing; the message names the remedy."""


class LocalRunError(MarginwatchError):
    """The local system can't run as asked; the message names cause and remedy."""

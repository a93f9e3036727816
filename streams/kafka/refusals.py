"""Why a broker refuses messages for good, by the errors of both Kafka libraries."""

from __future__ import annotations

#: Classes of these names are in each library.
_WHY = {
    "InvalidRecordError": (
        "because it has no key and its topic is compacted by mistake: `marginwatch topics check` names the command "
        "that sets its cleanup.policy"
    ),
    "InvalidTimestampError": (
        "because the clock of this machine is ahead of the broker's by more than the topics accept "
        "(message.timestamp.after.max.ms, an hour): set it"
    ),
    "MessageSizeTooLargeError": (
        "because it is larger than max.message.bytes of its topic: `marginwatch topics check` names the command that "
        "raises it"
    ),
}


def why_refused(error: BaseException) -> str:
    """Return why a broker refuses messages, and what to do; empty where the error does not say it."""
    return _WHY.get(type(error).__name__, "")

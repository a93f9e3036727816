"""What a reader of files left out, as an error: for tests of files that must be read whole."""

from __future__ import annotations

from feeds.dataset import SourceTables
from feeds.errors import InputError
from feeds.validate import Severity


def whole(found: SourceTables) -> SourceTables:
    """Return what was read; raises `InputError` with the first finding that is more than a warning."""
    for one in found.findings:
        if one.severity is not Severity.WARNING:
            raise InputError(one.text)
    return found

"""`marginwatch up` ends with an error where the alerts that it waits for can't be read."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from kafka.errors import KafkaConnectionError

from streams import readers
from streams.cli.local_run import _AlertWatcher
from streams.errors import LocalRunError
from streams.settings import Settings


@pytest.mark.timeout(20)
@pytest.mark.parametrize("error", [KafkaConnectionError("gone"), BrokenPipeError("closed"), ValueError("a fault")])
def test_nobody_waits_for_alerts_that_are_read_no_more(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def follow(*_: object, **__: object) -> Iterator[str]:
        yield "first"
        raise error

    monkeypatch.setattr(readers, "follow", follow)
    watcher = _AlertWatcher(Settings())
    watcher.start()
    watcher.await_barrier("first", [])
    with pytest.raises(LocalRunError, match=type(error).__name__) as caught:
        watcher.await_barrier("second", [])
    assert caught.value.__cause__ is error
    with pytest.raises(LocalRunError):
        watcher.ended()

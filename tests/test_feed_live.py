"""Publishing rows of the session: at a rate, all or nothing, never from the future, and on after a stop."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from feeds.errors import RowsRefusedError, StoppedError
from feeds.intraday import intraday_outlet
from feeds.intraday.deduplicator import AcceptancePolicy
from feeds.intraday.intraday_outlet import IntradayOutlet
from processors.days import to_day
from processors.events import RowBatch, concat
from streams.calendars import xshg
from streams.feed_services import FrameCodec
from streams.settings import Settings
from tests.building import DAYS
from tests.publishing import MemoryStore, no_broker
from tests.test_feed_deduplicator import OPEN, A, B, positions

CODES = [f"{600000 + n}.SH" for n in range(10)]


class Clock:
    """A clock that runs only while the outlet waits."""

    def __init__(self) -> None:
        self.now = 0.0
        self.stop_after = float("inf")

    def wait(self, seconds: float) -> bool:
        self.now += seconds
        return self.now > self.stop_after


def outlet(store: MemoryStore, clock: Clock, sent: list[RowBatch], monkeypatch: pytest.MonkeyPatch) -> IntradayOutlet:
    monkeypatch.setattr(intraday_outlet.time, "monotonic", lambda: clock.now)
    today = OPEN / 1e6 + 3600
    made = IntradayOutlet(
        no_broker, xshg(), store, FrameCodec(Settings()), source="x", rows_per_s=4, clock=lambda: today, wait=clock.wait
    )

    def take(rows: RowBatch) -> None:
        sent.append(rows)
        made._bucket.take(len(rows))  # type: ignore[union-attr]

    made._send = take  # type: ignore[method-assign]
    return made


def test_a_replay_keeps_to_its_rate_and_goes_on_after_a_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = positions([(code, minute, 1.0 + minute) for minute in range(4) for code in CODES])
    store, clock, sent = MemoryStore(), Clock(), list[RowBatch]()
    clock.stop_after = 4
    with pytest.raises(StoppedError, match="of 40 rows are left"):
        outlet(store, clock, sent, monkeypatch).publish(rows)
    first = sum(map(len, sent))
    assert 0 < first <= 4 + 4 * clock.now
    clock.stop_after = float("inf")
    begun = clock.now
    result = outlet(store, clock, sent, monkeypatch).publish(rows)
    assert result.published == 40 - first
    assert result.published + result.unchanged + result.late == 40
    assert clock.now - begun >= (result.published - 8) / 4
    whole = concat(sent)
    assert len(whole) == 40  # nothing twice, nothing left out
    assert (np.diff(whole.stamps) >= 0).all()


def test_all_or_nothing_names_every_row_that_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[RowBatch] = []
    made = outlet(MemoryStore(), Clock(), sent, monkeypatch)
    rows = positions([(A, 1, 10), (B, 62, 5), (A, 2, 9), (A, 3, 11)])
    with pytest.raises(RowsRefusedError, match=r"row 2: ts .* lies in the future .*and 1 more") as caught:
        made.publish(rows, whole=True)
    assert [(one.row, one.field) for one in caught.value.refused] == [(1, "ts"), (2, "fin_buy")]
    assert sent == []
    result = made.publish(rows)
    assert [(one.row, one.field) for one in result.refused] == [(1, "ts"), (2, "fin_buy")]
    assert result.published == 2
    assert made.publish(rows.take(np.array([2, 3])), AcceptancePolicy(may_fall=True)).late == 1


def test_no_trading_day_no_row(monkeypatch: pytest.MonkeyPatch) -> None:
    made = outlet(MemoryStore(), Clock(), [], monkeypatch)
    rows = positions([(A, 1, 10)])
    sunday = to_day(DAYS[0]) - 4
    rows = replace(rows, days=np.array([sunday], np.int32), stamps=rows.stamps - 4 * 86_400_000_000)
    (refused,) = made.publish(rows).refused
    assert "2019-12-29 in Shanghai, no trading day" in str(refused)

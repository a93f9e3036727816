"""The securities in partitions of any number: what is published depends on the rows, not on how few a partition has."""

from __future__ import annotations

from functools import cache

import msgspec
import numpy as np
import pytest

from processors.completeness import by_exchange
from processors.events import EndOfDay, RowBatch
from processors.history import end_of_day
from processors.market import Item, Market
from processors.securities import INPUTS, Securities
from streams.calendars import xshg
from streams.topics import Partitioner
from tests.folding import EXCHANGES, Folded
from tests.made_market import SMALL, small_market


def parts_of(rows: RowBatch, partitions: int) -> list[tuple[RowBatch, EndOfDay]]:
    """Return the rows and the end-of-day count of each partition, as feeds publish them."""
    whole, at = end_of_day(rows), Partitioner(partitions).of(rows.keys)
    none = dict.fromkeys(whole.expected, 0)
    found = [rows.take(at == partition) for partition in range(partitions)]
    return [(part, msgspec.structs.replace(whole, expected=none | by_exchange(part))) for part in found]


@cache
def folded(partitions: int) -> Folded:
    securities = [Securities(at, SMALL, EXCHANGES, xshg()) for at in range(partitions)]
    items: list[Item] = []
    for feeds in small_market(sessions=35).values():
        for topic, rows in feeds.items():
            if topic not in INPUTS:
                items += [rows, end_of_day(rows)]
                continue
            for stage, part in zip(securities, parts_of(rows, partitions), strict=True):
                items += stage.fold(part)
    out = Folded()
    out.add(Market(partitions, SMALL, EXCHANGES, xshg()).fold(items))
    return out


@pytest.mark.parametrize("partitions", [3, 16])
def test_what_is_published_does_not_depend_on_the_number_of_partitions(partitions: int) -> None:
    """Nor where a partition has one security of an exchange: that the exchange has published, its count of 0 says."""
    one, many = folded(1), folded(partitions)
    assert {key: (signal.value, signal.reason, signal.missing) for key, signal in many.market.items()} == {
        key: (signal.value, signal.reason, signal.missing) for key, signal in one.market.items()
    }
    for ours, theirs in ((many.securities, one.securities), (many.industries, one.industries)):
        assert ours.keys() == theirs.keys()
        for key, frame in theirs.items():
            assert (ours[key].left_out, ours[key].status.missing) == (frame.left_out, frame.status.missing)
            for name, values in frame.columns.items():
                np.testing.assert_array_equal(ours[key].columns[name], values, err_msg=f"{key} {name}")

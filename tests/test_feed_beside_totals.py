"""The turnover of an exchange, and the figures of all margin accounts, beside the sums of their parts."""

from __future__ import annotations

import pytest

from feeds.checks.beside_totals import beside_totals
from feeds.checks.compared_day import ComparedDay
from processors.events import RowBatch
from streams.calendars import xshg
from tests.building import DAYS, batch

INDEX = {"000001.SH": 5e11, "399001.SZ": 7e11}
ACCOUNTS = {"fin_balance": 1.5e12, "fin_buy": 5.8e10, "short_balance": 1.4e11}


def turnovers(day: int, index: dict[str, float], sums: dict[str, float]) -> dict[str, RowBatch]:
    """Indices with a turnover, and 50 stocks of each exchange (and a fund) whose turnovers have a sum."""
    first = {"SH": 600_000, "SZ": 1}
    stocks = {f"{first[e] + n:06d}.{e}": {"turnover": one / 50} for e, one in sums.items() for n in range(50)}
    return {
        "indices.daily": batch("indices.daily", DAYS[day], {code: {"turnover": of} for code, of in index.items()}),
        "prices.daily": batch("prices.daily", DAYS[day], stocks | {"510300.SH": {"turnover": 9e12}}),
    }


def found(rows: dict[str, RowBatch], before: dict[str, RowBatch], published: dict[str, RowBatch]) -> list[str]:
    day = ComparedDay.of(rows, before, xshg(), published)
    return [f"{one.severity} {one.text}" for one in beside_totals(day)]


WHOLE, PART = {"SH": 4.99e11, "SZ": 7.01e11}, {"SH": 2e11, "SZ": 2e11}


@pytest.mark.parametrize(
    ("index", "sums", "before", "said"),
    [
        ({}, WHOLE, WHOLE, ""),
        ({"000001.SH": 7.5e11}, WHOLE, WHOLE, "SSE sum to 0.6653 times that of 000001.SH, expected 0.9 to 1.1"),
        ({"399001.SZ": 3.5e11}, WHOLE, None, "SZSE sum to 2.003 times that of 399001.SZ, expected 0 to 1.1"),
        ({}, PART, PART, ""),  # the members of an index
        ({"000001.SH": 7.5e11}, WHOLE, None, ""),  # nothing shows that the list is whole
    ],
)
def test_turnovers_of_stocks_sum_to_that_of_their_exchange(
    index: dict[str, float], sums: dict[str, float], before: dict[str, float] | None, said: str
) -> None:
    rows, then = turnovers(1, INDEX | index, sums), turnovers(0, INDEX, before) if before else {}
    texts = found(rows, then, {})
    assert len(texts) == bool(said) and all(said in one and one.startswith("error") for one in texts), texts
    apart = found({"indices.daily": rows["indices.daily"]}, {}, {"prices.daily": rows["prices.daily"]})
    assert len(apart) == (0 if "0 to 1.1" not in said else 1)


@pytest.mark.parametrize(
    ("changes", "severities"),
    [
        ({}, []),
        ({"fin_buy": 6.3e10}, []),  # as on a day of 2020
        ({"fin_buy": 1.4e11, "short_balance": 5.8e10}, ["error", "error"]),  # swapped
        ({"fin_balance": 1.7e12}, ["warning"]),
        ({"fin_buy": 5.8e9}, ["error"]),
    ],
)
@pytest.mark.parametrize("first", ["margin.collateral", "margin.market"])
def test_accounts_have_the_totals_of_both_exchanges(
    changes: dict[str, float], severities: list[str], first: str
) -> None:
    totals = {name: {n: of / 2 for n, of in ACCOUNTS.items()} for name in ("SSE", "SZSE")}
    every = {
        "margin.collateral": batch(
            "margin.collateral", DAYS[1], {"CN": {"collateral_ratio": 2.6} | ACCOUNTS | changes}
        ),
        "margin.market": batch("margin.market", DAYS[1], totals),
    }
    published = {first: every.pop(first)}
    assert [one.split()[0] for one in found(every, {}, published)] == severities
    assert found(published, {}, {}) == []  # one of both alone
    one_exchange = batch("margin.market", DAYS[1], {"SSE": totals["SSE"]})
    assert found({"margin.market": one_exchange}, {}, {}) == []

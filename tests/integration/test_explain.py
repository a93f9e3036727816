"""`marginwatch explain` on a running stream: the numbers that it shows are those that the value was made of."""

from __future__ import annotations

import json
from datetime import date

import pytest

from feeds import simulate
from processors.days import to_date, to_day
from processors.industries import INDUSTRIES
from streams.calendars import xshg
from tests.chaos.faults import run_marginwatch
from tests.harness import Stack

pytestmark = pytest.mark.parametrize("broker", ["embedded"], indirect=True)


def test_a_value_is_explained_by_the_rows_that_went_in(stack: Stack) -> None:
    market = simulate.Market(simulate.Simulation(xshg(), to_day(date(2024, 6, 28)), days=70, stocks=62, funds=4))
    stack.worker().ready()
    with stack.publisher() as publisher:
        for _, batches in market.history():
            publisher.day(batches)
        stack.settle(publisher)
    day = to_date(market.simulation.dates()[-1]).isoformat()

    early = to_date(market.simulation.dates()[20]).isoformat()

    def explained(*arguments: str, date: str = day) -> dict:
        return json.loads(run_marginwatch(stack, "explain", *arguments, "--date", date, "--json"))

    ratio = explained("fin_buy_ratio")["derived"]
    buys, turnover = (ratio["inputs"][need] for need in ("margin.market fin_buy", "indices.daily turnover"))
    assert buys["sum"] == buys["SSE"] + buys["SZSE"]
    buys, turnover = buys["sum"], turnover["sum"]
    assert ratio["value"] == pytest.approx(buys / turnover)
    assert ratio["details"] == {"fin_buy_cny": pytest.approx(buys), "turnover_cny": pytest.approx(turnover)}
    assert ratio["input_revisions"] == {"margin.market": 0, "indices.daily": 0}

    change = explained("fin_change", "--of", "600001.SH")["derived"]
    before, today = (change["inputs"][f"margin.daily fin_balance{when}"]["600001.SH"] for when in (" 1 day before", ""))
    assert change["value"] == pytest.approx(today / before - 1)

    balance = explained("fin_balance", "--of", "600001")["derived"]  # the column of `marginwatch latest security`
    assert balance["signal"] == "fin_balance/600001.SH"
    assert balance["value"] == today
    assert balance["inputs"] == {"margin.daily fin_balance": {"600001.SH": today}}
    assert explained("fin_buy_ratio", "--of", "market")["derived"] == ratio

    flag = explained("divergence", "--of", "600001", date=early)["derived"]  # it needs the means of 60 days
    assert (flag["value"], flag["reason"]) == (None, "equal_weight_return is absent")
    gone = explained("fin_balance_to_float_cap", "--of", INDUSTRIES[3])["derived"]
    assert gone["value"] is None
    assert gone["reason"] == "indices.daily float_cap is not known"

    heat = explained("heat", "--of", INDUSTRIES[3])["derived"]
    assert heat["details"]["heat_rsi_14"] is not None
    assert "20 are needed" in heat["left_out"]["heat_pe"]

    text = run_marginwatch(stack, "explain", "llt", "--date", day, "--of", "000001.SH")
    assert "低延迟趋势线" in text
    assert "llt_days = 39" in text
    assert "line" in text


def test_a_provisional_value_is_explained_until_there_is_a_final_one(stack: Stack) -> None:
    market = simulate.Market(simulate.Simulation(xshg(), to_day(date(2024, 6, 27)), days=70, stocks=62, funds=4))
    *days, (day, last) = market.history()
    snapshots = {topic: batch for _, of_minute in market.session(day, ratio=0.1) for topic, batch in of_minute.items()}

    def explained() -> dict:
        output = run_marginwatch(stack, "explain", "fin_buy_ratio", "--date", to_date(day).isoformat(), "--json")
        return json.loads(output)["derived"]

    stack.worker().ready()
    with stack.publisher() as publisher:
        for _, batches in days:
            publisher.day(batches)
        for batch in snapshots.values():
            publisher.rows_of(batch)
        stack.settle(publisher)
        provisional = explained()
        assert provisional["provisional"]
        assert provisional["value"] == pytest.approx(0.1, rel=0.1)  # the share of buys in the session's turnover
        text = run_marginwatch(stack, "explain", "fin_buy_ratio", "--date", to_date(day).isoformat())
        assert "(provisional)" in text
        assert "inputs      those of the running session" in text

        publisher.day(last)
        stack.settle(publisher)
    final = explained()
    assert not final["provisional"]
    assert final["value"] != provisional["value"]
    assert final["inputs"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("fin_bal",), r"did you mean[\s│]+fin_balance"),
        (("fin_change", "--date", "2024-06-28"), r"name[\s│]+one[\s│]+with[\s│]+--of"),
        (("heat", "--date", "2024-06-28"), r"signal[\s│]+of[\s│]+industries"),
        (("fin_balance", "--date", "2024-06-28"), "nothing was published"),
        (("fin_balance", "--date", "2024-06-28", "--of", "600519"), "nothing was published of fin_balance of 600519"),
        (("verdict", "--date", "2024-06-28", "--of", "600519"), r"none[\s│]+of[\s│]+600519:[\s│]+leave"),
        (("fin_buy_ratio", "--of", "600519"), r"give[\s│]+--date"),
        (("llt/000300.SH",), r"with --of,[\s│]+llt[\s│]+--of[\s│]+000300.SH"),
    ],
)
def test_what_cannot_be_explained_names_the_remedy(stack: Stack, arguments: tuple[str, ...], said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        run_marginwatch(stack, "explain", *arguments)

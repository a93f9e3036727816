"""Hostile messages on a real broker: the stream goes on, and a person lists, shows, retries and skips what is left."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import date

import pytest
from aiokafka import AIOKafkaProducer
from typer.testing import CliRunner

from alerts.model import Severity, State
from processors.market import Market
from streams import dlq, readers
from streams.cli.main import app
from streams.dead_letters import open_letters
from streams.errors import ReadError, RebuildError
from streams.publisher import Publisher
from streams.rebuild import rebuild
from streams.stages.quarantine import skips_key
from streams.topics import DEAD_LETTERS, Topic
from tests.altered_worker import FAILING, FAILS_AT, failing
from tests.building import DAYS, batch
from tests.harness import Stack, wait_until
from tests.poison import POISON

DAY = date(2020, 1, 2)


def publish_poison(publisher: Publisher) -> None:
    for topic, value, headers in POISON:
        publisher.raw(topic, value, key=b"\xff", headers=[*headers, ("kept", b"yes")])


@pytest.fixture
def command(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Run `marginwatch dlq …` on the stack; return what it prints."""

    def run(*arguments: str) -> str:
        from streams.local.processes import environment

        for name, value in environment(stack.settings).items():
            monkeypatch.setenv(name, value)
        result = CliRunner().invoke(app, ["dlq", *arguments], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.output

    return run


def test_no_message_of_any_topic_stops_the_stream(stack: Stack, command: Callable[..., str]) -> None:
    worker = stack.worker().ready()
    with stack.publisher() as publisher:
        publish_poison(publisher)
        publisher.day({"margin.daily": batch("margin.daily", DAY, {"600519.SH": {"fin_balance": 1e9},
                                                                  "000001.SZ": {"fin_balance": 2e9}})})  # fmt: skip
        barrier = stack.settle(publisher)
        assert worker.answers_ready()
        assert len(stack.securities(barrier)) == 2
        found = dlq.letters(stack.settings, DEAD_LETTERS)
        assert sorted((topic, letter.value) for topic, letters in found.items() for letter in letters) == sorted(
            (topic, value) for topic, value, _ in POISON
        )
        assert all(("kept", b"yes") in one.headers and one.reason for letters in found.values() for one in letters)
        assert all(one.equal for one in rebuild(stack.settings, check=True))

        listed = json.loads(command("list", "--json"))
        assert len(listed) == len(POISON)
        assert "alerts.commands" in command("list")
        shown = next(one for one in listed if one["topic"].endswith("rates.daily.v1"))
        place = ("rates.daily", shown["partition"], shown["offset"])
        assert "no moment" in command("show", *place)
        assert "0001-01-01" in command("show", *place, "--raw")

        command("retry", *place)  # it is refused once more, under its new offset
        command("skip", "features.security", "0", next(o["offset"] for o in listed if "features" in o["topic"]))
        stack.settle(publisher)
    left = json.loads(command("list", "--json"))
    assert len(left) == len(POISON) - 1
    assert [one["offset"] for one in left if "rates" in one["topic"]] != [shown["offset"]]


def test_a_refused_row_of_a_frame_is_shown_retried_and_skipped_by_its_number(
    stack: Stack, command: Callable[..., str]
) -> None:
    stack.worker().ready()
    shares = {"510050.SH": {"shares": 1e9}, "510300.SH": {"shares": -1.0}, "510500.SH": {"shares": -1.0}}
    with stack.publisher() as publisher:
        publisher.rows_of(batch("etf.daily", DAY, shares))
        stack.settle(publisher)
        assert [(one["partition"], one["offset"]) for one in json.loads(command("list", "--json"))] == [
            ("0", "0/1"), ("0", "0/2")]  # fmt: skip
        assert json.loads(command("show", "etf.daily", "0", "0/2", "--raw"))["code"] == "510500.SH"
        command("skip", "etf.daily", "0", "0/2")
        assert stack.redis.smembers(skips_key(stack.settings)) == set(), "no partition stalls at a row"
        with pytest.raises(ReadError, match=r"no dead letter of .*@0/2"):
            dlq.skip(stack.settings, Topic.ETF_DAILY, 0, "0/2")
        command("retry", "etf.daily", "0", "0/1")  # it is refused once more, as an event of its own
        stack.settle(publisher)
    (left,) = json.loads(command("list", "--json"))
    assert left["offset"].isdecimal()


def test_a_quarantined_message_raises_a_critical_alert_until_it_is_retried(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, command: Callable[..., str]
) -> None:
    def states() -> list[tuple[Severity, State]]:
        found = readers.newest_alerts(stack.settings)
        place = f"{stack.settings.topic_prefix}rates.daily.v1[0]@1"
        return [(alert.severity, alert.state) for alert in found if alert.subject == place]

    stack.alterations[FAILING] = "1"
    worker = stack.worker().ready()
    with stack.publisher() as publisher:
        for revision, value in ((0, 0.03), (FAILS_AT, 0.04), (2, 0.05)):
            publisher.rows_of(batch("rates.daily", DAY, {"CN10Y": {"yield": value}}, revision))
        stack.settle(publisher)
        assert worker.answers_ready()
        (letter,) = open_letters(dlq.letters(stack.settings)[Topic.RATES_DAILY]).values()
        assert "a poisoned row" in letter.traceback
        wait_until(lambda: states() == [(Severity.CRITICAL, State.FIRING)], what="the alert")
        with monkeypatch.context() as here:
            here.setattr(Market, "fold", failing(Market.fold))
            assert all(one.equal for one in rebuild(stack.settings, ["market"], check=True))
            strict = stack.settings.model_copy(update={"quarantine_limit": 0})
            with pytest.raises(RebuildError, match=r"dlq skip .*rates\.daily\.v1 0 1"):
                rebuild(strict, ["market"], check=True)
            stack.redis.sadd(skips_key(strict), str(letter.place))
            assert all(one.equal for one in rebuild(strict, ["market"], check=True))
        worker.terminate()
        stack.alterations.clear()
        stack.worker().ready()  # a release that can compute it
        command("retry", "rates.daily", "0", "1")
        wait_until(lambda: states() == [(Severity.CRITICAL, State.RESOLVED)], what="the end of the alert")
        stack.settle(publisher)
    assert open_letters(dlq.letters(stack.settings)[Topic.RATES_DAILY]) == {}
    assert all(one.equal for one in rebuild(stack.settings, ["market"], check=True))


class _NoText(str):
    """A name of a header that is no UTF-8, as C clients may send it."""

    __slots__ = ()

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        return b"\xff\xfe"


def test_producers_may_compress_as_they_like_and_name_headers_in_any_bytes(stack: Stack) -> None:
    worker = stack.worker().ready()
    days = DAYS[:5]
    codecs = ("gzip", "snappy", "lz4", "zstd")

    async def produce() -> None:
        for codec, day in zip(codecs, days[:4], strict=True):
            async with AIOKafkaProducer(bootstrap_servers=stack.settings.bootstrap, compression_type=codec) as producer:
                await producer.send_and_wait(stack.publisher_topic("rates.daily"), rate(day))

    asyncio.run(produce())
    with stack.publisher() as publisher:
        publisher.raw("rates.daily", rate(days[4]), headers=[(_NoText("name"), b"x")])
        publisher.raw("rates.daily", b"no JSON", headers=[(_NoText("name"), b"x")])
        stack.settle(publisher)
    assert worker.answers_ready()
    (letter,) = dlq.letters(stack.settings)[Topic.RATES_DAILY]
    assert letter.value == b"no JSON"
    assert letter.headers == [("\\xff\\xfe", b"x")]
    assert all(one.equal for one in rebuild(stack.settings, check=True))


def rate(day: date) -> bytes:
    return json.dumps({"tenor": "CN10Y", "trade_date": f"{day}", "available_at": f"{day}T18:00:00+08:00",
                       "source": "x", "yield": 0.03}).encode()  # fmt: skip

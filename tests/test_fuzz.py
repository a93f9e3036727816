"""The short form of `make fuzz`, the corpus of what once broke something, and that the harness finds what it is for."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from functools import partial

import pytest

from streams.topics import Topic
from tests.fuzz import harness
from tests.fuzz.harness import Outcome
from tests.fuzz.inputs import Input, as_line, corpus, message, seeds
from tests.fuzz.targets import Target

INPUTS = 3_000


def test_hostile_messages_are_read_or_refused() -> None:
    seeds()
    report = harness.run(partial(message, "test"), Target, INPUTS)
    assert report.findings == []
    assert sum(report.outcomes.values()) == INPUTS
    assert min(report.outcomes[Outcome.ACCEPTED], report.outcomes[Outcome.REFUSED]) > INPUTS / 10
    assert report.grown_bytes < harness.MOST_BYTES


def test_well_formed_messages_of_every_topic_are_accepted() -> None:
    target = Target()
    for seed in seeds():
        assert target(seed) is Outcome.ACCEPTED, as_line(seed)
    assert {seed.topic for seed in seeds()} >= {t for t in Topic if t not in (Topic.ALERTS, Topic.ALERTS_LOG)}


def test_the_corpus_is_refused() -> None:
    messages = [*corpus()]
    report = harness.run(messages.__getitem__, Target, len(messages), processes=1)
    assert report.findings == []
    assert report.outcomes[Outcome.REFUSED] == len(messages)
    assert report.grown_bytes < harness.MOST_BYTES


def _raises() -> None:
    raise KeyError("x")


def _hangs() -> None:
    while True:
        pass


def _grows() -> None:
    bytearray(2 * harness.MOST_BYTES)


@pytest.mark.parametrize(
    ("fault", "what"),
    [
        (_raises, "KeyError"),
        (_hangs, "runs for more than 1 s"),
        (_grows, "MemoryError"),
        (lambda: os.kill(os.getpid(), signal.SIGSEGV), "kills the process (SIGSEGV)"),
        (lambda: os._exit(3), "exit code 3"),
    ],
)
def test_the_harness_finds_a_fault_and_goes_on_behind_it(fault: Callable[[], None], what: str) -> None:
    def target() -> Callable[[Input], Outcome]:
        def test(one: Input) -> Outcome:
            if one.offset in (4, 7):
                fault()
            return Outcome.REFUSED

        return test

    report = harness.run(lambda n: Input("t", b"", offset=n), target, 20)
    assert sorted(finding.number for finding in report.findings) == [4, 7]
    assert all(what in finding.what for finding in report.findings)
    assert report.outcomes[Outcome.REFUSED] == 18

"""Runs inputs in processes of their own, and finds what crashes, hangs, grows or raises.

A process notes the number of its input before it begins with it. One that dies is replaced by another one that goes on
behind that input. Time is CPU time, so that a busy machine finds nothing; a virtual machine that is paused counts as
such time, so an input that takes too long is given once more before it is a finding.
"""

from __future__ import annotations

import faulthandler
import mmap
import os
import resource
import select
import signal
import struct
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Any

from tests.fuzz.inputs import Input

#: Limits of one input: CPU seconds, and bytes that a process may grow.
MOST_S, MOST_BYTES = 1.0, 300 * 1024 * 1024
_FORM = struct.Struct("<qqqqdq")  # input, outcomes, slowest, bytes grown
_NO_INPUT = -1
#: Inputs of one process: freed memory in pieces too small to be used again is no growth by any input.
_INPUTS = 5_000


class Outcome(IntEnum):
    """What became of an input."""

    ACCEPTED = 0
    REFUSED = 1
    QUARANTINED = 2


@dataclass(frozen=True, slots=True)
class Finding:
    """An input that is no dead letter and no content."""

    number: int
    what: str


@dataclass
class Report:
    """What became of the inputs."""

    outcomes: dict[Outcome, int] = field(default_factory=lambda: dict.fromkeys(Outcome, 0))
    slowest_s: float = 0.0
    grown_bytes: int = 0
    seconds: float = 0.0
    findings: list[Finding] = field(default_factory=list)


@dataclass
class _Process:
    first: int
    stop: int
    step: int
    shared: mmap.mmap
    slow: int = _NO_INPUT  # the input that has run for too long once
    pid: int = 0
    reader: int = -1
    output: bytes = b""


def run(
    make: Callable[[int], Input],
    target: Callable[[], Callable[[Input], Outcome]],
    count: int,
    *,
    processes: int = 2,
    on_finding: Callable[[Finding], None] = lambda _finding: None,
    on_done: Callable[[int], None] = lambda _count: None,
) -> Report:
    """Give ``count`` inputs to targets in their own processes.

    Parameters
    ----------
    make : makes the input of a number.
    target : makes what is tested; what it raises is a finding.
    on_finding : called with the findings of every process that ends.
    on_done : called with the number of inputs so far.
    """
    report, began = Report(), time.monotonic()
    begun = [_Process(first, count, processes, mmap.mmap(-1, 4096)) for first in range(processes)]
    running = [_start(process, make, target) for process in begun]
    while running:
        ready, _, _ = select.select([process.reader for process in running], [], [])
        for process in [process for process in running if process.reader in ready]:
            found = os.read(process.reader, 65_536)
            process.output += found
            if not found:
                running.remove(process)
                before = len(report.findings)
                begins = _take(process, report)
                for finding in report.findings[before:]:
                    on_finding(finding)
                on_done(sum(report.outcomes.values()))
                if begins < count:
                    running.append(_start(replace(process, first=begins, output=b""), make, target))
    report.seconds = time.monotonic() - began
    return report


def _take(process: _Process, report: Report) -> int:
    """Add to the report what an ended process has found; return the first input of the process after it."""
    os.close(process.reader)
    _, status = os.waitpid(process.pid, 0)
    number, *outcomes, slowest, grown = _FORM.unpack_from(process.shared)
    for outcome in Outcome:
        report.outcomes[outcome] += outcomes[outcome]
    report.slowest_s = max(report.slowest_s, slowest)
    report.grown_bytes = max(report.grown_bytes, grown)
    lines = (line.partition(" ") for line in process.output.decode("utf-8", "replace").splitlines())
    report.findings += [Finding(int(of), what) for of, _, what in lines]
    if number == _NO_INPUT:
        return process.first + _INPUTS * process.step
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGPROF and number != process.slow:
        process.slow = int(number)
        return process.slow
    report.findings.append(Finding(number, _death(status)))
    return int(number) + process.step


def _death(status: int) -> str:
    if not os.WIFSIGNALED(status):
        return f"ends the process with exit code {os.waitstatus_to_exitcode(status)}"
    name = signal.Signals(os.WTERMSIG(status)).name
    return f"runs for more than {MOST_S:g} s" if name == "SIGPROF" else f"kills the process ({name})"


def _start(process: _Process, make: Callable[[int], Input], target: Callable[[], Any]) -> _Process:
    _FORM.pack_into(process.shared, 0, _NO_INPUT, 0, 0, 0, 0.0, 0)
    process.reader, writer = os.pipe()
    sys.stdout.flush()
    process.pid = os.fork()
    if process.pid:
        os.close(writer)
        return process
    try:
        os.close(process.reader)
        _work(process, make, target(), writer)
    except BaseException as error:  # noqa: BLE001 - a child must never return into the parent's code
        at = max(process.first, _FORM.unpack_from(process.shared)[0])
        _FORM.pack_into(process.shared, 0, at, 0, 0, 0, 0.0, 0)
        os.write(writer, f"{at} outside of the target: {error!r}\n".encode())
        os._exit(1)
    os._exit(0)


def _work(process: _Process, make: Callable[[int], Input], test: Callable[[Input], Outcome], writer: int) -> None:
    faulthandler.disable()
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    used = _address_space() + MOST_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (used, used))
    outcomes, slowest, grown = [0] * len(Outcome), 0.0, 0
    for number in range(process.first, process.stop, process.step)[:_INPUTS]:
        _FORM.pack_into(process.shared, 0, number, *outcomes, slowest, grown)
        message = make(number)
        made = _peak_bytes()  # a message of 64 MiB takes more memory to make than to refuse
        signal.setitimer(signal.ITIMER_PROF, MOST_S)
        began = time.process_time()
        try:
            outcomes[test(message)] += 1
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a finding
            where = traceback.extract_tb((error.__cause__ or error).__traceback__)[-1]
            what = f"{type(error).__name__}: {error} in {where.filename}:{where.lineno}"
            os.write(writer, f"{number} {what[:500]!r}\n".encode("utf-8", "replace"))
        slowest = max(slowest, time.process_time() - began)
        grown += _peak_bytes() - made
        signal.setitimer(signal.ITIMER_PROF, 0)
    _FORM.pack_into(process.shared, 0, _NO_INPUT, *outcomes, slowest, grown)


def _address_space() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * resource.getpagesize()


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

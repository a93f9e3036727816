"""Running the tasks of a plan, each in a thread of its own, so that a feed that waits delays no other.

A task does what is due and returns when to call it again. The tasks share the services of `feeds.ports.FeedServices`,
such as the pool of connections to Redis. Each one stores what it has done only after the broker has acknowledged it,
and goes on from there after a restart.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence

import structlog
from redis.exceptions import RedisError

from feeds.errors import StoppedError, UnavailableError
from feeds.tasks import FeedTask
from processors.errors import MarginwatchError

log = structlog.get_logger()
_RETRY_S = 30.0
_LONGEST_SLEEP_S, _STEP_S = 3600.0, 60.0
_GRACE_S = 10.0  # for the current work of the tasks when the process ends


def run_tasks(
    tasks: Sequence[FeedTask], stop: threading.Event, *, once: bool, now: Callable[[], float] = time.time
) -> int:
    """Run tasks until ``stop``; return how many files, days, snapshots and attempts failed.

    Parameters
    ----------
    stop : set by this function when every task has ended by itself.
    once : a task ends as soon as it has no more work that it can do now; tasks that serve others are left out.
    """
    tasks = [one for one in tasks if not (once and one.serves)]
    unavailable: Counter[str] = Counter()
    running = set(range(len(tasks)))

    def run(place: int) -> None:
        try:
            unavailable[tasks[place].name] += _run_task(tasks[place], stop, once=once, now=now)
        finally:
            running.discard(place)
            if not running:
                stop.set()

    threads = [
        threading.Thread(target=run, args=(place,), name=one.name, daemon=True) for place, one in enumerate(tasks)
    ]
    for thread in threads:
        thread.start()
    if threads:
        stop.wait()
    for one in tasks:
        one.end()
    deadline = time.monotonic() + _GRACE_S
    for one, thread in zip(tasks, threads, strict=True):
        thread.join(max(0.0, deadline - time.monotonic()))
        if thread.is_alive():
            log.warning("feed does not end: it waits for an answer", feed=one.name, waited_s=_GRACE_S)
    return sum(unavailable.values()) + sum(one.failures for one in tasks)


def _run_task(task: FeedTask, stop: threading.Event, *, once: bool, now: Callable[[], float]) -> int:
    """Call one task until ``stop``; return how often Kafka or Redis did not answer."""
    unavailable = 0
    try:
        while not stop.is_set():
            try:
                following = task.tick(now())
                done = once and not task.pending(now())
            except StoppedError as error:
                log.info("feed ends early", feed=task.name, what=str(error))
                break
            except (UnavailableError, RedisError) as error:
                unavailable += 1
                following, done = now() + _RETRY_S, once
                log.warning("feed waits for Kafka and Redis", feed=task.name, retry_s=_RETRY_S, error=str(error))
            except (MarginwatchError, OSError) as error:
                task.failures += 1
                following, done = now() + _RETRY_S, once
                log.warning("feed failed", feed=task.name, retry_s=_RETRY_S, error=str(error))
            except Exception:
                task.failures += 1
                following, done = now() + _RETRY_S, once
                log.exception("feed failed: this is a bug of marginwatch", feed=task.name, retry_s=_RETRY_S)
            if done:
                break
            _sleep_until(following, stop, now)
    finally:
        task.close()
    return unavailable


def _sleep_until(moment: float, stop: threading.Event, now: Callable[[], float]) -> None:
    """Wait in short steps: the clock may be set, and a suspended machine does not count as waiting."""
    left = min(moment - now(), _LONGEST_SLEEP_S)
    while left > 0 and now() < moment and not stop.wait(min(left, _STEP_S)):
        left -= _STEP_S

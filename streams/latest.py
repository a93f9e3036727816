"""The newest values as JSON in Redis, for readers that need no history.

``mw:latest:market`` one object; ``mw:latest:verdict`` the verdict in words; ``mw:latest:security:<code>`` and
``mw:latest:industry:<name>`` one each; ``mw:latest:securities`` the trade date of the newest securities;
``mw:latest:frame:<family>`` the newest frames of securities, which the next owner begins with;
``mw:latest:lacking:<code>`` what each family lacks of a security that left the list;
``mw:latest:barrier`` the last barrier whose signals they contain, ``mw:latest:sequence`` the sequence of the last
output that they contain. They follow from the signals and are written behind the stream, at most once a second: a
backfill of years doesn't write every day of every security, and a reader never waits long. What a worker has published
and not written when it ends, the next owner of the market's state reads in the topics. Only this owner writes: a worker
that has lost the state is refused, as with a step.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import date, datetime
from typing import Any, cast

import msgspec
import numpy as np
from aiokafka.errors import KafkaError
from mode import Service
from redis.asyncio import Redis
from redis.exceptions import RedisError

from alerts.verdict import verdict_text
from processors.errors import RowError
from processors.indicators.verdict import VERDICT
from processors.industries import INDUSTRIES
from processors.outputs import FAMILIES, DayStatus, IndustrySignals, MarketSignal
from processors.registry import INDUSTRY_METRICS
from streams import metrics
from streams.codecs import registry as codecs
from streams.codecs.signal_codec import is_provisional
from streams.errors import FencedError
from streams.keys import latest_key
from streams.latest_securities import NewestSecurities, by_row, common, frame_name
from streams.records import (
    BARRIER_TYPE,
    INDUSTRY_TYPE,
    MARKET_TYPE,
    SECURITY_TYPE,
    Keyed,
    ce_type,
    key_text,
    sequence_of,
)
from streams.stages.market_stage import MarketStage
from streams.tables import Output, TablePartition
from streams.topics import Topic

_INTERVAL_S = 1.0
_INDUSTRY_NAMES = tuple(f"industry:{name}" for name in INDUSTRIES)
#: Returns what the market stage has published behind a sequence, oldest first.
Published = Callable[[int], Awaitable[Sequence[Keyed]]]


class LatestWriter(Service):
    """Collects what the owner of the market's state has published, in its order, and writes the newest values.

    Parameters
    ----------
    redis : a client.
    namespace : prefix of every key.
    published : reads the topics of the signals; without it what is offered is all there is (`streams.rebuild`), and
        stored values only fill in what is not offered.
    """

    def __init__(self, redis: Redis, namespace: str, published: Published | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._redis = redis
        self._published = published
        self._namespace = namespace
        self.release()
        self._news = asyncio.Event()

    def release(self) -> None:
        """Forget everything: the partition is assigned again."""
        self._table: TablePartition | None = None
        self._restored = False
        #: Signal, and whether it is provisional → its day, and the signal or its message: of years in a backfill only
        #: the newest are decoded.
        self._market: dict[tuple[str, bool], tuple[str, MarketSignal | Keyed]] = {}
        self._securities = NewestSecurities()
        self._industries: Keyed | None = None
        self._industry_day = ""
        self._barrier = ""
        self._sequence = 0

    def claimed(self, table: TablePartition) -> None:
        """Take note that this worker has claimed a partition; the market's is the one whose owner may write."""
        if table.table == MarketStage.name:
            self.release()
            self._table = table

    async def restore(self) -> None:
        """Load what the owner before wrote and published, here and into the metrics.

        No restart makes the newest values unknown, or leaves older ones. Unreadable values stay unknown until the next
        signals. Without an answer of Redis and Kafka nothing is written until they have answered.
        """
        names, table = ("market", "sequence", *map(frame_name, FAMILIES), *_INDUSTRY_NAMES), self._table
        try:
            market, written, *rest = await self._stored(names)
            unwritten: Sequence[Keyed] = ()
            if self._published is not None and (begin := self._unwritten_from(market, written)) is not None:
                unwritten = await self._published(begin)
            if self._table is not table:  # assigned again meanwhile: that claim reads what is true by then
                return
            self.offer(reversed(unwritten), late=True)
            signals = msgspec.json.decode(market, type=dict[str, MarketSignal]) if market is not None else {}
            frames, frame = rest[: len(FAMILIES)], _industries_of(rest[len(FAMILIES) :])
            self._restore_securities([one for one in frames if one is not None])
        except (RedisError, KafkaError) as error:
            self.log.warning("the newest values of before are not known yet: %s", error)
            return
        except (msgspec.MsgspecError, RowError) as error:
            self.log.warning("the newest values of before can't be read: %s", error)
            signals, frame = {}, None
        self._restored = True
        offered = {name for name, _ in self._market}
        for name, signal in signals.items():
            if self._published is not None or name not in offered:
                self._hold((name, signal.provisional), signal.trade_date.isoformat(), signal, late=True)
        for signal in self._signals().values():
            metrics.observe_signal(signal)
        self._restore_industries(frame)
        if self._industries is not None:
            frame = codecs.decode(Topic.SIGNALS_INDUSTRY, self._industries)
        if frame is not None:
            metrics.observe_industries(frame)

    async def _stored(self, names: Sequence[str]) -> list[bytes | None]:
        """Return what Redis contains of these names."""
        if not names:
            return []
        found = await self._redis.mget([latest_key(self._namespace, name) for name in names])
        return cast("list[bytes | None]", found)

    def _restore_securities(self, frames: Iterable[bytes]) -> None:
        for frame in frames:
            try:
                self._securities.restore(Output("", 0, b"", frame, []), replaces=self._published is not None)
            except RowError as error:  # of another release
                self.log.warning("a frame of securities can't be read: %s", error)

    def _restore_industries(self, written: IndustrySignals | None) -> None:
        """Take note of the day that is written: only a rebuild replaces it by an earlier one."""
        day = "" if written is None else written.status.trade_date.isoformat()
        if self._published is not None and day > self._industry_day:
            self._industries, self._industry_day = None, day

    def _unwritten_from(self, market: Any, written: Any) -> int | None:
        """Return the sequence behind which outputs may not be in Redis; None if none can be missing.

        Where a release before this one has written the values, it is not known. Where nothing is written although there
        is state, the first worker of all has ended within a second.
        """
        if written is not None:
            return int(written)
        return 0 if market is None and self._table is not None and self._table.offsets else None

    def offer(self, outputs: Iterable[Keyed], *, late: bool = False) -> None:
        """Take what the market stage has published.

        Parameters
        ----------
        late : whether each output is older than all that this object has: of the same day, the latter is kept.
        """
        for output in outputs:
            # A dead letter among them has the key of its sender, which may be any bytes.
            kind, key = ce_type(output), key_text(output.key)
            self._sequence = max(self._sequence, sequence_of(output))
            if kind == MARKET_TYPE:
                self._offer_message(key, output, late=late)
            elif kind == BARRIER_TYPE:
                self._barrier = (late and self._barrier) or key.partition("/")[2]
                self._news.set()
            elif kind == INDUSTRY_TYPE and _is_newer(key, self._industry_day, late=late):
                self._industries, self._industry_day = output, key
                self._news.set()
            elif kind == SECURITY_TYPE and self._securities.offer(output, late=late):
                self._news.set()

    def _offer_message(self, key: str, output: Keyed, *, late: bool) -> None:
        name, _, day = key.rpartition("/")
        self._hold((name, is_provisional(output)), day, output, late=late)

    def _hold(self, of: tuple[str, bool], day: str, found: MarketSignal | Keyed, *, late: bool) -> None:
        held = self._market.get(of)
        if held is None or _is_newer(day, held[0], late=late):
            self._market[of] = day, found
            self._news.set()

    def _signals(self) -> dict[str, MarketSignal]:
        """Return the newest market signals by name, in its order."""
        return {name: self._newest(name) for name in sorted({name for name, _ in self._market})}

    def _newest(self, name: str) -> MarketSignal:
        """Return the provisional value of a later day than the final one.

        The last final value is more useful than an absent provisional one.
        """
        finals, provisionals = (self._market.get((name, provisional)) for provisional in (False, True))
        if finals is None or (provisionals is not None and provisionals[0] > finals[0]):
            running = self._decoded((name, True))
            if finals is None or running.value is not None:
                return running
        return self._decoded((name, False))

    def _decoded(self, of: tuple[str, bool]) -> MarketSignal:
        day, found = self._market[of]
        if not isinstance(found, MarketSignal):
            found = codecs.decode(Topic.SIGNALS_MARKET, found)
            self._market[of] = day, found
        return found

    @Service.task
    async def _write_behind(self) -> None:
        while not self.should_stop:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), _INTERVAL_S)
            if self._news.is_set():
                self._news.clear()
                try:
                    await self.flush()
                except RedisError as error:
                    self._news.set()
                    self.log.warning("latest values wait for Redis: %s", error)
                await self.sleep(_INTERVAL_S)

    async def on_stop(self) -> None:
        """Write what is left."""
        if self._news.is_set():
            with contextlib.suppress(RedisError):
                await self.flush()

    async def flush(self) -> None:
        """Write the newest values now: one command, however many securities there are.

        Nothing is written, and everything is forgotten, if another worker has claimed the market's state.
        """
        if self._table is None:
            return
        if not self._restored:  # what the claim has published again is not all there is
            await self.restore()
        table = self._table
        if table is None or not self._restored:
            self._news.set()
            return
        industries, self._industries = self._industries, None
        values: dict[str, bytes] = {}
        if signals := self._signals():
            values["market"] = msgspec.json.encode(signals)
        if VERDICT.id in signals:
            values["verdict"] = _verdict(signals[VERDICT.id])
        if industries is not None:
            frame = codecs.decode(Topic.SIGNALS_INDUSTRY, industries)
            values |= {f"industry:{name}": value for name, value in _industry_rows(frame)}
        if self._barrier:
            values["barrier"] = self._barrier.encode()
        if self._sequence:
            values["sequence"] = b"%d" % self._sequence
        securities = self._securities.take()
        try:
            if securities is not None:
                values |= securities.values(await self._stored(securities.names))
            if values:
                await table.write_beside({latest_key(self._namespace, name): v for name, v in values.items()})
        except (FencedError, RedisError) as error:
            if self._table is not table:  # assigned again meanwhile: that claim restores what is not written
                return
            if isinstance(error, FencedError):
                self.log.warning("the newest values are another worker's: %s", error)
                self.release()
                return
            if securities is not None:
                self._securities.give_back(securities)
            self._industries = self._industries or industries
            raise


def _is_newer(offered: Any, held: Any, *, late: bool) -> bool:
    """Whether an offered value replaces one; of the same day, the one that was offered last does, unless it is late."""
    return bool(offered > held or (offered == held and not late))


def _verdict(signal: MarketSignal) -> bytes:
    """The verdict with its words: ``answer``, ``why`` and ``change`` in English and Chinese, and their ``tone``."""
    text = verdict_text(signal)
    return msgspec.json.encode(
        {
            "trade_date": signal.trade_date,
            "available_at": signal.available_at,
            "revision": signal.revision,
            "provisional": signal.provisional,
            "verdict": signal.value,
            **msgspec.structs.asdict(text),
            "details": signal.details,
        }
    )


class _IndustryDay(msgspec.Struct):
    trade_date: date
    available_at: datetime
    revision: int


def _industries_of(rows: list[Any]) -> IndustrySignals | None:
    """The inverse of `_industry_rows`, as far as metrics show it; None where an industry is not known."""
    if any(row is None for row in rows):
        return None
    day = msgspec.json.decode(rows[0], type=_IndustryDay)
    values = [msgspec.json.decode(row, type=dict[str, Any]) for row in rows]
    columns = {
        name: np.array([v.get(name) if v.get(name) is not None else np.nan for v in values], dtype=np.float64)
        for name in INDUSTRY_METRICS
    }
    status = DayStatus(trade_date=day.trade_date, available_at=day.available_at, revision=day.revision)
    return IndustrySignals(status, columns, {})


def _industry_rows(frame: IndustrySignals) -> list[tuple[str, bytes]]:
    return [
        (name, msgspec.json.encode({"industry": name, **common(frame.status), **row, "left_out": frame.left_out}))
        for name, row in zip(INDUSTRIES, by_row(frame.columns), strict=True)
    ]

"""State in Redis: one atomic step for changed rows, input offsets and outputs; zombies are refused.

A partition of a table is loaded when it is assigned and lives in memory while it is owned; Redis is its durable copy.
Keys (the hash tag keeps a partition in one slot of a Redis cluster):

- ``mw:{securities:3}:rows``     hash, field → packed row
- ``mw:{securities:3}:offsets``  hash, topic → next offset to read, and the mark of the message before it
- ``mw:{securities:3}:owner``    ``<token of the newest claim>/<steps it has stored>``
- ``mw:{securities:3}:outbox``   outputs of the last step, until they are acknowledged
- ``mw:{securities:3}:schema``   the schema of the rows, written by every step
- ``mw:{securities:3}:digest``   a sum over rows, offsets and outbox, written by every step
- ``mw:{securities:3}:sequence`` the sequence of the last output

**Sequence.** Every output has the next number in its header ``ce_sequence``. The number is stored in the same step as
the output, and survives when rows are discarded. Where Redis has lost it, the owner goes on above what its topics
contain (`streams.stages.output_log`). So no clock decides which of two outputs is the newer one.

**State that proves itself.** A claim computes the digest of what it has loaded, and every step checks that no key has
gone since the step before. State of which a part is missing (evicted, deleted, restored by half) is deleted by the next
claim, and the partition starts from the beginning of its topics.

**State of another release.** A claim names the schema that this release reads. Rows, offsets and outbox of any other
schema (of none: an early release) are deleted in the same atomic step as the claim, and the partition starts from the
beginning of its topics. Ids are functions of the inputs, so a consumer ignores what it has already received.

**Order of a step**: (1) one Lua script writes rows, offsets and the outputs themselves, if Redis still is exactly
as this owner left it; (2) the offset is committed to Kafka, which nothing but lag monitors look at; (3) the
outputs are published and their acknowledgements awaited, before the next step's (1). A crash between (1) and (3) is
healed by the next owner, who publishes the outbox again, byte for byte, unless the topics contain later outputs (Redis
was set back). So what was once published is never published differently, nothing is published that isn't stored, and a
worker that lost its partition without knowing (a zombie) is refused *before* it publishes anything.
"""

from __future__ import annotations

import uuid
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import msgspec
from redis.asyncio import Redis
from redis.asyncio.client import Pipeline
from redis.exceptions import ResponseError
from xxhash import xxh3_64_intdigest

from streams.errors import FencedError
from streams.keys import table_key
from streams.records import sequence_header, sequence_of
from streams.script_queue import ScriptQueue

# KEYS: owner, rows, offsets, outbox, schema, digest, sequence. ARGV: token, steps stored before, outbox, schema, digest
# before and after, numbers of rows and offsets before, sequence of the last output ('' without outputs), then counts
# and lists: set rows, deleted rows, offsets. A repeated step
# (the answer to it was lost) is already stored; any other state than the one this owner left (a newer claim, an emptied
# Redis, one that was restored from before, a key that is gone) is refused.
_COMMIT = """
local owner = redis.call('GET', KEYS[1])
local before = tonumber(ARGV[2])
if owner == ARGV[1] .. '/' .. (before + 1) then return 0 end
if owner ~= ARGV[1] .. '/' .. before then
  return redis.error_reply('FENCED owner is ' .. tostring(owner) .. ', expected ' .. ARGV[1] .. '/' .. before)
end
if (redis.call('GET', KEYS[6]) or '') ~= ARGV[5] or redis.call('HLEN', KEYS[2]) ~= tonumber(ARGV[7])
    or redis.call('HLEN', KEYS[3]) ~= tonumber(ARGV[8]) then
  return redis.error_reply('FENCED a part of the stored state is missing')
end
local at = 10
local function take(command, key, width)
  local count = tonumber(ARGV[at]); at = at + 1
  local left = count * width
  while left > 0 do
    local n = math.min(left, 6000)
    redis.call(command, key, unpack(ARGV, at, at + n - 1))
    at = at + n; left = left - n
  end
end
take('HSET', KEYS[2], 2)
take('HDEL', KEYS[2], 1)
take('HSET', KEYS[3], 2)
if ARGV[3] == '' then redis.call('DEL', KEYS[4]) else redis.call('SET', KEYS[4], ARGV[3]) end
redis.call('SET', KEYS[5], ARGV[4])
redis.call('SET', KEYS[6], ARGV[6])
if ARGV[9] ~= '' then redis.call('SET', KEYS[7], ARGV[9]) end
redis.call('SET', KEYS[1], ARGV[1] .. '/' .. (before + 1))
return 1
"""
# KEYS as above. ARGV: token, schema. Returns the schema of what was deleted, or nil.
_CLAIM = """
redis.call('SET', KEYS[1], ARGV[1] .. '/0')
local schema = redis.call('GET', KEYS[5])
if schema == ARGV[2] or redis.call('EXISTS', KEYS[2], KEYS[3], KEYS[4]) == 0 then return nil end
redis.call('DEL', KEYS[2], KEYS[3], KEYS[4], KEYS[6])
redis.call('SET', KEYS[5], ARGV[2])
return schema or ''
"""
# KEYS as above. ARGV: token. Deletes what is stored, if the claim of the token is still the newest.
_DISCARD = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] .. '/0' then return redis.error_reply('FENCED by a newer claim') end
redis.call('DEL', KEYS[2], KEYS[3], KEYS[4], KEYS[6])
return 1
"""
# KEYS: owner, then any others. ARGV: token, then the value of each other key.
_WRITE_BESIDE = """
local owner = redis.call('GET', KEYS[1])
if not owner or string.sub(owner, 1, #ARGV[1] + 1) ~= ARGV[1] .. '/' then
  return redis.error_reply('FENCED owner is ' .. tostring(owner) .. ', expected ' .. ARGV[1])
end
for i = 2, #KEYS do redis.call('SET', KEYS[i], ARGV[i]) end
return 1
"""
_NOTHING = b""
#: How digests are computed, a part of the schema of what is stored: those of another way would look like lost state.
DIGESTS = "xxh3"
#: Kinds of what the digest covers.
_ROW, _POSITION, _OUTBOX = b"r", b"p", b"o"


class Output(msgspec.Struct, frozen=True, array_like=True):
    """A message to publish."""

    topic: str
    partition: int
    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]]


@dataclass(slots=True)
class Loaded:
    """What was stored of a partition.

    Attributes
    ----------
    schema : that of the rows; empty if nothing is stored, or by a release that stored none.
    discarded : schema of the state that a claim has deleted, None if it has deleted nothing.
    marks : topic → the mark of the last message in the state (`streams.records.mark_of`).
    whole : whether the digest that was stored is that of what was loaded; where it isn't, a claim has deleted it.
    sequence : that of the last output; 0 where none is known.
    """

    rows: dict[str, bytes]
    offsets: dict[str, int]
    outbox: list[Output]
    schema: str = ""
    discarded: str | None = None
    marks: dict[str, str] = field(default_factory=dict)
    whole: bool = True
    sequence: int = 0


@dataclass(frozen=True, slots=True)
class Encoded:
    """Changed rows and outputs of a step in the form in which they are stored; a large step is encoded in a thread.

    Attributes
    ----------
    rows : field → bytes, None to delete.
    outbox : the bytes of the outputs.
    sequence : that of the last output; 0 where none has one.
    hashes : of rows and outbox, by kind and name.
    """

    rows: Mapping[str, bytes | None]
    outputs: Sequence[Output]
    outbox: bytes
    sequence: int
    hashes: dict[bytes, int]


def encoded(rows: Mapping[str, bytes | None], outputs: Sequence[Output] = (), sequence: int = 0) -> Encoded:
    """Return rows and outputs as they are stored; ``sequence`` is that of the last output, where none names it."""
    outbox = msgspec.msgpack.encode(outputs) if outputs else _NOTHING
    hashes = _hashes(_ROW, ((name.encode(), value) for name, value in rows.items()))
    hashes |= _hashes(_OUTBOX, [(b"", outbox or None)])
    return Encoded(rows, outputs, outbox, last_sequence(outputs, sequence), hashes)


def numbered(outputs: Iterable[Output], after: int, topics: Container[str]) -> list[Output]:
    """Return outputs with sequences above ``after``; those for other topics (dead letters) get none."""
    out = []
    for output in outputs:
        if output.topic in topics:
            after += 1
            headers = [*output.headers, sequence_header(after)]
            output = Output(output.topic, output.partition, output.key, output.value, headers)
        out.append(output)
    return out


def last_sequence(outputs: Sequence[Output], default: int = 0) -> int:
    """Return the sequence of the last output that has one, ``default`` where none has: that of `numbered` ascends."""
    return next((found for output in reversed(outputs) if (found := sequence_of(output))), default)


async def peek(redis: Redis, namespace: str, table: str, partition: int) -> Loaded:
    """Return what is stored of a partition at one moment, without claiming it."""
    pipe = redis.pipeline(transaction=True)
    stored, _ = await _load(pipe, _keys(namespace, table, partition))
    return stored


def _keys(namespace: str, table: str, partition: int) -> list[str]:
    base = table_key(namespace, table, partition)
    return [f"{base}:{part}" for part in ("owner", "rows", "offsets", "outbox", "schema", "digest", "sequence")]


async def _load(pipe: Pipeline, keys: list[str]) -> tuple[Loaded, _Digest]:
    pipe.hgetall(keys[1])
    pipe.hgetall(keys[2])
    for key in keys[3:]:
        pipe.get(key)
    *claim, rows, positions, outbox, schema, stored_digest, sequence = await pipe.execute()
    discarded = claim[0] if claim else None
    digest = _Digest()
    stored = (
        _hashes(_ROW, rows.items()) | _hashes(_POSITION, positions.items()) | _hashes(_OUTBOX, [(b"", outbox or None)])
    )
    digest.take(digest.changed(stored))
    split = {name.decode(): value.decode().partition(" ") for name, value in positions.items()}
    outputs = msgspec.msgpack.decode(outbox, type=list[Output]) if outbox else []
    loaded = Loaded(
        {name.decode(): value for name, value in rows.items()},
        {name: int(offset) for name, (offset, _, _) in split.items()},
        outputs,
        schema.decode() if schema else "",
        discarded.decode() if discarded is not None else None,
        {name: mark for name, (_, _, mark) in split.items()},
        digest.text == (stored_digest or b"").decode(),
        # Without its key, an outbox that is not published yet would seem to be one of long ago.
        max(int(sequence or 0), last_sequence(outputs)),
    )
    return loaded, digest


class _Digest:
    """A sum over the hashes of rows, positions and outbox; a step costs the hashes of what it changes.

    Attributes
    ----------
    rows, positions : how many of each are stored.
    """

    def __init__(self) -> None:
        self.rows = self.positions = 0
        self.hashes: dict[bytes, int] = {}
        self.total = 0

    @property
    def text(self) -> str:
        """The digest as it is stored; empty where nothing is."""
        return f"{self.total:016x}" if self.hashes else ""

    def changed(self, hashes: dict[bytes, int]) -> _Digest:
        """Return the digest after a step that changes what has these hashes. `take` makes the change this one's own."""
        after = _Digest()
        after.rows, after.positions, after.hashes, total = self.rows, self.positions, hashes, self.total
        for key, new in hashes.items():
            old = self.hashes.get(key, 0)
            total += new - old
            if key.startswith(_ROW):
                after.rows += (new != 0) - (old != 0)
            elif key.startswith(_POSITION):
                after.positions += (new != 0) - (old != 0)
        after.total = total % 2**64
        return after

    def take(self, after: _Digest) -> None:
        """Take over what `changed` has returned."""
        self.rows, self.positions, self.total = after.rows, after.positions, after.total
        for key, value in after.hashes.items():
            if value:
                self.hashes[key] = value
            else:
                self.hashes.pop(key, None)


def _hashes(kind: bytes, values: Iterable[tuple[bytes, bytes | None]]) -> dict[bytes, int]:
    """Return the hashes of values by kind and name; 0 where there is no value."""
    return {kind + name: 0 if value is None else _hash(kind + name, value) for name, value in values}


def _hash(name: bytes, value: bytes) -> int:
    """Return a hash of a name and its value; never 0. It shows what was lost, not what somebody has forged."""
    return xxh3_64_intdigest(value, xxh3_64_intdigest(name)) | 1


class TablePartition:
    """One partition of one table, owned by this worker.

    Parameters
    ----------
    redis : a client that returns bytes.
    namespace, table, partition : make the keys.
    scripts : runs the steps of several partitions together; None for a queue of its own.
    """

    def __init__(
        self, redis: Redis, namespace: str, table: str, partition: int, scripts: ScriptQueue | None = None
    ) -> None:
        self.table = table
        self.partition = partition
        self.offsets: dict[str, int] = {}
        self._redis = redis
        self._keys = _keys(namespace, table, partition)
        self._token, self._steps, self._schema = "", 0, ""
        self._scripts = scripts or ScriptQueue(redis)
        self._script = redis.register_script(_COMMIT)
        self._claim_script = redis.register_script(_CLAIM)
        self._discard_script = redis.register_script(_DISCARD)
        self._write_script = redis.register_script(_WRITE_BESIDE)
        self._digest = _Digest()

    @property
    def rows(self) -> int:
        """How many rows are stored."""
        return self._digest.rows

    async def claim(self, schema: str) -> Loaded:
        """Become the owner and load what is stored; from now on every earlier owner is refused.

        State of which a part is missing is deleted (`Loaded.whole` is false then).

        Parameters
        ----------
        schema : that of the rows which this release reads and writes; state of any other schema is deleted.
        """
        token, pipe = uuid.uuid4().hex, self._redis.pipeline(transaction=True)
        await self._claim_script(keys=self._keys, args=[token, schema], client=pipe)
        loaded, self._digest = await _load(pipe, self._keys)
        self._token, self._steps, self._schema = token, 0, schema
        self.offsets = dict(loaded.offsets)
        if loaded.whole:
            return loaded
        await self.discard()
        return Loaded({}, {}, [], loaded.schema, loaded.discarded, whole=False, sequence=loaded.sequence)

    async def discard(self) -> None:
        """Delete what is stored; only right after `claim`, else `ResponseError`."""
        await self._discard_script(keys=self._keys, args=[self._token])
        self._digest, self.offsets = _Digest(), {}

    async def commit(self, step: Encoded, offsets: Mapping[str, int], marks: Mapping[str, str]) -> None:
        """Store a step: all of it or nothing.

        Parameters
        ----------
        offsets, marks : topic → next offset to read, and the mark of the message before it.

        Raises
        ------
        FencedError : if Redis is not as this owner left it; nothing was stored.
        """
        sets = [(name, value) for name, value in step.rows.items() if value is not None]
        gone = [name for name, value in step.rows.items() if value is None]
        positions = [(topic, f"{offset} {marks.get(topic, '')}") for topic, offset in offsets.items()]
        read = _hashes(_POSITION, ((topic.encode(), position.encode()) for topic, position in positions))
        digest, after = self._digest, self._digest.changed(step.hashes | read)
        arguments: list[Any] = [self._token, self._steps, step.outbox, self._schema, digest.text, after.text,
                                digest.rows, digest.positions, step.sequence or "", len(sets),
                                *chain.from_iterable(sets), len(gone), *gone,
                                len(positions), *chain.from_iterable(positions)]  # fmt: skip
        with self._fenced():
            await self._scripts.run(self._script, self._keys, arguments)
        self._steps += 1
        digest.take(after)
        self.offsets.update(offsets)

    async def check_stored(self) -> None:
        """Raise `FencedError` if Redis was emptied, or set back behind a step of this owner; another claim is none."""
        steps = self._steps
        owner: Any = await self._redis.get(self._keys[0])
        if owner is None:
            raise FencedError(f"{self.table}:{self.partition} is not in Redis any more: was it emptied?")
        token, _, stored = owner.decode().partition("/")
        if token == self._token and int(stored) < steps:
            raise FencedError(f"{self.table}:{self.partition} was set back in Redis, from step {steps} to {stored}")

    async def check_owner(self) -> None:
        """Raise `FencedError` if this owner's claim is not the newest."""
        await self.write_beside({})

    async def write_beside(self, values: Mapping[str, bytes]) -> None:
        """Write values of other keys in one step; raises `FencedError` if this owner's claim is not the newest."""
        with self._fenced():
            await self._write_script(keys=[self._keys[0], *values], args=[self._token, *values.values()])

    @contextmanager
    def _fenced(self) -> Iterator[None]:
        try:
            yield
        except ResponseError as error:
            if "FENCED" in str(error):
                raise FencedError(
                    f"{self.table}:{self.partition} is not as this worker left it: claimed by another worker, or Redis "
                    f"was emptied, set back or has lost a key ({error})"
                ) from error
            raise

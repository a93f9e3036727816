"""State in Redis: one atomic step for changed rows, input offsets and outputs; zombies are refused.

A partition of a table is loaded when it is assigned and lives in memory while it is owned; Redis is its durable copy.
Keys (the hash tag keeps a partition in one slot of a Redis cluster):

- ``mw:{securities:3}:rows``     hash, field → packed row
- ``mw:{securities:3}:offsets``  hash, topic/partition → next offset to read
- ``mw:{securities:3}:owner``    ``<token of the newest claim>/<steps it has stored>``
- ``mw:{securities:3}:outbox``   outputs of the last step, until they are acknowledged
- ``mw:{securities:3}:schema``   the schema of the rows, written by every step

**State of another release.** A claim names the schema that this release reads. Rows, offsets and outbox of any other
schema (of none: an early release) are deleted in the same atomic step as the claim, and the partition starts from the
beginning of its topics. Ids are functions of the inputs, so a consumer ignores what it has already received.

**Order of a step**: (1) one Lua script writes rows, offsets and the outputs themselves, if Redis still is exactly
as this owner left it; (2) the offset is committed to Kafka, which nothing but lag monitors look at; (3) the
outputs are published and their acknowledgements awaited, before the next step's (1). A crash between (1) and (3) is
healed by the next owner, who publishes the outbox again, byte for byte. So what was once published is never published
differently, nothing is published that isn't stored, and a worker that lost its partition without knowing (a zombie) is
refused *before* it publishes anything.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from redis.asyncio import Redis
from redis.asyncio.client import Pipeline
from redis.exceptions import ResponseError

from streams.errors import FencedError

# KEYS: owner, rows, offsets, outbox, schema. ARGV: token, steps stored before, outbox, schema, then counts and lists:
# set rows, deleted rows, offsets. A repeated step (the answer to it was lost) is already stored; any other
# state than the one this owner left (a newer claim, an emptied Redis, one that was restored from before) is refused.
_COMMIT = """
local owner = redis.call('GET', KEYS[1])
local before = tonumber(ARGV[2])
if owner == ARGV[1] .. '/' .. (before + 1) then return 0 end
if owner ~= ARGV[1] .. '/' .. before then
  return redis.error_reply('FENCED owner is ' .. tostring(owner) .. ', expected ' .. ARGV[1] .. '/' .. before)
end
local at = 5
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
redis.call('SET', KEYS[1], ARGV[1] .. '/' .. (before + 1))
return 1
"""
# KEYS as above. ARGV: token, schema. Returns the schema of what was deleted, or nil.
_CLAIM = """
redis.call('SET', KEYS[1], ARGV[1] .. '/0')
local schema = redis.call('GET', KEYS[5])
if schema == ARGV[2] or redis.call('EXISTS', KEYS[2], KEYS[3], KEYS[4]) == 0 then return nil end
redis.call('DEL', KEYS[2], KEYS[3], KEYS[4])
redis.call('SET', KEYS[5], ARGV[2])
return schema or ''
"""
_NOTHING = b""


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
    """

    rows: dict[str, bytes]
    offsets: dict[str, int]
    outbox: list[Output]
    schema: str = ""
    discarded: str | None = None


def table_key(namespace: str, table: str, partition: int) -> str:
    """Return the common beginning of a partition's keys."""
    return f"{namespace}:{{{table}:{partition}}}"


async def peek(redis: Redis, namespace: str, table: str, partition: int) -> Loaded:
    """Return what is stored of a partition at one moment, without claiming it."""
    pipe = redis.pipeline(transaction=True)
    return await _load(pipe, _keys(namespace, table, partition))


def _keys(namespace: str, table: str, partition: int) -> list[str]:
    base = table_key(namespace, table, partition)
    return [f"{base}:{part}" for part in ("owner", "rows", "offsets", "outbox", "schema")]


async def _load(pipe: Pipeline, keys: list[str]) -> Loaded:
    pipe.hgetall(keys[1])
    pipe.hgetall(keys[2])
    pipe.get(keys[3])
    pipe.get(keys[4])
    *claim, rows, offsets, outbox, schema = await pipe.execute()
    discarded = claim[0] if claim else None
    return Loaded(
        {name.decode(): value for name, value in rows.items()},
        {name.decode(): int(value) for name, value in offsets.items()},
        msgspec.msgpack.decode(outbox, type=list[Output]) if outbox else [],
        schema.decode() if schema else "",
        discarded.decode() if discarded is not None else None,
    )


class TablePartition:
    """One partition of one table, owned by this worker.

    Parameters
    ----------
    redis : a client that returns bytes.
    namespace, table, partition : make the keys.
    """

    def __init__(self, redis: Redis, namespace: str, table: str, partition: int) -> None:
        self.table = table
        self.partition = partition
        self.offsets: dict[str, int] = {}
        self.rows = 0
        self._redis = redis
        self._keys = _keys(namespace, table, partition)
        self._token, self._steps, self._schema = "", 0, ""
        self._script = redis.register_script(_COMMIT)
        self._claim_script = redis.register_script(_CLAIM)

    async def claim(self, schema: str) -> Loaded:
        """Become the owner and load what is stored; from now on every earlier owner is refused.

        Parameters
        ----------
        schema : that of the rows which this release reads and writes; state of any other schema is deleted.
        """
        token = uuid.uuid4().hex
        pipe = self._redis.pipeline(transaction=True)
        await self._claim_script(keys=self._keys, args=[token, schema], client=pipe)
        loaded = await _load(pipe, self._keys)
        self._token, self._steps, self._schema = token, 0, schema
        self.offsets = dict(loaded.offsets)
        self.rows = len(loaded.rows)
        return loaded

    async def commit(
        self, rows: Mapping[str, bytes | None], offsets: Mapping[str, int], outputs: Sequence[Output]
    ) -> None:
        """Store a step: all of it or nothing.

        Raises
        ------
        FencedError : if Redis is not as this owner left it; nothing was stored.
        """
        sets = [(name, value) for name, value in rows.items() if value is not None]
        gone = [name for name, value in rows.items() if value is None]
        outbox = msgspec.msgpack.encode(outputs) if outputs else _NOTHING
        arguments: list[Any] = [self._token, self._steps, outbox, self._schema, len(sets)]
        for pair in sets:
            arguments.extend(pair)
        arguments += [len(gone), *gone, len(offsets)]
        for name, offset in offsets.items():
            arguments += [name, offset]
        try:
            await self._script(keys=self._keys, args=arguments)
        except ResponseError as error:
            if "FENCED" in str(error):
                raise FencedError(
                    f"{self.table}:{self.partition} is not as this worker left it: claimed by another worker, or Redis "
                    f"was emptied or set back ({error})"
                ) from error
            raise
        self._steps += 1
        self.offsets.update(offsets)

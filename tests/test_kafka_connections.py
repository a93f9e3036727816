"""Connections of aiokafka: what becomes of a request whose connection is lost."""

from __future__ import annotations

import asyncio
import struct

import pytest
import uvloop
from aiokafka.conn import create_conn
from aiokafka.errors import KafkaConnectionError
from aiokafka.protocol.admin import ApiVersionResponse_v0
from aiokafka.protocol.metadata import MetadataRequest

from streams.kafka import connections as kafka_connections
from tests.resets import server_that_resets

_METADATA, _API_VERSIONS = 3, 18


async def _answer_versions(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer a client's first request."""
    (size,) = struct.unpack(">i", await reader.readexactly(4))
    _, _, correlation = struct.unpack(">hhi", (await reader.readexactly(size))[:8])
    body = ApiVersionResponse_v0(error_code=0, api_versions=[(_METADATA, 0, 5), (_API_VERSIONS, 0, 0)]).encode()
    answer = struct.pack(">i", correlation) + body
    writer.write(struct.pack(">i", len(answer)) + answer)
    await writer.drain()


async def _answer_versions_only(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer a client's first request, and hang up at the next one."""
    await _answer_versions(reader, writer)
    await reader.readexactly(4)
    writer.close()


def test_a_lost_connection_fails_its_requests_also_where_its_client_notices_first() -> None:
    kafka_connections.install()

    async def run() -> None:
        server = await asyncio.start_server(_answer_versions_only, "127.0.0.1", 0)
        async with server:
            connection = await create_conn("127.0.0.1", server.sockets[0].getsockname()[1])
            waiting = asyncio.ensure_future(connection.send(MetadataRequest([])))
            while connection.connected():  # as a client asks before each request
                await asyncio.sleep(0)
            del connection  # and forgets it
            with pytest.raises(KafkaConnectionError):
                await asyncio.wait_for(waiting, 10)

    asyncio.run(run())


def test_a_request_over_a_connection_that_was_just_reset_fails_as_one_of_kafka() -> None:
    kafka_connections.install()

    async def run() -> None:
        async with server_that_resets(_answer_versions) as port:
            connection = await create_conn("127.0.0.1", port)
            while connection._reader.exception() is None:
                await asyncio.sleep(0)
            with pytest.raises(KafkaConnectionError):
                await connection.send(MetadataRequest([]))
            assert not connection.connected()

    uvloop.run(run())


def test_a_connection_that_answers_no_more_is_given_up_after_a_request_for_metadata() -> None:
    kafka_connections.install()

    async def run() -> None:
        over = asyncio.Event()

        async def answer_versions_and_read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await _answer_versions(reader, writer)
            await reader.read()
            writer.close()
            over.set()

        server = await asyncio.start_server(answer_versions_and_read, "127.0.0.1", 0)
        async with server:
            connection = await create_conn("127.0.0.1", server.sockets[0].getsockname()[1], request_timeout_ms=200)
            with pytest.raises(TimeoutError):
                await connection.send(MetadataRequest([]))
            assert not connection.connected()
            await over.wait()

    asyncio.run(run())

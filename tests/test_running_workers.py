"""Tables are replaced while no worker of the namespace is connected to Redis."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from contextlib import AsyncExitStack

import pytest
from aiokafka.errors import KafkaConnectionError
from pydantic import SecretStr
from redis.exceptions import NoPermissionError
from typer.testing import CliRunner

from streams import rebuild
from streams import running_workers as running_workers_module
from streams.calendars import xshg
from streams.cli.main import app
from streams.clients import async_redis_client, redis_client
from streams.errors import RunningWorkersError
from streams.local.local_redis import EmbeddedRedis
from streams.local.processes import environment
from streams.running_workers import connected_workers, connection_name, running_workers
from streams.settings import Settings
from streams.stages.alerts_stage import AlertsStage
from streams.topics import Topics


@pytest.fixture
def settings(redis_server: EmbeddedRedis) -> Settings:
    return Settings(redis_url=redis_server.url, namespace="who runs")


@pytest.fixture
def restricted(settings: Settings) -> Iterator[Settings]:
    """A user who may do what the documentation grants, without ``client|list``."""
    with redis_client(settings) as redis:
        redis.acl_setuser(
            "few",
            enabled=True,
            passwords=["+few"],
            keys=["*"],
            categories=["+@all", "-@admin", "-@dangerous"],
            commands=["+keys", "+info"],
        )
        url = settings.redis.replace("redis://", "redis://few:few@")
        yield settings.model_copy(update={"redis_url": SecretStr(url)})
        redis.acl_deluser("few")


def seen(settings: Settings, *workers: Settings) -> list[str]:
    async def go() -> list[str]:
        async with AsyncExitStack() as stack:
            for one in workers:
                redis = async_redis_client(one, connection_name=connection_name(one))
                await (await stack.enter_async_context(redis)).ping()
            async with async_redis_client(settings) as redis:
                return await running_workers(settings, redis)

    return asyncio.run(go())


def status(settings: Settings, *options: str) -> str:
    result = CliRunner().invoke(app, ["status", *options], env=environment(settings), catch_exceptions=False)
    assert result.exit_code == 0
    return " ".join(result.stdout.split())


def test_the_status_names_the_workers_and_says_that_none_runs(settings: Settings, restricted: Settings) -> None:
    assert "no worker is connected to Redis, so nothing is computed: start one" in status(settings)
    with redis_client(settings) as redis:
        redis.client_setname(connection_name(settings))
        assert f"(process {os.getpid()})" in status(settings)
        assert len(json.loads(status(settings, "--json"))["workers"]) == 1
        assert "nothing shows whether workers run: give the user +client|list" in status(restricted)
        assert json.loads(status(restricted, "--json"))["workers"] is None


def test_a_worker_that_asks_nothing_hangs(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that is stopped keeps its connections: it stood among the workers as any other."""
    with redis_client(settings) as redis:
        redis.client_setname(connection_name(settings))
        assert json.loads(status(settings, "--json"))["workers_silent_s"] == {}
        monkeypatch.setattr(running_workers_module, "SILENT_S", 0)  # it asked just now
        (worker,) = json.loads(status(settings, "--json"))["workers_silent_s"]
        assert f"{worker} hangs, or is stopped, and computes nothing" in status(settings)


def test_a_worker_is_as_silent_as_its_busiest_connection(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    with redis_client(settings) as redis:
        listed = [{"name": connection_name(settings), "db": "0", "idle": idle} for idle in ("400", "3", "90")]
        monkeypatch.setattr(redis, "client_list", lambda _type: listed)
        assert list(connected_workers(settings, redis).values()) == [3]


def test_a_worker_is_seen_while_it_is_connected(settings: Settings) -> None:
    (found,) = seen(settings, settings, settings)
    assert found.endswith(f"(process {os.getpid()})")
    assert seen(settings) == []


def test_workers_of_other_namespaces_and_databases_are_other_systems(settings: Settings) -> None:
    other = settings.model_copy(update={"redis_url": SecretStr(settings.redis.removesuffix("0") + "1")})
    longer, beneath = (settings.model_copy(update={"namespace": f"who runs{more}"}) for more in ("2", "/2"))
    assert seen(settings, other, longer, beneath) == []
    assert len(seen(other, other)) == 1


def test_a_rebuild_beside_a_worker_is_refused_and_names_it(settings: Settings) -> None:
    async def go() -> None:
        async with async_redis_client(settings, connection_name=connection_name(settings)) as worker:
            await worker.ping()
            await asyncio.to_thread(rebuild.rebuild, settings, ["alerts"], reset=True)

    with pytest.raises(RunningWorkersError, match=rf"namespace who runs run.*process {os.getpid()}.*Stop them"):
        asyncio.run(go())
    with redis_client(settings) as redis:
        assert redis.keys("who runs:*") == []


def test_where_redis_lists_no_connections_a_rebuild_says_so(restricted: Settings) -> None:
    with redis_client(restricted) as redis, pytest.raises(NoPermissionError):
        redis.client_list()
    with pytest.raises(RunningWorkersError, match=r"no permissions.*\+client\|list.*--force"):
        rebuild.rebuild(restricted, ["alerts"])


def test_a_user_without_the_list_may_name_its_connections(restricted: Settings, settings: Settings) -> None:
    assert len(seen(settings, restricted)) == 1


def test_a_rebuild_that_fails_before_its_replay_leaves_no_producer_behind(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[type[BaseException] | None] = []

    class Recorder:
        """A publisher that records how it ends."""

        def __enter__(self) -> Recorder:
            return self

        def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
            ended.append(kind)

    async def no_answer(*_: object) -> int:
        raise KafkaConnectionError

    monkeypatch.setattr(rebuild, "Publisher", lambda *_, **__: Recorder())
    monkeypatch.setattr(rebuild, "_sequence_after", no_answer)

    async def go() -> None:
        stage = AlertsStage(settings, Topics(settings), xshg())
        async with async_redis_client(settings) as redis:
            await rebuild._partition(settings, stage, 0, redis, lambda *_: None, check=False, reset=False)

    with pytest.raises(KafkaConnectionError):
        asyncio.run(go())
    assert ended == [KafkaConnectionError]

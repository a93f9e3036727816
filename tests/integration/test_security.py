"""Everything works through TLS, SCRAM and ACLs on real servers, and secrets stay secret."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from pydantic import SecretStr
from redis.exceptions import AuthenticationError, NoPermissionError
from redis.exceptions import ConnectionError as RedisConnectionError

from alerts.commands import Acknowledge
from console.model import ConsoleModel
from feeds import simulate
from feeds.daily.publish import publish_days
from processors.days import to_day
from streams.calendars import xshg
from streams.clients import redis_client
from streams.console import Backend, RedisPreferences
from streams.errors import PublishError, TopicError
from streams.feed_services import open_ledger
from streams.local.local_kafka import ApacheKafka
from streams.local.local_redis import EmbeddedRedis
from streams.local.processes import environment
from streams.publisher import Publisher
from streams.rebuild import rebuild
from streams.settings import Settings
from streams.topics import Topics
from tests import secured
from tests.harness import SESSION_TIMEOUT_S, Stack, wait_until
from tests.integration.test_faults import problems
from tests.secured import PASSWORD, USER, Certificates, SecuredKafka, SecuredRedis

pytestmark = pytest.mark.kafka


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    reason = secured.missing()
    if reason:
        pytest.skip(f"secured servers can't run here: {reason}")
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def secured_redis(certificates: Certificates, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredRedis]:
    if reason := secured.redis_missing():
        pytest.skip(f"a secured Redis can't run here: {reason}")
    with SecuredRedis(tmp_path_factory.mktemp("redis"), certificates, keys="sec*") as server:
        yield server


@pytest.fixture(scope="module")
def secured_kafka(certificates: Certificates, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredKafka]:
    reason = ApacheKafka.missing()
    if reason:
        pytest.skip(f"Apache Kafka can't run here: {reason}")
    with SecuredKafka(tmp_path_factory.mktemp("kafka"), certificates) as server:
        server.allow("sec")
        yield server


@pytest.fixture
def settings(
    secured_kafka: SecuredKafka, secured_redis: SecuredRedis, certificates: Certificates, tmp_path: Path
) -> Settings:
    password = tmp_path / "password"
    password.write_text(PASSWORD + "\n")
    return Settings(
        kafka_url=secured_kafka.url,
        kafka_security_protocol="SASL_SSL",
        kafka_username=USER,
        kafka_password_file=password,
        kafka_ca_file=certificates.ca,
        redis_url=SecretStr(secured_redis.url),
        redis_ca_file=certificates.ca,
        group="sec",
        namespace="sec",
        topic_prefix="sec.",
        http_port=0,
        partitions=2,
        session_timeout_s=SESSION_TIMEOUT_S,
        log_level="debug",
    )


def test_a_worker_a_feed_and_a_rebuild_through_tls_scram_and_acls(settings: Settings, tmp_path: Path) -> None:
    Topics(settings).create()
    assert Topics(settings).problems() == []
    stack = Stack(settings, tmp_path)
    try:
        worker = stack.worker().ready()
        market = simulate.Market(simulate.Simulation(xshg(), to_day(date(2024, 6, 28)), days=30, stocks=20, funds=2))
        with open_ledger(settings) as kept, stack.publisher() as publisher:
            publish_days(publisher, market.history(), ledger=kept)
            barrier = stack.settle(publisher)
        assert len(stack.market(barrier))
        asyncio.run(console_shows_and_commands(settings))
        assert worker.terminate() == 0
        assert all(one.equal for one in rebuild(settings, (), check=True, on_progress=lambda *_: None))
        log = worker.log.read_text()
        assert "debug" in log.lower()
        assert PASSWORD not in log
    finally:
        stack.stop()


async def console_shows_and_commands(settings: Settings) -> None:
    """The console reads signals and the state of feeds, and publishes a command, through the same TLS and ACLs."""
    model = ConsoleModel(settings.parameters.streak_flags, xshg())
    backend = Backend(settings, model)
    await backend.start()
    try:
        async with asyncio.timeout(30):
            while not (model.latest and model.feeds) or model.trouble:
                await asyncio.sleep(0.05)
        await backend.publish(Acknowledge(alert="none", by="tests", at=datetime.now(UTC)))
        preferences = RedisPreferences(settings)
        await preferences.save("tests", {"language": "en"})
        assert await preferences.load("tests") == {"language": "en"}
        await preferences.close()
    finally:
        await backend.stop()


def command(settings: Settings, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "streams", *arguments],
        env=os.environ | environment(settings),
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_wrong_password_is_said_and_not_shown(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    wrong = settings.model_copy(update={"kafka_password_file": None, "kafka_password": SecretStr("wr0ng-secret")})
    with caplog.at_level(logging.DEBUG), pytest.raises(TopicError, match=f"user {USER}, its password") as caught:
        Topics(wrong).create()
    assert "wr0ng-secret" not in str(caught.value) + caplog.text
    with caplog.at_level(logging.DEBUG), pytest.raises(PublishError, match=f"user {USER}, its password") as refused:
        Publisher(wrong, source="test")
    assert "wr0ng-secret" not in str(refused.value) + caplog.text


def test_a_broker_whose_certificate_nobody_vouches_for_is_refused(
    settings: Settings, certificates: Certificates
) -> None:
    done = command(settings.model_copy(update={"kafka_ca_file": certificates.other_ca}), "topics", "create")
    assert done.returncode == 1
    assert "certificates (kafka_ca_file)" in " ".join(done.stderr.split()) and "Traceback" not in done.stderr


def test_a_mechanism_that_the_broker_does_not_offer_and_a_client_without_a_login_are_told(settings: Settings) -> None:
    plain = {"kafka_username": "", "kafka_password_file": None}
    for changes, expected in (
        ({"kafka_sasl_mechanism": "PLAIN"}, "does not offer kafka_sasl_mechanism PLAIN"),
        ({"kafka_security_protocol": "SSL", **plain}, "expects another kafka_security_protocol than SSL"),
    ):
        with pytest.raises(TopicError, match=expected):
            Topics(settings.model_copy(update=changes)).create()


def test_what_the_acls_do_not_allow_is_refused_by_name(settings: Settings) -> None:
    outside = settings.model_copy(update={"topic_prefix": "foreign."})
    done = command(outside, "topics", "create")
    assert done.returncode == 1
    assert "needs Create, Describe, Read and Write" in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_a_worker_whose_group_is_not_allowed_says_so_and_joins_once_it_is(
    secured_kafka: SecuredKafka, certificates: Certificates, redis_server: EmbeddedRedis, tmp_path: Path
) -> None:
    (tmp_path / "password").write_text(PASSWORD)
    of_group = Settings(
        kafka_url=secured_kafka.url, kafka_security_protocol="SASL_SSL", kafka_username=USER,
        kafka_password_file=tmp_path / "password", kafka_ca_file=certificates.ca,
        redis_url=SecretStr(redis_server.url), group="grouped", namespace="grouped", topic_prefix="sec.", http_port=0,
        partitions=2, session_timeout_s=SESSION_TIMEOUT_S,
    )  # fmt: skip
    Topics(of_group).create()
    stack = Stack(of_group, tmp_path)
    try:
        worker = stack.worker()
        wait_until(lambda: "group" in problems(worker), what="a red readyz that names the group")
        assert "not in the consumer group grouped: Kafka refuses it, check the ACLs" in str(problems(worker)["group"])
        secured_kafka.allow("grouped")
        worker.ready()
        assert worker.terminate() == 0
    finally:
        stack.stop()


def test_redis_wants_its_ca_its_user_and_its_keys(settings: Settings, certificates: Certificates) -> None:
    with redis_client(settings) as redis:
        redis.set("sec:x", 1)
        with pytest.raises(NoPermissionError):
            redis.set("other:x", 1)
    with (
        redis_client(settings.model_copy(update={"redis_ca_file": certificates.other_ca})) as redis,
        pytest.raises(RedisConnectionError, match=r"(?i)certificate"),
    ):
        redis.ping()
    url = settings.redis.replace(PASSWORD, "wr0ng-secret")
    with redis_client(settings.model_copy(update={"redis_url": SecretStr(url)})) as redis:
        with pytest.raises(AuthenticationError) as caught:
            redis.ping()
        assert "wr0ng" not in str(caught.value) + repr(redis)
    done = command(settings.model_copy(update={"redis_url": SecretStr(url)}), "latest", "market")
    assert done.returncode == 1
    assert "wr0ng-secret" not in done.stderr and "Traceback" not in done.stderr

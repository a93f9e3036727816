"""Settings of TLS and SASL: what clients get, what is refused, and that nothing secret is printed."""

from __future__ import annotations

import logging
import shutil
import ssl
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr

from streams.clients import faust_credentials, redis_client
from streams.errors import SecurityError
from streams.local.processes import environment
from streams.security import kafka_options
from streams.settings import Settings
from tests.secured import Certificates

SECRET = "n0body-must-see-this"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl")
    return Certificates(tmp_path_factory.mktemp("certificates"))


def sasl(**more: object) -> Settings:
    given = {"kafka_security_protocol": "SASL_PLAINTEXT", "kafka_username": "desk", "kafka_password": SecretStr(SECRET)}
    return Settings(**(given | more))


def test_without_settings_nothing_changes() -> None:
    assert kafka_options(Settings()) == {"security_protocol": "PLAINTEXT"}
    assert faust_credentials(Settings()) is None


def test_scram_and_tls_reach_every_kind_of_client(certificates: Certificates) -> None:
    settings = sasl(kafka_security_protocol="SASL_SSL", kafka_ca_file=certificates.ca)
    options = kafka_options(settings)
    assert options["sasl_mechanism"] == "SCRAM-SHA-512"
    assert options["sasl_plain_password"] == SECRET
    context = options["ssl_context"]
    assert context.verify_mode is ssl.CERT_REQUIRED and context.check_hostname
    credentials = faust_credentials(settings)
    assert (credentials.username, credentials.mechanism.value) == ("desk", "SCRAM-SHA-512")
    assert credentials.protocol.value == "SASL_SSL"
    tls = Settings(kafka_security_protocol="SSL", kafka_ca_file=certificates.ca,
                   kafka_cert_file=certificates.certificate, kafka_key_file=certificates.key)  # fmt: skip
    assert faust_credentials(tls).protocol.value == "SSL"
    assert "sasl_mechanism" not in kafka_options(tls)


def test_a_password_may_come_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_text(f"{SECRET}\n")
    settings = sasl(kafka_password=SecretStr(""), kafka_password_file=path)
    assert kafka_options(settings)["sasl_plain_password"] == SECRET
    assert environment(settings)["MARGINWATCH_KAFKA_PASSWORD"] == SECRET  # for our own child process alone


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"kafka_security_protocol": "SASL_SSL"}, "needs kafka_username and kafka_password"),
        ({"kafka_security_protocol": "SASL_PLAINTEXT", "kafka_username": "x"}, "kafka_password"),
        ({"kafka_username": "x"}, "kafka_username would not be used"),
        ({"kafka_security_protocol": "SSL", "kafka_ca_file": Path("/nowhere/ca.pem")}, "/nowhere/ca.pem"),
        ({"kafka_security_protocol": "SSL", "kafka_cert_file": Path(__file__)}, "can't be read as PEM"),
        ({"kafka_security_protocol": "SSL", "kafka_key_file": Path("k.pem")}, "needs kafka_cert_file"),
        (
            {"kafka_security_protocol": "SASL_PLAINTEXT", "kafka_username": "x", "kafka_password_file": Path("/no/p")},
            "/no/p",
        ),
    ],
)
def test_settings_that_can_not_work_are_refused(settings: dict[str, object], said: str) -> None:
    with pytest.raises(SecurityError, match=said):
        kafka_options(Settings(**settings))


def test_a_ca_for_redis_without_tls_is_refused(certificates: Certificates) -> None:
    with pytest.raises(SecurityError, match="rediss://"):
        redis_client(Settings(redis_ca_file=certificates.ca))


def test_secrets_are_not_printed(caplog: pytest.LogCaptureFixture) -> None:
    settings = sasl(redis_url=SecretStr(f"redis://:{SECRET}@127.0.0.1:1/0"))
    options = kafka_options(settings)
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("kafka").debug("starting with %s", options)
    with redis_client(settings) as redis:
        told = [
            repr(settings),
            str(settings),
            repr(options),
            repr(faust_credentials(settings)),
            caplog.text,
            repr(redis),
        ]
    assert not [text for text in told if SECRET in text]


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_traceback_in_the_log_shows_no_variable(form: str) -> None:
    lines = (
        "import structlog",
        "from streams.logs import configure",
        "def used(key):",
        "    raise ValueError('a mistake')",
        f"configure('info', {form!r})",
        "try:",
        "    used('-'.join(['hush', 'hush']))",
        "except ValueError:",
        "    structlog.get_logger().exception('failed')",
    )
    ran = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=True)
    assert "a mistake" in ran.stderr
    assert "hush-hush" not in ran.stderr

"""Why a broker and a client refuse each other is named, without a broker: servers that shake hands and hang up."""

from __future__ import annotations

import contextlib
import re
import shutil
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.clients import unreachable
from streams.kafka.handshake import refusal
from streams.local.local_service import LOOPBACK, free_port
from streams.security import kafka_options
from streams.settings import Settings
from tests.secured import Certificates


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl")
    return Certificates(tmp_path_factory.mktemp("certificates"))


@contextlib.contextmanager
def server(certificates: Certificates | None) -> Iterator[int]:
    """Accept connections, over TLS where there are certificates, and close each at its request; yield the port."""
    context = None
    if certificates is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificates.certificate, certificates.key)
    with socket.create_server((LOOPBACK, 0)) as listener:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with contextlib.suppress(OSError), connection:
                        one = context.wrap_socket(connection, server_side=True) if context else connection
                        one.recv(4096)
                        one.close()

        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize(
    ("host", "protocol", "trusts", "tls", "expected"),
    [
        (
            "localhost",
            "SSL",
            "ca",
            True,
            "not valid for 'localhost'.*MARGINWATCH_KAFKA_URL must name the broker",
        ),
        (LOOPBACK, "SSL", "other_ca", True, "unable to get local issuer certificate.*kafka_ca_file"),
        (LOOPBACK, "PLAINTEXT", None, True, "expects another kafka_security_protocol than PLAINTEXT"),
        (LOOPBACK, "SSL", "ca", False, "expects another kafka_security_protocol than SSL"),
    ],
)
def test_what_a_broker_and_a_client_refuse_each_other_for_is_named_with_the_remedy(
    certificates: Certificates, host: str, protocol: str, trusts: str | None, tls: bool, expected: str
) -> None:
    ca: Path | None = getattr(certificates, trusts) if trusts else None
    with server(certificates if tls else None) as port:
        settings = Settings(kafka_url=f"kafka://{host}:{port}", kafka_security_protocol=protocol, kafka_ca_file=ca)
        found = refusal(settings.bootstrap, kafka_options(settings))
        assert re.search(f"at {host}:{port} and this client refuse each other: .*{expected}", found), found
        assert unreachable(settings, OSError("no answer")) == found


def test_a_broker_that_is_away_refuses_nothing() -> None:
    assert refusal([f"{LOOPBACK}:{free_port()}", "no.such.host.invalid:9092"], kafka_options(Settings())) == ""

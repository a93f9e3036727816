"""Why a broker that answers and this client refuse each other: the clients of both libraries only say "no broker"."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

from aiokafka import client
from aiokafka.conn import create_conn
from aiokafka.errors import IllegalSaslStateError, KafkaError, SaslAuthenticationFailed, UnsupportedSaslMechanismError

_PATIENCE_S = 3.0


def refusal(servers: Sequence[str], options: Mapping[str, Any]) -> str:
    """Return why the first broker that answers and this client refuse each other, and what to check; else nothing.

    Parameters
    ----------
    servers : ``host:port`` each.
    options : of `streams.security.kafka_options`.
    """
    with ThreadPoolExecutor(1) as thread:  # the caller may have an event loop
        return thread.submit(asyncio.run, _refusal(servers, options)).result()


async def _refusal(servers: Sequence[str], options: Mapping[str, Any]) -> str:
    for server in servers:
        try:
            await asyncio.wait_for(_greet(server, options), _PATIENCE_S)
        except (KafkaError, OSError, ValueError) as error:
            if found := _described(error, options):
                return f"the Kafka broker at {server} and this client refuse each other: {found}"
    return ""


async def _greet(server: str, options: Mapping[str, Any]) -> None:
    at = urlsplit(f"//{server}")
    connection = await create_conn(at.hostname, at.port, **options)
    try:
        # A listener that wants a login closes the connection at the first question behind the versions.
        await connection.send(client.MetadataRequest([]))
    finally:
        connection.close()


def _described(error: Exception, options: Mapping[str, Any]) -> str:
    """Return what is refused and the remedy; empty for a broker that is away."""
    protocol, user = options["security_protocol"], options.get("sasl_plain_username")
    match error:
        case ssl.SSLCertVerificationError():
            return (
                f"its certificate is not accepted ({error.verify_message}): MARGINWATCH_KAFKA_URL must name the broker "
                "as its certificate does, the certificate must be in date, and signed by the certificates "
                "(kafka_ca_file)"
            )
        case SaslAuthenticationFailed():
            return f"it does not accept the user {user}, its password or kafka_sasl_mechanism ({error})"
        case UnsupportedSaslMechanismError():
            return f"it does not offer kafka_sasl_mechanism {options['sasl_mechanism']}"
        case ssl.SSLError() | IllegalSaslStateError():
            return f"it does not speak kafka_security_protocol {protocol} there ({error})"
        case ConnectionResetError() | KafkaError():
            return (
                f"it closes the connection, as a broker does that expects another kafka_security_protocol than "
                f"{protocol}, or a certificate of the client (kafka_cert_file)"
            )
        case _:
            return ""

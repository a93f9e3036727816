"""How clients prove who they are: TLS, SASL (SCRAM) and ACL users for Kafka and Redis, from the settings.

Every client of Kafka and Redis is made with what stands here. Secrets come by environment or by a file, never by an
argument, and are never printed: not in logs (a client that logs its options logs stars), not in errors.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from redis import Redis
from redis.asyncio import Redis as AsyncRedis

from processors.errors import MarginwatchError
from streams.settings import Settings

_STARS = "**********"


class SecurityError(MarginwatchError):
    """Settings of TLS or SASL that can't work, or a file of them that can't be read."""


class Secret(str):
    """A text that clients can use and nobody prints by accident: libraries log the options that they are given."""

    __slots__ = ()

    def __repr__(self) -> str:
        return _STARS


def kafka_options(settings: Settings) -> dict[str, Any]:
    """Return what a client of Kafka needs besides its servers; aiokafka and kafka-python know the same names.

    Raises
    ------
    SecurityError : if a user or a password is missing, or a certificate can't be read.
    """
    protocol = settings.kafka_security_protocol
    options: dict[str, Any] = {"security_protocol": protocol}
    if protocol == "PLAINTEXT":
        unused = [n for n in ("kafka_username", "kafka_ca_file", "kafka_cert_file") if getattr(settings, n)]
        if unused:
            raise SecurityError(
                f"{', '.join(unused)} would not be used: set kafka_security_protocol to SSL, SASL_SSL or SASL_PLAINTEXT"
            )
        return options
    if protocol.endswith("SSL"):
        options["ssl_context"] = _context(settings.kafka_ca_file, settings.kafka_cert_file, settings.kafka_key_file)
    if protocol.startswith("SASL"):
        password = kafka_password(settings)
        if not settings.kafka_username or not password:
            raise SecurityError(
                f"kafka_security_protocol {protocol} needs kafka_username and kafka_password or kafka_password_file"
            )
        options |= {
            "sasl_mechanism": settings.kafka_sasl_mechanism,
            "sasl_plain_username": settings.kafka_username,
            "sasl_plain_password": password,
        }
    return options


def no_broker(settings: Settings, error: Exception) -> str:
    """Say that no broker let us in, and what to look at: a broker that refuses a user just hangs up."""
    said = f"no Kafka broker answers at {', '.join(settings.bootstrap)} ({error}): "
    if settings.kafka_security_protocol == "PLAINTEXT":
        return f"{said}start one, set MARGINWATCH_KAFKA_URL, or use `marginwatch up`"
    user = f" user {settings.kafka_username}, its password," if settings.kafka_username else ""
    return (
        f"{said}it is not there, or it and we refused each other over {settings.kafka_security_protocol}: look at"
        f"{user} kafka_sasl_mechanism ({settings.kafka_sasl_mechanism}) and the certificates (kafka_ca_file)"
    )


def kafka_password(settings: Settings) -> Secret:
    """Return the password in clear text, for the client alone; raises `SecurityError` if its file can't be read."""
    return _secret("kafka_password", settings.kafka_password, settings.kafka_password_file)


def tushare_token(settings: Settings) -> Secret:
    """Return the token of tushare in clear text, for its client alone; raises `SecurityError` if there is none."""
    token = _secret("tushare_token", settings.tushare_token, settings.tushare_token_file)
    if not token:
        raise SecurityError(
            "tushare wants a token: set MARGINWATCH_TUSHARE_TOKEN_FILE to a file that holds it, or "
            "MARGINWATCH_TUSHARE_TOKEN; an account at tushare.pro shows it"
        )
    return token


def _secret(name: str, value: SecretStr | None, file: Path | None) -> Secret:
    """Return a secret of the settings; raises `SecurityError` if its file can't be read."""
    if file is None:
        return Secret(value.get_secret_value() if value is not None else "")
    try:
        return Secret(file.read_text("utf-8").strip())
    except (OSError, UnicodeDecodeError) as error:
        raise SecurityError(f"{name}_file {file} can't be read: {getattr(error, 'strerror', 'no text')}") from error


def faust_credentials(settings: Settings) -> Any:
    """Return `kafka_options` as Faust wants them; None where nothing is protected."""
    from faust import SASLCredentials, SSLCredentials

    options = kafka_options(settings)
    context = options.get("ssl_context")
    if "sasl_mechanism" in options:
        return SASLCredentials(
            username=options["sasl_plain_username"],
            password=options["sasl_plain_password"],
            mechanism=options["sasl_mechanism"],
            ssl_context=context,
        )
    return SSLCredentials(context) if context is not None else None


def connect_redis(settings: Settings, *, timeout_s: float | None = 10) -> Redis:
    """Return a client of Redis; it connects with its first command."""
    return Redis.from_url(settings.redis, **_redis_options(settings, timeout_s))


def connect_redis_async(settings: Settings, *, timeout_s: float | None = 10) -> AsyncRedis:
    """Return an asyncio client of Redis; it connects with its first command."""
    return AsyncRedis.from_url(settings.redis, **_redis_options(settings, timeout_s))


def _redis_options(settings: Settings, timeout_s: float | None) -> dict[str, Any]:
    options: dict[str, Any] = {"socket_timeout": timeout_s, "socket_connect_timeout": 5}
    if settings.redis_ca_file is not None:
        if not settings.redis.startswith("rediss://"):
            raise SecurityError("redis_ca_file would not be used: the Redis URL must begin with rediss:// for TLS")
        _context(settings.redis_ca_file, None, None)  # redis-py would tell of an unreadable file much later
        options["ssl_ca_certs"] = str(settings.redis_ca_file)
    return options


def _context(ca: Path | None, certificate: Path | None, key: Path | None) -> ssl.SSLContext:
    """A context that verifies the server's certificate and its name, always."""
    try:
        context = ssl.create_default_context(cafile=str(ca) if ca is not None else None)
    except (OSError, ssl.SSLError) as error:
        raise SecurityError(f"the CA file {ca} can't be read as PEM certificates: {error}") from error
    if key is not None and certificate is None:
        raise SecurityError(f"kafka_key_file {key} needs kafka_cert_file, its certificate")
    if certificate is not None:
        try:
            context.load_cert_chain(certificate, key, password=_no_passphrase)
        except (OSError, ssl.SSLError) as error:
            told = f"{certificate}{f' and the key {key}' if key is not None else ''}"
            raise SecurityError(f"the certificate {told} can't be read as PEM: {error}") from error
    return context


def _no_passphrase() -> str:
    raise SecurityError("the key is encrypted: give one without a passphrase, readable by this user alone")

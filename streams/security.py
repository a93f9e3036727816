"""Credentials from the settings: TLS contexts, SASL users and tokens, for `streams.clients` and the feeds.

Secrets come by environment or by a file, never by an argument, and are never printed: not in logs (a client that logs
its options logs asterisks), not in errors.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from streams.errors import SecurityError
from streams.settings import Settings

_ASTERISKS = "**********"


class Secret(str):
    """A string whose repr shows asterisks: libraries log the options that they are given."""

    __slots__ = ()

    def __repr__(self) -> str:
        return _ASTERISKS


def kafka_options(settings: Settings) -> dict[str, Any]:
    """Return the security options of a Kafka client; aiokafka and kafka-python use the same names.

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
        options["ssl_context"] = tls_context(settings.kafka_ca_file, settings.kafka_cert_file, settings.kafka_key_file)
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


def kafka_password(settings: Settings) -> Secret:
    """Return the password in clear text, for clients only; raises `SecurityError` if its file can't be read."""
    return _secret("kafka_password", settings.kafka_password, settings.kafka_password_file)


def tushare_token(settings: Settings) -> Secret:
    """Return the tushare token in clear text, for its client only; raises `SecurityError` if there is none."""
    token = _secret("tushare_token", settings.tushare_token, settings.tushare_token_file)
    if not token:
        raise SecurityError(
            "tushare requires a token: set MARGINWATCH_TUSHARE_TOKEN_FILE to a file that contains it, or "
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


def tls_context(ca: Path | None, certificate: Path | None = None, key: Path | None = None) -> ssl.SSLContext:
    """Return a context that verifies the server's certificate and its name, always.

    Parameters
    ----------
    ca : PEM certificates that sign the server's; None for the system's own.
    certificate, key : PEM files of this client, for mutual TLS.

    Raises
    ------
    SecurityError : if a file can't be read as PEM, or a key has no certificate.
    """
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
            files = f"{certificate}{f' and the key {key}' if key is not None else ''}"
            raise SecurityError(f"the certificate {files} can't be read as PEM: {error}") from error
    return context


def _no_passphrase() -> str:
    raise SecurityError("the key is encrypted: provide one without a passphrase, readable by this user only")

"""All settings: environment ``MARGINWATCH_*``, a TOML file, defaults. They are data; nothing is built from them here.

The TOML file is ``marginwatch.toml`` in the working directory, or the file that ``MARGINWATCH_CONFIG`` names. Nested
names use two underscores in the environment: ``MARGINWATCH_PARAMETERS__RATIO_HOT=0.105``. A list in the environment is
comma separated or a JSON list: ``MARGINWATCH_PARAMETERS__STREAK_FLAGS=3,4`` or ``[3, 4]``. A table in the environment
is a JSON object: ``MARGINWATCH_DEADLINES={"margin.daily": "09:10"}``.
"""

from __future__ import annotations

import difflib
import json
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import fields
from datetime import time
from pathlib import Path
from typing import Annotated, Any, Literal, get_origin, get_type_hints
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from alerts.delivery.channel import Channel
from processors.codes import EXCHANGES
from processors.deadlines import DEADLINES, Deadline
from processors.parameters import Parameters
from streams.errors import SettingsError

#: The parameters that are lists: the environment gives them as text.
_LIST_PARAMETERS = frozenset(name for name, kind in get_type_hints(Parameters).items() if get_origin(kind) is tuple)
_PREFIX = "MARGINWATCH_"
#: Shortest token of the console: ten attempts in five minutes do not find one.
_TOKEN_LEAST = 8
_DEFAULT_FILE = Path("marginwatch.toml")
#: Variables with the prefix that others read: the name of the settings file, and folders of data for tests.
_NO_SETTINGS = ("CONFIG", "DATA", "PAYLOADS")
#: What Kubernetes sets in every container beside a service that is called marginwatch.
_KUBERNETES = re.compile(r"_SERVICE_(HOST|PORT)|_PORT(_\d+_[A-Z]+(_[A-Z]+)?)?=(tcp|udp|[\d.]+)")
#: The limit of the topics themselves: an oversized message reaches the dead-letter topic with its bytes.
MAX_BROKER_BYTES = 64 * 1024 * 1024


class Settings(BaseSettings):
    """The settings of workers, feeds, console and commands."""

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX,
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        hide_input_in_errors=True,  # it may be a secret
    )

    kafka_url: str = Field("kafka://127.0.0.1:9092", description="Kafka bootstrap servers, comma separated")
    redis_url: SecretStr = Field(
        SecretStr("redis://127.0.0.1:6379/0"),
        description="Redis, rediss:// for TLS; may contain a password, never printed",
    )
    redis_url_file: Path | None = Field(None, description="a file with the Redis URL (a secret)")
    redis_ca_file: Path | None = Field(None, description="PEM certificates of Redis' authority (rediss://)")
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="TLS, SASL, both or neither"
    )
    kafka_sasl_mechanism: Literal["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"] = Field(
        "SCRAM-SHA-512", description="SASL mechanism"
    )
    kafka_username: str = Field("", description="SASL user")
    kafka_password: SecretStr = Field(SecretStr(""), description="SASL password; never printed")
    kafka_password_file: Path | None = Field(None, description="a file with the password (a secret)")
    kafka_ca_file: Path | None = Field(
        None, description="PEM certificates of the brokers' authority; default: the system's"
    )
    kafka_cert_file: Path | None = Field(None, description="PEM certificate of this client, for mutual TLS")
    kafka_key_file: Path | None = Field(None, description="its key, PEM without a passphrase (a secret)")
    group: str = Field("marginwatch", pattern=r"^\S+$", description="consumer group; also the name of the Faust app")
    namespace: str = Field("mw", pattern=r"^[^{}]*[^\s{}][^{}]*$", description="prefix of every Redis key")
    topic_prefix: str = Field(
        "", pattern=r"^[a-zA-Z0-9._-]{0,200}$", description="prefix of every topic, for several systems on one cluster"
    )

    partitions: int = Field(4, ge=1, le=1024, description="partitions of the topics keyed by security")
    replication: int = Field(1, ge=1, description="replication factor of created topics")
    retention_days: int = Field(3650, ge=1, description="retention of input topics in days; a rebuild reads them")
    max_message_bytes: int = Field(
        10 * 1024 * 1024, ge=1024, le=MAX_BROKER_BYTES, description="a larger input is refused (dead-lettered)"
    )

    exchanges: Annotated[tuple[str, ...], NoDecode] = Field(
        ("SSE", "SZSE"), description="exchanges that make up the market"
    )
    calendar_file: Path | None = Field(
        None, description="TOML with sessions and holidays that the trading calendar lacks, see `marginwatch calendar`"
    )
    code_changes_file: Path | None = Field(
        None,
        description="CSV (old, new, date) of codes that changed: a security's history continues under its newest code. "
        "Every worker and feed needs the same file; a change of it rebuilds the state",
    )
    chart_model: Path | None = Field(
        None,
        description="folder of a chart model, see `marginwatch charts train`; without one the chart signals are "
        "absent. Every worker needs the same model; another one scores all weeks again",
    )
    parameters: Parameters = Parameters()

    tushare_token: SecretStr | None = Field(None, description="token of an account at tushare.pro; never printed")
    tushare_token_file: Path | None = Field(None, description="a file with the token (a secret)")
    tushare_url: str = Field("https://api.tushare.pro", description="address of tushare's API")
    sse_url: str = Field("https://query.sse.com.cn", description="address of Shanghai's public figures")
    szse_url: str = Field("https://www.szse.cn", description="address of Shenzhen's public figures")
    bse_url: str = Field("https://www.bse.cn", description="address of Beijing's public figures")
    eastmoney_url: str = Field(
        "https://datacenter-web.eastmoney.com", description="address of Eastmoney's public figures"
    )
    pages_pause_s: float = Field(
        1.0, ge=0, description="the least time between two requests of a site with public figures, seconds"
    )

    channels: dict[str, Channel] = Field(
        {}, description="receivers of notifications: [channels.NAME] tables, see Operations, Channels"
    )
    console_url: str = Field("", description="address of the console for links in notifications")
    console_host: str = Field(
        "127.0.0.1", description="address that the console listens on; any but a loopback address requires login"
    )
    console_port: int = Field(6067, ge=1, le=65535, description="port of the console")
    console_users_file: Path | None = Field(
        None, description="lines name:hash of the users, as `marginwatch console-password` prints them"
    )
    console_token: SecretStr | None = Field(
        None,
        description="a secret that is accepted as the password of any other name, and as a bearer token; "
        f"at least {_TOKEN_LEAST} characters",
    )
    study_data: Path | None = Field(
        None, description="folder of market files on which the console's page of studies computes"
    )
    study_store: Path = Field(
        Path("~/.cache/marginwatch/studies"),
        description="folder of the results of studies, by version of the data; `marginwatch study --store` writes it",
    )
    positions_secret: SecretStr | None = Field(
        None, description="key of the signatures of margin positions by webhook; or secret_file in the plan"
    )
    rules_file: Path | None = Field(None, description="TOML with your own rules and changes to the built-in ones")

    http_host: str = Field("127.0.0.1", description="address that /metrics, /healthz and /readyz listen on")
    http_port: int = Field(6066, ge=0, le=65535, description="port of /metrics, /healthz and /readyz; 0 for a free one")
    fetch_max_wait_ms: int = Field(
        10, ge=1, description="how long the broker delays an empty fetch that other partitions wait for, ms"
    )
    session_timeout_s: float = Field(
        8.0, ge=1, description="a worker without a heartbeat for this long loses its partitions, seconds"
    )
    deadlines: dict[str, time] = Field(
        {},
        description="feed → time in Shanghai at which an incomplete day is closed, e.g. "
        '"margin.daily" = "09:10" (on T+1)',
    )
    deadline_quiet_s: float = Field(
        900.0, gt=0, description="no deadline closes a feed that sent a row within this many seconds (a backfill)"
    )
    deadline_gap_days: int = Field(
        10,
        ge=0,
        description="days without a row are closed by deadline for this many trading days; then the feed has ended",
    )
    stale_after_s: float = Field(
        180.0, gt=0, description="live prices that stop for this many seconds within a session raise an alert"
    )
    stall_after_s: float = Field(
        60.0, gt=0, description="no progress with unread messages, or a rebalance, for this many seconds: not ready"
    )
    dead_letters_per_hour: int = Field(
        100, ge=1, description="more refused messages of a topic in an hour raise a data-quality alert"
    )

    quarantine_limit: int = Field(
        20,
        ge=0,
        description="messages of a topic in a row whose computation fails and that are set aside as dead letters; the "
        "partition stalls at one more. 0: it stalls at the first",
    )

    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="lowest level that is logged")
    log_format: Literal["text", "json"] = Field("text", description="format of log lines; json for machines")

    @field_validator("kafka_url")
    @classmethod
    def _brokers(cls, value: str) -> str:
        if not all(part.split("://")[-1].strip() for part in value.replace(";", ",").split(",")):
            raise ValueError("an address is empty: write HOST:PORT, several separated by commas")
        return value

    @field_validator("redis_url")
    @classmethod
    def _redis_address(cls, value: SecretStr) -> SecretStr:
        _check_redis_url(value.get_secret_value())
        return value

    @field_validator("console_token")
    @classmethod
    def _long_token(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value) < _TOKEN_LEAST:
            raise ValueError(
                f"the token has {len(value)} characters: write at least {_TOKEN_LEAST}, as of `openssl rand -hex 24`"
            )
        return value

    @field_validator("parameters", mode="before")
    @classmethod
    def _parameter_lists(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        return {n: _list_of(v, f"parameters.{n}") if n in _LIST_PARAMETERS else v for n, v in value.items()}

    @field_validator("exchanges", mode="before")
    @classmethod
    def _exchange_list(cls, value: Any) -> Any:
        return _list_of(value, "exchanges")

    @field_validator("exchanges")
    @classmethod
    def _known_exchanges(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [e for e in value if e not in EXCHANGES]
        if unknown or not value:
            raise ValueError(f"unknown exchange {', '.join(unknown) or '(none)'}: choose from {', '.join(EXCHANGES)}")
        return value

    @field_validator("deadlines")
    @classmethod
    def _known_feeds(cls, value: dict[str, time]) -> dict[str, time]:
        unknown = sorted(set(value) - set(DEADLINES))
        if unknown:
            raise ValueError(f"no deadline for {', '.join(unknown)}: choose from {', '.join(DEADLINES)}")
        return value

    def due(self, topic: str) -> Deadline:
        """Return the time at which a day of a feed is due."""
        default = DEADLINES[topic]
        return Deadline(self.deadlines.get(topic, default.at), default.next_session)

    @property
    def bootstrap(self) -> list[str]:
        """Kafka bootstrap servers as ``host:port``."""
        return [part.split("://")[-1] for part in self.kafka_url.replace(";", ",").split(",")]

    @property
    def redis(self) -> str:
        """The Redis URL in clear text, for the client alone."""
        if self.redis_url_file is not None:
            try:
                url = self.redis_url_file.read_text("utf-8").strip()
                _check_redis_url(url)
            except (OSError, ValueError) as error:
                raise SettingsError(f"redis_url_file {self.redis_url_file}: {error}") from error
            return url
        return self.redis_url.get_secret_value()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order of precedence: arguments, environment, TOML file.

        Raises
        ------
        SettingsError : for an environment variable that is no setting, and for a file that can't be read or is no TOML.
        """
        _check_names(os.environ, settings_cls)
        path = _settings_file()
        if path != _DEFAULT_FILE and not path.is_file():
            raise SettingsError(f"MARGINWATCH_CONFIG names {path}, which is no file: correct or unset it")
        if path.is_dir():
            raise SettingsError(f"{path} is a folder: remove it, or name the settings file in MARGINWATCH_CONFIG")
        try:
            return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, toml_file=path)
        except tomllib.TOMLDecodeError as error:
            raise SettingsError(f"{path} is no TOML: {error}") from error
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", "it is not UTF-8")
            raise SettingsError(
                f"the settings file {path} can't be read ({reason}): write it in UTF-8, readable by this user, or name "
                "another one in MARGINWATCH_CONFIG"
            ) from error


def describe_problem(problem: ErrorDetails) -> str:
    """Describe a setting that can't be: its variable, or its key and the settings file, and what to do."""
    names = [str(name) for name in problem["loc"]]
    message = problem["msg"]
    if problem["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        known = {1: list(Settings.model_fields), 2: [field.name for field in fields(Parameters)]}.get(len(names), [])
        near = difflib.get_close_matches(names[-1], known, 1)
        message = f"no such setting: {f'did you mean {near[0]}? Otherwise remove it' if near else 'remove it'}"
    variables = {name.upper() for name in os.environ}
    for depth in range(len(names), 0, -1):
        if (variable := _PREFIX + "__".join(names[:depth]).upper()) in variables:
            return f"{'.'.join([variable, *names[depth:]])}: {message}"
    where = f" in {path}" if (path := _settings_file()).is_file() else ""
    return f"{'.'.join(names)}{where}: {message}"


def _settings_file() -> Path:
    return Path(os.environ.get("MARGINWATCH_CONFIG") or _DEFAULT_FILE)


def _check_redis_url(url: str) -> None:
    """Raise `ValueError` unless Redis can be found by a URL; the message does not contain it, nor its password."""
    try:
        parts = urlsplit(url)
        known = parts.scheme in ("redis", "rediss", "unix") and (parts.port is None or parts.port > 0)
    except ValueError:
        known = False
    if not known:
        raise ValueError("no URL of Redis: write redis://HOST:PORT/0, rediss:// for TLS, or unix://PATH")


def _check_names(environment: Mapping[str, str], settings: type[BaseSettings]) -> None:
    """Raise `SettingsError` for a variable ``MARGINWATCH_*`` that is no setting, or not the table that it must be."""
    known = {
        name.upper(): get_origin(info.annotation) or info.annotation for name, info in settings.model_fields.items()
    }
    for name, value in environment.items():
        setting, _, nested = name.upper().removeprefix(_PREFIX).partition("__")
        if not name.upper().startswith(_PREFIX) or setting in _NO_SETTINGS:
            continue
        if setting in known:
            if not nested and known[setting] in (dict, Parameters):
                _require_object(name, value)
            continue
        if _KUBERNETES.search(f"{name}={value}"):
            continue
        near = difflib.get_close_matches(setting, known, 1)
        hint = f"did you mean {_PREFIX}{near[0]}? Otherwise unset it" if near else "unset it"
        raise SettingsError(f"{name} in the environment is no setting: {hint}")


def _require_object(name: str, value: str) -> None:
    """Raise `SettingsError` unless a variable contains a JSON object; its value may contain secrets."""
    try:
        right = isinstance(json.loads(value), dict)
    except json.JSONDecodeError:
        right = False
    if not right:
        table = name.upper().removeprefix(_PREFIX).lower()
        raise SettingsError(
            f'{name} in the environment is no JSON object: write {{"NAME": VALUE}}, or a table [{table}] into the '
            "settings file"
        )


def _list_of(value: Any, name: str) -> Any:
    """Parse a list given as text: JSON, or comma separated; anything but text is returned as it is."""
    if not isinstance(value, str):
        return value
    if not value.lstrip().startswith("["):
        return [part.strip() for part in value.split(",")]
    try:
        return json.loads(value)
    except json.JSONDecodeError as error:
        raise ValueError(f"{name}: {value!r} is no JSON list: write it as [3, 4] or 3,4") from error

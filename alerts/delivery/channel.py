"""The configuration of a channel: its address, the alerts that it receives, and its quiet hours."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from alerts.errors import DeliveryError
from alerts.model import Alert, Severity, State
from processors.days import SHANGHAI

#: Schemes of apprise whose services refuse a message with HTTP 200, which apprise takes for success, with the remedy.
UNJUDGED = {
    "dingtalk": 'use kind = "dingtalk" with the webhook https://oapi.dingtalk.com/robot/send?access_token=…',
    "wecombot": 'use kind = "wecom" with the webhook https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=…',
    "feishu": 'use kind = "feishu" with the webhook https://open.feishu.cn/open-apis/bot/v2/hook/…',
    "lark": 'use kind = "feishu" with the webhook https://open.larksuite.com/open-apis/bot/v2/hook/…',
    "schan": "use another channel",
    "pushdeer": "use another channel",
    "pushdeers": "use another channel",
    "qq": "use another channel",
}


class Channel(BaseModel):
    """One receiver of notifications; ``[channels.NAME]`` in marginwatch.toml."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["webhook", "alertmanager", "dingtalk", "wecom", "feishu", "apprise"] = Field(
        description="protocol of the channel: a signed webhook, Alertmanager, a chat group's robot, or any service of apprise"
    )
    url: SecretStr | None = Field(None, description="its address; a robot's webhook as the chat shows it; for apprise its own URL (mailtos://, slack://)")  # fmt: skip
    url_file: Path | None = Field(None, description="a file with the URL (a secret)")
    secret: SecretStr | None = Field(None, description="webhook, dingtalk, feishu: key of the HMAC-SHA256 signature")
    secret_file: Path | None = Field(None, description="a file with the key")
    severity: Severity = Field(Severity.INFO, description="the lowest severity that is sent")
    rules: tuple[str, ...] = Field(
        (), description="only alerts of these rules, and digests with a section of one; all if empty"
    )
    language: Literal["en", "zh", "both"] = Field("both", description="language of the text")
    quiet: str = Field("", description="quiet hours in Shanghai, e.g. 22:00-07:30: notifications wait for their end")
    quiet_severity: Severity = Field(
        Severity.CRITICAL, description="from this severity on alerts are sent in quiet hours"
    )
    per_minute: int = Field(20, ge=1, le=6000, description="maximum of attempts a minute (DingTalk accepts 20)")
    max_chars: int = Field(1800, ge=200, description="longer texts are cut")
    max_age_days: float = Field(
        3.0,
        gt=0,
        description="alerts published longer ago are not sent, as a backfill wakes nobody; critical ones in force are",
    )
    timeout_s: float = Field(10.0, gt=0, description="time limit of one attempt, seconds")

    @field_validator("quiet")
    @classmethod
    def _hours(cls, value: str) -> str:
        if value:
            _parse_hours(value)
        return value

    @model_validator(mode="after")
    def _has_an_address(self) -> Channel:
        if (self.url is None) == (self.url_file is None):
            raise ValueError("give url or url_file, one of them")
        scheme = "" if self.url is None else self.url.get_secret_value().partition(":")[0].lower()
        if self.kind == "apprise" and scheme in UNJUDGED:
            raise ValueError(f"apprise does not notice when {scheme}:// refuses a message: {UNJUDGED[scheme]}")
        return self

    def address(self) -> str:
        """Return the URL in clear text, for the client alone; raises `DeliveryError` if its file can't be read."""
        return _secret(self.url, self.url_file)

    def key(self) -> bytes:
        """Return the key of the signature, empty if there is none; raises `DeliveryError` if its file can't be read."""
        if self.secret is None and self.secret_file is None:
            return b""
        return _secret(self.secret, self.secret_file).encode()

    def in_clear(self) -> dict[str, Any]:
        """Return all fields as plain values with the secrets: only for the environment of a child process."""
        plain = self.model_dump(mode="json", exclude_none=True)
        hidden = {n: v.get_secret_value() for n in ("url", "secret") if (v := getattr(self, n)) is not None}
        return plain | hidden

    def redacted(self) -> str:
        """Return the address without anything secret: scheme and host."""
        parts = urlsplit(self.address())
        return f"{parts.scheme}://{parts.hostname or ''}" if self.kind != "apprise" else f"{parts.scheme}://…"

    def wants(self, alert: Alert) -> bool:
        """Whether the channel's filters accept an alert."""
        names = {alert.rule, *(section.rule for section in alert.sections)}
        return alert.severity.rank >= self.severity.rank and (not self.rules or not names.isdisjoint(self.rules))

    def omits(self, alert: Alert) -> bool:
        """Whether the end of an alert is no news to people: a digest ends with the next day's. Services need the end."""
        people = self.kind not in ("webhook", "alertmanager")
        return people and bool(alert.sections) and alert.state is State.RESOLVED

    def due(self, alert: Alert, now: datetime) -> datetime:
        """Return the time from which an alert may be sent: now, or the end of quiet hours or a silence.

        A silence does not hold back a withdrawal: whoever got the alert before the silence still acts on it.
        """
        silence = None if alert.state is State.SUPERSEDED else alert.silence
        at = now if silence is None else max(now, silence.until)
        if not self.quiet or alert.severity.rank >= self.quiet_severity.rank:
            return at
        start, end = _parse_hours(self.quiet)
        local = at.astimezone(SHANGHAI)
        clock = local.time()
        quiet = start <= clock < end if start < end else clock >= start or clock < end
        if not quiet:
            return at
        end_today = local.replace(hour=end.hour, minute=end.minute, second=0, microsecond=0)
        return (end_today if end_today > local else end_today + timedelta(days=1)).astimezone(at.tzinfo)


def _secret(value: SecretStr | None, path: Path | None) -> str:
    if path is None:
        return "" if value is None else value.get_secret_value()
    try:
        return path.read_text("utf-8").strip()
    except OSError as error:
        raise DeliveryError(f"{path} can't be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise DeliveryError(f"{path} is no text in UTF-8") from None


def _parse_hours(text: str) -> tuple[time, time]:
    try:
        start, end = (datetime.strptime(part.strip(), "%H:%M").time() for part in text.split("-"))  # noqa: DTZ007
    except ValueError:
        start = end = time.min
    if start == end:
        raise ValueError(f"{text!r} is no span of hours: write it as 22:00-07:30")
    return start, end

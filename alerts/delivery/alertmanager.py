"""Alertmanager by its API v2: alerts, and silences of those that a person silences after it has them.

Alertmanager repeats a firing alert by itself, also one that is silenced here. So a silence of an alert that it has
becomes one of its own, which names the labels of this alert alone; it ends with ours.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import structlog

from alerts.delivery import text
from alerts.delivery.sender import Sender
from alerts.errors import DeliveryError
from alerts.model import Alert, State
from alerts.rules.base import Scope
from processors.events import Moment
from processors.signal import Value

log = structlog.get_logger()
#: Alertmanager resolves an alert that is not sent again: the interval of resending (seconds), and the time until then.
RESEND_S, EXPIRES_AFTER = 30.0, timedelta(minutes=5)
#: Who has set the silences, by their own field; those of people are left alone.
_CREATOR = "marginwatch"
#: The end of a silence is right within this; the clock of a replay is faster than Alertmanager's.
_NEARLY = timedelta(minutes=1)
#: The longest list of silences that is read (bytes): Alertmanager keeps those of five days.
_LIST_BYTES = 32 << 20
_JSON = {"Content-Type": "application/json"}


class _Matcher(msgspec.Struct, frozen=True, rename="camel"):
    name: str
    value: str
    is_regex: bool = False
    is_equal: bool = True


class _Status(msgspec.Struct, frozen=True):
    state: str


class _Silence(msgspec.Struct, frozen=True, rename="camel"):
    """A silence of Alertmanager."""

    id: str
    matchers: frozenset[_Matcher]
    ends_at: Moment
    created_by: str
    status: _Status


class AlertmanagerSender(Sender):
    """Alertmanager: labels identify, annotations carry the values; it routes, groups and inhibits."""

    _may_silence = True  # whether Alertmanager may have a silence of ours

    async def send(self, alert: Alert, key: str = "") -> None:  # noqa: ARG002 - webhooks alone carry it
        if alert.silence is not None and alert.state is not State.FIRING:
            await self.silence([alert], alert.silence.until)  # Alertmanager would silence the end, too
        await self.send_all([alert])

    async def send_all(self, alerts: list[Alert]) -> None:
        """Send several alerts in one request."""
        await self._post(self._api("alerts"), msgspec.json.encode([self._payload(alert) for alert in alerts]), _JSON)

    async def silence(self, alerts: list[Alert], now: datetime) -> None:
        """Give each alert the silence that it has here, and end that of an alert that has none here any more.

        What Alertmanager refuses is logged: its silences must not hold alerts back.

        Parameters
        ----------
        now : by the market's clock, as the ends of our silences are.
        """
        if not self._may_silence and all(alert.silence is None for alert in alerts):
            return
        self._may_silence = True
        try:
            found = msgspec.json.decode(
                await self._request("GET", self._api("silences"), most=_LIST_BYTES), type=list[_Silence]
            )
            own = {one.matchers: one for one in found if one.created_by == _CREATOR and one.status.state != "expired"}
            for alert in alerts:
                await self._silence(alert, own.get(self._matchers(alert)), now)
            self._may_silence = bool(own) or any(alert.silence is not None for alert in alerts)
        except (DeliveryError, msgspec.MsgspecError) as error:
            log.warning("silences were not set", channel=self.channel.redacted(), error=str(error))

    async def _silence(self, alert: Alert, known: _Silence | None, now: datetime) -> None:
        wanted = alert.silence
        if wanted is None or wanted.until <= now or alert.state is not State.FIRING:
            if known is not None:
                await self._request("DELETE", f"{self._api('silence')}/{known.id}")
            return
        ours = datetime.now(UTC)
        ends = ours + (wanted.until - now)
        if known is None or abs(known.ends_at - ends) > _NEARLY:
            body = {
                "matchers": self._matchers(alert),
                "startsAt": ours,
                "endsAt": ends,
                "createdBy": _CREATOR,
                "comment": f"{wanted.by}: {wanted.note}" if wanted.note else wanted.by,
                **({} if known is None else {"id": known.id}),
            }
            await self._post(self._api("silences"), msgspec.json.encode(body), _JSON)

    def _api(self, path: str) -> str:
        return f"{self.channel.address().rstrip('/')}/api/v2/{path}"

    def _matchers(self, alert: Alert) -> frozenset[_Matcher]:
        return frozenset(_Matcher(name, value) for name, value in self._labels(alert).items())

    def _labels(self, alert: Alert) -> dict[str, str]:
        return {
            "alertname": alert.rule,
            "severity": alert.severity.value,
            "scope": self._scopes.get(alert.rule, Scope.MARKET).value,
            "subject": alert.subject,
            "trade_date": alert.trade_date.isoformat(),
        }

    def _payload(self, alert: Alert) -> dict[str, Any]:
        now = datetime.now(UTC)
        firing = alert.state is State.FIRING
        annotations = {
            "summary": text.title(alert),
            "description": "\n".join([alert.text.en, *text.sections(alert)]),
            "description_zh": "\n".join([alert.text.zh, *text.sections(alert, chinese=True)]),
            "invalidation": text.ending(alert),
            "invalidation_zh": text.ending(alert, chinese=True),
            "evidence": " ".join(text.evidence(record) for record in alert.evidence),
            "source": alert.source,
            "id": alert.id,
            "revision": str(alert.revision),
            **_figure_annotations(alert.figures),
        }
        return {
            "labels": self._labels(alert),
            "annotations": {name: value for name, value in annotations.items() if value},
            "startsAt": alert.raised_at.isoformat(),
            "endsAt": ((now + EXPIRES_AFTER) if firing else now).isoformat(),
            **({"generatorURL": self.link_to(alert)} if self.link else {}),
        }


def _figure_annotations(figures: Mapping[str, Value]) -> dict[str, str]:
    """Return the annotations of figures; Alertmanager before 0.27 refuses names with more than ASCII letters, digits, _."""
    out: dict[str, str] = {}
    for figure, value in figures.items():
        name = re.sub(r"\W", "_", f"figure_{figure}", flags=re.ASCII)
        while name in out:  # of another figure, which differs in what is replaced
            name += "_"
        out[name] = f"{value}"
    return out

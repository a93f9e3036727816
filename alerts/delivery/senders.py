"""The senders: signed webhook, Alertmanager's API v2, apprise. Their errors contain no secret."""

from __future__ import annotations

import asyncio
import logging
import time
from abc import ABC, abstractmethod
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import msgspec

from alerts.delivery import text
from alerts.delivery.channel import Channel
from alerts.delivery.signing import HEADER, signature
from alerts.errors import DeliveryError
from alerts.model import Alert, State

#: Alertmanager resolves an alert that is not sent again: the interval of resending (seconds), and the time until then.
RESEND_S, EXPIRES_AFTER = 30.0, timedelta(minutes=5)
_SCOPES = {"fin_streak": "security", "fin_extreme": "security", "fin_divergence": "security",
           "excess_score_top": "security", "industry_risk_high": "industry", "data_quality": "data"}  # fmt: skip


class Sender(ABC):
    """Sends one alert in its present state."""

    def __init__(self, channel: Channel, session: aiohttp.ClientSession, link: str) -> None:
        self.channel = channel
        self.session = session
        self.link = link

    @abstractmethod
    async def send(self, alert: Alert) -> None:
        """Send an alert.

        Raises
        ------
        DeliveryError : if the channel did not accept it.
        """

    def link_to(self, alert: Alert) -> str:
        """Return the alert's page in the console; empty without a console."""
        return f"{self.link.rstrip('/')}/alerts/{alert.id}" if self.link else ""

    async def _post(self, url: str, body: bytes, headers: dict[str, str]) -> None:
        timeout = aiohttp.ClientTimeout(total=self.channel.timeout_s)
        try:
            async with self.session.post(url, data=body, headers=headers, timeout=timeout) as response:
                if response.status >= 300:
                    content = (await response.text())[:200]
                    raise DeliveryError(
                        f"{self.channel.redacted()} answered {response.status} {response.reason}: {content}"
                    )
        except TimeoutError:
            raise DeliveryError(
                f"{self.channel.redacted()} did not answer within {self.channel.timeout_s:g} s"
            ) from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise DeliveryError(f"{self.channel.redacted()}: {type(error).__name__}") from None


class WebhookSender(Sender):
    """POST of the alert as JSON with its text.

    `alerts.delivery.signing` defines the signature; ``Idempotency-Key`` is the same for every attempt of a notification.
    """

    async def send(self, alert: Alert) -> None:
        body = msgspec.json.encode(
            {
                "alert": alert,
                "title": text.title(alert),
                "text": text.body(alert, self.channel.language, link=self.link_to(alert), most=self.channel.max_chars),
            }
        )
        headers = {"Content-Type": "application/json", "Idempotency-Key": f"{alert.id}/{alert.state}"}
        if key := self.channel.key():
            headers[HEADER] = signature(key, body, int(time.time()))
        await self._post(self.channel.address(), body, headers)


class AlertmanagerSender(Sender):
    """Alertmanager: labels identify, annotations carry the values; it routes, groups and inhibits."""

    async def send(self, alert: Alert) -> None:
        await self.send_all([alert])

    async def send_all(self, alerts: list[Alert]) -> None:
        """Send several alerts in one request."""
        url = self.channel.address().rstrip("/") + "/api/v2/alerts"
        body = msgspec.json.encode([self._payload(alert) for alert in alerts])
        await self._post(url, body, {"Content-Type": "application/json"})

    def _payload(self, alert: Alert) -> dict[str, Any]:
        now = datetime.now(UTC)
        firing = alert.state is State.FIRING
        annotations = {
            "summary": text.title(alert),
            "description": alert.text.en,
            "description_zh": alert.text.zh,
            "invalidation": alert.invalidation.en,
            "invalidation_zh": alert.invalidation.zh,
            "evidence": text.evidence(alert.evidence) if alert.evidence is not None else "",
            "source": alert.source,
            "id": alert.id,
            "revision": str(alert.revision),
            **{f"figure_{name.replace(' ', '_')}": f"{value}" for name, value in alert.figures.items()},
        }
        return {
            "labels": {
                "alertname": alert.rule,
                "severity": alert.severity.value,
                "scope": _SCOPES.get(alert.rule, "market"),
                "subject": alert.subject,
                "trade_date": alert.trade_date.isoformat(),
            },
            "annotations": {name: value for name, value in annotations.items() if value},
            "startsAt": alert.raised_at.isoformat(),
            "endsAt": ((now + EXPIRES_AFTER) if firing else now).isoformat(),
            **({"generatorURL": self.link_to(alert)} if self.link else {}),
        }


class AppriseSender(Sender):
    """Chat, mail and every other service that apprise supports."""

    async def send(self, alert: Alert) -> None:
        try:
            import apprise
        except ModuleNotFoundError:
            raise DeliveryError("apprise is not installed: pip install 'marginwatch[notify]'") from None
        logging.getLogger("apprise").setLevel(logging.CRITICAL)  # its messages contain addresses
        service = apprise.Apprise()
        if not service.add(self.channel.address()):
            raise DeliveryError(f"apprise does not know {self.channel.redacted()}")
        types = {"critical": apprise.NotifyType.FAILURE, "warning": apprise.NotifyType.WARNING}
        notify_type = types.get(alert.severity.value, apprise.NotifyType.INFO)
        body = text.body(alert, self.channel.language, link=self.link_to(alert), most=self.channel.max_chars)
        try:
            sent = await asyncio.wait_for(
                service.async_notify(body, title=text.title(alert), notify_type=notify_type), self.channel.timeout_s
            )
        except TimeoutError:
            raise DeliveryError(
                f"{self.channel.redacted()} did not answer within {self.channel.timeout_s:g} s"
            ) from None
        if not sent:
            raise DeliveryError(f"{self.channel.redacted()} did not accept the message")


SENDERS: dict[str, type[Sender]] = {
    "webhook": WebhookSender,
    "alertmanager": AlertmanagerSender,
    "apprise": AppriseSender,
}

"""What every sender of alerts is: it sends one alert in its present state; its errors contain no secret."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import MappingProxyType

import aiohttp

from alerts.delivery.channel import Channel
from alerts.errors import DeliveryError
from alerts.model import Alert
from alerts.rules.base import Scope

_ANSWER_BYTES = 4096


class Sender(ABC):
    """Sends one alert in its present state.

    Parameters
    ----------
    link : base address of the console; empty for none.
    scopes : what the alerts of each rule are about; of a rule that is not in it, the market.
    """

    def __init__(
        self,
        channel: Channel,
        session: aiohttp.ClientSession,
        link: str,
        scopes: Mapping[str, Scope] = MappingProxyType({}),
    ) -> None:
        self.channel = channel
        self.session = session
        self.link = link
        self._scopes = scopes

    @abstractmethod
    async def send(self, alert: Alert, key: str = "") -> None:
        """Send an alert.

        Parameters
        ----------
        key : the same for every attempt of a notification; empty for that of a first one.

        Raises
        ------
        PartialDeliveryError : if some of several recipients accepted it.
        DeliveryError : if the channel did not accept it.
        """

    async def close(self) -> dict[str, str]:
        """End what is still being sent; return the keys of the messages that were accepted since their last attempt.

        The value is the error of a message that only some of its recipients accepted, else "".
        """
        return {}

    def link_to(self, alert: Alert) -> str:
        """Return the alert's page in the console; empty without a console."""
        return f"{self.link.rstrip('/')}/alerts/{alert.id}" if self.link else ""

    async def _post(self, url: str, body: bytes, headers: dict[str, str]) -> bytes:
        """Post a body and return the beginning of the answer."""
        return await self._request("POST", url, body, headers)

    async def _request(
        self,
        method: str,
        url: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        most: int = _ANSWER_BYTES,
    ) -> bytes:
        """Request a URL and return the first bytes of the answer; a redirection is a refusal, as it drops the body."""
        timeout = aiohttp.ClientTimeout(total=self.channel.timeout_s)
        try:
            async with self.session.request(
                method, url, data=body, headers=headers, timeout=timeout, allow_redirects=False
            ) as response:
                answer = await _beginning(response, most)
                if response.status >= 300:
                    raise DeliveryError(
                        f"{self.channel.redacted()} answered {response.status} {response.reason}: {shown(answer)}"
                    )
                return answer
        except TimeoutError:
            raise DeliveryError(
                f"{self.channel.redacted()} did not answer within {self.channel.timeout_s:g} s"
            ) from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise DeliveryError(f"{self.channel.redacted()}: {type(error).__name__}") from None


async def _beginning(response: aiohttp.ClientResponse, most: int) -> bytes:
    """Return the first bytes of an answer: a robot's answer is short, and a page of any length must not fill memory."""
    out = b""
    while len(out) < most and (piece := await response.content.read(most - len(out))):
        out += piece
    return out


def shown(answer: bytes) -> str:
    """Return the beginning of an answer as text, for an error."""
    return answer[:200].decode(errors="replace") or "an empty answer"

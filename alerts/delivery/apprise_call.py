"""One message through apprise: whether its service has accepted it, and why not.

apprise returns no reason: it writes it to its log, together with addresses and payloads. An error of mail is the answer
of the server; of other services it is apprise's own sentence, in which everything that the address contains is left out.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote, urlsplit

from alerts.delivery.channel import UNJUDGED
from alerts.errors import DeliveryError, PartialDeliveryError

_EXCEPTION = "Socket Exception: "
_DELIVERED = "Sent "
#: What a user's name or password is at least as long as; a shorter part of an address is an ordinary word.
_SHORTEST = 3


def call_apprise(address: str, redacted: str, title: str, body: str, kind: str, **attached: str) -> None:
    """Send a message and wait for the answer; the import alone takes a second.

    Parameters
    ----------
    redacted : the address without anything secret, for errors.
    kind : a value of `apprise.NotifyType`.

    Raises
    ------
    PartialDeliveryError : if some of several recipients have it, and others refused it.
    DeliveryError : if nobody has accepted it.
    """
    scheme = address.partition(":")[0].lower()
    if remedy := UNJUDGED.get(scheme):
        raise DeliveryError(f"apprise does not notice when {scheme}:// refuses a message: {remedy}")
    try:
        import apprise
    except ModuleNotFoundError:
        raise DeliveryError("apprise is not installed: pip install 'marginwatch[notify]'") from None
    log = logging.getLogger("apprise")
    log.propagate = False  # its messages contain addresses
    log.setLevel(logging.DEBUG)  # below it, results contain none
    service = apprise.Apprise(asset=apprise.AppriseAsset(service_timeout=0))  # else in a thread of its own
    if not service.add(address):
        raise DeliveryError(f"apprise does not know {redacted}")
    answer = service.notify(
        body,
        title=title,
        notify_type=apprise.NotifyType(kind),
        body_format=apprise.NotifyFormat.TEXT,  # else a service of HTML shows markup out of refused data
        log_level=logging.DEBUG,
        **attached,
    )
    if answer:
        return
    entries = [entry for result in answer for attempt in result.attempts for entry in attempt.logs]
    why = _reason(entries, address)
    if any(entry.level == "INFO" and entry.message.startswith(_DELIVERED) for entry in entries):
        raise PartialDeliveryError(f"{redacted} delivered the message to some recipients alone: {why}")
    raise DeliveryError(f"{redacted} did not accept the message: {why}")


def _reason(entries: Sequence[Any], address: str) -> str:
    """Return what the log of a failed message says about the cause, without anything secret."""
    if address.lower().startswith("mailto"):
        found = [one.message.removeprefix(_EXCEPTION) for one in entries if one.message.startswith(_EXCEPTION)]
        return "; ".join(_without(found, _credentials(address))) or "its server names no reason"
    found = [one.message for one in entries if one.level in ("WARNING", "ERROR", "CRITICAL")]
    return "; ".join(_without(found, re.split(r"[/:@?&=,#;+ ]+", address))) or "it names no reason"


def _credentials(address: str) -> list[str]:
    """Return user and password in the address of a mail server; its host and the recipients are no secret."""
    parts = urlsplit(address)
    return [parts.username or "", parts.password or "", *re.findall(r"[?&](?:user|pass)=([^&]*)", address)]


def _without(texts: Sequence[str], secrets: Sequence[str]) -> list[str]:
    """Return texts, each once, in which secrets are left out, as they are written in the address or decoded."""
    parts = {part for one in secrets for part in (one, unquote(one)) if len(part) >= _SHORTEST}
    if not parts:
        return list(dict.fromkeys(texts))
    pattern = "|".join(map(re.escape, sorted(parts, key=len, reverse=True)))
    return list(dict.fromkeys(re.sub(pattern, "…", text) for text in texts))

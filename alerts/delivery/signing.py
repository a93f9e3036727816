"""The signature of a webhook's body, in both directions: HMAC-SHA256 over ``<seconds>.<body>``.

The header is ``X-Marginwatch-Signature: t=<seconds>,v1=<hex>``. A receiver refuses old signatures, so that a recorded
request can't be sent again later.
"""

from __future__ import annotations

import hashlib
import hmac

from alerts.errors import SignatureError

#: The only module of alerts that feeds import, so the error that `verify` raises is one of its names.
__all__ = ["HEADER", "SignatureError", "signature", "verify"]

HEADER = "X-Marginwatch-Signature"
#: Digits of a time in seconds for the next 30,000 years; Python refuses to read a number of more than 4,300 digits.
_MOST_DIGITS = 12


def signature(key: bytes, body: bytes, seconds: int) -> str:
    """Return the header's value for a webhook's body.

    Parameters
    ----------
    seconds : time of sending, seconds since the epoch.
    """
    digest = hmac.new(key, f"{seconds}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={seconds},v1={digest}"


def verify(key: bytes, body: bytes, header: str | None, now: float, tolerance_s: float) -> None:
    """Check a header against a body, in constant time.

    Parameters
    ----------
    now : seconds since the epoch.
    tolerance_s : how far the signature's time may differ from ``now``, either way.

    Raises
    ------
    SignatureError : if the signature is missing, wrong or too old.
    """
    parts = dict(part.strip().partition("=")[::2] for part in (header or "").split(","))
    seconds, given = parts.get("t", ""), parts.get("v1", "")
    if not (seconds.isascii() and seconds.isdigit() and len(seconds) <= _MOST_DIGITS and given.isascii() and given):
        raise SignatureError(f"the header {HEADER} is missing or not written as t=<seconds>,v1=<hex>")
    if not hmac.compare_digest(signature(key, body, int(seconds)), f"t={int(seconds)},v1={given}"):
        raise SignatureError("the signature does not fit: v1 is HMAC-SHA256 over '<t>.<body>', key and body as sent")
    if abs(now - int(seconds)) > tolerance_s:
        raise SignatureError(f"the signature's t is {now - int(seconds):+.0f} s off, {tolerance_s:.0f} s are allowed")

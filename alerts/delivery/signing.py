"""The signature of a webhook's body, ours and the one that we ask of others: HMAC-SHA256 over ``<seconds>.<body>``.

It stands in the header ``X-Marginwatch-Signature: t=<seconds>,v1=<hex>``. Who reads it refuses old ones, so that a
request that somebody recorded can't be sent again later.
"""

from __future__ import annotations

import hashlib
import hmac

HEADER = "X-Marginwatch-Signature"


class SignatureError(Exception):
    """A signature that is missing, wrong or too old; the text shows nothing secret."""


def signature(key: bytes, body: bytes, seconds: int) -> str:
    """The signature of a webhook's body, as it stands in its header."""
    digest = hmac.new(key, f"{seconds}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={seconds},v1={digest}"


def verify(key: bytes, body: bytes, header: str | None, now: float, tolerance_s: float) -> None:
    """Check a header against a body, in constant time.

    Parameters
    ----------
    now : seconds since the epoch.
    tolerance_s : how far the signature's clock may be off, either way.

    Raises
    ------
    SignatureError : saying what is wrong with it.
    """
    parts = dict(part.strip().partition("=")[::2] for part in (header or "").split(","))
    seconds, given = parts.get("t", ""), parts.get("v1", "")
    if not (seconds.isascii() and seconds.isdigit() and given.isascii() and given):
        raise SignatureError(f"the header {HEADER} is missing or not written as t=<seconds>,v1=<hex>")
    if not hmac.compare_digest(signature(key, body, int(seconds)), f"t={int(seconds)},v1={given}"):
        raise SignatureError("the signature does not fit: v1 is HMAC-SHA256 over '<t>.<body>', key and body as sent")
    if abs(now - int(seconds)) > tolerance_s:
        raise SignatureError(f"the signature's t is {now - int(seconds):+.0f} s off, {tolerance_s:.0f} s are allowed")

"""The exceptions of alerts: rules that can't be used, notifications that fail, signatures that don't verify."""

from __future__ import annotations

from processors.errors import MarginwatchError


class RuleError(MarginwatchError):
    """A rules file that can't be used; the text names the file, the rule and what is wrong."""


class DeliveryError(MarginwatchError):
    """An attempt to notify a channel that failed; the text contains no secret."""


class PartialDeliveryError(DeliveryError):
    """A message that some of its recipients have and others refused: another attempt would repeat it to the first."""


class SignatureError(MarginwatchError):
    """A signature that is missing, wrong or too old; the text contains no secret."""

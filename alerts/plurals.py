"""Numbers with their nouns in English texts; Chinese has no plural."""

from __future__ import annotations


def counted(number: float | str, noun: str) -> str:
    """Return a number, as it is shown, with its noun.

    >>> counted(1, "stock"), counted(2, "stock"), counted("1.5", "point")
    ('1 stock', '2 stocks', '1.5 points')
    """
    return f"{number} {noun}{'' if str(number) == '1' else 's'}"

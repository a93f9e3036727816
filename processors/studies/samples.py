"""The period that the data of each source cover."""

from __future__ import annotations

from datetime import date
from typing import Final

#: The period of each source's data.
SAMPLES: Final = {
    "[ZT21]": (date(2016, 1, 4), date(2021, 3, 31)),
    "[SW14]": (date(2013, 1, 31), date(2014, 12, 31)),
    "[DG22]": (date(2018, 1, 2), date(2022, 11, 30)),
    "[DG24]": (date(2016, 1, 4), date(2024, 3, 29)),
}


def share_in_sample(source: str, first: str, last: str) -> float | None:
    """Return the share of a period that lies in the sample of its source, by ISO dates; None where it is not known.

    Examples
    --------
    >>> share_in_sample("[SW14]", "2016-01-04", "2021-03-31")
    0.0
    """
    known = [SAMPLES[key] for key in SAMPLES if key in source]
    if not known or not first:
        return None
    start, end = date.fromisoformat(first), date.fromisoformat(last)
    shared = (min(end, known[0][1]) - max(start, known[0][0])).days + 1
    return max(shared, 0) / ((end - start).days + 1)

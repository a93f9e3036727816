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


def in_sample(source: str, first: str, last: str) -> bool | None:
    """Return whether a period lies in the sample of its source, by ISO dates; None where the sample is not known.

    Data of which less than a tenth lies outside the sample are in the sample.
    """
    known = [SAMPLES[key] for key in SAMPLES if key in source]
    if not known or not first:
        return None
    start, end = date.fromisoformat(first), date.fromisoformat(last)
    begin, stop = min(s for s, _ in known), max(e for _, e in known)
    shared = (min(end, stop) - max(start, begin)).days + 1
    return shared >= 0.9 * ((end - start).days + 1)

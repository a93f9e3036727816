"""The figures of a text, to compare its English with its Chinese, and the English words in a Chinese one."""

from __future__ import annotations

import re
from collections import Counter

#: A publication, by its key or its Chinese name and year.
_SOURCE = re.compile(r"[\[［](?:[A-Z]{2}|[^\W\d_]{2,8})\d{2,4}[\]］]")
#: A number without its sign, its thousands separators and its leading zeros: 2025-07 is 2025年7月.
_NUMBER = re.compile(r"0*(\d[\d,]*(?:\.\d+)?)")


def figures_in(text: str) -> Counter[str]:
    """Return how often a text has each number; money in bn or tn is another number than in 亿 or 万亿.

    >>> figures_in("at most 4.00% in 2025-07 [GF25]") == figures_in("2025年7月［广发证券2025］不高于4.00%")
    True
    """
    return Counter(number.replace(",", "") for number in _NUMBER.findall(_SOURCE.sub("", text)))


#: What a Chinese text names as it is: sources, codes, exchanges, topics and commands of the program, a statistic.
_NAMED = re.compile(
    r"\[[A-Z]{2}\d{2}(?:, [A-Z]{2}\d{2})*\]|\d{6}\.[A-Z]{2}|SSE|SZSE|[a-z]+\.[a-z]+|marginwatch|t(?=＝)"
)


def english_in(text: str) -> list[str]:
    """Return the words of a Chinese text that are English.

    >>> english_in("融资余额缺失：indices.daily turnover of 2020-01-02 is not known")
    ['turnover', 'of', 'is', 'not', 'known']
    """
    return re.findall(r"[A-Za-z]+", _NAMED.sub("", text))

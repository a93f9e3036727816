"""Names of indices and of boards of data vendors: a stock with such a name is an index whose code lacks its exchange.

000300 without an exchange is a number of Shenzhen, where stocks have it; 沪深300 is no stock. No name of a security of
2016–2025 looks like that of an index (11,000 names; 科创信息 and 上海机场 are stocks).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from feeds.cells.code_styles import clean_code

#: Name → code.
INDEX_CODES = {
    "上证50": "000016.SH", "上证180": "000010.SH", "科创50": "000688.SH", "科创100": "000698.SH",
    "沪深300": "000300.SH", "中证500": "000905.SH", "中证800": "000906.SH", "中证1000": "000852.SH",
    "中证2000": "932000.SH", "中证A50": "930050.SH", "中证A100": "000903.SH", "中证A500": "000510.SH",
    "深证成指": "399001.SZ", "深证100": "399330.SZ", "创业板指": "399006.SZ", "创业板50": "399673.SZ",
    "北证50": "899050.BJ",
}  # fmt: skip
_FAMILIES = "上证|深证|沪深|中证|国证|北证|巨潮|央视|创业板|科创板|中小板|全指|内地|细分"
_INDEX = re.compile(
    rf"({_FAMILIES}).*|(科创|中小|创业)\d.*|(50|180|300|380|500|800|1000)[\u4e00-\u9fffR].*"
    r"|.*(指数?[RN]?|等权|板块|平均股价|总市值|涨跌家数|[大中小]盘)|A股.*|A\d+",
    re.IGNORECASE,
)
#: An index may be named after the number of its securities.
_SIZED = re.compile(r".*\D(50|60|80|90|100|120|150|180|200|250|300|350|380|400|500|600|700|800|1000|1500|2000|3000)")
#: So many names that differ by a number alone count the rows of a list.
_COUNTED = 3


def index_named(name: object) -> str | None:
    """Return the code of an index by its name, None for another name.

    Examples
    --------
    >>> index_named("沪深300指数"), index_named("贵州茅台")
    ('000300.SH', None)
    """
    return INDEX_CODES.get(clean_code(name).removesuffix("指数"))


def index_names(names: Iterable[object]) -> list[bool]:
    """Return which of the distinct names of a list are those of an index or a board.

    Where several names differ by the number at their end alone, they count rows (股票1, 股票2 …).

    Examples
    --------
    >>> index_names(["沪深300", "Ａ股指数", "300医药", "平均股价", "医药100", "科创信息", "沪电股份"])
    [True, True, True, True, True, False, False]
    >>> index_names(["股票99", "股票100", "股票101"])
    [False, False, False]
    """
    plain = [clean_code(name) for name in names]
    stems = Counter(name.rstrip("0123456789") for name in plain)
    return [
        _INDEX.fullmatch(name) is not None
        or (_SIZED.fullmatch(name) is not None and stems[name.rstrip("0123456789")] < _COUNTED)
        for name in plain
    ]

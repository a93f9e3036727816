"""Names of indices and of boards of data vendors: a stock with such a name is an index whose code lacks its exchange.

000300 without an exchange is a number of Shenzhen, where stocks have it; 沪深300 is no stock. No name of a security of
2016–2025 looks like that of an index (11,000 names; 科创信息 and 上海机场 are stocks).
"""

from __future__ import annotations

import re

from feeds.code_styles import clean_code

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
    r"|.*(指数?[RN]?|等权|板块|平均股价|总市值|涨跌家数|[大中小]盘)|A股.*|.*\D\d{2,4}",
    re.IGNORECASE,
)


def index_named(name: object) -> str | None:
    """Return the code of an index by its name, None for another name.

    Examples
    --------
    >>> index_named("沪深300指数"), index_named("贵州茅台")
    ('000300.SH', None)
    """
    return INDEX_CODES.get(clean_code(name).removesuffix("指数"))


def is_index_name(name: object) -> bool:
    """Whether a name is that of an index or a board.

    Examples
    --------
    >>> [is_index_name(name) for name in ("沪深300", "Ａ股指数", "300医药", "平均股价", "科创信息", "沪电股份")]
    [True, True, True, True, False, False]
    """
    return _INDEX.fullmatch(clean_code(name)) is not None

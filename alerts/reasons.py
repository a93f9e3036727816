"""Why a figure is absent, in Chinese: the processors give reasons in English.

A reason is made of a few phrases with ids, days and counts in them; each phrase has its translation here. A reason with
a phrase that has none is shown in English, so that nothing is lost.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from alerts.subject_names import Language, subject_name

_DAY = r"\d{4}-\d{2}-\d{2}"
_ID = r"[\w./+-]+(?: (?:\d{6}\.[A-Z]{2}|[A-Z0-9]+))?(?: [a-z_]+)?"
#: Patterns of phrases and their translations, longer phrases first.
_PHRASES: tuple[tuple[str, str | Callable[[re.Match[str]], str]], ...] = (
    (rf"({_ID}) of ({_DAY}) is not known \(window not full, or the feed is late\)", r"\2的\1未知（窗口未满或数据迟到）"),
    (rf"({_ID}) of ({_DAY}) is not known", r"\2的\1未知"),
    (rf"({_ID}) is not known yet", r"\1尚未公布"),
    (rf"({_ID}) of ({_DAY}) lacks all rows of ([A-Z]+)", r"\2的\1缺少\3全部数据"),
    (rf"({_ID}) of ({_DAY}) lacks (\d+) rows of ([A-Z]+)", r"\2的\1缺少\4的\3行"),
    (rf"({_ID}) of ({_DAY}) lacks ([A-Z, ]+)", r"\2的\1缺少\3"),
    (rf"({_ID}) since ({_DAY}): (\d+) days are needed, (\d+) are known", r"\1自\2起需要\3日，已知\4日"),
    (r": (\d+) days are needed, (\d+) are known", r"：需要\1日，已知\2日"),
    (rf"({_ID}): the calendar does not reach back so far", r"\1：交易日历未覆盖该日"),
    (rf"({_ID}) of the day before is not known", r"前一日的\1未知"),
    (r"etf_flow of (\w+) is absent", lambda found: f"{subject_name(found[1], 'zh')}类ETF净流入缺失"),
    (r"(\w+) is absent", r"\1缺失"),
    (r"etf\.daily: no fund of the style has shares of the day before", "etf.daily：该风格基金缺少前一日份额"),
    (r"etf\.daily: no fund of the style has a row", "etf.daily：没有该风格的基金"),
    (r"etf\.daily: no fund has a row", "etf.daily：没有基金数据"),
    (r"etf\.daily: (\d+) of the (\d+) funds of the style changed shares and have no price", r"etf.daily：该风格\2只基金中\1只份额变动而无价格"),
    (r"no security of the day belongs to (\w+)", lambda found: f"当日没有属于{subject_name(found[1], 'zh')}的证券"),
    (r"prices\.daily: no stock has (\d+) prices in (\d+) trading days", r"prices.daily：没有股票在\2个交易日内有\1个价格"),
    (r"prices\.daily: no stock has a price of the year before", "prices.daily：没有股票有上年价格"),
    (r"prices\.daily: no stock of margin\.daily has a return", "prices.daily：两融标的均无收益率"),
    (r"trailing quantiles need (\d+) days of the ratio, (\d+) are known", r"滚动分位数需要\1日占比，已知\2日"),
    (r"no security has the figures of ([\w.]+) that it needs", r"没有证券有所需的\1数据"),
    (r"no security has all of its inputs", "没有证券有全部所需数据"),
    (r"no security has a balance of the day before", "没有证券有前一日余额"),
    (r"margin\.daily of the two days before lacks rows of ([\w, ]+)", r"margin.daily前两日缺少\1的数据"),
    (r"the streak began before a day that is not known", "连续增减始于未知日之前"),
    (r"a count of ([\w.]+) began before a day that is not known", r"\1的计数始于未知日之前"),
    (r"the line of ([\w.]+) needs (\d+) days to settle, (\d+) are known", r"\1的趋势线需要\2日稳定，已知\3日"),
    (r"the highest known day is the first one: a higher one may be before it", "最高值出现在首个已知日，此前可能更高"),
    (r"fewer than (\d+) pairs of days are known, or a series does not change", r"已知数据不足\1对，或序列没有变化"),
    (r"known of (\d+) industries, (\d+) are needed", r"仅\1个行业有数据，需要\2个"),
    (r"no live turnover of ([\w., ]+)", r"\1没有盘中成交额"),
    (r"margin\.intraday is of ([\d:–]+), the turnover of ([\d:–]+): more than (\d+) trading minutes apart",
     r"盘中融资数据截至\1，成交额截至\2，相差超过\3个交易分钟"),
    (r"margin\.intraday covers (\d+%) of the last published balance, (\d+%) are needed", r"盘中融资数据覆盖上次余额的\1，需要\2"),
    (r"reference names no stock", "reference 没有股票"),
    (r"none of the panel's figures is known", "面板各项数据均未知"),
    (r"the release that published the day has no such figure", "发布当日数据的版本没有该项数据"),
    (r"a base figure is zero", "基期数值为零"),
    (r"no bear market of the index has ended in its known history", "该指数已知历史中没有已结束的熊市"),
    (r"turnover or the lent shares are zero", "成交额或融出股数为零"),
    (r"turnover is zero", "成交额为零"),
    (r"the float cap is zero", "流通市值为零"),
    (r"the index has a loss, or a PE on fewer than (\d+) days", r"指数亏损，或有市盈率的日数不足\1日"),
    (r"the PE of ([\w.]+) is not positive: no earnings yield", r"\1的市盈率不为正，没有盈利收益率"),
    (r"fewer than (\d+) days of the window are known", r"窗口内已知日数不足\1日"),
    (r"charts are scored on a week's last session", "图表得分只在每周最后一个交易日计算"),
    (r"no stock of the day with a chart score belongs to (\w+)", lambda found: f"当日没有属于{subject_name(found[1], 'zh')}且有图表得分的股票"),
    (r"no chart model is set \((\w+)\)", r"未设置图表模型（\1）"),
    (r"the chart model (\w+) has no network for (\d+): it was trained for later years", r"图表模型\1没有\2年的网络：其训练用于之后的年份"),
    (r"its inputs are known, but the formula has no value for them", "输入已知，但公式对其没有值"),
    (r"reference knows less than half of the stocks of ([A-Z]+)", r"\1半数以上股票没有主数据"),
)  # fmt: skip
_COMPILED = tuple((re.compile(pattern), to) for pattern, to in _PHRASES)
#: Words that only English prose has: a reason that keeps one of them is not translated.
_PROSE = re.compile(r"\b(?:is|are|no|not|of|the|has|have|needs?|lacks?|knows|than|only|known|since|covers)\b")


def shown(reason: str, language: Language) -> str:
    """Return a reason in a language; in English where a phrase of it has no translation.

    >>> shown("no security of the day belongs to CSI500", "zh")
    '当日没有属于中证500的证券'
    """
    if language == "en":
        return reason
    out = reason
    for pattern, to in _COMPILED:
        out = pattern.sub(to, out)
    return (
        reason
        if _PROSE.search(out)
        else out.replace(": ", "：").replace("; ", "；").replace(" (", "（").replace(")", "）")
    )

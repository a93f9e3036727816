"""Shenwan's industry codes and names of any edition, as industries of level 1 of 2021.

The first two digits of a code of 2014 and 2021 are its industry of level 1, and an industry that 2021 renamed keeps
them (22 化工 is 基础化工), so that its old name is known, too. Those of 2011 that 2014 split, and 采掘 of 2014 that
2021 split, follow from the next two digits: into the industry to which Shenwan moved all or nearly all stocks of that
level 2 (of 非汽车交运设备 3103: of that level 3) on the day of the edition. Where they went to several (其他采掘
2103), a stock has no industry.
"""

from __future__ import annotations

from processors.industries import Industry

_LEVEL_1: dict[str, Industry] = {
    "11": "农林牧渔", "22": "基础化工", "23": "钢铁", "24": "有色金属", "27": "电子", "28": "汽车", "33": "家用电器",
    "34": "食品饮料", "35": "纺织服饰", "36": "轻工制造", "37": "医药生物", "41": "公用事业", "42": "交通运输",
    "43": "房地产", "45": "商贸零售", "46": "社会服务", "48": "银行", "49": "非银金融", "51": "综合", "61": "建筑材料",
    "62": "建筑装饰", "63": "电力设备", "64": "机械设备", "65": "国防军工", "71": "计算机", "72": "传媒", "73": "通信",
    "74": "煤炭", "75": "石油石化", "76": "环保", "77": "美容护理",
}  # fmt: skip
#: By four digits, level 2, or six, level 3.
_BELOW: dict[str, Industry] = {
    "2101": "石油石化", "2102": "煤炭", "2104": "石油石化",
    "2501": "建筑材料", "2502": "建筑装饰",
    "2601": "机械设备", "2602": "机械设备", "2603": "机械设备", "2604": "电力设备", "2605": "机械设备",
    "3101": "汽车", "3102": "汽车", "3104": "汽车",
    "310301": "汽车", "310304": "国防军工", "310305": "国防军工", "310306": "机械设备", "310307": "汽车",
    "3201": "通信", "3202": "计算机",
    "4401": "银行", "4402": "非银金融", "4403": "非银金融", "4404": "非银金融",
    "4701": "通信", "4702": "传媒", "4703": "计算机", "4704": "传媒",
}  # fmt: skip
#: Names of earlier editions of industries that were renamed.
_RENAMED: dict[str, Industry] = {
    "化工": "基础化工", "黑色金属": "钢铁", "纺织服装": "纺织服饰", "商业贸易": "商贸零售", "休闲服务": "社会服务",
    "餐饮旅游": "社会服务", "电气设备": "电力设备",
}  # fmt: skip
_SPLIT = frozenset(code[:2] for code in _BELOW)


def renamed(name: str) -> str:
    """Return the name of an industry in the edition of 2021; any other text as it is.

    Examples
    --------
    >>> renamed("电气设备"), renamed("电力设备"), renamed("采掘")
    ('电力设备', '电力设备', '采掘')
    """
    return _RENAMED.get(name, name)


def industry_of(code: str) -> Industry | None:
    """Return the industry of a code of six digits, None where it has none in the edition of 2021.

    Raises
    ------
    ValueError : for anything else than a code of Shenwan's.

    Examples
    --------
    >>> industry_of("480301"), industry_of("440101"), industry_of("210301")
    ('银行', '银行', None)
    """
    text = code.strip().removesuffix(".0")
    if len(text) != 6 or not text.isdigit() or not (text[:2] in _LEVEL_1 or text[:2] in _SPLIT):
        raise ValueError(f"{code!r} is no industry code of Shenwan's (six digits, such as 480301)")
    return _LEVEL_1.get(text[:2]) or _BELOW.get(text[:4]) or _BELOW.get(text)

"""Shenwan's level-1 industries (申万一级行业, 2021 edition): their names and the codes of their indices."""

from __future__ import annotations

from typing import Literal, get_args

from processors.codes import to_id

Industry = Literal[
    "农林牧渔", "基础化工", "钢铁", "有色金属", "电子", "家用电器", "食品饮料", "纺织服饰", "轻工制造", "医药生物",
    "公用事业", "交通运输", "房地产", "商贸零售", "社会服务", "综合", "建筑材料", "建筑装饰", "电力设备", "国防军工",
    "计算机", "传媒", "通信", "银行", "非银金融", "汽车", "机械设备", "煤炭", "石油石化", "环保", "美容护理",
]  # fmt: skip

#: The industries in the order of their indices, which is the order of every array over industries.
INDUSTRIES: tuple[str, ...] = get_args(Industry)
_NUMBERS = (
    801010, 801030, 801040, 801050, 801080, 801110, 801120, 801130, 801140, 801150,
    801160, 801170, 801180, 801200, 801210, 801230, 801710, 801720, 801730, 801740,
    801750, 801760, 801770, 801780, 801790, 801880, 801890, 801950, 801960, 801970, 801980,
)  # fmt: skip
#: The codes of their indices by industry.
CODE_OF: dict[str, str] = {name: f"{number}.SI" for name, number in zip(INDUSTRIES, _NUMBERS, strict=True)}
INDEX_OF: tuple[int, ...] = tuple(map(to_id, CODE_OF.values()))
_ENGLISH = (
    "Agriculture", "Chemicals", "Steel", "Non-ferrous metals", "Electronics", "Home appliances", "Food & beverage",
    "Textiles", "Light industry", "Pharmaceuticals", "Utilities", "Transport", "Real estate", "Retail", "Services",
    "Conglomerates", "Building materials", "Construction", "Power equipment", "Defence", "Computers", "Media",
    "Telecom", "Banks", "Non-bank finance", "Autos", "Machinery", "Coal", "Petrochemicals", "Environment",
    "Beauty care",
)  # fmt: skip
ENGLISH = dict(zip(INDUSTRIES, _ENGLISH, strict=True))

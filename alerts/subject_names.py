"""The names of indices, groups of securities and styles of funds in English and Chinese."""

from __future__ import annotations

from typing import Literal

Language = Literal["en", "zh"]
GROUPS: dict[str, tuple[str, str]] = {
    "CSI300": ("CSI 300", "沪深300"),
    "CSI500": ("CSI 500", "中证500"),
    "ChiNextIndex": ("ChiNext Index", "创业板指"),
    "ChiNext": ("ChiNext board", "创业板"),
    "STAR": ("STAR board", "科创板"),
    "ETF": ("ETFs", "ETF"),
}
INDICES: dict[str, tuple[str, str]] = {
    "000001.SH": ("SSE Composite", "上证指数"), "000016.SH": ("SSE 50", "上证50"),
    "000300.SH": ("CSI 300", "沪深300"), "000852.SH": ("CSI 1000", "中证1000"),
    "000905.SH": ("CSI 500", "中证500"), "000985.SH": ("CSI All Share", "中证全指"),
    "399001.SZ": ("SZSE Component", "深证成指"), "399006.SZ": ("ChiNext Index", "创业板指"),
    "399330.SZ": ("SZSE 100", "深证100"), "399372.SZ": ("Large growth", "大盘成长"),
    "399373.SZ": ("Large value", "大盘价值"), "399374.SZ": ("Mid growth", "中盘成长"),
    "399375.SZ": ("Mid value", "中盘价值"), "399376.SZ": ("Small growth", "小盘成长"),
    "399377.SZ": ("Small value", "小盘价值"),
}  # fmt: skip
STYLES: dict[str, tuple[str, str]] = {
    "broad": ("Broad", "宽基"),
    "sector": ("Sector", "行业"),
    "theme": ("Theme", "主题"),
    "growth": ("Growth", "成长"),
    "value": ("Value", "价值"),
    "cross_border": ("Cross-border", "跨境"),
    "bond": ("Bond", "债券"),
    "commodity": ("Commodity", "商品"),
    "other": ("Other", "其他"),
}


def subject_name(subject: str, language: Language) -> str:
    """Return the name of an index, a group or a style of funds; any other subject as it is."""
    for names in (INDICES, GROUPS, STYLES):
        if subject in names:
            return names[subject][language == "zh"]
    return subject

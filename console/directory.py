"""Names of securities: beside their codes, and the search by code, name, full pinyin or pinyin initials."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

_CODE = re.compile(r"(?<!\d)\d{6}\.(?:SH|SZ|BJ)(?![A-Z])")


class Directory:
    """The securities that have a name.

    Parameters
    ----------
    names : code → name.
    """

    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = {code: _plain(name) for code, name in names.items()}
        #: What a query is compared with, in lower case.
        self._keys = {code: (code.lower(), name.lower(), *_pinyin(name)) for code, name in self._names.items()}

    def name(self, code: str) -> str:
        """Return the name of a security; "" where it is not known."""
        return self._names.get(code, "")

    def shown(self, code: str) -> str:
        """Return a code with the name before it, where that is known.

        >>> Directory({"600519.SH": "贵州茅台"}).shown("600519.SH")
        '贵州茅台 600519.SH'
        """
        return f"{self.name(code)} {code}".strip()

    def annotated(self, text: str) -> str:
        """Return a text with the names before the codes in it."""
        return _CODE.sub(lambda found: self.shown(found[0]), text)

    def find(self, query: str, most: int = 8) -> list[str]:
        """Return the codes that fit a query, the best ones first.

        The beginning of a code, a name, its initials or its pinyin is better than a part of it.

        >>> Directory({"600519.SH": "贵州茅台", "601398.SH": "工商银行"}).find("gzmt")
        ['600519.SH']
        """
        wanted = _plain(query).lower()
        if not wanted:
            return []
        ranked = []
        for code, keys in self._keys.items():
            at = min((place for key in keys if (place := key.find(wanted)) >= 0), default=-1)
            if at >= 0:
                ranked.append((at > 0, wanted not in keys, code))
        return [code for *_, code in sorted(ranked)[:most]]

    def fits(self, code: str, query: str) -> bool:
        """Whether a query is a part of a code or of its name, in characters, initials or pinyin."""
        return any(_plain(query).lower() in key for key in self._keys.get(code, (code.lower(),)))


def _pinyin(name: str) -> tuple[str, str]:
    """Return the initials and the full pinyin of a name."""
    from pypinyin import Style, lazy_pinyin  # of the extra: a console without it reports how to install it

    initials, full = (lazy_pinyin(name, style=style) for style in (Style.FIRST_LETTER, Style.NORMAL))
    return "".join(initials).lower(), "".join(full).lower()


def _plain(text: str) -> str:
    """Return a text in ordinary width and without spaces, which published names have inside (五 粮 液)."""
    return re.sub(r"\s+", "", unicodedata.normalize("NFKC", text))

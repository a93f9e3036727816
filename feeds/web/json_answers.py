"""JSON as public pages answer it: plain, or as the argument of a call (JSONP) whose texts may have single quotes."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from feeds.errors import InputError
from feeds.web.attempts import BrokenAnswerError

_JSONP = re.compile(r"\s*[\w.$]+\s*\((.*)\)\s*;?\s*", re.DOTALL)
_TITLE = re.compile(rb"<title[^>]*>([^<]*)", re.IGNORECASE)
#: A text in double quotes, or (group 1) in single ones.
_STRINGS = re.compile(r""""(?:[^"\\]|\\.)*"|\'((?:[^\'\\"]|\\.)*)\'""")


def decode(content: bytes, where: str) -> Any:
    r"""Return the value of JSON, or of a call with JSON (JSONP), whose texts may have single quotes.

    Raises
    ------
    InputError : for a web page.
    BrokenAnswerError : for anything else that is no JSON, such as an answer that was cut off.

    Examples
    --------
    >>> decode(b"cb([[{\"rzye\": 8675158673}], '2026-07-16']);", "Beijing")
    [[{'rzye': 8675158673}], '2026-07-16']
    """
    if content.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"<"):
        title = _TITLE.search(content)
        named = f" ({_text(title[1]).strip()[:80]!r})" if title else ""
        raise InputError(
            f"{where} answers with a web page{named}, not with figures: open its address in a browser; it may want a "
            "login or a captcha, or have moved. Wait longer between two requests (pages_pause_s), or use another source"
        )
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BrokenAnswerError(f"{len(content)} bytes that are no UTF-8: {error}") from None
    call = _JSONP.fullmatch(text)
    argument = call[1] if call else text
    try:
        return msgspec.json.decode(argument)
    except (msgspec.DecodeError, RecursionError):
        pass
    try:
        return msgspec.json.decode(_STRINGS.sub(_double_quoted, argument))
    except (msgspec.DecodeError, RecursionError) as error:
        raise BrokenAnswerError(f"{len(content)} bytes that are no JSON: {error}") from None


def _text(content: bytes) -> str:
    """Return the text of a web page, which may be written in UTF-8 or in GB18030."""
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("gb18030", errors="replace")


def _double_quoted(found: re.Match[str]) -> str:
    return found[0] if found[1] is None else f'"{found[1]}"'

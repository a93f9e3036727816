"""Sending a request of a source by HTTP; its answer is limited in time and size."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import httpx

from feeds.errors import InputError
from feeds.web.attempts import BrokenAnswerError

if TYPE_CHECKING:
    from feeds.ports import PageClient

_LONGEST_S, _MOST_BYTES = 120.0, 64 * 1024 * 1024


@contextmanager
def answer_to(client: PageClient, request: httpx.Request, *, redirects: bool = False) -> Iterator[httpx.Response]:
    """Send a request; its answer is closed at the end of the block.

    Parameters
    ----------
    redirects : whether they are followed.

    Raises
    ------
    BrokenAnswerError : if the network fails, also in the block.
    """
    try:
        answer = client.send(request, stream=True, follow_redirects=redirects)
        try:
            yield answer
        finally:
            answer.close()
    except httpx.HTTPError as error:
        raise BrokenAnswerError(str(error) or type(error).__name__) from None


def content_of(
    answer: httpx.Response,
    where: str,
    *,
    longest_s: float = _LONGEST_S,
    clock: Callable[[], float] = time.monotonic,
) -> bytes:
    """Return the whole content of an answer.

    Parameters
    ----------
    where : the name of the source in messages.
    longest_s : how long it may take.
    clock : seconds.

    Raises
    ------
    InputError : if it is too large.
    BrokenAnswerError : if it does not arrive in time.
    """
    content, deadline = bytearray(), clock() + longest_s
    for part in answer.iter_bytes():
        content += part
        if len(content) > _MOST_BYTES:
            raise InputError(f"{where} sends more than {_MOST_BYTES:,} bytes, which are no figures: check its address")
        if clock() > deadline:
            raise BrokenAnswerError(f"not all was sent within {longest_s:g} s")
    return bytes(content)

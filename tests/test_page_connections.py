"""The HTTP client of feeds against sites whose answers have no end."""

from __future__ import annotations

import socketserver
import threading
import time
from collections.abc import Iterator

import pytest

from feeds.errors import InputError
from feeds.web.snapshot_sources import download
from streams import page_connections
from streams.clients import page_client


class Site(socketserver.ThreadingTCPServer):
    """Answers with a beginning, then with more of the same as long as somebody reads."""

    daemon_threads = True

    def __init__(self, beginning: bytes, more: bytes, pause_s: float) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.beginning, self.more, self.pause_s = beginning, more, pause_s
        threading.Thread(target=self.serve_forever, daemon=True).start()


class _Answer(socketserver.BaseRequestHandler):
    server: Site

    def handle(self) -> None:
        self.request.recv(4096)
        self.request.sendall(self.server.beginning)
        try:
            while True:
                self.request.sendall(self.server.more)
                time.sleep(self.server.pause_s)
        except OSError:
            return


@pytest.fixture
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    with Site(*request.param) as made:
        yield made
        made.shutdown()


_HEAD = b"HTTP/1.1 200 OK\r\nX-Note: "
_REDIRECTION = b"HTTP/1.1 302 Found\r\nLocation: /other\r\n\r\n"
_GZIP = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n\x1f\x8b\x08\x08\0\0\0\0\0\0"  # then a name without an end


@pytest.mark.parametrize("site", [(_HEAD, b"a", 0.02), (_REDIRECTION, b"a", 0.02), (_GZIP, b"a", 0.02)], indirect=True)
def test_an_answer_that_trickles_for_ever_is_given_up(site: Site) -> None:
    began = time.monotonic()
    with pytest.raises(InputError, match=r"timed out|has not ended"):
        download(f"http://127.0.0.1:{site.server_address[1]}/", page_client(), timeout_s=0.2, longest_s=0.5)
    assert time.monotonic() - began < 20


@pytest.mark.parametrize("site", [(_REDIRECTION, b"a" * 65536, 0.0)], indirect=True)
def test_a_redirection_of_any_size_is_given_up(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_connections, "_MOST_BYTES", 1_000_000)
    with pytest.raises(InputError, match="more than 1,000,000 bytes"):
        download(f"http://127.0.0.1:{site.server_address[1]}/", page_client())

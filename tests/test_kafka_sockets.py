"""Sockets of kafka-python whose connection is given up."""

from __future__ import annotations

import errno
import socket
import types
from collections.abc import Generator

import pytest
from kafka.net.inet import KafkaNetSocket

from streams.kafka import sockets as kafka_sockets


class Silent:
    """An event loop of the library in which no connection is ever made."""

    @types.coroutine
    def wait_write(self, _sock: socket.socket, timeout_at: float | None = None) -> Generator[None, None, None]:
        yield


def test_a_socket_is_closed_when_its_connection_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    kafka_sockets.install()
    made = KafkaNetSocket()
    monkeypatch.setattr(made, "connect_ex", lambda *_: errno.EINPROGRESS)
    with socket.socket() as sock:
        connecting = made.sock_connect(Silent(), sock, ("127.0.0.1", 1))
        connecting.send(None)
        assert sock.fileno() >= 0
        connecting.close()
        assert sock.fileno() == -1


def test_it_is_installed_once() -> None:
    kafka_sockets.install()
    installed = KafkaNetSocket.sock_connect
    kafka_sockets.install()
    assert KafkaNetSocket.sock_connect is installed

"""Whether this process can listen on a port: asked before its work begins."""

from __future__ import annotations

import socket

from streams.errors import PortError


def require_free(host: str, port: int, remedy: str) -> None:
    """Raise `PortError` if this process can't listen on a port of a host; port 0 stands for any free one.

    Parameters
    ----------
    remedy : the end of the message, what to set instead.
    """
    try:
        for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            with socket.socket(family, kind, protocol) as probe:
                # Else one that was served a minute ago is taken.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                probe.bind(address)
    except OSError as error:
        raise PortError(f"port {port} of {host} can't be listened on ({error.strerror}): {remedy}") from error

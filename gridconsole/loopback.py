"""Ports and answers on this machine."""

import socket
from typing import Final

HOST: Final = "127.0.0.1"
PORTS_TRIED: Final = 50
HIGHEST_PORT: Final = 65_535
ANSWER_LIMIT_S: Final = 2.0


class NoFreePort(Exception):
    """Every port in reach is taken."""


def free_port(wanted: int, *, reserved: int = 0) -> int:
    """Return `wanted` or the next port that nobody listens on, `reserved` excepted.

    Raises:
        NoFreePort: all of the next ports are taken.
    """
    last = min(wanted + PORTS_TRIED - 1, HIGHEST_PORT)
    for port in range(wanted, last + 1):
        if port != reserved and _is_free(port):
            return port
    raise NoFreePort(f"The ports {wanted} to {last} are all taken; choose another with --port.")


def answers(port: int, path: str) -> bool:
    """Return whether an HTTP server on this machine answers 200 to a GET of `path`."""
    try:
        with socket.create_connection((HOST, port), timeout=ANSWER_LIMIT_S) as connection:
            connection.sendall(f"GET {path} HTTP/1.0\r\nHost: {HOST}:{port}\r\n\r\n".encode())
            return connection.recv(64).split(b" ", 2)[1:2] == [b"200"]
    except OSError:
        return False


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the servers do: TIME_WAIT is not taken
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True

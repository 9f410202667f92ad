"""Ports and answers on this machine."""

import socket
from dataclasses import dataclass
from typing import Final

HOST: Final = "127.0.0.1"
PORTS_TRIED: Final = 50
HIGHEST_PORT: Final = 65_535
ANSWER_LIMIT_S: Final = 2.0


class NoFreePort(Exception):
    """Every port in reach is taken."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A port that is ours to listen on, before anything listens there; given back when this process ends.

    It is the UDP port of the same number: the system gives that to one process alone, and takes it back however the
    process ends. Of two consoles that start together the second sees it taken, long before the first one's server
    listens.
    """

    port: int
    _held: socket.socket


def claim_port(wanted: int) -> Claim:
    """Claim `wanted` or the next port that nobody has claimed and nobody listens on.

    Raises:
        NoFreePort: all of the next ports are taken.
    """
    last = min(wanted + PORTS_TRIED - 1, HIGHEST_PORT)
    for port in range(wanted, last + 1):
        if (claim := _claim(port)) is not None:
            return claim
    raise NoFreePort(f"The ports {wanted} to {last} are all taken; choose another with --port.")


def answers(url: str) -> bool:
    """Return whether an HTTP server on this machine answers 200 to a GET of `url`, as it is given."""
    address, slash, target = url.removeprefix("http://").partition("/")
    port = int(address.rpartition(":")[2])
    try:
        with socket.create_connection((HOST, port), timeout=ANSWER_LIMIT_S) as connection:
            connection.sendall(f"GET {slash}{target} HTTP/1.0\r\nHost: {address}\r\n\r\n".encode())
            return connection.recv(64).split(b" ", 2)[1:2] == [b"200"]
    except OSError:
        return False


def _claim(port: int) -> Claim | None:
    held = socket.socket(type=socket.SOCK_DGRAM)
    try:
        held.bind((HOST, port))
    except OSError:
        held.close()
        return None
    if not _is_free(port):
        held.close()
        return None
    return Claim(port, held)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the servers do: TIME_WAIT is not taken
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True

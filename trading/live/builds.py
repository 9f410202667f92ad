"""Every process says which build it runs; the risk loop compares."""

import json
import os
import socket
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final, cast

from redis import Redis, RedisError

from trading.live.door import valkey

BUILDS: Final = "gc:builds"  # hash: process@host:pid -> "build milliseconds"
SAY_EVERY_S: Final = 1.0
FRESH_MS: Final = 5_000
FORGET_MS: Final = 60_000
SAID_LATELY_MS: Final = 10_000  # the watchdog speaks twice as often


def announce_for_ever(client: Redis, process: str, build: str) -> None:
    """Say in a thread of its own, once a second, which build this process runs, for as long as it lives."""
    threading.Thread(target=_announce, args=(client, process, build), name="build", daemon=True).start()


def announce(client: Redis, process: str, build: str) -> str:
    """Say once which build this process runs; return under which name."""
    name = f"{process}@{socket.gethostname()}:{os.getpid()}"
    with suppress(RedisError, OSError):
        client.hset(BUILDS, name, f"{build} {time.time_ns() // 1_000_000}")
    return name


def _announce(client: Redis, process: str, build: str) -> None:
    while True:
        announce(client, process, build)
        time.sleep(SAY_EVERY_S)


def fresh(entries: Mapping[bytes, bytes], now_ms: int) -> dict[str, str]:
    """Return process -> build of those that spoke lately; what cannot be read is a build of its own."""
    found: dict[str, str] = {}
    for name, text in entries.items():
        build, _, stamp = text.decode(errors="replace").partition(" ")
        if not stamp.isdigit() or now_ms - int(stamp) <= FRESH_MS:
            found[name.decode(errors="replace")] = build
    return found


def forgotten(entries: Mapping[bytes, bytes], now_ms: int) -> list[bytes]:
    """Return the processes that have not spoken for so long that their entry may go."""
    stamps = {name: text.rpartition(b" ")[2] for name, text in entries.items()}
    return [name for name, stamp in stamps.items() if stamp.isdigit() and now_ms - int(stamp) > FORGET_MS]


def read_build(path: Path, now_ms: int) -> dict[str, str]:
    """Return which build the watchdog runs, {} unless it has said so lately."""
    try:
        said = json.loads(path.read_text())
        is_young = now_ms - int(said["at_ms"]) <= SAID_LATELY_MS
        return {"watchdog": str(said["build"])} if is_young else {}
    except (OSError, ValueError, KeyError, TypeError, RecursionError, OverflowError):
        return {}


def heard(watchdog: Path, now_ms: int) -> dict[str, str]:
    """Return process -> build of everybody who spoke lately; while Valkey is away only the watchdog is heard."""
    found = read_build(watchdog, now_ms)
    with suppress(RedisError, OSError):
        found |= fresh(cast(dict[bytes, bytes], valkey().hgetall(BUILDS)), now_ms)
    return found

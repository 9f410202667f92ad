"""The worker of the loops with counters around them, started as the supervisor starts it, with the same arguments.

Whoever connects to the socket in the data folder reads what was counted by now, one line of JSON.
"""

import json
import socket
import sys
import threading
from pathlib import Path
from typing import Any, Final

from benchmarks.host import Host
from gridconsole import profile, worker

SOCKET: Final = "counts.sock"
SIGMAS: Final = 1.0  # instead of 3: prices that cross two hundred levels a second are what the forecast keeps out of
PACE: Final = 10_000_000  # orders in ten seconds: the ladder's own pace follows the venue's limit, which is lifted


def ask(data_dir: Path) -> dict[str, Any]:
    """Return what the loops of this data folder have counted by now.

    Raises:
        OSError: they do not run.
    """
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(data_dir / SOCKET))
        with client.makefile() as answer:
            return dict(json.loads(answer.read()))


def _answer(host: Host, path: Path) -> None:
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(path))
        door.listen()
        while True:
            client, _ = door.accept()
            with client:
                client.sendall(json.dumps(host.report()).encode() + b"\n")


class CountedThread(worker.LoopThread):
    """The thread of the loops, which hosts them through the counters."""

    counters: Host

    async def _host(self) -> None:
        from trading import bootstrap

        bootstrap.host_loops = self.counters.host_loops
        await super()._host()


def main() -> None:
    """Become the worker."""
    from celery.__main__ import main as celery

    host = Host(pace=PACE, sigmas=SIGMAS)
    data_dir = profile.read(of_running=False).data_dir
    threading.Thread(target=_answer, args=(host, data_dir / SOCKET), daemon=True).start()
    CountedThread.counters = host
    worker.LoopThread = CountedThread  # type: ignore[misc]  # what the worker's step starts
    sys.argv[0] = "celery"
    celery()


if __name__ == "__main__":
    main()

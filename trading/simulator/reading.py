"""Reads a recording in a process of its own, so that the 40 MB of pyarrow go when it is read."""

import asyncio
import io
import os
import sys
from pathlib import Path
from typing import Any, Final

import numpy as np

from trading.simulator import listing
from trading.simulator.replay import BarRecording, Recording, ReplayError, TickRecording, read

ROOT: Final = Path(__file__).resolve().parents[2]
REFUSED: Final = 2  # exit status; the reason stands on stderr


async def load(dataset: str | Path) -> Recording:
    """Return what `replay.read` returns for `dataset` and the shipped listing.

    Raises:
        ReplayError: as `replay.read`, or the reading process failed.
    """
    reader = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", __name__, str(dataset)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])},
    )
    try:
        content, said = await reader.communicate()
    except asyncio.CancelledError:
        reader.kill()
        await reader.wait()
        raise
    reason = said.decode("utf-8", "replace").strip()
    if reader.returncode == REFUSED:
        raise ReplayError(reason)
    if reader.returncode != 0:
        ending = reason.splitlines()[-1] if reason else f"exit status {reader.returncode}"
        raise ReplayError(
            f"{dataset}: the process that read it failed ({ending}). Try again or choose another dataset."
        )
    return unpack(content)


def pack(recording: Recording) -> bytes:
    """Return the arrays of a recording that was read from a file."""
    if isinstance(recording, TickRecording):
        columns: dict[str, Any] = {"kind": recording.kind, "prices": recording.prices}
    elif isinstance(recording, BarRecording):
        columns = {"path": recording.path, "quantity": recording.quantity}
    else:
        raise TypeError(f"{type(recording).__name__} was not read from a file.")
    names = np.array([recording.name, *recording.symbols])
    content = io.BytesIO()
    np.savez(content, names=names, at_ns=recording.at_ns, symbol=recording.symbol, **columns)
    return content.getvalue()


def unpack(content: bytes) -> Recording:
    """Return the recording that `pack` wrote."""
    with np.load(io.BytesIO(content), allow_pickle=False) as stored:
        name, *symbols = (str(text) for text in stored["names"])
        common = {"name": name, "symbols": tuple(symbols), "at_ns": stored["at_ns"], "symbol": stored["symbol"]}
        if "path" in stored.files:
            return BarRecording(**common, path=stored["path"], quantity=stored["quantity"])
        return TickRecording(**common, kind=stored["kind"], prices=stored["prices"])


def main() -> int:
    """Read the recording named on the command line and write it to stdout; return the exit status."""
    try:
        sys.stdout.buffer.write(pack(read(sys.argv[1], listing.load().instruments)))
    except (ReplayError, listing.ListingError) as refused:
        sys.stderr.write(str(refused))
        return REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""`python -m trading.simulator`: the simulated exchange as a process of its own, without Django."""

import argparse
import asyncio
import logging
import os
import re
import signal
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, fields
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from trading.domain.instruments import UnreadableNumber, parse_decimal
from trading.simulator.listing import MIN_NOTIONAL, ListingError
from trading.simulator.player import FASTEST, SLOWEST, SpeedError
from trading.simulator.replay import ReplayError
from trading.simulator.server import PortTaken, running_exchange

DEFAULT_PORT: Final = 8900
DEFAULT_SPEED: Final = 10.0
LARGEST_PORT: Final = 65_535
LONGEST_LATENCY_MS: Final = 60_000.0
NAME: Final = re.compile(r"[0-9A-Za-z-]{1,64}")
REFUSED: Final = 2  # exit status when it cannot start


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options, for this module and for the management command."""
    parser.add_argument("--port", type=_port, default=DEFAULT_PORT, help="loopback port, 0 takes a free one")
    parser.add_argument(
        "--instance", type=_name, default="", help="its name; refuse whoever asks for an instance of another name"
    )
    parser.add_argument("--data-dir", type=Path, default=None, help="where balances and orders survive a restart")
    parser.add_argument(
        "--speed", type=float, default=DEFAULT_SPEED, help=f"{SLOWEST:g} to {FASTEST:g} times real time"
    )
    parser.add_argument("--dataset", default="ticks", help='"ticks", "bars" or the path of a Parquet file')
    parser.add_argument("--lockstep", action="store_true", help="time moves only by POST /sim/step")
    parser.add_argument("--latency-ms", type=_milliseconds, default=0.0, help="round trip of every request")
    parser.add_argument("--min-notional", type=_amount, default=MIN_NOTIONAL, help="smallest order value, USDT")
    parser.add_argument(
        "--lift-order-limits", action="store_true", help="for load tests: new orders cost neither count nor weight"
    )


def _amount(text: str) -> Decimal:
    try:
        amount = parse_decimal(text, field="--min-notional")
    except UnreadableNumber as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    if amount < 0:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is below zero")
    return amount


def _name(text: str) -> str:
    if text and not NAME.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is no name of letters, digits and dashes, 64 at most")
    return text


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= LARGEST_PORT:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is no port from 0 to {LARGEST_PORT}")
    return port


def _milliseconds(text: str) -> float:
    found = float(text)
    if not 0 <= found <= LONGEST_LATENCY_MS:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is no number from 0 to {LONGEST_LATENCY_MS:.0f}")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until SIGTERM or SIGINT; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m trading.simulator", description=__doc__)
    add_arguments(parser)
    return start(Options.of(vars(parser.parse_args(arguments))))


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for on the command line."""

    port: int
    instance: str
    data_dir: Path | None
    speed: float
    dataset: str
    lockstep: bool
    latency_ms: float
    min_notional: Decimal
    lift_order_limits: bool

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> "Options":
        """Return the options among parsed `values`."""
        return cls(**{field.name: values[field.name] for field in fields(cls)})


def start(options: Options) -> int:
    """Run the exchange; return the exit status."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        return _run(_serve(options))
    except (PortTaken, ReplayError, ListingError, SpeedError) as refused:
        sys.stderr.write(f"The simulated exchange did not start: {refused}\n")
        return REFUSED


def _run(serving: Coroutine[None, None, int]) -> int:
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(serving)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop  # comes with uvicorn[standard] where it runs; halves the cost of a frame
    except ImportError:
        return None
    return uvloop.new_event_loop


async def _serve(options: Options) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with running_exchange(
        dataset=options.dataset,
        speed=options.speed,
        lockstep=options.lockstep,
        port=options.port,
        instance=options.instance,
        data_dir=options.data_dir,
        latency_ms=options.latency_ms,
        min_notional=options.min_notional,
        lift_order_limits=options.lift_order_limits,
    ) as running:
        mode = "lockstep" if options.lockstep else f"x{options.speed:g}"
        mode += ", ORDER LIMITS LIFTED" if options.lift_order_limits else ""
        sys.stdout.write(f"Simulated exchange ready on {running.url} ({options.dataset}, {mode}, pid {os.getpid()})\n")
        sys.stdout.flush()
        waiting = {asyncio.ensure_future(stop.wait())} | ({running.task} if running.task else set())
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    return 0


if __name__ == "__main__":
    sys.exit(main())

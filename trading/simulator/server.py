"""Puts the exchange on loopback sockets; `running_exchange` is the way in for programs and tests."""

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Final

from aiohttp import web

from trading.domain.fees import DEMO_FEES, Fees
from trading.simulator import INSTANCE_PATH, control, listing, rest, state, streams, user_api
from trading.simulator.access import DEFAULT_ACCOUNTS, PaperAccount
from trading.simulator.exchange import Exchange, ExchangeClock
from trading.simulator.faults import Faults
from trading.simulator.gate import Gate
from trading.simulator.player import SEAM_PAUSE_S, Player, check_speed
from trading.simulator.reading import load
from trading.simulator.replay import Recording
from trading.simulator.weights import CONNECTIONS_LIMIT, CONNECTIONS_S, Window

LOOPBACK: Final = "127.0.0.1"
LOCAL_NAMES: Final = frozenset({LOOPBACK, "localhost"})
CLOSING_S: Final = 0.5  # a client that has not hung up by then is dropped

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class PortTaken(Exception):
    """Somebody else listens on the port; the message says what to do."""


@dataclass(slots=True)
class RunningExchange:
    """One simulated exchange that answers on a loopback port."""

    port: int
    exchange: Exchange
    player: Player
    gate: Gate
    task: asyncio.Task[None] | None  # the replay; None in lockstep

    @property
    def url(self) -> str:
        """Base of the REST addresses."""
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def ws_url(self) -> str:
        """Base of the WebSocket addresses."""
        return f"ws://{LOOPBACK}:{self.port}"


@asynccontextmanager
async def running_exchange(
    *,
    dataset: str | Path = "ticks",
    recording: Recording | None = None,
    speed: float = 1.0,
    lockstep: bool = False,
    port: int = 0,
    instance: str = "",
    data_dir: Path | None = None,
    latency_ms: float = 0.0,
    min_notional: Decimal = listing.MIN_NOTIONAL,
    accounts: Sequence[PaperAccount] = DEFAULT_ACCOUNTS,
    fees: Fees = DEMO_FEES,
    seam_pause_s: float = SEAM_PAUSE_S,
    patience_s: float = streams.PATIENCE_S,
    lift_order_limits: bool = False,
    monotonic: Callable[[], float] = time.monotonic,
) -> AsyncIterator[RunningExchange]:
    """Run an exchange on loopback for the length of the block.

    `recording` wins over `dataset`; port 0 takes a free one; under `INSTANCE_PATH` only who asks for `instance` is
    answered; without `data_dir` nothing is remembered; in lockstep time moves only by POST /sim/step; `latency_ms` is
    the round trip of every request; `seam_pause_s` separates BREAK, settlement and TRADING; `patience_s` is how long
    one slow reader may hold the replay up; rate limits are counted by `monotonic` (seconds); `lift_order_limits` is for
    load tests: new orders cost neither count nor weight.

    Raises:
        PortTaken: another program listens there.
        ReplayError, ListingError, SpeedError: the data or the speed cannot be used.
    """
    check_speed(speed)
    async with contextlib.AsyncExitStack() as stack:
        listening = stack.enter_context(_listen(port))  # first: a port that is taken is known at once
        listed = listing.load(min_notional=min_notional)
        played = recording or await load(dataset)
        clock = ExchangeClock(frozen_at_ns=played.first_ns if lockstep else None)
        market = streams.MarketStreams(patience_s=patience_s)
        exchange = Exchange(
            listed,
            clock=clock,
            accounts=accounts,
            fees=fees,
            streams=market,
            monotonic=monotonic,
            lift_order_limits=lift_order_limits,
        )
        path = data_dir / state.FILE_NAME if data_dir is not None else None
        resumed = state.restore(path, exchange) if path is not None else False
        exchange.open_accounts()
        player = Player(exchange, played, speed=speed, seam_pause_s=seam_pause_s)
        gate = Gate(exchange, Faults(), latency_ms)
        application = _application(gate, control.Control(gate, player, lockstep, instance))
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=CLOSING_S)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        if path is not None:
            keeper = state.Keeper(path, exchange)
            exchange.on_change, exchange.saved = keeper.note, keeper.saved
            stack.callback(keeper.finish)
            await stack.enter_async_context(_background(keeper.run()))
        stack.callback(exchange.users.finish)
        stack.callback(exchange.streams.finish)
        task = None
        if lockstep:
            player.open_lockstep()
        else:
            task = await stack.enter_async_context(_background(player.run(resumed=resumed)))
        await web.SockSite(runner, listening).start()
        yield RunningExchange(listening.getsockname()[1], exchange, player, gate, task)


@asynccontextmanager
async def _background(work: Coroutine[None, None, None]) -> AsyncIterator[asyncio.Task[None]]:
    """Run `work` beside the block; its own failure is raised at the end of the block."""
    task = asyncio.create_task(work)
    try:
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def _listen(port: int) -> socket.socket:
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((LOOPBACK, port))
        listening.listen()  # two may be bound to one port until one of them listens
    except OSError as error:
        listening.close()
        raise PortTaken(
            f"port {port}: {error.strerror}. Stop the program that listens there or choose another with --port."
        ) from error
    return listening


def _application(gate: Gate, controller: control.Control) -> web.Application:
    application = web.Application(middlewares=[_only_local_programs], client_max_size=rest.LARGEST_BODY)
    connections = Window(CONNECTIONS_S, time.monotonic)

    async def rest_door(request: web.Request) -> web.StreamResponse:
        return await rest.serve(request, gate, "/" + request.match_info["path"])

    async def market_door(request: web.Request) -> web.StreamResponse:
        return await _open_streams(request, request.match_info.get("streams", "").split("/"), combined=False)

    async def combined_door(request: web.Request) -> web.StreamResponse:
        return await _open_streams(request, request.query.get("streams", "").split("/"), combined=True)

    async def _open_streams(request: web.Request, names: list[str], *, combined: bool) -> web.StreamResponse:
        if connections.add(1) > CONNECTIONS_LIMIT:
            return web.Response(status=429)
        return await streams.serve(request, gate.exchange.streams, names, combined=combined)

    async def user_door(request: web.Request) -> web.StreamResponse:
        if connections.add(1) > CONNECTIONS_LIMIT:
            return web.Response(status=429)
        return await user_api.serve(request, gate)

    def open_doors(base: str) -> None:
        application.router.add_get(f"{base}/stream", combined_door)
        for path in ("/stream/ws", "/stream/ws/{number}", "/ws", "/ws/{streams}"):
            application.router.add_get(base + path, market_door)
        application.router.add_get(f"{base}/ws-api/v3", user_door)
        application.add_routes(control.routes(controller, base))
        application.router.add_route("*", base + "/{path:.*}", rest_door)

    if controller.instance:
        open_doors(INSTANCE_PATH.format(controller.instance))
    application.router.add_route("*", INSTANCE_PATH.format("{name}") + "/{path:.*}", control.not_here(controller))
    open_doors("")
    return application


@web.middleware
async def _only_local_programs(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse web pages: a browser sends its page's Origin, and a rebound name is none of ours."""
    if "Origin" in request.headers or (request.url.host or "") not in LOCAL_NAMES:
        return web.Response(status=403, text="The simulated exchange answers programs on this machine only.")
    return await handler(request)

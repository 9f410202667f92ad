"""The control plane under /sim/: speed, data set, pause, transfers, faults, lockstep. No part of Binance."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson
from aiohttp import web

from trading.domain.flows import Flow
from trading.domain.instruments import parse_decimal
from trading.simulator import faults
from trading.simulator.access import SWITCHES, TRADES
from trading.simulator.frames import binary_frame, text_frame
from trading.simulator.gate import Gate
from trading.simulator.player import Player, SpeedError
from trading.simulator.reading import load
from trading.simulator.replay import DATASETS, ReplayError
from trading.simulator.wire import money

GARBAGE: Final = '{"e":"trade","s":'
LARGEST_FRAME: Final = 20_000_000  # bytes a fault may send at once
LONGEST_NAME: Final = 64
MISDIRECTED: Final = 421  # RFC 9110, 15.5.20
JSON: Final = "application/json"
MS: Final = 1_000_000


class ControlError(Exception):
    """The request is refused; the message names the field, the reason and what to send."""


@dataclass(slots=True)
class Control:
    """What the control plane may touch."""

    gate: Gate
    player: Player
    is_lockstep: bool
    instance: str = ""  # the name whoever started this exchange knows it by

    # --- reading ------------------------------------------------------------------------------------------

    def status(self) -> dict[str, Any]:
        """Return everything worth knowing: `ports.ReplayStatus`, accounts, connections, faults."""
        exchange = self.gate.exchange
        return {
            **self.player.status(),
            "instance": self.instance,
            "seams": [{"lap": seam.lap, "prices": seam.prices, "at_ms": seam.at_ms} for seam in exchange.seams],
            "lockstep": self.is_lockstep,
            "time_ms": exchange.now_ms(),
            "datasets": sorted(DATASETS),
            "symbols": sorted(exchange.trading),
            "events_played": self.player.events_played,
            "accounts": {name: self._account(name) for name in exchange.venue.accounts},
            "user_events_sent": dict(exchange.users.reports_sent),
            "market_connections": exchange.streams.count,
            "user_connections": exchange.users.count,
            "disconnected_slow": exchange.streams.disconnected,
            "latency_ms": self.gate.latency_ms,
            "order_limits_lifted": exchange.order_counts.are_lifted,
            "faults": [rule.kind.value for rule in self.gate.faults.rules],
        }

    def _account(self, name: str) -> dict[str, Any]:
        venue = self.gate.exchange.venue
        balances = {a: {"free": money(b.free), "locked": money(b.locked)} for a, b in venue.balances(name).items()}
        return {"balances": balances, "open_orders": len(venue.open_orders(name))}

    # --- replay -------------------------------------------------------------------------------------------

    async def speed(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """Play at another speed."""
        value = document.get("speed")
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ControlError(f"speed: {value!r} is no number; send 1 to 60.")
        try:
            self.player.set_speed(value)
        except SpeedError as error:
            raise ControlError(str(error)) from error
        return self.player.status()

    async def pause(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """Stop or resume the flow of events."""
        value = document.get("paused")
        if not isinstance(value, bool):
            raise ControlError(f"paused: {value!r} is neither true nor false.")
        self.player.pause(value)
        return self.player.status()

    async def dataset(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """Play another recording, after a seam."""
        name = document.get("dataset")
        if not isinstance(name, str) or name not in DATASETS:
            raise ControlError(f"dataset: {name!r} is none of {', '.join(sorted(DATASETS))}.")
        if self.is_lockstep:
            raise ControlError("dataset: an exchange in lockstep plays what it was started with; start another one.")
        try:
            recording = await load(name)
        except ReplayError as error:
            raise ControlError(str(error)) from error
        self.player.change_recording(recording)
        return {**self.player.status(), "next_dataset": recording.name}

    async def step(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """Advance a lockstep exchange."""
        if not self.is_lockstep:
            raise ControlError("step: the exchange was not started with --lockstep.")
        return self.player.step()

    async def key(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """Change what the venue says of a key's permissions."""
        name, switches = document.get("key"), document.get("switches")
        known = ", ".join(sorted({TRADES, *SWITCHES}))
        if not isinstance(switches, dict) or not set(switches) <= {TRADES, *SWITCHES}:
            raise ControlError(f"switches: send an object with some of {known}.")
        if wrong := [field for field, value in switches.items() if not isinstance(value, bool)]:
            raise ControlError(f"{wrong[0]}: {switches[wrong[0]]!r} is neither true nor false.")
        try:
            return {"key": name, **self.gate.exchange.keys.switch(str(name), switches)}
        except KeyError as error:
            raise ControlError(
                f"key: there is no key {name!r}; the keys are paper-<account>-trade, -cancel, -read."
            ) from error

    # --- transfers ----------------------------------------------------------------------------------------

    async def transfer(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """Pay money in or out; under one id once. The answer leaves when it would survive a restart."""
        texts = [document.get(name) for name in ("account", "id", "asset")]
        if not all(isinstance(text, str) and 0 < len(text) <= LONGEST_NAME for text in texts):
            raise ControlError(f"account, id, asset: send three texts of 1 to {LONGEST_NAME} characters.")
        account, flow_id, asset = map(str, texts)
        exchange = self.gate.exchange
        try:
            flow = exchange.transfer(account, flow_id, asset, parse_decimal(document.get("amount"), field="amount"))
        except ValueError as error:
            raise ControlError(f"transfer: {error}") from error
        await exchange.saved()
        return _flow(flow)

    def transfers(self, account: str) -> list[dict[str, Any]]:
        """Return every transfer of an account, oldest first."""
        venue = self.gate.exchange.venue
        if account not in venue.accounts:
            raise ControlError(f"account: there is no account {account[:LONGEST_NAME]!r}.")
        return [_flow(one.flow) for one in venue.transfers(account)]

    # --- faults -------------------------------------------------------------------------------------------

    async def fault(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """Put a fault in force, or end all of them with kind "reset"."""
        kind = document.get("kind")
        act = self._stream_faults().get(str(kind))
        if act is not None:
            return {"kind": kind, "affected": act(document)}
        try:
            self.gate.faults.rules.append(faults.parse(document))
        except faults.FaultError as error:
            others = ", ".join(self._stream_faults())
            raise ControlError(f"{error} Faults of streams are {others}.") from error
        return {"kind": kind, "rules": len(self.gate.faults.rules)}

    def _stream_faults(self) -> dict[str, Callable[[Mapping[str, Any]], int]]:
        exchange = self.gate.exchange
        return {
            "reset": self._reset,
            "round_trip": self._round_trip,
            "silent_market": lambda d: _switch(d, exchange.streams, "silent"),
            "silent_user": lambda d: _switch(d, exchange.users, "silent"),
            "duplicate_user": lambda d: _switch(d, exchange.users, "twice"),
            "reorder_user": lambda d: _switch(d, exchange.users, "swapped"),
            "lose_market": self._lose,
            "garbage_market": lambda d: self._inject(d, exchange.streams.inject),
            "garbage_user": lambda d: self._inject(d, exchange.users.inject),
            "disconnect_market": lambda d: exchange.streams.cut_all(),
            "disconnect_user": lambda d: exchange.users.cut_all(),
            "terminate_user": lambda d: exchange.users.terminate_all(now_ms=exchange.now_ms()),
        }

    def _reset(self, document: Mapping[str, Any]) -> int:
        seed = document.get("seed", 0)
        if not isinstance(seed, int) or isinstance(seed, bool):
            raise ControlError(f"seed: {seed!r} is no whole number.")
        exchange = self.gate.exchange
        ended = len(self.gate.faults.rules)
        self.gate.faults.reset(seed=seed)
        self.gate.latency_ms = 0.0
        exchange.streams.silent, exchange.streams.losing = False, 0
        exchange.users.silent = exchange.users.twice = exchange.users.swapped = False
        return ended

    def _round_trip(self, document: Mapping[str, Any]) -> int:
        value = document.get("latency_ms")
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 60_000:
            raise ControlError(f"latency_ms: {value!r} is no number from 0 to 60000.")
        self.gate.latency_ms = float(value)
        return 1

    def _lose(self, document: Mapping[str, Any]) -> int:
        self.gate.exchange.streams.losing = _count(document, "count", default=1, most=1_000_000)
        return self.gate.exchange.streams.losing

    def _inject(self, document: Mapping[str, Any], inject: Callable[[bytes], None]) -> int:
        text = document.get("text", GARBAGE)
        if not isinstance(text, str):
            raise ControlError(f"text: {text!r} is no text.")
        size = _count(document, "bytes", default=0, most=LARGEST_FRAME)
        payload = text.encode("utf-8", "replace") + b" " * max(size - len(text), 0)
        frame = binary_frame(payload) if document.get("binary") is True else text_frame(payload)
        repeats = _count(document, "count", default=1, most=100_000)
        for _ in range(repeats):
            inject(frame)
        return repeats


def _flow(flow: Flow) -> dict[str, Any]:
    return {"id": flow.flow_id, "amount": format(flow.amount_quote, "f"), "at_ms": flow.at_ns // MS}


def _switch(document: Mapping[str, Any], owner: object, name: str) -> int:
    value = document.get("on", True)
    if not isinstance(value, bool):
        raise ControlError(f"on: {value!r} is neither true nor false.")
    setattr(owner, name, value)
    return int(value)


def _count(document: Mapping[str, Any], name: str, *, default: int, most: int) -> int:
    value = document.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise ControlError(f"{name}: {value!r} is no whole number from 0 to {most}.")
    return value


def routes(control: Control, base: str) -> list[web.RouteDef]:
    """Return the routes of the control plane under `base`."""
    deeds = {
        "/sim/speed": control.speed,
        "/sim/pause": control.pause,
        "/sim/dataset": control.dataset,
        "/sim/step": control.step,
        "/sim/key": control.key,
        "/sim/fault": control.fault,
        "/sim/transfer": control.transfer,
    }

    async def status(request: web.Request) -> web.Response:
        return _json(control.status())

    async def transfers(request: web.Request) -> web.Response:
        try:
            return _json(control.transfers(request.query.get("account", "")))
        except ControlError as refused:
            return _json({"error": str(refused)}, status=400)

    async def act(request: web.Request) -> web.Response:
        try:
            return _json(await deeds[request.path.removeprefix(base)](_document(await request.read())))
        except ControlError as refused:
            return _json({"error": str(refused)}, status=400)

    reading = [web.get(f"{base}/sim/status", status), web.get(f"{base}/sim/transfers", transfers)]
    return [*reading, *(web.post(base + path, act) for path in deeds)]


def not_here(control: Control) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """Return the door for whoever means another exchange: nothing is done for them."""

    async def refuse(request: web.Request) -> web.Response:
        asked = request.match_info["name"][:LONGEST_NAME]
        own = f"is named {control.instance!r}" if control.instance else "has no name"
        said = f"Another simulated exchange listens here: {asked!r} was asked for, this one {own}."
        return _json({"msg": said}, status=MISDIRECTED)

    return refuse


def _document(body: bytes) -> Mapping[str, Any]:
    if not body:
        return {}
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise ControlError(f"the body is no JSON ({error}); send an object.") from error
    if not isinstance(document, dict):
        raise ControlError("the body is no JSON object.")
    return document


def _json(body: Mapping[str, Any] | list[dict[str, Any]], *, status: int = 200) -> web.Response:
    return web.Response(status=status, body=orjson.dumps(body), content_type=JSON)

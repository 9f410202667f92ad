"""The composition root: the only place that knows which adapter stands behind which port."""

import asyncio
import gc
import json
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final, cast

import orjson
import structlog
from django.conf import settings
from psycopg import AsyncConnection
from redis.asyncio import Redis
from redis.exceptions import RedisError

from trading import live, model_parts
from trading.adapters.binance_ccxt import Allowance
from trading.adapters.bus_inprocess import InProcessBus
from trading.adapters.cancellation import steadfast
from trading.adapters.clock_system import SystemClock
from trading.adapters.feed_ccxt import SILENCE_S, BinanceFeed
from trading.adapters.keys_sealed import write_cancel_keys
from trading.adapters.leases_valkey import ValkeyLeases
from trading.adapters.transfers_paper import PaperTransfers
from trading.adapters.venue_ccxt import BinanceVenue
from trading.domain.desk import Chosen, DeskSettings, NeverRan, TraderState, TraderView
from trading.domain.events import VenueRead
from trading.domain.evidence import Facts
from trading.domain.fees import DEMO_FEES
from trading.domain.forecast import Forecaster
from trading.domain.instruments import Instrument
from trading.domain.latency import Histogram
from trading.domain.limits import Limits
from trading.domain.modes import ID_MARKS, Mode
from trading.domain.orders import Side
from trading.domain.restrictions import KeyPurpose
from trading.domain.scopes import Scope
from trading.domain.trader import Trader
from trading.domain.watch import Notice
from trading.live import EventName, Values, builds
from trading.live.installation import modes_here, why_not_here
from trading.models import Account, first_cash, with_something_to_stop
from trading.ports import Clock, EventBus, Lease, Leases, NoKey, NotArmed, Recorder, VenueError
from trading.runtime import rows
from trading.runtime.build import digest
from trading.runtime.execution import ExecutionLoop, Parts
from trading.runtime.host import Hosted, Loop, host
from trading.runtime.learned import LearnedForecasts
from trading.runtime.market_data import MarketDataLoop
from trading.runtime.meter import Meter
from trading.runtime.model import ModelLoop
from trading.runtime.outages import why_not_storable
from trading.runtime.risk import RiskLoop, Senses
from trading.runtime.threads import DatabaseThread, LoopJournal
from trading.runtime.topics import COMMAND
from trading.selectors import armings, recovery
from trading.services import (
    alerts,
    candidates,
    evidence,
    foreign_orders,
    halts,
    in_force,
    readings,
    samples,
    venue_keys,
)
from trading.services.journal import STORE_TURN, DatabaseJournal, moment

KINDS: Final = ("market_data", "model", "execution", "risk")
HEARTBEAT_MS: Final = 10_000  # life of a heartbeat and of what a loop tells machines
MS: Final = 1_000_000
TIMEOUT_S: Final = 1.0  # a third of a lease's life
PUBSUB_WAIT_S: Final = 0.5
PATIENCE_S: Final = 60.0  # silence that is no silence: the exchange waits for us


class UnknownLoop(ValueError):
    """A loop was asked for that does not exist; the message names those that do."""


@dataclass(slots=True)
class Desk:
    """What the database says of one account when its loop starts."""

    settings: DeskSettings
    limits: Limits
    instruments: dict[str, Instrument]
    orders: rows.Orders
    fence: int


def read_desk(slug: str, venue_instruments: Mapping[str, Instrument] | None = None) -> Desk:
    """Return what the account `slug` runs; the venue's own filters, where given, overrule the stored ones.

    A grid on a symbol the venue does not list is left out: there is nothing to trade.
    """
    account = Account.objects.get(slug=slug)
    limits = recovery.limits_in_force(account)
    stored = recovery.stored_instruments(account.venue)
    known = stored if venue_instruments is None else dict(venue_instruments)
    stored_grids = recovery.grid_settings(account)
    grids = tuple(grid for grid in stored_grids if grid.symbol in known)
    return Desk(
        settings=DeskSettings(
            account=slug,
            quote=account.quote,
            grids=grids,
            fees=DEMO_FEES,
            opening_cash_quote=first_cash(account),
            mark=ID_MARKS[Mode(account.mode)],
        ),
        limits=limits,
        instruments={grid.symbol: known[grid.symbol] for grid in grids},
        orders=replace(rows.read(slug), grids=stored_grids),
        fence=account.fence,
    )


def take_up_candidates(slug: str) -> bool:
    """Give the grids of `slug` what was proposed for them where nothing is held and no order is open; say if any."""
    account = Account.objects.get(slug=slug)
    if not candidates.anything_waits(account):
        return False
    state = recovery.trader_state(account)
    return bool(candidates.take_up(account=account, busy=_busy(state), at=datetime.now(UTC)))


def _busy(state: TraderState | NeverRan) -> set[str]:
    """Return the symbols that hold something or have an order that is not over."""
    if isinstance(state, NeverRan):
        return set()
    held = Counter[str]()
    for one in state.fills:
        held[one.fill.symbol] += one.fill.quantity_lots * (1 if one.fill.side is Side.BUY else -1)
    return {symbol for symbol, lots in held.items() if lots} | {one.symbol for one in state.orders if one.is_open}


def symbols_of_all_desks() -> tuple[str, ...]:
    """Return every symbol some enabled grid runs on, in alphabetical order."""
    found: set[str] = set()
    for account in Account.objects.all():
        found |= {grid.symbol for grid in recovery.grid_settings(account)}
    return tuple(sorted(found))


class LivePublisher:
    """The way to the browsers through Valkey."""

    def __init__(self, client: Redis) -> None:
        self._client = client

    async def values(self, values: Values) -> None:
        """Tell every browser what changed."""
        await steadfast(live.apublish_values(self._client, values))

    async def events(self, *names: EventName) -> None:
        """Tell every browser that something rare happened."""
        await steadfast(live.apublish_events(self._client, *names))

    async def prices(self, prices: Mapping[str, tuple[int, float]]) -> None:
        """Append to the price history a chart starts from."""
        await steadfast(live.aremember_prices(self._client, prices))


class World:
    """Everything the loops of one process share. Make it inside the event loop that hosts them."""

    def __init__(
        self, *, base_url: str, clock: Clock | None = None, bus: EventBus | None = None, in_order: bool = False
    ) -> None:
        """`base_url` is where the venue listens; `in_order`: in lockstep with an exchange that waits."""
        self.base_url = base_url
        self.clock = clock or SystemClock()
        self.bus: EventBus = bus or InProcessBus()
        self.client = Redis.from_url(settings.REDIS_URL, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S)
        self.publisher = LivePublisher(self.client)
        # The venue counts per address, not per key; an exchange that waits has no minutes.
        self.allowance = Allowance(limit=10**9) if in_order else Allowance()
        self._in_order = in_order
        self.database = DatabaseThread("rows")
        self._hosted: list[Hosted] = []

    async def close(self) -> None:
        """Close what is shared."""
        await self.database.close()
        await self.client.aclose()

    # --- loops ----------------------------------------------------------------------------------------------------

    async def hosted(self, kinds: Sequence[str]) -> list[Hosted]:
        """Return the loops of the chosen kinds; execution has one per account.

        Raises:
            UnknownLoop: a kind does not exist.
        """
        if unknown := sorted(set(kinds) - set(KINDS)):
            raise UnknownLoop(f"--loops: {', '.join(unknown)} is not known; accepted: {', '.join(KINDS)}.")
        found: list[Hosted] = []
        for kind in KINDS:
            if kind not in kinds:
                continue
            if kind == "execution":
                slugs = await self.database.run(_slugs)
                found += [self._hosted_execution(slug) for slug in slugs]
            else:
                make: Callable[[Lease], Awaitable[Loop]] = getattr(self, f"make_{kind}")
                found.append(Hosted(name=kind, kind=kind, make=make, leases=self._leases))
        self._hosted = found
        return found

    async def newcomers(self) -> list[Hosted]:
        """Return the execution loops of accounts that were made since."""
        known = {one.name for one in self._hosted}
        made = [self._hosted_execution(slug) for slug in await self.database.run(_slugs)]
        return [one for one in made if one.name not in known]

    def _hosted_execution(self, slug: str) -> Hosted:
        return Hosted(
            name=f"execution:{slug}",
            kind="execution",
            make=partial(self.make_execution, slug),
            leases=partial(self._leases_above, slug),
        )

    async def _leases(self) -> Leases:
        return ValkeyLeases(self.client)

    async def _leases_above(self, slug: str) -> Leases:
        """Fences are part of order ids: they must pass what the database has seen, whatever Valkey remembers.

        Raises:
            NotArmed: the account may not trade here.
        """
        await self.database.run(_refuse_unarmed, slug)
        return ValkeyLeases(self.client, floor=await self.database.run(_fence, slug))

    async def make_market_data(self, lease: Lease) -> MarketDataLoop:
        """Return the market-data loop of every symbol of every desk that the venue knows."""
        mark_lines()
        symbols = await self.database.run(symbols_of_all_desks)
        instruments = await self._listed(symbols)
        feed = self._feed(instruments)
        return MarketDataLoop(
            feed=feed,
            instruments=instruments,
            bus=self.bus,
            clock=self.clock,
            publisher=self.publisher,
            is_outdated=None if self._in_order else partial(self._has_other_symbols, symbols),
            recorder=self._recorder(instruments),
        )

    def _recorder(self, instruments: Mapping[str, Instrument]) -> Recorder | None:
        """Return what keeps the market data of this process; None where that is switched off, or nothing flows."""
        if self._in_order or not settings.RECORD_MARKET or not instruments:
            return None
        from trading.adapters.recorder import TapeRecorder  # the file format is loaded only where it is written
        from trading.services import recordings

        steps = recordings.steps_of(instruments)
        save = partial(recordings.keep, venue=settings.VENUE, steps=steps)
        return TapeRecorder(save=save, symbols=tuple(instruments)).start()

    async def make_model(self, lease: Lease) -> ModelLoop:
        """Return the model loop: the rule-based forecast, and the models that serve beside it."""
        mark_lines()
        feed = self._feed({})
        # In lockstep nothing happens between events, so nobody can be asked there.
        learned = None if self._in_order else self._learned()
        return ModelLoop(
            forecaster=Forecaster(),
            bus=self.bus,
            clock=self.clock,
            speed=partial(_speed_of, feed),
            on_close=feed.close,
            learned=learned,
        )

    def _learned(self) -> LearnedForecasts:
        rows, loads = DatabaseThread("models"), DatabaseThread("model-files")
        found = model_parts.parts(rows=rows, loads=loads, listed=self._traded, clock=self.clock)

        async def close() -> None:
            await rows.close()
            await loads.close()

        return LearnedForecasts(parts=found, bus=self.bus, clock=self.clock, on_close=close)

    async def _traded(self) -> Mapping[str, Instrument]:
        return await self._listed(await self.database.run(symbols_of_all_desks))

    async def make_risk(self, lease: Lease) -> RiskLoop:
        """Return the risk loop, after telling the watchdog what to watch."""
        mark_lines()
        data_dir = Path(settings.DATA_DIR)
        await self.database.run(brief_watchdog, data_dir)
        skew_venue = BinanceVenue(
            self.base_url, account="-", key="", secret="", instruments={}, allowance=self.allowance
        )
        senses = Senses(
            skew_ms=skew_venue.clock_skew_ms,
            beats=self._beats,
            builds=partial(self._builds, data_dir / "watchdog.json"),
            halt=partial(self._halt, None),
            warn=self._warn,
            over=self._over,
            beat=partial(write_heartbeat, data_dir / "heartbeat"),
        )
        return RiskLoop(senses=senses, bus=self.bus, clock=self.clock, on_close=skew_venue.close)

    async def make_execution(self, slug: str, lease: Lease) -> ExecutionLoop:
        """Return the execution loop of one account, rebuilt from the database under the fence of `lease`.

        Raises:
            NotArmed: the account may not trade here; the message says what people must do first.
        """
        mode, key, secret = await self.database.run(_door, slug)
        mark_lines(mode, account=slug)
        thread = DatabaseThread(f"journal-{slug}")
        symbols = await self.database.run(symbols_of_all_desks)
        listed = await self._listed(symbols)
        desk = await thread.run(read_desk, slug, listed)
        journal = await thread.run(DatabaseJournal, slug, lease.fence, desk.instruments)
        await thread.run(journal.claim)
        if await thread.run(take_up_candidates, slug):  # nobody else starts it now: this is the moment
            desk = await thread.run(read_desk, slug, listed)
        # Only now: whatever an older writer still committed before the claim is part of this.
        orders = await thread.run(rows.read, slug)
        desk = replace(desk, orders=replace(orders, grids=desk.orders.grids))  # it was made for those
        started_at = moment(self.clock.now_ns())
        await thread.run(_remember_grids, slug, lease.fence, desk.orders.grids, started_at)
        await thread.run(brief_watchdog, Path(settings.DATA_DIR))  # it may just have been armed, its symbols be others
        state = await thread.run(_trader_state, slug)
        connection = await thread.connect()
        meter = Meter(self.clock.now_ns)
        venue = BinanceVenue(
            self.base_url,
            account=slug,
            mark=desk.settings.mark,
            key=key,
            secret=secret,
            instruments=desk.instruments,
            timeout_ms=desk.orders.timeout_ms or desk.limits.order_timeout_ms,
            allowance=self.allowance,
            on_sent=meter.sent,
            known_ids=_known_ids(state),
        )
        # Only here is an adapter that can move money, and only play money: beyond paper there is none.
        is_paper = mode == Mode.PAPER and settings.VENUE == "simulator"
        transfers = PaperTransfers(self.base_url, account=slug, quote=desk.settings.quote) if is_paper else None
        feed = self._feed(desk.instruments)
        status = await feed.replay_status()
        trader = Trader(
            settings=desk.settings,
            limits=desk.limits,
            instruments=desk.instruments,
            epoch=lease.fence,
            now_ns=self.clock.now_ns(),
            lap=status.lap if status else 0,
            state=state,
            throttle=desk.orders.throttle,
        )
        gc.freeze()  # what lives as long as the process is not looked at again by every collection
        return ExecutionLoop(
            Parts(
                account=slug,
                trader=trader,
                venue=venue,
                transfers=transfers,
                journal=LoopJournal(journal, thread, connection, STORE_TURN),
                clock=self.clock,
                bus=self.bus,
                publisher=self.publisher,
                instruments=desk.instruments,
                meter=meter,
                is_leader=partial(_is_held, lease),
                orders=desk.orders,
                read_rows=partial(self._read_rows, slug),
                replay_status=feed.replay_status,
                halt=partial(self._halt, slug),
                not_stored=partial(self._not_stored, slug),
                sample_equity=partial(self._sample_equity, slug),
                sample_latency=partial(self._sample_latency, slug),
                sample_conduct=partial(self._sample_conduct, slug),
                keep_reading=partial(self._keep_reading, slug, desk.instruments),
                settle_cancel=self._settle_cancel,
                close=partial(_close_desk, feed, transfers, connection, thread),
                wait_for_answers=venue.wait_for_answers,
                in_order=self._in_order,
            )
        )

    # --- what loops may ask -----------------------------------------------------------------------------------------

    async def beat(self, kinds: frozenset[str]) -> None:
        """Say that the loops of these kinds live, and what they tell machines."""
        now_ms = self.clock.now_ns() // MS
        pipe = self.client.pipeline(transaction=False)
        for kind in kinds:
            pipe.set(live.HEARTBEAT.format(loop=kind), now_ms, px=HEARTBEAT_MS)
        await steadfast(pipe.execute())
        for kind in kinds:
            told = {name: value for h in self._hosted if h.kind == kind for name, value in h.gauges().items()}
            await steadfast(live.areport_gauges(self.client, kind, told, HEARTBEAT_MS))

    def _feed(self, instruments: Mapping[str, Instrument]) -> BinanceFeed:
        silence_s = PATIENCE_S if self._in_order else SILENCE_S
        is_replay = settings.VENUE == "simulator"
        return BinanceFeed(
            self.base_url, clock=self.clock, instruments=instruments, is_replay=is_replay, silence_s=silence_s
        )

    async def _listed(self, symbols: Sequence[str]) -> dict[str, Instrument]:
        """Return what the venue itself says of `symbols`; what it does not know is absent."""
        venue = BinanceVenue(self.base_url, account="-", key="", secret="", instruments={}, allowance=self.allowance)
        try:
            return await venue.instruments(symbols)
        finally:
            await venue.close()

    async def _has_other_symbols(self, symbols: tuple[str, ...]) -> bool:
        """Return whether some desk trades other symbols than when the feed was opened."""
        return await self.database.run(symbols_of_all_desks) != symbols

    async def _beats(self) -> Mapping[str, int]:
        """Return the newest heartbeats; none while Valkey is away: those known grow old, and the lease runs out."""
        try:
            found = await steadfast(self.client.mget([live.HEARTBEAT.format(loop=kind) for kind in KINDS]))
        except (RedisError, OSError):
            return {}
        return {kind: int(beat) * MS for kind, beat in zip(KINDS, found, strict=True) if beat is not None}

    async def _builds(self, watchdog: Path) -> Mapping[str, str]:
        """Return which build every process runs; while Valkey is away nobody says anything, and leases run out."""
        now_ms = time.time_ns() // MS
        found = await asyncio.to_thread(builds.read_build, watchdog, now_ms)
        with suppress(RedisError, OSError):
            entries = await steadfast(cast(Awaitable[dict[bytes, bytes]], self.client.hgetall(builds.BUILDS)))
            found |= builds.fresh(entries, now_ms)
            if old := builds.forgotten(entries, now_ms):
                await steadfast(cast(Awaitable[int], self.client.hdel(builds.BUILDS, *(name.decode() for name in old))))
        return found

    async def _read_rows(self, slug: str) -> rows.Orders:
        """Read what people want of one account; a halt that only the latch file knows comes first."""
        await self.database.run(halts.take_over_latch_file, at=moment(self.clock.now_ns()))
        return await self.database.run(rows.read, slug)

    async def _halt(self, slug: str | None, reason: str) -> None:
        at = moment(self.clock.now_ns())
        await self.database.run(halts.halt, scope=slug, by="rule", reason=reason, flatten=False, at=at)

    async def _not_stored(self, slug: str, error: Exception) -> None:
        """Latch in the file what the database refuses to keep: what cannot be audited is not traded."""
        reason = why_not_storable(error)
        if reason:
            at = moment(self.clock.now_ns())
            await self.database.run(halts.try_latch_file, Scope(slug), by="rule", reason=reason, at=at)

    async def _warn(self, notice: Notice) -> None:
        await self.database.run(_raise_alert, notice, moment(self.clock.now_ns()))

    async def _over(self, codes: frozenset[str]) -> None:
        await self.database.run(alerts.clear_alerts, codes=codes, at=moment(self.clock.now_ns()))

    async def _sample_equity(self, slug: str, view: TraderView, now_ns: int) -> None:
        await self.database.run(
            samples.record_equity,
            account=slug,
            equity_quote=view.equity_quote,
            pnl_day_quote=view.pnl_day_quote,
            drawdown_fraction=view.daily_drawdown_fraction,
            lap=view.lap,
            at=moment(now_ns),
        )

    async def _sample_latency(self, slug: str, segments: Mapping[str, Histogram], now_ns: int) -> None:
        await self.database.run(samples.record_latency, account=slug, segments=segments, at=moment(now_ns))

    async def _sample_conduct(self, slug: str, facts: Facts, began_ns: int) -> None:
        await self.database.run(evidence.record_minute, account=slug, facts=facts, at=moment(began_ns))

    async def _keep_reading(
        self, slug: str, instruments: Mapping[str, Instrument], view: TraderView, read: VenueRead, now_ns: int
    ) -> None:
        at = moment(now_ns)
        await self.database.run(readings.record, account=slug, view=view, read=read, instruments=instruments, at=at)

    async def _settle_cancel(self, key: int, done: bool, detail: str) -> None:
        outcome = foreign_orders.Outcome.CANCELED if done else foreign_orders.Outcome.FAILED
        at = moment(self.clock.now_ns())
        await self.database.run(foreign_orders.settle, decision=key, outcome=outcome, detail=detail, at=at)


async def follow_commands(client: Redis, bus: EventBus) -> None:
    """Pass the hints of other processes on to the loops of this one, until cancelled; a lost hint is only late."""
    while True:
        with suppress(RedisError, OSError):
            async with client.pubsub(ignore_subscribe_messages=True) as channel:
                await steadfast(channel.subscribe(live.COMMANDS))
                while True:
                    message = await steadfast(channel.get_message(timeout=PUBSUB_WAIT_S))
                    if message is not None:
                        await bus.publish(COMMAND, orjson.loads(message["data"]))
        await asyncio.sleep(PUBSUB_WAIT_S)


def mark_lines(mode: str = "", **names: str) -> None:
    """Put the mode on every log line of this loop; one that all accounts share names every mode that trades here."""
    structlog.contextvars.bind_contextvars(mode=mode or "+".join(modes_here()), **names)


def brief_watchdog(data_dir: Path) -> None:
    """Tell the watchdog, which has no database, whose orders to cancel where, and with which keys what is no paper."""
    accounts = list(with_something_to_stop(Account.objects.all(), modes_here()))
    sealed = {account.slug: venue_keys.sealed(account) for account in accounts if account.mode != Mode.PAPER}
    doors = {slug: (settings.VENUE_URL, keys.get((slug, KeyPurpose.CANCEL))) for slug, keys in sealed.items()}
    write_cancel_keys(data_dir / "cancel-keys.json", doors)  # first: whom it must watch it must know how to cancel
    write_watched(data_dir / "watched.json", accounts)


def write_watched(path: Path, accounts: Sequence[Account]) -> None:
    """Say on which symbols each account trades."""
    watched = {account.slug: sorted(grid.symbol for grid in recovery.grid_settings(account)) for account in accounts}
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(watched))
    fresh.replace(path)


def write_heartbeat(path: Path, now_ns: int) -> None:
    """Write the time (ms since 1970) where the watchdog reads it; a reader never sees half a number."""
    fresh = path.with_suffix(".new")
    fresh.write_text(f"{now_ns // MS}\n")
    fresh.replace(path)


async def _close_desk(
    feed: BinanceFeed, transfers: PaperTransfers | None, connection: AsyncConnection[Any], thread: DatabaseThread
) -> None:
    await feed.close()
    if transfers is not None:
        await transfers.close()
    await connection.close()
    await thread.close()


async def _speed_of(feed: BinanceFeed) -> float:
    """Return how fast the replay runs; 1 where it is none or does not answer."""
    with suppress(VenueError):
        if (status := await feed.replay_status()) is not None:
            return status.speed
    return 1.0


def _slugs() -> list[str]:
    return list(Account.objects.values_list("slug", flat=True))


def _door(slug: str) -> tuple[str, str, str]:
    """Return the mode of an account with the name and secret of its trade key.

    Once armed, an account keeps its loop, which then lets no order leave: somebody must mind what works at the venue.
    """
    account = _refuse_unarmed(slug)
    try:
        return account.mode, *venue_keys.key_of(account, KeyPurpose.TRADE)
    except NoKey as error:
        raise NotArmed(str(error)) from error


def _refuse_unarmed(slug: str) -> Account:
    account = Account.objects.get(slug=slug)
    refusal = why_not_here(Mode(account.mode))
    if not refusal and account.mode != Mode.PAPER and armings.newest(account) is None:
        refusal = armings.why_not(account, digest())
    if refusal:
        raise NotArmed(f"{slug}: {refusal}.")
    return account


def _remember_grids(slug: str, fence: int, grids: tuple[Chosen, ...], at: datetime) -> None:
    in_force.record(account=slug, fence=fence, grids=grids, at=at)


def _fence(slug: str) -> int:
    return Account.objects.values_list("fence", flat=True).get(slug=slug)


def _trader_state(slug: str) -> TraderState | NeverRan:
    return recovery.trader_state(Account.objects.get(slug=slug))


def _raise_alert(notice: Notice, at: datetime) -> None:
    alerts.raise_alert(account=None, severity=notice.severity, code=notice.code, message=notice.message, at=at)


def _known_ids(state: TraderState | NeverRan) -> dict[tuple[str, str], str]:
    """Return (symbol, the venue's id) -> ours of every order a fill may still be read of."""
    orders = state.orders if isinstance(state, TraderState) else ()
    return {(order.symbol, order.venue_order_id): order.client_order_id for order in orders if order.venue_order_id}


def _is_held(lease: Lease) -> bool:
    return lease.is_held


async def host_loops(kinds: Sequence[str], *, base_url: str, stop: asyncio.Event) -> None:
    """Host the chosen loops in this event loop until `stop` is set.

    Raises:
        UnknownLoop: a kind does not exist.
    """
    world = World(base_url=base_url)
    commands = asyncio.create_task(follow_commands(world.client, world.bus))
    try:
        newcomers = world.newcomers if "execution" in kinds else None
        await host(await world.hosted(kinds), stop=stop, beat=world.beat, newcomers=newcomers)
    finally:
        commands.cancel()
        await world.close()

"""What a trader promises, checked against the venue's own truth at every step (docs/reliability.md, I1 to I20)."""

from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from trading.domain import audit
from trading.domain.advice import GridAdvice
from trading.domain.events import Cancel
from trading.domain.grids import GridSpec
from trading.domain.limits import ExecutionStyle, Limits
from trading.domain.market import COLLAR_FRACTION, STALE_AFTER_NS
from trading.domain.orders import TERMINAL, Fill, Order, OrderStatus, OrderType, Purpose, Side
from trading.domain.simulation.scenario import CAPITAL_QUOTE, INSTRUMENTS, LOT_QUOTE, NONSENSE
from trading.domain.strategy import SlotState
from trading.domain.terms import Mode

if TYPE_CHECKING:
    from trading.domain.simulation.account import Account, Life

SECOND_NS: Final = 1_000_000_000
SLIPPAGE: Final = Decimal("1.01")  # a MARKET order may pay another price than it was decided on
DRAWDOWN_SLACK: Final = Decimal("0.0004")  # fills we have not heard of yet
FALSE_ALARM: Final = Decimal("0.005")  # prices move between the look that halts and ours
DRAWDOWN_SEEN_WITHIN_NS: Final = 3 * SECOND_NS
DUST: Final = Decimal("1e-8")
END_SLACK: Final = 0.01  # prices move between the look that ends a grid and ours
_ZERO: Final = Decimal(0)


class BrokenPromise(AssertionError):
    """The trader broke a promise; the message names it."""


@dataclass(slots=True)
class Stop:
    """A halt that is durable and not released."""

    at_ns: int
    is_proven: bool = False


class Promises:
    """The promises of one account."""

    def __init__(self, account: "Account") -> None:
        self._account = account
        self._world = account.world
        self._limits = account.limits
        self._coming: Limits | None = None
        self._former = account.limits  # until the turn is over in which a mandate came: a part of it rests on this one
        self._mandate_at_ns = -1
        self._accepted: set[str] = set()
        self._stops: dict[str, Stop] = {}  # symbol, or "" for the whole account
        self._life_since_ns = 0
        self.longest_proof_ns = 0
        self._released_at_ns: dict[str, int] = {}  # symbol, or "" for the whole account
        self._paused: dict[str, int] = {}
        self._held_lots = dict.fromkeys(INSTRUMENTS, 0)
        self._held_cost = dict.fromkeys(INSTRUMENTS, _ZERO)
        self._traded: set[str] = set()  # orders with a fill today
        self._opening_quote: Decimal | None = CAPITAL_QUOTE  # None: at the first prices a life sees
        self._deep_since_ns: int | None = None
        self._beyond_since_ns: dict[str, int] = {}  # symbol -> since when its price is beyond a bound of its grid
        self._advice: dict[str, GridAdvice] = {}  # symbol -> what a model said of it last
        self._openings: dict[str, tuple[tuple[int, ...], dict[int | None, str]]] = {}  # symbol -> levels, slot -> order
        # What was allowed before a mandate became tighter may run off, but never grow.
        self._grace_exposure: dict[str, Decimal] = {}
        self._grace_orders = 0
        self._grace_trades = 0

    # --- what happened ------------------------------------------------------------------------------------------

    def new_life(self) -> None:
        """A process has started anew: it knows what is stored."""
        self._life_since_ns = self._world.now_ns
        self._beyond_since_ns.clear()
        self._advice.clear()
        self._paused = dict.fromkeys(self._account.store.paused, self._world.now_ns)
        self._deep_since_ns = None

    def new_day(self, equity_quote: Decimal | None = None) -> None:
        """Midnight or a seam: counts and the drawdown's base start anew."""
        self._traded.clear()
        self._grace_trades = 0
        self._deep_since_ns = None
        self._opening_quote = equity_quote

    def paid(self, amount_quote: Decimal, equity_before_quote: Decimal | None) -> None:
        """The venue has paid money in or out: what a drawdown is measured from moves with it."""
        if self._opening_quote is not None and equity_before_quote:
            self._opening_quote *= (equity_before_quote + amount_quote) / equity_before_quote

    def settled(self) -> None:
        """A seam has turned every position into cash."""
        self._openings.clear()
        self._held_lots = dict.fromkeys(INSTRUMENTS, 0)
        self._held_cost = dict.fromkeys(INSTRUMENTS, _ZERO)

    def halted(self, now_ns: int, symbol: str = "") -> None:
        """The latch is durable."""
        self._stops.setdefault(symbol, Stop(now_ns))
        self._advice = {} if not symbol else {k: said for k, said in self._advice.items() if k != symbol}

    def released(self, symbol: str) -> None:
        """Two people have released it; the trader hears of it a little later."""
        self._released_at_ns[symbol] = self._world.now_ns
        self._stops.pop(symbol, None)
        self._deep_since_ns = None

    def _stops_on(self, symbol: str) -> list["Stop"]:
        return [stop for scope, stop in self._stops.items() if scope in ("", symbol)]

    def paused(self, symbol: str, now_ns: int) -> None:
        """No new buys on this symbol from now on."""
        self._paused.setdefault(symbol, now_ns)

    def advised(self, symbol: str, advice: GridAdvice | None) -> None:
        """A model has spoken of a grid; what is nonsense is none."""
        self._advice.pop(symbol, None)
        released = max(self._released_at_ns.get(scope, -SECOND_NS) for scope in ("", symbol))
        is_halted = bool(self._stops_on(symbol)) or self._world.now_ns - released < SECOND_NS
        if advice is not None and advice.model != NONSENSE and not is_halted:  # as far as the trader knows
            self._advice[symbol] = advice

    def unpaused(self, symbol: str) -> None:
        """The symbol trades again."""
        self._paused.pop(symbol, None)

    def mandate_is_coming(self, limits: Limits) -> None:
        """The trader hears of other limits in this turn: what it decides may rest on these or the old ones."""
        self._coming = limits

    def mandate_has_come(self) -> None:
        """The turn is committed: what was intended by now may run off, but from here on nothing may grow."""
        if self._coming is None:
            return
        self._grace_exposure = {symbol: self._worst(symbol, everything=True) for symbol in INSTRUMENTS}
        self._grace_exposure[""] = sum(self._grace_exposure.values(), _ZERO)
        open_now = [order for order in self._account.store.orders.values() if order.status not in TERMINAL]
        self._grace_orders = len(open_now)
        self._grace_trades = len(self._traded | {order.client_order_id for order in open_now})
        self._former, self._limits, self._coming = self._limits, self._coming, None
        self._mandate_at_ns = self._world.now_ns

    def filled(self, fill: Fill) -> None:
        """The venue has executed an order of this account."""
        order = self._account.store.orders.get(fill.client_order_id)
        if order is not None and order.purpose is Purpose.GRID and order.lap == self._world.lap:
            self._traded.add(fill.client_order_id)
            self._opened(order)
        lots, cost = self._held_lots[fill.symbol], self._held_cost[fill.symbol]
        if fill.side is Side.BUY:
            self._held_lots[fill.symbol] = lots + fill.quantity_lots
            self._held_cost[fill.symbol] = cost + INSTRUMENTS[fill.symbol].notional(
                fill.price_ticks, fill.quantity_lots
            )
        elif lots:
            left = max(lots - fill.quantity_lots, 0)
            self._held_lots[fill.symbol], self._held_cost[fill.symbol] = left, cost * left / lots

    def _opened(self, order: Order) -> None:
        """Hold that a slot of a NEUTRAL ladder is bought at the market by one order; laid anew it may be again."""
        if self._neutral(order) is None or order.lap != self._world.lap:
            return
        levels = self._account.store.grids[order.symbol].levels_ticks
        if self._openings.get(order.symbol, (levels,))[0] != levels:
            self._openings.pop(order.symbol)
        _, by_slot = self._openings.setdefault(order.symbol, (levels, {}))
        first = by_slot.setdefault(order.slot, order.client_order_id)
        text = f"slot {order.slot} was opened by {first} and by {order.client_order_id}"
        self._promise("I19", first == order.client_order_id, text)

    def _neutral(self, order: Order) -> GridSpec | None:
        """Return the grid whose slot `order` opens at the market; of a TAKER ladder nobody could tell."""
        grid = next((one for one in self._account.settings.grids if one.symbol == order.symbol), None)
        if not isinstance(grid, GridSpec) or grid.mode is not Mode.NEUTRAL or grid.style is ExecutionStyle.TAKER:
            return None
        is_opening = order.side is Side.BUY and order.type is OrderType.MARKET and order.purpose is Purpose.GRID
        return grid if is_opening else None

    def edited(self) -> None:
        """A person has put another grid in force: it may open what the one before had opened."""
        self._openings.clear()

    # --- an order leaves, an order is there ---------------------------------------------------------------------

    def order_leaves(self, life: "Life", order: Order) -> None:
        """Hold what must be true when an order goes out."""
        name, store = order.client_order_id, self._account.store
        stored = store.orders.get(name)
        self._promise("I2", stored is not None and stored.status is not OrderStatus.DENIED, f"{name} has no intent")
        self._promise("I7", name in store.approved, f"{name} left and the audit chain does not know its approval")
        self._promise("I3", name not in self._accepted, f"{name} is sent again")
        self._promise("I9", life.fence == store.fence, f"{name} was sent by a process that no longer leads")
        working = [x for x in store.orders.values() if x.purpose is Purpose.GRID and x.status not in TERMINAL]
        most = max(self._limits.max_open_orders, self._grace_orders)
        self._promise("I6", len(working) <= most, f"{len(working)} orders are open or on their way, limit {most}")
        if order.purpose is not Purpose.GRID:
            released = max(self._released_at_ns.get(scope, -SECOND_NS) for scope in ("", order.symbol))
            asked = bool(self._stops_on(order.symbol)) or self._world.now_ns - released < SECOND_NS
            self._promise("I5", asked, f"{name} flattens and nobody halted")
            return
        self._promise("I5", not self._stops_on(order.symbol), f"{name} left after the halt")
        self._promise_virtual(order)

    def _promise_virtual(self, order: Order) -> None:
        """Hold that of a grid with virtual levels no more orders a side rest or are on their way than it says."""
        grid = next((one for one in self._account.settings.grids if one.symbol == order.symbol), None)
        if not isinstance(grid, GridSpec) or grid.resting is None or order.price_ticks is None:
            return
        key = (order.symbol, order.side, order.lap)
        working = [x for x in self._account.store.orders.values() if x.status not in TERMINAL and x.price_ticks]
        there = [
            x.client_order_id
            for x in working
            if (x.symbol, x.side, x.lap) == key and x.slot is not None  # adopted ones have none
        ]
        self._promise("I18", len(there) <= grid.resting, f"{there} rest on one side, {grid.resting} may")

    def decided(self, life: "Life", order: Order) -> None:
        """Hold what must be true when the trader decides to send a grid order."""
        if order.purpose is not Purpose.GRID:
            return
        name, seen_ns = order.client_order_id, life.sound_at.get(order.symbol)
        self._promise("I9", life.reads > 0, f"{name} was decided before the venue was read once")
        waits = self._world.now_ns < life.wait_until_ns
        self._promise("I9", not waits, f"{name} was decided though the venue asked us to wait")
        if order.side is Side.BUY:
            self._promise_buy(order)
            self._promise_advised(life, order)
        fresh = seen_ns is not None and order.decided_at_ns - seen_ns <= STALE_AFTER_NS
        self._promise("I15", fresh, f"{name} was decided on data that was not fresh")
        true = self._world.prices[order.symbol]
        off = abs(order.reference_ticks - true) / true
        self._promise("I15", off <= COLLAR_FRACTION, f"{name} was decided at {order.reference_ticks}, price {true}")

    def _promise_buy(self, order: Order) -> None:
        name, limits = order.client_order_id, [x for x in (self._limits, self._coming) if x is not None]
        paused_at = self._paused.get(order.symbol)
        may_buy = paused_at is None or order.decided_at_ns <= paused_at
        self._promise("I9", may_buy, f"{name} buys {order.symbol}, which is paused")
        self._promise(
            "I9", any(order.symbol in x.symbols for x in limits), f"{name} buys {order.symbol}, not in the mandate"
        )
        ticks = order.reference_ticks if order.price_ticks is None else order.price_ticks
        lot = INSTRUMENTS[order.symbol].notional(ticks, order.quantity_lots)
        largest = max(x.max_lot_quote for x in limits)
        self._promise("I6", lot <= largest, f"{name} buys for {lot}, largest lot {largest}")

    def _promise_advised(self, life: "Life", order: Order) -> None:
        """Hold that a buy is no more than the model lets it be, while what it said is young enough."""
        name, advice = order.client_order_id, self._advice.get(order.symbol)
        if advice is None or not advice.at_ns <= order.decided_at_ns <= advice.valid_until_ns:
            return
        self._promise("I20", not advice.pause_buys, f"{name} buys {order.symbol}, and a model asks to buy nothing")
        ticks = order.reference_ticks if order.price_ticks is None else order.price_ticks
        lot = INSTRUMENTS[order.symbol].notional(ticks, order.quantity_lots)
        most = LOT_QUOTE * Decimal(advice.size_fraction * (1 + min(advice.skew, 0))) * SLIPPAGE
        self._promise("I20", lot <= most, f"{name} buys for {lot}, a model leaves {most}")
        seen = next(one for one in life.trader.view(self._world.now_ns).symbols if one.symbol == order.symbol)
        busy = sum(slot.state is not SlotState.EMPTY for slot in seen.slots)
        few = advice.levels is None or busy <= advice.levels
        self._promise("I20", few, f"{name} is one of {busy} open slots, a model asks for {advice.levels}")
        narrowest = min(((high - low) / low for low, high in pairwise(seen.levels)), default=1.0)
        wide = narrowest >= advice.floor_fraction
        self._promise("I20", wide, f"{name} buys on steps of {narrowest:.4%}, a model asks for {advice.floor_fraction}")

    def order_accepted(self, order: Order) -> None:
        """Hold what must be true when the venue takes an order."""
        name = order.client_order_id
        self._promise("I3", name not in self._accepted, f"{name} was executed twice")
        self._accepted.add(name)
        clear = order.purpose is Purpose.GRID and any(s.is_proven for s in self._stops_on(order.symbol))
        self._promise("I5", not clear, f"{name} was accepted after PROVEN CLEAR")
        self.check()

    def cancel_leaves(self, effect: Cancel) -> None:
        """Hold that nobody's order but ours is cancelled by name."""
        self._promise("I4", effect.client_order_id not in self._account.humans, "cancels the order of a person")

    def stage(self, stage: str, now_ns: int, scope: str) -> None:
        """Hold what a stage of the halt claims."""
        symbols = (scope,) if scope else tuple(INSTRUMENTS)
        stop = self._stops.get(scope)
        if stage == "PROVEN_CLEAR":
            if stop is not None:
                stop.is_proven = True
                self._time_proof(stop, now_ns)
            booked = [b for symbol in symbols for b in self._world.venue.open_orders(self._account.name, symbol)]
            working = [b for b in booked if self._is_grid(b)]
            self._promise("I5", not working, f"{len(working)} orders work after PROVEN CLEAR")
        elif stage == "FLAT":
            for symbol in symbols:
                instrument, bid = INSTRUMENTS[symbol], self._world.prices[symbol]
                lots = instrument.lots_down(self._total(instrument.base))
                self._promise("I5", lots < 2 * instrument.smallest_lots(bid), f"FLAT, and {lots} lots of {symbol} left")

    def _time_proof(self, stop: "Stop", now_ns: int) -> None:
        """Keep how long the proof took once the venue answered; before the faults end nobody can say when it does."""
        if not self._world.is_bad:
            since_ns = max(stop.at_ns, self._world.quiet_since_ns, self._life_since_ns)
            self.longest_proof_ns = max(self.longest_proof_ns, now_ns - since_ns)

    def _is_grid(self, booked: object) -> bool:
        name = booked.order.client_order_id  # type: ignore[attr-defined]  # a BookedOrder
        stored = self._account.store.orders.get(name)
        return name not in self._account.humans and (stored is None or stored.purpose is Purpose.GRID)

    # --- at every step --------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Hold the limits, as the venue knows them: what is held, what works."""
        ours = [
            b
            for b in self._world.venue.open_orders(self._account.name)
            if b.order.client_order_id not in self._account.humans
        ]
        store, limits = self._account.store, self._limits
        strangers = [b.order.client_order_id for b in ours if b.order.client_order_id not in store.orders]
        self._promise("I2", not strangers, f"{strangers} work at the venue without an intent")
        grid = [b for b in ours if store.orders[b.order.client_order_id].purpose is Purpose.GRID]
        most = max(limits.max_open_orders, self._grace_orders)
        self._promise("I6", len(grid) <= most, f"{len(grid)} open orders at the venue, limit {most}")
        slots = {(x.symbol, x.slot, x.lap) for b in grid if (x := store.orders[b.order.client_order_id])}
        self._promise("I6", len(slots) == len(grid), "two orders work for one slot")
        total = _ZERO
        for symbol in self._world.scenario.symbols:
            worst = self._worst(symbol, everything=False)
            total += worst
            self._within(symbol, worst, limits.max_symbol_exposure_fraction)
        self._within("", total, limits.max_total_exposure_fraction)
        most = max(limits.max_daily_trades, self._grace_trades)
        self._promise("I6", len(self._traded) <= most, f"{len(self._traded)} trades today, limit {most}")

    def _within(self, symbol: str, worst: Decimal, fraction: Decimal) -> None:
        allowed = CAPITAL_QUOTE * fraction * SLIPPAGE
        grace = self._grace_exposure.get(symbol, _ZERO) * SLIPPAGE
        if worst <= allowed:
            if symbol in self._grace_exposure and self._worst_to_come(symbol) <= allowed:
                del self._grace_exposure[symbol]
            return
        self._promise("I6", worst <= grace, f"worst case of {symbol or 'all symbols'} is {worst}, limit {allowed}")

    def _worst_to_come(self, symbol: str) -> Decimal:
        symbols = (symbol,) if symbol else self._world.scenario.symbols
        return sum((self._worst(each, everything=True) for each in symbols), _ZERO)

    def _worst(self, symbol: str, *, everything: bool) -> Decimal:
        """Return what is held plus every buy that works; `everything`: and every one that is on its way."""
        instrument, worst = INSTRUMENTS[symbol], self._held_cost[symbol]
        counted: set[str] = set()
        for booked in self._world.venue.open_orders(self._account.name, symbol):
            order = booked.order
            if order.side is Side.BUY and order.client_order_id not in self._account.humans:
                worst += instrument.notional(order.price_ticks or 0, booked.remaining_lots)
                counted.add(order.client_order_id)
        if everything:
            for stored in self._account.store.orders.values():
                on_its_way = stored.status not in TERMINAL and stored.client_order_id not in counted
                if stored.symbol == symbol and stored.side is Side.BUY and on_its_way:
                    worst += instrument.notional(stored.price_ticks or stored.reference_ticks, stored.remaining_lots)
        return worst

    def second(self, life: "Life | None") -> None:
        """Hold that a drawdown beyond the limit halts within three seconds, measured on the venue's own balances."""
        now_ns = self._world.now_ns
        if life is None or life.is_over or life.is_frozen or "" in self._stops or not life.reads:
            self._deep_since_ns = None
            return
        self._promise_ends(life)
        equity = self.equity(life.marks)
        if self._opening_quote is None:
            self._opening_quote = equity
        if equity is None or self._opening_quote is None:
            return
        drawdown = (self._opening_quote - equity) / self._opening_quote
        if drawdown < self._limits.max_daily_drawdown_fraction + DRAWDOWN_SLACK:
            self._deep_since_ns = None
            return
        self._deep_since_ns = self._deep_since_ns or now_ns
        late = now_ns - self._deep_since_ns > DRAWDOWN_SEEN_WITHIN_NS and now_ns - self._mandate_at_ns > SECOND_NS * 3
        self._promise("I13", not late, f"drawdown {drawdown:.3%} and nobody halts")

    def stopped_for(self, reason: str, marks: dict[str, int]) -> None:
        """Hold that a halt for the day's drawdown has one, measured on the venue's own balances."""
        equity = self.equity(marks)
        if not reason.startswith(("daily drawdown", "hard drawdown")) or equity is None or not self._opening_quote:
            return
        drawdown = (self._opening_quote - equity) / self._opening_quote
        in_force = [self._limits, *([self._former] if self._mandate_at_ns == self._world.now_ns else [])]
        least = min(min(x.max_daily_drawdown_fraction, x.max_daily_drawdown_hard_fraction) for x in in_force)
        self._promise("I13", drawdown > least - FALSE_ALARM, f"halted for a {reason}, and it is {drawdown:.3%}")

    def ended_for(self, reason: str, symbol: str, marks: dict[str, int]) -> None:
        """Hold that a grid that ended at a bound had one there."""
        if "bound reached" not in reason or symbol not in marks:
            return
        near = [ticks for ticks in self._ends_of(symbol) if abs(marks[symbol] - ticks) <= ticks * END_SLACK]
        beyond = [at for at, is_beyond in self._ends_beyond(symbol, marks[symbol]) if is_beyond]
        self._promise("I16", bool(near or beyond), f"{symbol} ended ({reason}) and its bounds are elsewhere")

    def _ends_of(self, symbol: str) -> list[int]:
        return [ticks for ticks, _ in self._ends_beyond(symbol, 0)]

    def _ends_beyond(self, symbol: str, mark: int) -> list[tuple[int, bool]]:
        """Return stop and take-profit bound of the grid on `symbol` in ticks, and whether the price is beyond."""
        grid = next((one for one in self._account.settings.grids if one.symbol == symbol), None)
        if not isinstance(grid, GridSpec):
            return []
        instrument, found = INSTRUMENTS[symbol], list[tuple[int, bool]]()
        if grid.stop is not None:
            found.append((instrument.ticks(grid.stop), mark <= instrument.ticks(grid.stop)))
        if grid.take_profit is not None:
            found.append((instrument.ticks(grid.take_profit), mark >= instrument.ticks(grid.take_profit)))
        return found

    def _promise_ends(self, life: "Life") -> None:
        """Hold that a grid whose price is beyond its stop or take-profit bound is halted within three seconds."""
        now_ns, store = self._world.now_ns, self._account.store
        for symbol, mark in life.marks.items():
            stored, seen_ns = store.grids.get(symbol), life.sound_at.get(symbol)
            has_begun = stored is not None and stored.lap == store.lap and bool(stored.levels_ticks)
            is_fresh = seen_ns is not None and now_ns - seen_ns <= SECOND_NS
            is_beyond = any(beyond for _, beyond in self._ends_beyond(symbol, mark))
            if not (has_begun and is_fresh and is_beyond) or self._stops_on(symbol):
                self._beyond_since_ns.pop(symbol, None)
                continue
            since_ns = self._beyond_since_ns.setdefault(symbol, now_ns)
            late = now_ns - since_ns > DRAWDOWN_SEEN_WITHIN_NS
            self._promise("I16", not late, f"{symbol} is beyond a bound of its grid and nobody halts it")

    def equity(self, marks: dict[str, int]) -> Decimal | None:
        """Return cash plus inventory at the last bid the trader saw, from the venue's balances; None: not known."""
        total = self._total("USDT")
        for symbol, instrument in INSTRUMENTS.items():
            held = self._total(instrument.base)
            if held:
                if symbol not in marks:
                    return None
                total += held * instrument.price(marks[symbol])
        return total

    def _total(self, asset: str) -> Decimal:
        balance = self._world.venue.balances(self._account.name).get(asset)
        return _ZERO if balance is None else balance.total

    # --- at the end -----------------------------------------------------------------------------------------------

    def agreement(self) -> None:
        """Hold what must be true once the faults have ended and time has passed."""
        account, world, store = self._account, self._world, self._account.store
        self._promise("I8", account.is_quiet() and account.life is not None, "no process is alive")
        assert account.life is not None
        trader = account.life.trader
        for asset, balance in world.venue.balances(account.name).items():
            ours = trader.balances().get(asset, _ZERO)
            self._promise("I1", abs(balance.total - ours) < DUST, f"{asset}: ours {ours}, venue {balance.total}")
        for each in trader.view(world.now_ns).symbols:
            placed = sum((slot.held_base for slot in each.slots), each.dust_base)
            self._promise("I17", placed == each.base, f"{each.symbol}: {each.base} is held, {placed} has a slot")
        made = sum((one.flow.amount_quote for one in world.venue.transfers(account.name)), _ZERO)
        paid_in = trader.view(world.now_ns).funding.paid_in_quote
        self._promise("I1", made == paid_in, f"the venue was paid {made}, the books say {paid_in}")
        booked_ids = [stored.flow.flow_id for stored in store.flows]
        self._promise("I1", len(booked_ids) == len(set(booked_ids)), "a transfer was booked twice")
        self._promise("I8", not store.transfers, f"{sorted(store.transfers)} are still asked for")
        unknown = trader.view(world.now_ns).unknown_orders
        self._promise("I8", not unknown, f"{unknown} orders are still UNKNOWN")
        ours_open = {name for name, order in store.orders.items() if order.status not in TERMINAL}
        venue_open = {b.order.client_order_id for b in world.venue.open_orders(account.name)} - set(account.humans)
        self._promise("I4", ours_open == venue_open, f"open here {sorted(ours_open)}, there {sorted(venue_open)}")
        self._promise("I4", not account.contradictions, f"halted without cause: {account.contradictions}")
        booked = [(stored.fill.symbol, stored.fill.trade_id) for stored in store.fills]
        self._promise("I4", len(booked) == len(set(booked)), "a fill was booked twice")
        there = {
            (fill.symbol, fill.trade_id)
            for symbol in INSTRUMENTS
            for fill in world.venue.fills(account.name, symbol)
            if not fill.client_order_id.startswith("human") or fill.client_order_id in store.orders
        }
        self._promise("I4", set(booked) == there, f"{len(booked)} fills booked, {len(there)} at the venue")
        self._promise_restart(trader.balances())
        self._promise_audit()
        proven = all(halt.stage in ("PROVEN_CLEAR", "FLAT") for halt in store.halts.values())
        self._promise("I5", proven or bool(account.humans), "halted, and not proven clear")

    def _promise_restart(self, balances: dict[str, Decimal]) -> None:
        assert self._account.life is not None
        restored = type(self._account.life)(self._account, self._account.store.fence + 1).trader
        self._promise("I4", restored.balances() == balances, "a restart would not know what we hold")

    def _promise_audit(self) -> None:
        store = self._account.store
        found = audit.first_break(store.chain)
        self._promise("I7", found is None, f"the audit chain breaks: {found}")
        rows, commits = len(store.chain), store.commits
        self._promise("I7", rows == commits, f"{commits} changes of state, {rows} audit rows")

    def _promise(self, name: str, kept: bool, what: str) -> None:
        if not kept:
            raise BrokenPromise(f"{name} {self._account.name} at {self._world.clock()}: {what}")

"""What a model asks of a grid: taken, heeded for its time, and let go."""

from typing import Final

from trading.domain.advice import GridAdvice
from trading.domain.clerk import Clerk
from trading.domain.core import Core, SymbolBook
from trading.domain.events import AdviceChanged, PersistAdvice
from trading.domain.orders import OrderStatus, Side
from trading.domain.turn import Turn

_RESTING: Final = frozenset({OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED})


class Heed:
    """Keeps the advice of every symbol; what it takes from a grid is said by `Core.block` and `Core.entry_lots`."""

    def __init__(self, core: Core, turn: Turn, clerk: Clerk) -> None:
        self._core = core
        self._turn = turn
        self._clerk = clerk

    def on_changed(self, event: AdviceChanged, now_ns: int) -> None:
        """Take what a model asks; what is no number, too old or of a halted symbol leaves the rule grid alone."""
        book = self._core.books.get(event.symbol)
        if book is not None:
            self._put(book, event.advice if self._is_sound(event, now_ns) else None, now_ns)

    def watch(self, now_ns: int) -> None:
        """Let go what has become too old, or of a symbol that is halted: from now on the rule grid goes on alone."""
        for book in self._core.books.values():
            if book.advice is not None and self._core.advice_on(book, now_ns) is None:
                self._put(book, None, now_ns)

    def _is_sound(self, event: AdviceChanged, now_ns: int) -> bool:
        advice = event.advice
        if advice is None or advice.symbol != event.symbol or advice.unsound:
            return False
        return advice.holds(now_ns) and not self._core.is_halted(event.symbol)

    def _put(self, book: SymbolBook, advice: GridAdvice | None, now_ns: int) -> None:
        before, book.advice = book.advice, advice
        if (before and before.restraint) == (advice and advice.restraint):
            return
        self._turn.persist(PersistAdvice(book.symbol, advice, now_ns))
        if advice is not None:
            self._hold_back(book, advice, now_ns)
        self._turn.look_at(book)

    def _hold_back(self, book: SymbolBook, advice: GridAdvice, now_ns: int) -> None:
        """Cancel the resting entries of a side that waits at once: the next price may be long in coming."""
        for slot in book.slots if advice.pause_buys else ():
            order = slot.order
            if order is not None and order.side is Side.BUY and order.price_ticks and order.status in _RESTING:
                self._clerk.cancel(order, now_ns)

"""One turn of the core: what an event asks for, gathered until the turn ends."""

from trading.domain.core import SymbolBook
from trading.domain.events import Effect, Persist, RaiseAlert, Severity


class Turn:
    """Collects effects, ladders to look at, reads to ask for and contradictions; empty again after `take`."""

    def __init__(self) -> None:
        self.actions: list[Effect] = []  # what leaves after everything is kept
        self.contradictions: list[str] = []
        self.read_reason = ""  # "" while nobody asked to read the venue
        self._persists: list[Effect] = []
        self._books: dict[str, SymbolBook] = {}

    def persist(self, effect: Persist) -> None:
        """Keep something before anything leaves."""
        self._persists.append(effect)

    def act(self, effect: Effect) -> None:
        """Send something once everything of the turn is kept."""
        self.actions.append(effect)

    def alert(self, severity: Severity, code: str, message: str, symbol: str, now_ns: int) -> None:
        """Tell the operators."""
        self._persists.append(RaiseAlert(severity, code, message, symbol, now_ns))

    def ask(self, reason: str) -> None:
        """Read the venue at the end of this turn; the first reason is the one that is told."""
        self.read_reason = self.read_reason or reason

    def contradict(self, reason: str) -> None:
        """Something cannot be true: the account halts before this turn ends."""
        self.contradictions.append(reason)

    def look_at(self, *books: SymbolBook) -> None:
        """Look at these ladders before the turn ends."""
        self._books.update((book.symbol, book) for book in books)

    def next_book(self) -> SymbolBook | None:
        """Return the next ladder to look at, the first one named first; None when all were."""
        return self._books.pop(next(iter(self._books))) if self._books else None

    def take(self) -> list[Effect]:
        """Return the effects, everything to keep first, and begin a new turn."""
        effects = self._persists + self.actions
        self._persists, self.actions, self.read_reason = [], [], ""
        return effects

"""User streams: who subscribed to which account, and what was sent."""

from typing import Any, Final

import orjson

from trading.simulator.frames import Outlet, text_frame

BACKLOG_LIMIT: Final = 4_194_304  # bytes waiting for one client before it is disconnected


class UserConnection:
    """One client of the WebSocket API; it may follow several accounts."""

    def __init__(self, outlet: Outlet) -> None:
        self.outlet = outlet
        self.accounts: dict[int, str] = {}  # subscription id -> account
        self._next_id = 0

    def subscribe(self, account: str) -> int:
        """Return the id of the new subscription, or of the one that exists."""
        for subscription, followed in self.accounts.items():
            if followed == account:
                return subscription
        subscription = self._next_id
        self._next_id += 1
        self.accounts[subscription] = account
        return subscription


class UserStreams:
    """All user connections; events leave at once, in the order things happened."""

    def __init__(self, slugs: list[str]) -> None:
        self._connections: set[UserConnection] = set()
        self.reports_sent = dict.fromkeys(slugs, 0)  # executionReports that reached at least one subscriber's socket
        self.silent = False  # fault: nothing is sent
        self.twice = False  # fault: every event is sent twice
        self.swapped = False  # fault: neighbouring events change places
        self._held: dict[str, dict[str, Any]] = {}

    @property
    def count(self) -> int:
        """Number of connections."""
        return len(self._connections)

    def join(self, connection: UserConnection) -> None:
        """Take a new client in."""
        self._connections.add(connection)

    def leave(self, connection: UserConnection) -> None:
        """Forget a client."""
        self._connections.discard(connection)

    def report(self, account: str, event: dict[str, Any]) -> None:
        """Send an executionReport and count it."""
        if self.send(account, event):
            self.reports_sent[account] += 1

    def send(self, account: str, event: dict[str, Any]) -> bool:
        """Send `event` to everybody who follows `account`; True if somebody does."""
        if self.silent or not self._follows(account):
            return False
        if self.swapped and account not in self._held:
            self._held[account] = event
            return True
        events = [event, self._held.pop(account)] if account in self._held else [event]
        for one in events:
            for _ in range(2 if self.twice else 1):
                self._write(account, one)
        return True

    def _follows(self, account: str) -> bool:
        return any(account in connection.accounts.values() for connection in self._connections)

    def _write(self, account: str, event: dict[str, Any]) -> None:
        for connection in list(self._connections):
            for subscription, followed in connection.accounts.items():
                if followed == account:
                    connection.outlet.add(text_frame(orjson.dumps({"subscriptionId": subscription, "event": event})))
            connection.outlet.flush()
            if connection.outlet.backlog > BACKLOG_LIMIT:
                self.cut(connection)

    def terminate(self, connection: UserConnection, subscription: int, *, now_ms: int) -> None:
        """End one subscription and say so."""
        account = connection.accounts.pop(subscription, None)
        if account is not None:
            event = {"e": "eventStreamTerminated", "E": now_ms}
            connection.outlet.add(text_frame(orjson.dumps({"subscriptionId": subscription, "event": event})))
            connection.outlet.flush()

    def terminate_all(self, *, now_ms: int) -> int:
        """End every subscription (fault); return how many."""
        ended = [(c, subscription) for c in self._connections for subscription in c.accounts]
        for connection, subscription in ended:
            self.terminate(connection, subscription, now_ms=now_ms)
        return len(ended)

    def inject(self, frame: bytes) -> None:
        """Write `frame` as it is to every connection (fault)."""
        for connection in self._connections:
            connection.outlet.add(frame)
            connection.outlet.flush()

    def cut(self, connection: UserConnection) -> None:
        """Drop one client."""
        self.leave(connection)
        connection.outlet.cut()

    def finish(self) -> None:
        """Say goodbye to every client."""
        for connection in list(self._connections):
            self.leave(connection)
            connection.outlet.finish()

    def cut_all(self) -> int:
        """Drop every client (fault); return how many."""
        connections = list(self._connections)
        for connection in connections:
            self.cut(connection)
        return len(connections)

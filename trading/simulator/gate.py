"""The way of every request: faults, limits, key, signature, time, deed; the same for REST and the WebSocket API."""

import asyncio
from dataclasses import dataclass
from typing import Any, Final

from trading.domain.venue_orders import Rejection
from trading.simulator import access, errors
from trading.simulator.access import Key, Permission
from trading.simulator.exchange import Exchange
from trading.simulator.faults import Fault, FaultKind, Faults
from trading.simulator.operations import Operation, Parameters

REFUSALS: Final = frozenset({FaultKind.ERROR, FaultKind.THROTTLE, FaultKind.BAN})


@dataclass(frozen=True, slots=True)
class Request:
    """One request, whatever door it came through."""

    target: str  # "POST /api/v3/order" or "order.place"
    operation: Operation
    parameters: Parameters
    key_name: str | None
    signed: str  # what the signature covers
    signature: str | None


@dataclass(frozen=True, slots=True)
class Answer:
    """What the exchange says, and the fault that garbles it on the way."""

    status: int
    body: Any
    retry_after: str | None = None
    account: str = ""
    fault: Fault | None = None


@dataclass(slots=True)
class Gate:
    """Lets requests through to one exchange."""

    exchange: Exchange
    faults: Faults
    latency_ms: float = 0.0  # round trip between client and exchange, added to every request

    async def handle(self, request: Request) -> Answer:
        """Execute `request` and return the answer; a fault may stand in its way."""
        account = self._account(request)
        fault = self.faults.draw(request.target, account) if self.faults.rules else None
        if self.latency_ms:
            await asyncio.sleep(self.latency_ms / 2_000)
        answer = self._answer(request, account, fault)
        wait_ms = self.latency_ms / 2 + (fault.latency_ms if fault else 0.0)
        if wait_ms:
            await asyncio.sleep(wait_ms / 1_000)
        return answer

    def _account(self, request: Request) -> str:
        """Return the account of the key, "" for public requests and unknown keys; only faults ask."""
        if request.operation.permission is Permission.NONE:
            return ""
        try:
            return self.exchange.keys.open(request.key_name, Permission.READ).account
        except errors.ApiError:
            return ""

    def _answer(self, request: Request, account: str, fault: Fault | None) -> Answer:
        if fault is None:
            return self._execute(request, account)
        executed = self._execute(request, account, fault) if fault.executed else None
        if fault.kind in REFUSALS:
            return self._refusal(fault, account)
        return executed or Answer(fault.status, None, account=account, fault=fault)

    def _execute(self, request: Request, account: str, fault: Fault | None = None) -> Answer:
        try:
            self.exchange.weights.charge(self._weight(request))
            key = self._admit(request)
            body = request.operation.run(self.exchange, key, request.parameters)
        except errors.ApiError as refused:
            wait = None if refused.retry_after_s is None else str(refused.retry_after_s)
            return Answer(refused.status, refused.body, wait, account, fault)
        except Rejection as refused:
            return Answer(400, {"code": refused.code, "msg": refused.message}, None, account, fault)
        return Answer(200, body, None, account, fault)

    def _weight(self, request: Request) -> int:
        """Return what the request weighs; an order nothing while the order limits are lifted."""
        if request.operation.is_order and self.exchange.order_counts.are_lifted:
            return 0
        return request.operation.weight(request.parameters)

    def _admit(self, request: Request) -> Key | None:
        permission = request.operation.permission
        if permission is Permission.NONE:
            return None
        key = self.exchange.keys.open(request.key_name, permission)
        access.check_signature(key, request.signed, request.signature)
        if self.exchange.clock.is_frozen:
            # In lockstep the exchange's clock stands in the past: a client's time cannot be compared with it.
            if access.integer(request.parameters, "timestamp") is None:
                raise errors.missing("timestamp")
        else:
            access.check_time(request.parameters, self.exchange.now_ms())
        return key

    def _refusal(self, fault: Fault, account: str) -> Answer:
        if fault.kind is FaultKind.THROTTLE:
            error = errors.too_much_weight(self.exchange.weights.limit, retry_after_s=None)
        elif fault.kind is FaultKind.BAN:
            error = errors.banned(self.exchange.now_ms() + 120_000, retry_after_s=None)
        else:
            error = errors.ApiError(fault.status, fault.code, fault.message)
        return Answer(error.status, error.body, fault.retry_after, account, fault)

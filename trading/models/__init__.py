"""What operation remembers."""

from trading.models.accounts import Account, ConductOverride, Grid, Mandate, TradingDay, VenueInstrument
from trading.models.audit import AuditEvent
from trading.models.orders import Fill, Order, Settlement
from trading.models.watch import (
    Alert,
    ConductSample,
    EquitySample,
    ForeignOrderDecision,
    Halt,
    HaltDrill,
    HourFacts,
    LatencySample,
    Reconciliation,
    VenueReading,
)

__all__ = [
    "Account",
    "Alert",
    "AuditEvent",
    "ConductOverride",
    "ConductSample",
    "EquitySample",
    "Fill",
    "ForeignOrderDecision",
    "Grid",
    "Halt",
    "HaltDrill",
    "HourFacts",
    "LatencySample",
    "Mandate",
    "Order",
    "Reconciliation",
    "Settlement",
    "TradingDay",
    "VenueInstrument",
    "VenueReading",
]

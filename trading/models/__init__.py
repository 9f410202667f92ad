"""What operation remembers."""

from trading.models.accounts import Account, Grid, Mandate, TradingDay, VenueInstrument
from trading.models.audit import AuditEvent, AuditVerification
from trading.models.orders import Fill, Order, Settlement
from trading.models.sessions import Session
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
    RuleReading,
    VenueReading,
)

__all__ = [
    "Account",
    "Alert",
    "AuditEvent",
    "AuditVerification",
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
    "RuleReading",
    "Session",
    "Settlement",
    "TradingDay",
    "VenueInstrument",
    "VenueReading",
]

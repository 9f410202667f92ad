"""What operation remembers."""

from trading.models.accounts import Account, ConductOverride, Grid, Mandate, TradingDay, VenueInstrument
from trading.models.arming import Arming, with_something_to_stop
from trading.models.audit import ADVICE_CHANGED, AuditEvent, AuditVerification
from trading.models.backtests import Backtest, GridCandidate
from trading.models.comparisons import PaperComparison
from trading.models.in_force import GridInForce
from trading.models.keys import KeyCheck, VenueKey
from trading.models.learning import ModelChange, ModelForecast, ModelHealth, ModelReplay, ModelVersion, TrainingRun
from trading.models.market_store import MarketImport, MarketPart
from trading.models.members import Membership
from trading.models.orders import Fill, FillMark, Order, Settlement
from trading.models.sessions import Session
from trading.models.standing import running
from trading.models.transfers import CapitalTransfer, CashFlow, asked_for, first_cash, shown
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
    "ADVICE_CHANGED",
    "Account",
    "Alert",
    "Arming",
    "AuditEvent",
    "AuditVerification",
    "Backtest",
    "CapitalTransfer",
    "CashFlow",
    "ConductOverride",
    "ConductSample",
    "EquitySample",
    "Fill",
    "FillMark",
    "ForeignOrderDecision",
    "Grid",
    "GridCandidate",
    "GridInForce",
    "Halt",
    "HaltDrill",
    "HourFacts",
    "KeyCheck",
    "LatencySample",
    "Mandate",
    "MarketImport",
    "MarketPart",
    "Membership",
    "ModelChange",
    "ModelForecast",
    "ModelHealth",
    "ModelReplay",
    "ModelVersion",
    "Order",
    "PaperComparison",
    "Reconciliation",
    "RuleReading",
    "Session",
    "Settlement",
    "TradingDay",
    "TrainingRun",
    "VenueInstrument",
    "VenueKey",
    "VenueReading",
    "asked_for",
    "first_cash",
    "running",
    "shown",
    "with_something_to_stop",
]

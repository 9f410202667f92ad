"""What governance remembers."""

from riskops.models.alerting import Delivery, NotificationRoute
from riskops.models.arming import ArmRequest
from riskops.models.break_glass import BreakGlass
from riskops.models.incidents import DeskReview, Incident, IncidentStep
from riskops.models.kill_switch import ResumeRequest
from riskops.models.people import FailedSignIns, Invitation, KnownAddress, Notice, Tries
from riskops.models.phases import ChecklistAttachment, ChecklistTick, PhaseRun, PhaseTemplate, SignOff, StepRequest
from riskops.models.promotions import PromotionRequest, PromotionSignature
from riskops.models.releases import ReleaseTag
from riskops.models.reports import ComplianceItem, ComplianceTick, CostEntry, Report

__all__ = [
    "ArmRequest",
    "BreakGlass",
    "ChecklistAttachment",
    "ChecklistTick",
    "ComplianceItem",
    "ComplianceTick",
    "CostEntry",
    "Delivery",
    "DeskReview",
    "FailedSignIns",
    "Incident",
    "IncidentStep",
    "Invitation",
    "KnownAddress",
    "Notice",
    "NotificationRoute",
    "PhaseRun",
    "PhaseTemplate",
    "PromotionRequest",
    "PromotionSignature",
    "ReleaseTag",
    "Report",
    "ResumeRequest",
    "SignOff",
    "StepRequest",
    "Tries",
]

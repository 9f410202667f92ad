"""What governance remembers."""

from riskops.models.incidents import Incident
from riskops.models.kill_switch import ResumeRequest
from riskops.models.people import FailedSignIns, Invitation, KnownAddress, Notice, Tries
from riskops.models.phases import ChecklistTick, PhaseRun, PhaseTemplate, SignOff, StepRequest

__all__ = [
    "ChecklistTick",
    "FailedSignIns",
    "Incident",
    "Invitation",
    "KnownAddress",
    "Notice",
    "PhaseRun",
    "PhaseTemplate",
    "ResumeRequest",
    "SignOff",
    "StepRequest",
    "Tries",
]

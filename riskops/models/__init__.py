"""What governance remembers."""

from riskops.models.incidents import DeskReview, Incident, IncidentStep
from riskops.models.kill_switch import ResumeRequest
from riskops.models.phases import ChecklistTick, PhaseRun, PhaseTemplate, SignOff, StepRequest

__all__ = [
    "ChecklistTick",
    "DeskReview",
    "Incident",
    "IncidentStep",
    "PhaseRun",
    "PhaseTemplate",
    "ResumeRequest",
    "SignOff",
    "StepRequest",
]

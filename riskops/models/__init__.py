"""What governance remembers."""

from riskops.models.arming import ArmRequest
from riskops.models.incidents import Incident
from riskops.models.kill_switch import ResumeRequest
from riskops.models.phases import ChecklistTick, PhaseRun, PhaseTemplate, SignOff, StepRequest

__all__ = [
    "ArmRequest",
    "ChecklistTick",
    "Incident",
    "PhaseRun",
    "PhaseTemplate",
    "ResumeRequest",
    "SignOff",
    "StepRequest",
]

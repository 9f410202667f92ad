"""What governance remembers."""

from riskops.models.break_glass import BreakGlass
from riskops.models.incidents import Incident
from riskops.models.kill_switch import ResumeRequest
from riskops.models.phases import ChecklistAttachment, ChecklistTick, PhaseRun, PhaseTemplate, SignOff, StepRequest
from riskops.models.releases import ReleaseTag

__all__ = [
    "BreakGlass",
    "ChecklistAttachment",
    "ChecklistTick",
    "Incident",
    "PhaseRun",
    "PhaseTemplate",
    "ReleaseTag",
    "ResumeRequest",
    "SignOff",
    "StepRequest",
]

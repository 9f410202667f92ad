"""What governance remembers."""

from riskops.models.alerting import Delivery, NotificationRoute
from riskops.models.incidents import Incident
from riskops.models.kill_switch import ResumeRequest
from riskops.models.phases import ChecklistTick, PhaseRun, PhaseTemplate, SignOff, StepRequest

__all__ = [
    "ChecklistTick",
    "Delivery",
    "Incident",
    "NotificationRoute",
    "PhaseRun",
    "PhaseTemplate",
    "ResumeRequest",
    "SignOff",
    "StepRequest",
]

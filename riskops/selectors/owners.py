"""Which account a row of governance belongs to: people see and touch only what is of their accounts."""

from riskops.models import BreakGlass, Incident, ResumeRequest, StepRequest


def of_resume(request_id: int) -> int | None:
    """Return the account of a request to resume, None where there is no such request."""
    return ResumeRequest.objects.filter(pk=request_id).values_list("account_id", flat=True).first()


def of_step(request_id: int) -> int | None:
    """Return the account of a request to step up, None where there is no such request."""
    return StepRequest.objects.filter(pk=request_id).values_list("run__account_id", flat=True).first()


def of_incident(incident_id: int) -> int | None:
    """Return the account of an incident, None where there is no such incident."""
    return Incident.objects.filter(pk=incident_id).values_list("account_id", flat=True).first()


def of_glass(glass_id: int) -> int | None:
    """Return the account of a break-glass, None where there is none of that number."""
    return BreakGlass.objects.filter(pk=glass_id).values_list("account_id", flat=True).first()

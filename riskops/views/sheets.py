"""The approval sheet: to look at, to print, as PDF, and its evidence as JSON."""

from typing import Any

from django.http import Http404, HttpResponse, JsonResponse
from django.utils.timezone import now
from django.views.decorators.http import require_safe

from riskops.selectors import gate, sheet
from riskops.views.framing import page, with_frame
from trading.http import OperatorRequest
from trading.selectors.frame import Frame


@require_safe
@with_frame
def show_sheet(request: OperatorRequest, around: Frame, request_id: int) -> HttpResponse:
    """Show the approval sheet of one request, ready to be printed."""
    return page(request, around, "riskops/sheet.html", sheet=_found(sheet.sheet(around.account, request_id)))


@require_safe
@with_frame
def show_sheet_pdf(request: OperatorRequest, around: Frame, request_id: int) -> HttpResponse:
    """Give the approval sheet as PDF."""
    from riskops.views.sheet_pdf import drawn  # draws with a library that no other page needs

    found = _found(sheet.sheet(around.account, request_id))
    name = f"approval-{around.account.slug}-{found.phase}-{found.id}.pdf"
    return _download(HttpResponse(drawn(found), content_type="application/pdf"), name)


@require_safe
@with_frame
def export_evidence(request: OperatorRequest, around: Frame, request_id: int) -> HttpResponse:
    """Give the evidence of one request as JSON with its SHA-256."""
    found = _found(sheet.evidence_of_request(around.account, request_id))
    return _download(JsonResponse(found, json_dumps_params={"indent": 1}), f"evidence-{request_id}.json")


@require_safe
@with_frame
def export_evidence_now(request: OperatorRequest, around: Frame) -> HttpResponse:
    """Give the evidence of the run in force as JSON with its SHA-256."""
    run = _found(gate.open_run(around.account))
    found = sheet.evidence_now(run, now())
    return _download(JsonResponse(found, json_dumps_params={"indent": 1}), f"evidence-run-{run.pk}.json")


def _found(thing: Any) -> Any:
    if thing is None:
        raise Http404
    return thing


def _download(response: HttpResponse, name: str) -> HttpResponse:
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response

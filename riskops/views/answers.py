"""How a page answers a form: it obeys, or it refuses, says why on the page and in the audit trail."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.forms import Form, MultipleChoiceField
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.timezone import now

from riskops.forms import RELOAD
from trading.http import OperatorRequest
from trading.services import refusals

LONGEST_NAMES: Final = 80  # characters: who sends a field twice chooses its name


@dataclass(frozen=True, slots=True)
class Answers:
    """Where a page leads from its forms, and what it takes for a refusal; anything else is a fault of ours."""

    request: OperatorRequest
    to: str  # an address or its name
    unable: tuple[type[Exception], ...]  # with messages fit for who asked
    refused: Callable[[], HttpResponse] | None = None  # the page with the message; without it the page at `to`

    def obey(self, form: Form | None, act: Callable[..., str]) -> HttpResponse:
        """Do what was asked and say what came of it; a refusal changes nothing but the audit trail."""
        if why := _sent_twice(self.request, form) or (what_is_wrong(form) if form else ""):
            return self.refuse(why)
        try:
            messages.success(self.request, act(**(form.cleaned_data if form else {})))
        except self.unable as error:
            return self.refuse(str(error))
        return redirect(self.to)

    def refuse(self, why: str) -> HttpResponse:
        """Say on the page, and in the audit trail, that nothing was changed and why."""
        refusals.record(by=self.request.user.username, what=self.request.path, why=why, at=now())
        messages.error(self.request, f"Nothing was changed. {why}")
        return self.refused() if self.refused else redirect(self.to)


def what_is_wrong(form: Form) -> str:
    """Return every defect with the name of its field, empty for a fit form; never what was sent: it may be a secret."""
    found = form.errors.as_data().items()
    return " ".join(f"{_named(field)}{_words(defect)}" for field, defects in found for defect in defects)


def _named(field: str) -> str:
    return "" if field == "__all__" else f"{field}: "


def _words(defect: ValidationError) -> str:
    """Return the defect in words; Django's own of a choice repeat what was chosen."""
    return f"is not what this page sends; {RELOAD}" if defect.code == "invalid_choice" else " ".join(defect.messages)


def _sent_twice(request: OperatorRequest, form: Form | None) -> str:
    fields = form.fields if form else {}
    several = {name for name, field in fields.items() if isinstance(field, MultipleChoiceField)}
    twice = [name for name, values in request.POST.lists() if len(values) > 1 and name not in several]
    return f"{', '.join(sorted(twice))[:LONGEST_NAMES]} was sent twice; {RELOAD}" if twice else ""

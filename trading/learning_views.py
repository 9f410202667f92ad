"""The pages of models: who forecasts, who waits, what is trained; one model in full; when the next stage is due."""

from collections.abc import Mapping
from typing import Any, Final

from django import forms
from django.contrib import messages
from django.http import Http404, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.utils.timezone import now
from django.views.decorators.http import require_POST, require_safe

from trading.domain import model_figures
from trading.domain.model_card import STAGES
from trading.domain.people import TRAINERS
from trading.http import OperatorRequest, wants_partial
from trading.models import ModelVersion, TrainingRun
from trading.permissions import only
from trading.selectors import model_page, model_readiness, models
from trading.selectors.frame import Frame
from trading.services import refusals, trainings
from trading.views import page, with_frame

TRIGGERS: Final = ("ticks_stage_1", "labels_stage_1", "ticks_stage_4", "regimes")  # shown on the page of models
MOST_FOLLOWED: Final = 20  # trainings a page watches


class TrainingForm(forms.Form):
    """What is to be trained; the data and symbols are those that are known here."""

    stage = forms.TypedChoiceField(
        coerce=int,
        choices=[(number, f"{number}: {name}") for number, name, _ in models.STAGES],
        error_messages={"invalid_choice": f"is none of the stages {STAGES[0]} to {STAGES[-1]}; choose one."},
    )
    source = forms.ChoiceField(error_messages={"invalid_choice": "is not stored here; choose from the list."})
    symbols = forms.CharField(required=False, max_length=200, widget=forms.TextInput({"placeholder": "all of them"}))
    quick = forms.BooleanField(required=False)

    def __init__(self, known: Mapping[str, tuple[str, ...]], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._known = known
        self.fields["source"].choices = [(name, _data_in_words(name)) for name in known]  # type: ignore[attr-defined]  # of a ChoiceField

    def clean_symbols(self) -> tuple[str, ...]:
        """Split them; none means all."""
        return tuple(dict.fromkeys(self.cleaned_data["symbols"].replace(",", " ").upper().split()))

    def clean(self) -> dict[str, Any]:
        """Every symbol must be in the data."""
        found: dict[str, Any] = super().clean() or self.cleaned_data
        there = self._known.get(found.get("source", ""), ())
        missing = [symbol for symbol in found.get("symbols", ()) if symbol not in there]
        if missing and there:
            shown = " ".join(symbol[:20] for symbol in missing[:5])
            self.add_error("symbols", f"{shown}: not in these data; they have {' '.join(there)}.")
        return found

    def settings(self) -> dict[str, Any]:
        """Return what was asked, as `trading.domain.training_settings` reads it."""
        asked = self.cleaned_data
        data, symbols = asked["source"], list(asked["symbols"])
        return {"stage": asked["stage"], "data": data, "symbols": symbols, "quick": asked["quick"]}


@require_safe
@with_frame
def show_models(request: OperatorRequest, around: Frame) -> HttpResponse:
    """Show every model, what is trained, and the form that trains one; only the models when htmx will swap them."""
    if wants_partial(request):
        return page(request, around, "trading/partials/model_list.html", models=models.models_page(now()))
    return _models(request, around, TrainingForm(models.data_choices(), initial={"quick": True}))


@require_POST
@with_frame
@only(TRAINERS, "train a model")
def train_model(request: OperatorRequest, around: Frame) -> HttpResponse:
    """Have a model trained."""
    form = TrainingForm(models.data_choices(), request.POST)
    if form.is_valid():
        try:
            asked = trainings.ask(settings=form.settings(), by=request.user.username, at=now())
        except trainings.UnableToTrain as error:
            form.add_error(None, str(error))
        else:
            messages.success(request, f"Training {asked.pk} was asked for.")
            return redirect("trading:models")
    why = "; ".join(f"{name}: {words[0]}" for name, words in form.errors.items())
    refusals.record(by=request.user.username, what=request.path, why=why[:300], at=now())
    return _models(request, around, form)


@require_safe
@with_frame
def show_trainings(request: OperatorRequest, around: Frame) -> HttpResponse:
    """Show how far trainings are, for htmx; once one that was followed has ended the page is loaded anew."""
    lines = models.training_lines(now())
    response = page(request, around, "trading/partials/trainings.html", **_trainings(request, lines))
    still_open = {line.run.pk for line in lines if line.is_open}
    if any(pk not in still_open for pk in _followed(request)):
        response["HX-Refresh"] = "true"
    return response


@require_POST
@with_frame
@only(TRAINERS, "cancel a training")
def cancel_training(request: OperatorRequest, around: Frame, run_id: int) -> HttpResponse:
    """End a training that has not ended."""
    try:
        trainings.cancel(run_id=run_id, by=request.user.username, at=now())
    except TrainingRun.DoesNotExist as error:
        raise Http404(f"There is no training {run_id}.") from error
    except trainings.UnableToCancel as error:
        refusals.record(by=request.user.username, what=request.path, why=str(error), at=now())
        messages.error(request, f"Nothing was changed. {error}")
    else:
        messages.success(request, f"Asked training {run_id} to end.")
    return redirect("trading:models")


@require_safe
@with_frame
def show_model(request: OperatorRequest, around: Frame, digest: str) -> HttpResponse:
    """Show one model in full."""
    version = _version(digest)
    shown = model_page.model_page(version, now())
    drawn = [(name, *model_figures.CAPTIONS[name]) for name in _drawable(version, shown)]
    return page(request, around, "trading/model.html", model=shown, version=version, charts=drawn)


@require_safe
@with_frame
def model_charts(request: OperatorRequest, around: Frame, digest: str) -> HttpResponse:
    """Return the charts of one model."""
    version = _version(digest)
    told = model_page.model_page(version, now()).evaluation
    rows = model_page.forecasts(version)
    return JsonResponse({
        "training": model_figures.training(model_page.epochs(version.training)),
        "learning": model_figures.learning(
            [one.rows for one in told.learning], [one.loss for one in told.learning],
            [one.low for one in told.learning], [one.high for one in told.learning],
        ),
        "reliability": model_figures.reliability(
            [one.said for one in told.reliability], [one.came for one in told.reliability]
        ),
        "forecasts": model_figures.forecasts(
            [one.at.isoformat() for one in rows], [one.log_rv for one in rows], [one.low for one in rows],
            [one.high for one in rows], [one.realized for one in rows],
        ),
    })  # fmt: skip


@require_safe
@with_frame
def show_readiness(request: OperatorRequest, around: Frame) -> HttpResponse:
    """Show when the next stage of learning is due, and why not yet."""
    lines = model_readiness.readiness(now())
    return page(request, around, "trading/model_readiness.html", lines=lines, due=model_readiness.due(lines))


# --- parts ------------------------------------------------------------------------------------------------------------


def _models(request: OperatorRequest, around: Frame, form: TrainingForm) -> HttpResponse:
    at = now()
    triggers = [line for line in model_readiness.readiness(at) if line.seen.code in TRIGGERS]
    response = page(
        request, around, "trading/models.html", models=models.models_page(at), triggers=triggers, form=form,
        **_trainings(request, models.training_lines(at)),
    )  # fmt: skip
    response.status_code = 422 if form.errors else 200
    return response


def _trainings(request: OperatorRequest, lines: list[models.TrainingLine]) -> dict[str, Any]:
    roles = set(request.user.groups.values_list("name", flat=True))
    followed = ",".join(str(line.run.pk) for line in lines if line.is_open)
    return {"trainings": lines, "followed": followed, "may_train": bool(roles & TRAINERS)}


def _followed(request: OperatorRequest) -> list[int]:
    words = request.GET.get("open", "")[:200].split(",")[:MOST_FOLLOWED]
    return [int(word) for word in words if word.isascii() and word.isdecimal() and len(word) <= 12]


def _version(digest: str) -> ModelVersion:
    version = model_page.model(digest)
    if version is None:
        raise Http404(f"There is no model {digest}.")
    return version


def _drawable(version: ModelVersion, shown: model_page.ModelPage) -> list[str]:
    """Return the charts there is something to draw on."""
    has = {
        "training": bool(model_page.epochs(version.training)),
        "learning": bool(shown.evaluation.learning),
        "reliability": bool(shown.evaluation.reliability),
        "forecasts": any(line.known for line in shown.live),
    }
    return [name for name in model_figures.CAPTIONS if has[name]]


def _data_in_words(name: str) -> str:
    return "shipped bars" if name == "shipped" else f"stored bars, {name.partition(':')[2]}"

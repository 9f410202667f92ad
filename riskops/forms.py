"""What people fill in around the kill switch and the gate."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from riskops.domain.attachments import LARGEST, LONGEST_NAME, Attached, UnfitAttachment, attached
from riskops.domain.notes import why_not_note
from riskops.domain.steps import ROADMAP, Decision
from trading.domain.drills import Drill
from trading.domain.people import Role

_TYPED = {"autocomplete": "off", "spellcheck": "false", "autocapitalize": "characters"}


def _readable(text: str) -> None:
    if refusal := why_not_note(text):
        raise ValidationError(f"The text {refusal}")


class Note(forms.CharField):
    """Words of a person that stay on record."""

    default_validators = [_readable]

    def __init__(self, *, max_length: int, required: bool = False, **more: Any) -> None:
        words = {"max_length": f"The text is longer than {max_length} characters: shorten it."}
        super().__init__(required=required, max_length=max_length, error_messages=words, **more)


class HaltForm(forms.Form):
    """What to halt, and whether to sell what is held of it; an empty scope is everything."""

    scope = forms.CharField(required=False, max_length=40)
    flatten = forms.BooleanField(required=False)
    reason = forms.CharField(required=False, max_length=200)


class DrillForm(forms.Form):
    """Which drill to run."""

    drill = forms.ChoiceField(choices=[(drill, drill) for drill in Drill])


class ResumeForm(forms.Form):
    """Why it is safe to resume, and the typed word; without a symbol the whole desk is meant."""

    symbol = forms.CharField(required=False, max_length=20, widget=forms.HiddenInput)
    reason = forms.CharField(
        max_length=300,
        strip=True,
        widget=forms.Textarea({"rows": 2}),
        error_messages={"required": "Say why it is safe to resume."},
    )
    typed = forms.CharField(
        max_length=12, widget=forms.TextInput(_TYPED), error_messages={"required": "Type the word to confirm."}
    )


class GrantForm(forms.Form):
    """The typed word of the second person."""

    typed = forms.CharField(
        max_length=12,
        widget=forms.TextInput(_TYPED),
        error_messages={"required": "Type the word to confirm."},
    )


class StartForm(forms.Form):
    """Which phase to start."""

    phase = forms.ChoiceField(choices=[(phase, phase) for phase in ROADMAP])


class StepUpForm(forms.Form):
    """Who acts proves once more who they are."""

    password = forms.CharField(
        max_length=128,
        strip=False,
        widget=forms.PasswordInput({"autocomplete": "current-password"}),
        error_messages={"required": "Your password is missing."},
    )
    code = forms.RegexField(
        r"\A[0-9]{3} ?[0-9]{3}\Z",
        widget=forms.TextInput({"autocomplete": "one-time-code", "inputmode": "numeric", "maxlength": "7"}),
        error_messages={
            "required": "The code of your authenticator is missing.",
            "invalid": "The code of your authenticator is six digits.",
        },
    )


class BreakGlassForm(StepUpForm):
    """Why, and for how long."""

    reason = Note(max_length=300, required=True)
    hours = forms.IntegerField(min_value=1, max_value=4)


class SignForm(StepUpForm):
    """One signature: the role, the word, and the digest of what was shown."""

    role = forms.ChoiceField(choices=[(role, role) for role in Role])
    word = forms.ChoiceField(choices=[("sign", "Sign"), ("reject", "Reject")])
    note = Note(max_length=300)
    digest = forms.RegexField(r"\A[0-9a-f]{64}\Z")


class TickForm(forms.Form):
    """One item of the checklist, ticked or not."""

    item = forms.CharField(max_length=200)
    done = forms.ChoiceField(choices=[("yes", "Done"), ("no", "Not done")])
    note = Note(max_length=300)
    file = forms.FileField(required=False, allow_empty_file=True, max_length=LONGEST_NAME)

    def clean_file(self) -> Attached | None:
        """Return the file as it is kept, None where none was sent."""
        sent = self.cleaned_data["file"]
        if not sent:
            return None
        try:
            return attached(sent.name, sent.read(LARGEST + 1))
        except UnfitAttachment as error:
            raise ValidationError(str(error)) from error


class DecisionForm(StepUpForm):
    """The decision, why, and the digest of what was shown."""

    decision = forms.ChoiceField(
        choices=[(word, word) for word in Decision if word is not Decision.PENDING],
        error_messages={"required": "Choose GO, HOLD or NO_GO."},
    )
    notes = Note(max_length=2_000)
    digest = forms.RegexField(r"\A[0-9a-f]{64}\Z")


class ReviewForm(forms.Form):
    """What people learned of an incident."""

    cause = forms.CharField(max_length=2_000, error_messages={"required": "Say the cause."})
    impact = forms.CharField(max_length=2_000, error_messages={"required": "Say the impact."})
    prevention = forms.CharField(max_length=2_000, error_messages={"required": "Say the prevention."})

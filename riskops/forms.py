"""What people fill in around the kill switch and the gate."""

from decimal import Decimal
from typing import Any, Final

from django import forms
from django.core.exceptions import ValidationError

from riskops.domain.alert_rules import Channel
from riskops.domain.attachments import LARGEST, LONGEST_NAME, Attached, UnfitAttachment, attached
from riskops.domain.notes import why_not_note
from riskops.domain.periods import YEARS
from riskops.domain.planner import LARGEST_RETURN, MOST_MONTHS
from riskops.domain.playbooks import IDS
from riskops.domain.steps import ROADMAP, Decision
from trading.domain.drills import Drill
from trading.domain.events import Severity
from trading.domain.modes import Mode
from trading.domain.people import Role
from trading.domain.restrictions import KeyPurpose
from trading.domain.tax import Method

RELOAD: Final = "reload the page and try again."
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


class Digest(forms.RegexField):
    """The SHA-256 of what was shown, which the page sends by itself."""

    def __init__(self) -> None:
        unfit = {"invalid": f"is not what this page sends; {RELOAD}"}
        super().__init__(r"\A[0-9a-f]{64}\Z", error_messages=unfit)


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


class CodeForm(forms.Form):
    """The code that an authenticator shows."""

    code = forms.RegexField(
        r"\A[0-9]{3} ?[0-9]{3}\Z",
        widget=forms.TextInput({"autocomplete": "one-time-code", "inputmode": "numeric", "maxlength": "7"}),
        error_messages={
            "required": "The code of your authenticator is missing.",
            "invalid": "The code of your authenticator is six digits.",
        },
    )


class StepUpForm(CodeForm):
    """Who acts proves once more who they are."""

    password = forms.CharField(
        max_length=128,
        strip=False,
        widget=forms.PasswordInput({"autocomplete": "current-password"}),
        error_messages={"required": "Your password is missing."},
    )
    field_order = ("password", "code")


class BreakGlassForm(StepUpForm):
    """Why, and for how long."""

    reason = Note(max_length=300, required=True)
    hours = forms.IntegerField(min_value=1, max_value=4)


class SignForm(StepUpForm):
    """One signature: the role, the word, and the digest of what was shown."""

    role = forms.ChoiceField(choices=[(role, role) for role in Role])
    word = forms.ChoiceField(choices=[("sign", "Sign"), ("reject", "Reject")])
    note = Note(max_length=300)
    digest = Digest()


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
    digest = Digest()


class AskPromotionForm(forms.Form):
    """Which symbol a canary may touch; nothing where no canary is asked for."""

    symbol = forms.CharField(required=False, max_length=20)


class RollBackForm(forms.Form):
    """Why; nothing else stands in the way."""

    why = Note(max_length=200)


class PrepareForm(forms.Form):
    """Which step to prepare an account for."""

    mode = forms.ChoiceField(choices=[(mode, mode) for mode in (Mode.TESTNET, Mode.LIVE)])


class ArmForm(StepUpForm):
    """The typed word, and the digest of what was shown."""

    typed = forms.CharField(max_length=20, widget=forms.TextInput(_TYPED))
    digest = Digest()


class DisarmForm(forms.Form):
    """Why; nothing else stands in the way."""

    why = forms.CharField(required=False, max_length=200)


class MemberForm(forms.Form):
    """Who is given an account, or loses it."""

    person = forms.CharField(max_length=150, error_messages={"required": "Name the person."})


class MovedForm(forms.Form):
    """How much of a transfer was moved, or that nothing more of it comes."""

    amount = forms.DecimalField(
        required=False, min_value=Decimal("1e-8"), max_digits=20, decimal_places=8,
        error_messages={"invalid": "is no number.", "min_value": "give what was moved, above 0."},
    )  # fmt: skip
    deed = forms.ChoiceField(choices=[("moved", "That much was moved"), ("over", "Nothing more comes")])

    def clean(self) -> dict[str, Any]:
        """Refuse a word about money that does not say how much."""
        fields: dict[str, Any] = super().clean() or {}
        if fields.get("deed") == "moved" and "amount" not in self.errors and fields.get("amount") is None:
            self.add_error("amount", "say how much was moved.")
        return fields


class KeyForm(forms.Form):
    """A key of a venue; written, never shown."""

    account = forms.SlugField(max_length=12)
    purpose = forms.ChoiceField(choices=[(p.value, p.value) for p in KeyPurpose])
    label = forms.CharField(max_length=60, error_messages={"required": "Give the key a label."})
    key = forms.CharField(max_length=200, strip=True, error_messages={"required": "The key is missing."})
    secret = forms.CharField(max_length=200, strip=True, error_messages={"required": "The secret is missing."})


class RevokeForm(forms.Form):
    """The typed label."""

    typed = forms.CharField(max_length=60, error_messages={"required": "Type the label of the key to revoke it."})


class OpenIncidentForm(forms.Form):
    """By which playbook, and what was seen."""

    playbook = forms.ChoiceField(choices=[(name, name) for name in IDS])
    what = forms.CharField(required=False, max_length=300)


class LookForm(forms.Form):
    """What somebody who reviewed the desk has to say."""

    note = forms.CharField(required=False, max_length=1_000)


class StepForm(forms.Form):
    """One immediate step of a playbook; a pause may be of one symbol."""

    step = forms.CharField(max_length=40)
    symbol = forms.CharField(required=False, max_length=20)


class WriteForm(forms.Form):
    """What is written in an incident: a tick, a note, the owner, the cause, the recovery."""

    kind = forms.ChoiceField(choices=[(kind, kind) for kind in ("done", "note", "owner", "resolved", "recovered")])
    step = forms.CharField(required=False, max_length=40)
    note = forms.CharField(required=False, max_length=1_000)


class ReviewForm(forms.Form):
    """What people learned of an incident."""

    cause = forms.CharField(max_length=2_000, error_messages={"required": "Say the cause."})
    impact = forms.CharField(max_length=2_000, error_messages={"required": "Say the impact."})
    prevention = forms.CharField(max_length=2_000, error_messages={"required": "Say the prevention."})


class TaxForm(forms.Form):
    """Which year, by which method."""

    year = forms.IntegerField(min_value=YEARS.start, max_value=YEARS.stop - 1)
    method = forms.ChoiceField(choices=[(method.value, method.value) for method in Method])


class ScenarioForm(forms.Form):
    """What a person assumes; nothing is assumed for them."""

    percent = forms.DecimalField(
        label="Return a month, %", min_value=Decimal(-100), max_value=LARGEST_RETURN * 100, max_digits=8,
        decimal_places=3,
    )  # fmt: skip
    costs = forms.DecimalField(
        label="Costs a month", min_value=Decimal(0), max_value=Decimal(10**7), max_digits=12, decimal_places=2,
        required=False,
    )  # fmt: skip
    months = forms.IntegerField(label="Months", min_value=1, max_value=MOST_MONTHS)


class CostForm(forms.Form):
    """One bill."""

    billed_on = forms.DateField(widget=forms.DateInput({"type": "date"}), input_formats=["%Y-%m-%d"])
    what = forms.CharField(max_length=100)
    amount = forms.DecimalField(max_digits=12, decimal_places=2)
    currency = forms.RegexField(r"\A[A-Z]{3,5}\Z", error_messages={"invalid": "A currency is 3 to 5 capitals, as USD."})


class ItemForm(forms.Form):
    """One compliance item that no phase names."""

    title = forms.CharField(max_length=200)
    due_on = forms.DateField(widget=forms.DateInput({"type": "date"}), input_formats=["%Y-%m-%d"])


class ItemTickForm(forms.Form):
    """An item is done, or the tick is taken back; the note says what was seen."""

    done = forms.ChoiceField(choices=[("yes", "Done"), ("no", "Not done")])
    note = forms.CharField(max_length=300)


# --- people -----------------------------------------------------------------------------------------------------


class SignInForm(forms.Form):
    """Name and password."""

    username = forms.CharField(max_length=150)
    password = forms.CharField(max_length=128, strip=False)


class PasswordForm(forms.Form):
    """A new password, twice."""

    new_password = forms.CharField(
        max_length=128, strip=False, error_messages={"required": "The new password is missing."}
    )
    again = forms.CharField(max_length=128, strip=False, error_messages={"required": "Type the new password twice."})

    def clean(self) -> dict[str, str]:
        """Refuse two that differ."""
        fields: dict[str, str] = super().clean() or {}
        if fields.get("new_password") != fields.get("again"):
            raise forms.ValidationError("The new password was typed in two ways.")
        return fields


class NewPasswordForm(PasswordForm):
    """The present password and a new one."""

    old_password = forms.CharField(
        max_length=128, strip=False, error_messages={"required": "Your present password is missing."}
    )


_ROLES = [(role, role) for role in Role]


class PersonForm(forms.Form):
    """Who is added, and as what."""

    name = forms.CharField(max_length=150, error_messages={"required": "The name to sign in with is missing."})
    full_name = forms.CharField(max_length=150, required=False)
    roles = forms.MultipleChoiceField(choices=_ROLES, required=False)


class RolesForm(forms.Form):
    """Which roles a person has from now on; `anyway` where nobody else has one that the desk needs."""

    roles = forms.MultipleChoiceField(choices=_ROLES, required=False)
    anyway = forms.BooleanField(required=False)


class ActiveForm(forms.Form):
    """Whether a person may sign in."""

    active = forms.ChoiceField(choices=[("yes", "Active"), ("no", "Deactivated")])
    anyway = forms.BooleanField(required=False)


class ShelveForm(forms.Form):
    """For how long an alert is put aside, and why."""

    hours = forms.FloatField(error_messages={"required": "Say for how many hours.", "invalid": "Say how many hours."})
    reason = forms.CharField(max_length=300, error_messages={"required": "Say why it is shelved."})


class RouteForm(forms.Form):
    """One place where people who are away are told; the address is written and never shown again."""

    name = forms.CharField(max_length=40, error_messages={"required": "Name the route."})
    channel = forms.ChoiceField(choices=[(channel.value, channel.value) for channel in Channel])
    address = forms.CharField(
        max_length=500,
        widget=forms.PasswordInput({"autocomplete": "off", "spellcheck": "false"}),
        error_messages={"required": "The address is missing."},
    )
    roles = forms.MultipleChoiceField(
        choices=[(role.value, role.value) for role in Role],
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": "Say whom it reaches: at least one role."},
    )
    minimum = forms.TypedChoiceField(
        choices=[("WARN", "WARN and CRIT"), ("CRIT", "CRIT alone")], coerce=Severity, initial="WARN"
    )

    def clean_channel(self) -> Channel:
        """Return the channel as one."""
        return Channel(self.cleaned_data["channel"])

"""What people fill in around the kill switch and the gate."""

from django import forms

from riskops.domain.steps import ROADMAP, Decision
from trading.domain.drills import Drill
from trading.domain.people import Role

_TYPED = {"autocomplete": "off", "spellcheck": "false", "autocapitalize": "characters"}


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


class SignForm(StepUpForm):
    """One signature: the role, the word, and the digest of what was shown."""

    role = forms.ChoiceField(choices=[(role, role) for role in Role])
    word = forms.ChoiceField(choices=[("sign", "Sign"), ("reject", "Reject")])
    note = forms.CharField(required=False, max_length=300)
    digest = forms.RegexField(r"\A[0-9a-f]{64}\Z")


class TickForm(forms.Form):
    """One item of the checklist, ticked or not."""

    item = forms.CharField(max_length=200)
    done = forms.ChoiceField(choices=[("yes", "Done"), ("no", "Not done")])
    note = forms.CharField(required=False, max_length=300)


class DecisionForm(StepUpForm):
    """The decision, why, and the digest of what was shown."""

    decision = forms.ChoiceField(
        choices=[(word, word) for word in Decision if word is not Decision.PENDING],
        error_messages={"required": "Choose GO, HOLD or NO_GO."},
    )
    notes = forms.CharField(required=False, max_length=2_000)
    digest = forms.RegexField(r"\A[0-9a-f]{64}\Z")


class ReviewForm(forms.Form):
    """What people learned of an incident."""

    cause = forms.CharField(max_length=2_000, error_messages={"required": "Say the cause."})
    impact = forms.CharField(max_length=2_000, error_messages={"required": "Say the impact."})
    prevention = forms.CharField(max_length=2_000, error_messages={"required": "Say the prevention."})


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


def reasons(form: forms.Form) -> str:
    """Return every reason why a form is refused, as one text."""
    texts = [str(text) for errors in form.errors.values() for text in errors]
    return " ".join(texts) or "The form is damaged: reload the page and try again."

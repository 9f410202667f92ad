"""What people fill in around the kill switch."""

from django import forms

from trading.domain.drills import Drill

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

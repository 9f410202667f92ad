"""What people fill in around the kill switch."""

from django import forms

_TYPED = {"autocomplete": "off", "spellcheck": "false", "autocapitalize": "characters"}


class HaltForm(forms.Form):
    """Which desks to halt, and whether to sell what they hold; an empty scope is everything."""

    scope = forms.CharField(required=False, max_length=12)
    flatten = forms.BooleanField(required=False)
    reason = forms.CharField(required=False, max_length=200)


class ResumeForm(forms.Form):
    """Why it is safe to resume, and the typed word."""

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
        widget=forms.TextInput({**_TYPED, "id": "id_granted"}),
        error_messages={"required": "Type the word to confirm."},
    )

"""What people may write beside a signature."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riskops.domain.notes import why_not_note


@pytest.mark.parametrize(
    "text",
    [
        "",
        "p95 is 184 ms, <2 s and ≥ 85 %",
        "Übung bestanden; größer als 5 €",
        "line\nline\ttab",
        "3 - 2 = 1",
        "目視確認",
    ],
)
def test_plain_words_stand_as_they_are(text: str) -> None:
    assert why_not_note(text) == ""


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("good \u202ereject", "cannot be seen (U+202E, character 6)"),
        ("zero\u200bwidth", "cannot be seen (U+200B, character 5)"),
        ("nul\x00", "cannot be seen (U+0000, character 4)"),
        ("\ufeffmark", "cannot be seen (U+FEFF, character 1)"),
        ("half \ud800", "cannot be seen (U+D800, character 6)"),
        ("nobody's \ue000", "cannot be seen (U+E000"),
        ("to the moon 🚀", "a picture (U+1F680, character 13)"),
        ("<script>alert(1)</script>", "looks like HTML"),
        ("a < /b>", "looks like HTML"),
        ('=HYPERLINK("http://x")', "begins with '='"),
        (" @SUM(1)", "begins with '@'"),
        ("-2+3", "begins with '-'"),
        ("+1", "begins with '+'"),
    ],
)
def test_what_readers_would_not_see_as_it_is_is_refused(text: str, reason: str) -> None:
    assert reason in why_not_note(text)


@given(text=st.text())
def test_every_text_has_an_answer_that_can_be_shown(text: str) -> None:
    assert why_not_note(text).isprintable()

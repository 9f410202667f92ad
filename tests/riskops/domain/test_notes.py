"""What people may write beside a signature."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riskops.domain.notes import why_not_note

HTML = "holds what looks like HTML: write it in words; `below` for `<`."


def unseen(place: str) -> str:
    return f"holds a character that cannot be seen ({place}): write it in words, or take it out."


def formula(sign: str) -> str:
    return f"begins with '{sign}', which a spreadsheet takes for a formula: begin with a word."


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
        ("good \u202ereject", unseen("U+202E, character 6")),
        ("zero\u200bwidth", unseen("U+200B, character 5")),
        ("nul\x00", unseen("U+0000, character 4")),
        ("\ufeffmark", unseen("U+FEFF, character 1")),
        ("half \ud800", unseen("U+D800, character 6")),
        ("nobody's \ue000", unseen("U+E000, character 10")),
        ("to the moon 🚀", "holds a picture (U+1F680, character 13): write it in words, or take it out."),
        ("<script>alert(1)</script>", HTML),
        ("a < /b>", HTML),
        ('=HYPERLINK("http://x")', formula("=")),
        (" @SUM(1)", formula("@")),
        ("-2+3", formula("-")),
        ("+1", formula("+")),
    ],
)
def test_what_readers_would_not_see_as_it_is_is_refused(text: str, reason: str) -> None:
    assert why_not_note(text) == reason


@given(text=st.text())
def test_every_text_has_an_answer_that_can_be_shown(text: str) -> None:
    assert why_not_note(text).isprintable()

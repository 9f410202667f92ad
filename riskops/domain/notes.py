"""What people may write beside a signature: text that every reader sees as it is, on paper and in a spreadsheet too."""

import re
import unicodedata
from typing import Final

_SEEN: Final = frozenset({"Sm", "Sc", "Sk", "Zs"})  # beside letters, marks, numbers and punctuation
_BREAKS: Final = frozenset("\n\r\t")
_FORMULAS: Final = ("=", "+", "-", "@")
_MARKUP: Final = re.compile(r"<\s*[A-Za-z/!?]")


def why_not_note(text: str) -> str:
    """Return why `text` may not stand in the record, or an empty text.

    Source of the formulas: OWASP, "CSV Injection": what begins so is run by a spreadsheet.
    """
    for place, letter in enumerate(text, start=1):
        if not _is_plain(letter):
            what = "a picture" if unicodedata.category(letter) == "So" else "a character that cannot be seen"
            return f"holds {what} (U+{ord(letter):04X}, character {place}): write it in words, or take it out."
    if _MARKUP.search(text):
        return "holds what looks like HTML: write it in words; `below` for `<`."
    if text.lstrip().startswith(_FORMULAS):
        return f"begins with {text.lstrip()[0]!r}, which a spreadsheet takes for a formula: begin with a word."
    return ""


def _is_plain(letter: str) -> bool:
    category = unicodedata.category(letter)
    return letter in _BREAKS or category[0] in "LMNP" or category in _SEEN

"""Draw the approval sheet as PDF, with the fonts that every reader of PDF has."""

from datetime import datetime
from io import BytesIO
from typing import Final
from xml.sax.saxutils import escape

from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.platypus import Flowable, Paragraph, SimpleDocTemplate, Spacer, Table, TableStyle

from riskops.selectors.sheet import Sheet

PLAIN: Final = {"≥": ">=", "≤": "<=", "→": "->", "\u2212": "-", "✓": "[x]", "☑": "[x]", "☐": "[ ]"}
MARGIN: Final = 16 * mm
WIDTH: Final = A4[0] - 2 * MARGIN
_TEXT: Final = ParagraphStyle("text", fontName="Helvetica", fontSize=8.5, leading=11)
_HEAD: Final = ParagraphStyle("head", parent=_TEXT, fontName="Helvetica-Bold", fontSize=10, leading=14, spaceBefore=8)
_TITLE: Final = ParagraphStyle("title", parent=_HEAD, fontSize=15, leading=19)
_CODE: Final = ParagraphStyle("code", parent=_TEXT, fontName="Courier", fontSize=7.5, leading=10)


def drawn(sheet: Sheet) -> bytes:
    """Return the sheet as PDF."""
    out = BytesIO()
    document = SimpleDocTemplate(
        out, pagesize=A4, leftMargin=MARGIN, rightMargin=MARGIN, topMargin=MARGIN, bottomMargin=MARGIN,
        title=f"Scale-up approval {sheet.phase} -> {sheet.following}", author="Grid Console",
    )  # fmt: skip
    document.build(_story(sheet))
    return out.getvalue()


def _story(sheet: Sheet) -> list[Flowable]:
    mark = " This run was ACCELERATED: it counts on paper only." if sheet.accelerated else ""
    return [
        _say(f"SCALE-UP APPROVAL: Phase {sheet.phase} → {sheet.following}", _TITLE),
        _say(f"{sheet.account}, {sheet.mode}. From ${sheet.capital} → To ${sheet.next_capital}."),
        _say(f"Asked by {sheet.requested_by}, {_time(sheet.requested_at)}."),
        _say(f"Machine: {sheet.outcome}, {sheet.hours} h in force.{mark}"),
        *([_say(f"Grids changed in this run: {sheet.same_grids}.")] if sheet.same_grids else []),
        _say("Metrics of this phase", _HEAD),
        _table(
            ["", "Criterion", "Measured", "Must be", "From", "Until", "Of"],
            [
                [
                    "[x]" if one.state == "met" else "[ ]",
                    one.title if one.is_needed else f"{one.title} (advisory)",
                    one.value,
                    one.target,
                    _time(one.since),
                    _time(one.until),
                    one.detail,
                ]
                for one in sheet.criteria
            ],
            [0.04, 0.2, 0.1, 0.12, 0.13, 0.13, 0.28],
        ),
        *_also(sheet),
        _say("Risk parameters, old → new", _HEAD),
        _table(
            ["Parameter", "Now", "After GO"], [[one.name, one.old, one.new] for one in sheet.changes], [0.4, 0.3, 0.3]
        ),
        _say("Checklist", _HEAD),
        _table(
            ["", "Item", "Person", "Time", "Note"],
            [["[x]" if c.done else "[ ]", c.item, c.person, _time(c.at), c.note] for c in sheet.checklist],
            [0.04, 0.36, 0.2, 0.16, 0.24],
        ),
        _say("Sign-offs", _HEAD),
        _table(
            ["Role", "Name", "Time", "Meaning"],
            [[one.role, one.person or "_" * 20, _time(one.at), one.meaning] for one in sheet.signatures],
            [0.18, 0.26, 0.18, 0.38],
        ),
        _say(f"GO / HOLD / NO_GO decision: {sheet.decision}", _HEAD),
        _say(f"{sheet.decided_by} {_time(sheet.decided_at)}".strip()),
        _say(f"Notes: {sheet.notes or '-'}"),
        _say("Digests (SHA-256)", _HEAD),
        *(_say(f"{name:<14}{value}", _CODE) for name, value in digests(sheet)),
        Spacer(1, 4 * mm),
    ]


def _also(sheet: Sheet) -> list[Flowable]:
    if not sheet.also:
        return []
    lines = [[one.title, one.value, one.detail] for one in sheet.also]
    return [
        _say("Also measured, no criterion judges it", _HEAD),
        _table(["Metric", "Measured", "Of"], lines, [0.3, 0.12, 0.58]),
    ]


def digests(sheet: Sheet) -> list[tuple[str, str]]:
    """Return what a reader holds against the database: name and hexadecimal value."""
    head = sheet.head
    anchor = f"#{head.anchor} of row #{head.anchored_sequence}" if head.anchor else "none was made yet"
    return [
        ("evidence", sheet.digest),
        ("template", sheet.template_digest),
        ("configuration", sheet.configuration),
        ("audit head", f"#{head.sequence} {head.hash}"),
        ("anchor", anchor),
    ]


def plain(text: str) -> str:
    """Return `text` in letters that the fonts have; what they lack is named by its number, never left out."""
    found = "".join(PLAIN.get(letter, letter) for letter in text)
    return "".join(letter if _has(letter) else f"[U+{ord(letter):04X}]" for letter in found)


def _has(letter: str) -> bool:
    try:
        letter.encode("cp1252")
    except UnicodeEncodeError:
        return False
    return True


def _say(text: str, style: ParagraphStyle = _TEXT) -> Paragraph:
    return Paragraph(escape(plain(text)).replace("  ", "&nbsp; ").replace("\n", "<br/>"), style)


def _table(head: list[str], rows: list[list[str]], widths: list[float]) -> Flowable:
    if not rows:
        return _say("none")
    cells = [[_say(text) for text in row] for row in [[f"{word}" for word in head], *rows]]
    table = Table(cells, colWidths=[WIDTH * part for part in widths], repeatRows=1)
    table.setStyle(
        TableStyle(
            [
                ("LINEBELOW", (0, 0), (-1, -1), 0.4, colors.grey),
                ("LINEBELOW", (0, 0), (-1, 0), 1, colors.black),
                ("VALIGN", (0, 0), (-1, -1), "TOP"),
                ("LEFTPADDING", (0, 0), (-1, -1), 2),
                ("RIGHTPADDING", (0, 0), (-1, -1), 2),
            ]
        )
    )
    return table


def _time(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC" if at else ""

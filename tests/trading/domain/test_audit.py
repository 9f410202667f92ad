"""The audit chain and its anchors notice every way of lying about the past."""

import json
import random
from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.audit import WAYS, reseal, tampering
from trading.domain.audit import (
    GENESIS,
    Anchor,
    Link,
    Record,
    canonical,
    first_break,
    first_break_of_records,
    first_broken_anchor,
    read_anchor,
    seal,
)

Row = tuple[Link, str, str]
KEY, OTHER_KEY = b"key", b"another key"
WORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n\0"), max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=8,
)
LINKS = st.lists(
    st.tuples(st.integers(0, 2**50), WORDS, WORDS, WORDS, st.dictionaries(WORDS, VALUES, max_size=4)),
    min_size=2,
    max_size=8,
)


def chain(length: int) -> list[Row]:
    rows: list[Row] = []
    head = GENESIS
    for n in range(1, length + 1):
        link = Link(n, 1_000_000 + n, "trader", "halt.latched", "account:micro", {"n": n})
        digest = seal(head, link)
        rows.append((link, head, digest))
        head = digest
    return rows


def test_a_true_chain_is_whole() -> None:
    assert first_break(chain(5)) is None


def test_an_empty_chain_is_whole() -> None:
    assert first_break([]) is None


@pytest.mark.parametrize(
    "change",
    [
        {"actor": "somebody else"},
        {"action": "halt.released"},
        {"at_us": 1},
        {"subject": "account:production"},
        {"payload": {"n": 99}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_changed_row_is_found_where_it_was_changed(change: dict[str, object]) -> None:
    rows = chain(5)
    link, previous, digest = rows[2]
    rows[2] = (replace(link, **change), previous, digest)  # type: ignore[arg-type]  # one field of several types

    found = first_break(rows)

    assert found is not None
    assert found.sequence == 3


def test_a_missing_row_is_found() -> None:
    rows = chain(5)
    del rows[1]

    found = first_break(rows)

    assert found is not None
    assert (found.sequence, "missing" in found.reason) == (3, True)


def test_a_row_that_was_recomputed_alone_breaks_the_next_one() -> None:
    rows = chain(3)
    forged = replace(rows[0][0], actor="nobody")
    rows[0] = (forged, GENESIS, seal(GENESIS, forged))

    found = first_break(rows)

    assert found is not None
    assert found.sequence == 2


def test_the_order_of_keys_does_not_matter() -> None:
    assert canonical({"a": 1, "b": 2}) == canonical({"b": 2, "a": 1})


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_number_that_is_none_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        canonical({"value": value})


def stored(row: Row) -> Record:
    """Write a row as the database gives it back: payload keys by length, blanks, letters as they are."""
    link, previous, digest = row
    payload = json.dumps(_by_length(link.payload), ensure_ascii=False)
    fields = (previous, str(link.sequence), str(link.at_us), link.actor, link.action, link.subject)
    return link.sequence, "".join(f"{field}\n" for field in fields).encode(), payload.encode(), digest


def _by_length(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _by_length(value[name]) for name in sorted(value, key=lambda name: (len(name), name))}
    return [_by_length(each) for each in value] if isinstance(value, list) else value


def quick(payload: bytes) -> bytes:
    return orjson.dumps(orjson.loads(payload), option=orjson.OPT_SORT_KEYS)


@given(drawn=LINKS, seed=st.integers(0, 2**32))
def test_the_quick_walk_and_the_plain_one_agree_on_every_chain(drawn: list[Any], seed: int) -> None:
    true = reseal([Link(number, *fields) for number, fields in enumerate(drawn, 1)])
    chance = random.Random(seed)
    changed = chance.choice(WAYS)(chance, list(true))

    assert first_break(true) is None
    assert first_break_of_records(map(stored, true), tidy=quick) is None
    assert first_break_of_records(map(stored, changed), tidy=quick) == first_break(changed)


@pytest.mark.parametrize("payload", ["", "{", "null x", "[" * 100_000, '{"n": 1}', "9" * 5_000])
def test_a_payload_that_was_not_sealed_is_a_change_whatever_it_is(payload: str) -> None:
    sequence, fields, _, _ = stored(chain(1)[0])

    found = first_break_of_records([(sequence, fields, payload.encode(), "0" * 64)], tidy=quick)

    assert found is not None
    assert found.reason == "was changed after it was written"


def test_words_cannot_move_from_one_field_into_the_next() -> None:
    link = Link(1, 1, "trader\nhalt", "released", "account:micro", {})
    moved = replace(link, actor="trader", action="halt\nreleased")

    assert seal(GENESIS, link) == seal(GENESIS, moved)
    assert first_break([(moved, GENESIS, seal(GENESIS, link))]) is not None


def test_a_chain_must_end_where_its_head_is() -> None:
    rows = chain(3)
    head = (3, rows[2][2])

    assert first_break_of_records(map(stored, rows), end=head) is None
    assert first_break_of_records(map(stored, rows[:2]), end=head) is not None


def test_a_thousand_ways_of_tampering_are_found() -> None:
    assert tampering(1_000, seed=20)["tamper_missed"] == 0


def anchors(rows: list[Row], *sequences: int) -> list[Anchor | None]:
    return [Anchor(number, n, rows[n - 1][2], "2026-01-01") for number, n in enumerate(sequences, 1)]


def hashes(rows: list[Row]) -> dict[int, str]:
    return {link.sequence: digest for link, _, digest in rows}


def test_anchors_hold_a_true_chain() -> None:
    rows = chain(5)

    assert first_broken_anchor(anchors(rows, 2, 4), hashes(rows), counted=2) is None


def test_a_chain_without_anchors_that_counts_none_is_not_contradicted() -> None:
    assert first_broken_anchor([], hashes(chain(2)), counted=0) is None


def test_a_cut_tail_is_found_by_its_anchor() -> None:
    rows = chain(5)

    found = first_broken_anchor(anchors(rows, 2, 4), hashes(rows[:3]), counted=0)

    assert found is not None
    assert (found.sequence, "tail was cut" in found.reason) == (4, True)


def test_a_full_recomputation_is_found_by_the_first_anchor_behind_it() -> None:
    rows = chain(5)
    forged = reseal([replace(link, actor="nobody") if link.sequence == 3 else link for link, *_ in rows])

    found = first_broken_anchor(anchors(rows, 2, 4), hashes(forged), counted=0)

    assert first_break(forged) is None
    assert found is not None
    assert (found.sequence, "recomputed" in found.reason) == (4, True)


@pytest.mark.parametrize(
    ("order", "words"),
    [([1, 0, 2], "out of order"), ([0, 2], "missing"), ([0, 0, 1, 2], "out of order"), ([1, 2], "missing")],
    ids=["exchanged", "one left out", "doubled", "the first gone"],
)
def test_lines_that_are_moved_or_missing_are_found(order: list[int], words: str) -> None:
    rows = chain(5)
    known = anchors(rows, 1, 3, 5)

    found = first_broken_anchor([known[place] for place in order], hashes(rows), counted=3)

    assert found is not None
    assert words in found.reason


@pytest.mark.parametrize("kept", [0, 1])
def test_a_file_that_was_cut_or_deleted_is_shorter_than_the_chain_counts(kept: int) -> None:
    rows = chain(5)

    found = first_broken_anchor(anchors(rows, 1, 3)[:kept], hashes(rows), counted=2)

    assert found is not None
    assert "counts 2 anchors" in found.reason


def test_a_line_is_read_as_it_was_written() -> None:
    anchor = Anchor(1, 7, "ab" * 32, "2026-01-01T00:00:00+00:00")

    assert read_anchor(anchor.line(KEY), [OTHER_KEY, KEY]) == anchor
    assert read_anchor(anchor.line(KEY), [OTHER_KEY]) is None


@given(place=st.integers(0, 10_000), letter=st.characters(min_codepoint=32, max_codepoint=126))
def test_a_line_with_one_other_letter_is_no_anchor(place: int, letter: str) -> None:
    line = Anchor(1, 7, "ab" * 32, "2026-01-01T00:00:00+00:00").line(KEY)
    place %= len(line)
    changed = line[:place] + letter + line[place + 1 :]

    assert (read_anchor(changed, [KEY]) is None) is (changed != line)


@pytest.mark.parametrize("line", ["", "{}", "[]", "null", "[" * 100_000, '{"number": "x"}', "\ufffd", "1" * 5_000])
def test_a_line_that_is_none_is_no_anchor(line: str) -> None:
    assert read_anchor(line, [KEY]) is None
    found = first_broken_anchor([read_anchor(line, [KEY])], {}, counted=0)
    assert found is not None
    assert "was changed" in found.reason

"""The audit chain notices every way of lying about the past."""

from dataclasses import replace

import pytest

from trading.domain.audit import GENESIS, Link, canonical, first_break, seal

Row = tuple[Link, str, str]


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

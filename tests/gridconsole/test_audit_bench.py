"""The audit benchmark would notice: what it holds its figures against, and that its trials do tamper."""

import random

import pytest

from benchmarks import audit

KEPT = {"verify_rows_per_s": 200_000, "tamper_trials": 1_000, "tamper_missed": 0}


@pytest.mark.parametrize(
    ("figure", "missed"), [("verify_rows_per_s", 199_999), ("tamper_trials", 999), ("tamper_missed", 1)]
)
def test_every_bound_holds_on_its_line_and_not_beyond(figure: str, missed: int) -> None:
    assert KEPT.keys() == audit.BOUNDS.keys()
    assert audit.BOUNDS[figure].is_met(KEPT[figure])
    assert not audit.BOUNDS[figure].is_met(missed)
    assert not audit.BOUNDS[figure].is_met(None)


@pytest.mark.parametrize("way", audit.WAYS, ids=lambda way: way.__name__)
def test_every_way_of_tampering_changes_the_chain(way: audit.Way) -> None:
    chance = random.Random(1)
    for _ in range(100):
        rows = list(audit.chain(chance).rows)
        assert way(chance, list(rows)) != rows


def test_trials_are_only_counted_where_the_true_chain_was_whole() -> None:
    assert audit.tampering(50, seed=3) == {"tamper_trials": 50, "tamper_detected": 50, "tamper_missed": 0}

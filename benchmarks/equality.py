"""The gate before every figure: two engines are compared only if they did the same.

A difference is let through only under a name: a rule by which the other engine is known to differ, shown by a run of
ours under that rule that equals it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

TOLERANCE: Final = 1e-6  # quote currency and lots: the peers keep money in floats
RULES: Final[Mapping[str, str]] = {
    "by_side": "a resting sell fills only from a buyer that takes, a resting buy only from a seller",
    "one_a_print": "a print that passes several lines fills the first of them alone",
}

Answer = Mapping[str, Any]  # of a runner, see `benchmarks.peers.job`


class Unequal(Exception):
    """Two engines did not do the same, and no named rule explains it: no figure of theirs may be told."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """How an engine compares with ours."""

    rule: str = ""  # under which it equals us; "" for none
    fills_apart: int = 0  # its fills less ours
    equity_apart: float = 0.0  # its equity less ours, quote currency


def differences(one: Answer, other: Answer) -> list[str]:
    """Return what differs, empty when both did the same: the fills in their order, and what is owned at the end."""
    found = [
        f"{name}: {one[name]} and {other[name]}"
        for name in ("tape_sha256", "ticks", "fills", "fills_sha256")
        if one[name] != other[name]
    ]
    return found + [
        f"{name}: {one[name]:.9f} and {other[name]:.9f}"
        for name in ("cash", "lots", "equity")
        if not abs(one[name] - other[name]) <= TOLERANCE
    ]


def judge(name: str, peer: Answer, own: Answer, counter_runs: Mapping[str, Callable[[], Answer]]) -> Verdict:
    """Return how `peer` compares with `own`; each counter-run is made only if it is needed.

    Args:
        counter_runs: rule -> a run of ours under that rule.

    Raises:
        Unequal: it differs, and no counter-run equals it.
    """
    found = differences(peer, own)
    if not found:
        return Verdict()
    for rule, run in counter_runs.items():
        if not differences(peer, run()):
            return Verdict(rule, peer["fills"] - own["fills"], round(peer["equity"] - own["equity"], 9))
    raise Unequal(f"{name} and we did not do the same: {'; '.join(found)}")

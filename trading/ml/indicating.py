"""What an evaluation measures besides skill, so that it can be told when the next stage is due."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from trading.domain.contest import Heard
from trading.ml.capacity import capacity_of
from trading.ml.contenders import Net
from trading.ml.evaluation import SHARES, Walk, curve_of, parts_of
from trading.ml.learnable import Learnable, Progress
from trading.ml.regime_count import regimes_of


@dataclass(frozen=True, slots=True)
class Look:
    """How much is looked at; every net that it fits is one more trial."""

    shares: tuple[float, ...] = ()  # of the training rows, the last is all: the learning curve; () none
    doublings: int = 0  # of the parameters
    seeds: int = 1  # of each larger net
    regimes: tuple[int, ...] = ()  # numbers of them that are tried; () none


NOTHING: Final = Look()
CURVE: Final = Look(SHARES[-3:])  # the last two doublings of the data
FEW: Final = Look(SHARES[-3:], 1, 1, (2, 3, 4, 5, 6))
ALL: Final = Look(SHARES, 2, 20, (2, 3, 4, 5, 6, 7, 8))


def looked(
    data: Learnable, heard: Heard, nets: Sequence[Net], look: Look, walk: Walk, progress: Progress
) -> dict[str, Any]:
    """Return what `look` asks for of `nets`, which were heard on the folds of `walk`, as plain JSON.

    Returns:
        `learning_curves` and `capacity` by name of the net, `market` (regimes, entropy), and `trials` besides.
    """
    parts = parts_of(data, walk)[0][-walk.newest :]
    seeds = walk.seeds[: look.seeds]
    found: dict[str, Any] = {"learning_curves": {}, "capacity": {}, "market": {}, "trials": 0}
    for net in nets:
        if look.shares:
            curve = curve_of(data, heard, parts, net, look.shares, walk, progress)
            found["learning_curves"][net.name] = curve
        if look.doublings:
            grown = capacity_of(data, heard, parts, net, seeds, look.doublings, progress)
            found["capacity"][net.name] = grown
        larger = len(found["capacity"].get(net.name, {}).get("capacity_doublings", ()))
        found["trials"] += max(len(look.shares) - 1, 0) + larger * len(seeds)
    if look.regimes:
        found["market"] = regimes_of(data, parts, look.regimes, progress)
    return found

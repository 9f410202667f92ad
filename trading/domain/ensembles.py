"""Several models as one: fixed weights, or weights that follow who was right lately."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log, sqrt
from typing import Final

import numpy as np

from trading.domain.bars import Floats

ROADMAP_WEIGHTS: Final = (0.4, 0.3, 0.3)
LARGEST_LOSS: Final = 1.0  # a worse one counts as this: one bad bar rules nobody out


class UnsoundEnsemble(ValueError):
    """These cannot be one; the message names the field, the reason and what to do."""


def combined(said: Floats, weights: Floats) -> Floats:
    """Return (...,) the weighted mean of what each member said, (M, ...), with weights (M,).

    A member that said NaN is left out of that place and the others make up for it; NaN where none said anything.

    Raises:
        UnsoundEnsemble: as many weights as members are needed, each >= 0 and finite, their sum 1.
    """
    checked = _checked(weights, len(said)).reshape(-1, *[1] * (said.ndim - 1))
    heard = np.where(np.isfinite(said), checked, 0.0)
    total = heard.sum(axis=0)
    found: Floats = np.where(total > 0, (np.nan_to_num(said) * heard).sum(axis=0), np.nan)
    np.divide(found, total, out=found, where=total > 0)
    return found


def disagreement(said: Floats, weights: Floats) -> Floats:
    """Return (...,) how far the members, (M, ...), are apart: their weighted standard deviation."""
    middle = combined(said, weights)
    found: Floats = np.sqrt(combined((said - middle) ** 2, weights))
    return found


@dataclass(frozen=True, slots=True)
class Following:
    """Weights that fall exponentially with what each member has lost.

    With losses in 0..1 and the rate of `for_rounds(n)`, the loss of the mixture exceeds that of the best member over n
    rounds by no more than sqrt(n ln(M) / 2), whatever comes.

    Source:
        N. Cesa-Bianchi and G. Lugosi (2006), "Prediction, Learning, and Games", Cambridge, theorem 2.2; the share that
        all get: M. Herbster and M. Warmuth (1998), "Tracking the Best Expert", Machine Learning 32, 151-178.
    """

    weights: Floats  # (M,), sum 1
    rate: float
    share: float = 0.0  # of the weight that is dealt out evenly each round, so that nobody is lost for good

    @classmethod
    def among(cls, members: int, rate: float, share: float = 0.0) -> "Following":
        """Begin with equal weights.

        Raises:
            UnsoundEnsemble: there are no members, the rate is not above 0, or the share is outside 0..1.
        """
        if members < 1 or not rate > 0 or not 0 <= share <= 1:
            raise UnsoundEnsemble(f"members, rate, share: {members}, {rate}, {share}; use >= 1, > 0 and 0..1.")
        return cls(np.full(members, 1 / members), rate, share)

    @classmethod
    def for_rounds(cls, members: int, rounds: int) -> "Following":
        """Begin with equal weights and the rate whose bound is the lowest after `rounds`."""
        if members < 2 or rounds < 1:
            raise UnsoundEnsemble(f"members, rounds: {members}, {rounds}; use at least two members and one round.")
        return cls.among(members, sqrt(8 * log(members) / rounds))

    def after(self, losses: Sequence[float] | Floats) -> "Following":
        """Return the weights after a round; a member that said nothing sound has lost the most there is.

        Raises:
            UnsoundEnsemble: there is not one loss a member, or one is below 0.
        """
        lost = np.nan_to_num(np.asarray(losses, np.float64), nan=LARGEST_LOSS, posinf=LARGEST_LOSS)
        if lost.shape != self.weights.shape or (lost < 0).any():
            raise UnsoundEnsemble("losses: give one a member, none below 0.")
        left = self.weights * np.exp(-self.rate * np.minimum(lost, LARGEST_LOSS))
        even = self.share / len(left)
        return Following(left / left.sum() * (1 - self.share) + even, self.rate, self.share)


def _checked(weights: Floats, members: int) -> Floats:
    found = np.asarray(weights, np.float64)
    if found.shape != (members,) or not np.isfinite(found).all() or (found < 0).any():
        raise UnsoundEnsemble(f"weights: give {members} numbers >= 0, one a member.")
    if abs(found.sum() - 1) > 1e-9:
        raise UnsoundEnsemble(f"weights: their sum is {found.sum():g}; make it 1.")
    return found

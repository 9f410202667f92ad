"""Prioritized replay: what surprised is looked at again; a sum tree finds it, compiled.

Source:
    T. Schaul, J. Quan, I. Antonoglou, D. Silver (2016), "Prioritized Experience Replay", ICLR.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from trading.domain.bars import Floats, Ints

CAPACITY: Final = 1_000_000
ALPHA: Final = 0.6  # how much surprise counts: 0 not at all; paper's proportional variant
BETA: Final = 0.4  # how much of the skew it brings is taken back
LEAST: Final = 1e-3  # surprise that keeps a transition in reach


def compiled(function: Callable[..., object]) -> Any:
    """Compile a function that makes no array: nothing is counted."""
    return njit(cache=True, _nrt=False)(function)  # type: ignore[call-overload]  # its types do not know that


@compiled
def set_leaves(tree: Floats, leaves: Ints, values: Floats) -> None:
    """Set the weights of `leaves` and put right every sum above them; a sum is always that of its two children."""
    half = len(tree) // 2
    for k in range(len(leaves)):
        tree[half + leaves[k]] = values[k]
    # Level by level, not leaf by leaf: the processor then waits for many places of memory at once.
    depth = 1
    while half >> (depth - 1) > 1:
        for k in range(len(leaves)):
            node = (half + leaves[k]) >> depth
            tree[node] = tree[2 * node] + tree[2 * node + 1]
        depth += 1


@compiled
def find(tree: Floats, masses: Floats, found: Ints) -> None:
    """Find for each of `masses` in [0, total) the leaf at which the running sum of weights first exceeds it.

    `masses` is used up: what is left in it is how far into its leaf each one lies.
    """
    half, width = len(tree) // 2, 1
    found[:] = 1
    while width < half:
        for k in range(len(masses)):
            node = 2 * found[k]
            # The right child is entered only where it weighs something: rounding cannot lead to an empty leaf. No jump:
            # which way it goes is chance, and a processor that guesses wrong begins anew.
            right = int((masses[k] >= tree[node]) & (tree[node + 1] > 0.0))
            masses[k] -= right * tree[node]
            found[k] = node + right
        width *= 2
    for k in range(len(masses)):
        found[k] -= half


@compiled
def draw(
    tree: Floats, rows: Any, size: int, beta: float, shares: Floats, leaves: Ints, found: Any, weight: Any
) -> None:
    """Draw a leaf from each equal share of the whole weight, its row and what takes back the skew, at most 1.

    `shares` in [0, 1) say how far into each share; they are used up.
    """
    total, count, most = tree[1], len(shares), 0.0
    for k in range(count):
        shares[k] = (k + shares[k]) * (total / count)
    find(tree, shares, leaves)
    for k in range(count):
        for column in range(rows.shape[1]):
            found[k, column] = rows[leaves[k], column]
        shares[k] = (tree[len(tree) // 2 + leaves[k]] * size / total) ** -beta
        most = max(most, shares[k])
    for k in range(count):
        weight[k] = shares[k] / most


@compiled
def learn(tree: Floats, leaves: Ints, errors: Any, values: Floats, highest: float) -> float:
    """Set the weights of `leaves` by their errors, return the highest ever; `values` (b,) is written over."""
    for k in range(len(leaves)):
        value = (abs(errors[k]) + LEAST) ** ALPHA
        values[k] = value
        if value < np.inf:  # neither infinite nor no number
            highest = max(highest, value)
    for k in range(len(leaves)):
        if not values[k] < np.inf:
            values[k] = highest
    set_leaves(tree, leaves, values)
    return highest


class Batch(NamedTuple):
    """Transitions that were drawn.

    Shapes:
        leaves: (b,) where they lie, for `Replay.surprised`.
        at: (b,) index of the market's state; that of the next one is `stride` further.
        portfolio, next_portfolio: (b, P); action: (b, A); reward, weight: (b,) float32; done: (b,) bool.
    """

    leaves: Ints
    at: NDArray[np.int32]
    portfolio: NDArray[np.float32]
    action: NDArray[np.float32]
    reward: NDArray[np.float32]
    next_portfolio: NDArray[np.float32]
    done: NDArray[np.bool_]
    weight: NDArray[np.float32]


@dataclass(slots=True, eq=False)
class Replay:
    """The last `capacity` transitions, drawn by how much they surprised.

    The state of the market is kept as its index alone: the features lie in one array for all.
    """

    portfolio_size: int
    action_size: int
    capacity: int = CAPACITY
    seed: int = 0
    size: int = field(init=False, default=0)
    _next: int = field(init=False, default=0)
    _highest: float = field(init=False, default=1.0)
    _rows: NDArray[np.float32] = field(init=False)
    _tree: Floats = field(init=False)
    _draw: np.random.Generator = field(init=False)

    def __post_init__(self) -> None:
        """Make the arrays.

        Raises:
            ValueError: the capacity is not above zero.
        """
        if self.capacity < 1:
            raise ValueError(f"capacity: {self.capacity} holds nothing; use a count above zero.")
        # A row lies together, in eights of numbers: a draw waits for memory once.
        width = 3 + self.action_size + 2 * self.portfolio_size
        self._rows = np.zeros((self.capacity, -(-width // 8) * 8), np.float32)
        self._tree = np.zeros(2 << max(1, (self.capacity - 1).bit_length()))
        self._draw = np.random.default_rng(self.seed)

    @property
    def megabytes(self) -> float:
        """What it occupies, 10^6 bytes."""
        return (self._rows.nbytes + self._tree.nbytes) / 1e6

    def push(self, *transitions: NDArray[Any]) -> None:
        """Take `at, portfolio, action, reward, next_portfolio, done`, (b, ...) each; they are as surprising as any.

        Raises:
            ValueError: there are more of them than it holds.
        """
        count = len(transitions[0])
        if count > self.capacity:
            raise ValueError(f"push: {count} transitions at once, it holds {self.capacity}; push fewer.")
        leaves = (self._next + np.arange(count)) % self.capacity
        at, portfolio, action, reward, next_portfolio, done = transitions
        for columns, values in zip(
            self._columns(self._rows), (reward, done, action, portfolio, next_portfolio), strict=True
        ):
            columns[leaves] = values
        self._rows.view(np.int32)[leaves, 0] = at
        set_leaves(self._tree, leaves, np.full(count, self._highest))
        self._next = int((self._next + count) % self.capacity)
        self.size = min(self.capacity, self.size + count)

    def sample(self, count: int, beta: float = BETA) -> Batch:
        """Draw `count` transitions, one from each equal share of the whole weight.

        Raises:
            ValueError: nothing was pushed yet.
        """
        if not self.size:
            raise ValueError("sample: nothing was pushed yet; act first.")
        leaves, weight = np.empty(count, np.int64), np.empty(count, np.float32)
        rows = np.empty((count, self._rows.shape[1]), np.float32)
        draw(self._tree, self._rows, self.size, beta, self._draw.random(count), leaves, rows, weight)
        reward, done, action, portfolio, next_portfolio = self._columns(rows)
        at = rows.view(np.int32)[:, 0]
        return Batch(leaves, at, portfolio, action, reward, next_portfolio, done > 0, weight)

    def _columns(self, rows: NDArray[np.float32]) -> tuple[NDArray[np.float32], ...]:
        """Return views: reward, done, action, portfolio, next portfolio; column 0 is the bits of a whole number."""
        action = 3 + self.action_size
        now, later = action + self.portfolio_size, action + 2 * self.portfolio_size
        return rows[:, 1], rows[:, 2], rows[:, 3:action], rows[:, action:now], rows[:, now:later]

    def surprised(self, leaves: Ints, errors: NDArray[Any]) -> None:
        """Remember by how much each of the drawn was misjudged; an error that is not finite counts as the largest."""
        single = np.asarray(errors, np.float32)
        self._highest = learn(self._tree, leaves, single, np.empty(len(leaves)), self._highest)

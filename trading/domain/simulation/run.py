"""One seed: its world, lived through, and what came of it."""

from dataclasses import dataclass
from hashlib import sha256

from trading.domain.simulation.promises import BrokenPromise
from trading.domain.simulation.scenario import scenario
from trading.domain.simulation.world import World


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one seed's world came to."""

    seed: int
    violation: str  # "" when every promise was kept
    events: int  # that reached a trader
    orders: int  # that left
    fills: int
    crashes: int
    kills: int
    proof_s: float  # the longest proof of a halt once the venue answered; 0: none was needed
    digest: str  # of everything stored: the same seed gives the same one, on every machine
    trace: tuple[str, ...] = ()
    steps: int = 0  # at which a process could have ended: before a commit, after it, between two orders
    crash_at: int = 0  # the step at which one was killed as well; 0: none


def simulate(seed: int, *, trace: bool = False, crash_at: int = 0) -> Outcome:
    """Live through the world of `seed`; an exception of the trader itself is a violation like any other.

    `crash_at` kills a process at the step of this number as well, from 1 on.
    """
    world = World(scenario(seed), trace=trace, crash_at=crash_at)
    violation = ""
    try:
        world.run()
    except BrokenPromise as broken:
        violation = str(broken)
    except Exception as error:  # whatever it is: the production loop would have fallen over
        violation = f"the core fell over at {world.clock()}: {type(error).__name__}: {error}"
    digest = sha256()
    fills = 0
    for account in world.accounts.values():
        fills += len(account.store.fills)
        digest.update(repr((list(account.store.orders.values()), account.store.fills)).encode())
    return Outcome(
        seed=seed,
        violation=violation,
        events=world.events,
        orders=world.orders,
        fills=fills,
        crashes=world.crashes,
        kills=world.kills,
        proof_s=max(each.promises.longest_proof_ns for each in world.accounts.values()) / 1e9,
        digest=digest.hexdigest()[:16],
        trace=tuple(world.trace or ()),
        steps=world.steps,
        crash_at=crash_at,
    )

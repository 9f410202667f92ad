"""Weights that learned to adapt go further in five steps than weights that learned all tasks at once."""

import numpy as np
import pytest
import torch
from torch import nn

from trading.ml.meta import Tasks, adapt, adapted, cost, meta_train, query_costs

STEPS, RATE = 5, 0.3


def net() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 2))


def family(count: int, seed: int) -> Tasks:
    """Return tasks that part the plane by a line through the middle, each by another one."""
    draw = np.random.default_rng(seed)
    angle = draw.uniform(0, 2 * np.pi, (count, 1))
    line = np.stack((np.cos(angle), np.sin(angle)), axis=2)
    parts = []
    for _ in range(2):
        points = draw.standard_normal((count, 12, 2))
        labels = ((points * line).sum(axis=2) > 0).astype(np.int64)
        parts += [torch.from_numpy(points).float(), torch.from_numpy(labels)]
    return Tasks(*parts)


@pytest.fixture(scope="module")
def taught() -> nn.Module:
    one = net()
    meta_train(one, family(64, 0), rounds=120, batch=16, steps=STEPS, rate=RATE, outer_rate=1e-2, seed=0)
    return one


def judged(one: nn.Module) -> float:
    return float(query_costs(one, dict(one.named_parameters()), family(64, 9), STEPS, RATE).mean().detach())


def test_it_adapts_faster_to_tasks_it_has_never_seen(taught: nn.Module) -> None:
    plain = net()
    together = family(64, 0)
    points, labels = together.query.flatten(0, 1), together.query_labels.flatten()
    optimizer = torch.optim.Adam(plain.parameters(), 1e-2)
    for _ in range(120):
        optimizer.zero_grad()
        wrong = cost(plain, dict(plain.named_parameters()), points, labels)
        wrong.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        optimizer.step()

    assert judged(taught) < 0.75 * judged(plain)
    assert judged(taught) < 0.75 * judged(net())


def test_the_gradient_goes_through_every_step() -> None:
    """Second order: the slope by the first weights is that of finite differences of the adapted cost."""
    one = nn.Linear(2, 2).double()
    tasks = family(1, 3)
    support, labels, query, wanted = (part[0].double() if part.is_floating_point() else part[0] for part in tasks)
    weights = {name: each.detach().clone().requires_grad_() for name, each in one.named_parameters()}

    def after(each: dict[str, torch.Tensor]) -> torch.Tensor:
        return cost(one, adapted(one, each, support, labels, STEPS, RATE), query, wanted)

    after(weights).backward()  # type: ignore[no-untyped-call]  # as above
    plain = {name: each.detach() for name, each in weights.items()}
    nudge = torch.zeros(2, 2, dtype=torch.float64)
    nudge[0, 1] = 1e-6
    up, down = ({**plain, "weight": plain["weight"] + sign * nudge} for sign in (1, -1))

    slope = weights["weight"].grad
    assert slope is not None
    assert float((after(up) - after(down)) / 2e-6) == pytest.approx(float(slope[0, 1]), rel=1e-5)


def test_a_net_is_adapted_in_place(taught: nn.Module) -> None:
    one = net()
    one.load_state_dict(taught.state_dict())
    tasks = family(1, 5)
    weights = {name: each.detach() for name, each in one.named_parameters()}
    meant = adapted(one, weights, tasks.support[0], tasks.support_labels[0], STEPS, RATE)

    adapt(one, tasks.support[0], tasks.support_labels[0], steps=STEPS, rate=RATE)

    assert all(torch.equal(one.get_parameter(name), each) for name, each in meant.items())

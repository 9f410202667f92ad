"""The exchange of a load test counts no orders, and says so."""

import aiohttp
import pytest

from tests.trading.simulator.conftest import QUIET
from tests.trading.simulator.scene import Rest
from trading.simulator.server import running_exchange

OK = 200
ORDERS = 120  # more than the hundred of ten seconds


@pytest.mark.parametrize("lifted", [False, True], ids=["in force", "lifted"])
async def test_lifted_limits_refuse_no_order_weigh_none_and_are_said(
    session: aiohttp.ClientSession, lifted: bool
) -> None:
    async with running_exchange(
        recording=QUIET, lockstep=True, monotonic=lambda: 600.0, lift_order_limits=lifted
    ) as running:
        running.player.step()
        rest = Rest(session, running.url)
        answers = [(await rest.order(newClientOrderId=f"gc-{number}"))[0] for number in range(ORDERS)]
        weight = int(rest.headers["x-mbx-used-weight-1m"])
        _, counts = await rest.signed("GET", "/api/v3/rateLimit/order")
        _, info = await rest.raw("GET", "/api/v3/exchangeInfo")
        status = await rest.status()

    said = [limit["rateLimitType"] for limit in info["rateLimits"]]
    assert answers.count(OK) == (ORDERS if lifted else 100)
    assert weight == (0 if lifted else ORDERS)
    assert len(counts) == (0 if lifted else 2)
    assert said == (["REQUEST_WEIGHT"] if lifted else ["REQUEST_WEIGHT", "ORDERS", "ORDERS"])
    assert status["order_limits_lifted"] is lifted

import json
from typing import Any

import aiohttp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trading.simulator.scene import CANCEL, READ, TRADE, Rest, soon, until
from trading.simulator import faults
from trading.simulator.faults import Fault, FaultError, FaultKind, Faults
from trading.simulator.server import RunningExchange

ORDER = "POST /api/v3/order"
LIST = "/api/v3/openOrders"


# --- replay -----------------------------------------------------------------------------------------------------


async def test_speed_and_pause_change_while_it_runs(rest_playing: Rest) -> None:
    assert (await rest_playing.sim("speed", {"speed": 12.5}))[1]["speed"] == 12.5
    assert (await rest_playing.sim("pause", {"paused": True}))[1]["paused"] is True
    assert (await rest_playing.status())["speed"] == 12.5


async def test_another_data_set_is_played_after_a_seam(rest_playing: Rest, playing: RunningExchange) -> None:
    status, body = await rest_playing.sim("dataset", {"dataset": "bars"})
    await until(lambda: playing.player.status()["label"] == "bars, not ticks")

    info = await rest_playing.status()
    assert (status, body["next_dataset"]) == (200, "bars_1m_usdm_7sym_20250510-16")
    assert (info["lap"], len(info["symbols"])) == (2, 7)


async def test_what_the_venue_says_of_a_key_can_be_changed_key_by_key(rest: Rest) -> None:
    path, changed = "/sapi/v1/account/apiRestrictions", {"enableWithdrawals": True, "ipRestrict": False}

    await rest.sim("key", {"key": TRADE, "switches": changed})
    said = {key: (await rest.signed("GET", path, key))[1] for key in (TRADE, CANCEL, READ)}

    assert {name: said[TRADE][name] for name in changed} == changed
    assert {said[key]["enableWithdrawals"] for key in (CANCEL, READ)} == {False}
    assert [said[key]["enableSpotAndMarginTrading"] for key in (TRADE, CANCEL, READ)] == [True, True, False]


async def test_money_that_is_paid_out_is_at_most_what_is_free(rest: Rest) -> None:
    await rest.sim("transfer", {"account": "micro", "id": "one", "asset": "USDT", "amount": "-1000"})
    async with rest.session.get(f"{rest.url}/sim/transfers?account=micro") as reply:
        made = await reply.json()
    async with rest.session.get(f"{rest.url}/sim/transfers?account=nobody") as reply:
        nobody = await reply.json()

    assert [(one["id"], one["amount"]) for one in made] == [("one", "-300")]
    assert "there is no account 'nobody'" in nobody["error"]


@pytest.mark.parametrize(
    ("path", "document", "named"),
    [
        ("transfer", {}, "account, id, asset: send three texts"),
        ("transfer", {"account": "micro", "id": 7, "asset": "USDT", "amount": "1"}, "send three texts"),
        ("transfer", {"account": "nobody", "id": "x", "asset": "USDT", "amount": "1"}, "no account 'nobody'"),
        ("transfer", {"account": "micro", "id": "x", "asset": "USDT", "amount": "1e3"}, "not a plain decimal"),
        ("transfer", {"account": "micro", "id": "x", "asset": "USDT", "amount": "0"}, "0 is no amount"),
        ("transfer", {"account": "micro", "id": "x", "asset": "USDT"}, "amount: expected a decimal number"),
        ("speed", {"speed": 61}, "speed: 61"),
        ("speed", {"speed": "10"}, "speed: '10'"),
        ("speed", {"speed": True}, "speed: True"),
        ("speed", {}, "speed: None"),
        ("pause", {"paused": 1}, "paused: 1"),
        ("dataset", {"dataset": "../../etc/passwd"}, "is none of bars, ticks"),
        ("dataset", {"dataset": ["ticks"]}, "is none of bars, ticks"),
        ("fault", {"kind": "meteor"}, "kind: 'meteor' is none of"),
        ("fault", {"kind": "error", "probability": 2}, "probability: 2 is outside 0..1"),
        ("fault", {"kind": "error", "count": -1}, "count: -1 is outside"),
        ("fault", {"kind": "error", "status": 99}, "status: 99 is no HTTP status"),
        ("fault", {"kind": "error", "colour": 1}, "colour: not a field"),
        ("fault", {"kind": "error", "executed": 1}, "executed: 1 has the wrong type"),
        ("fault", {"kind": "lose_market", "count": "x"}, "count: 'x'"),
        ("fault", {"kind": "round_trip"}, "latency_ms: None"),
        ("fault", {"kind": "silent_user", "on": 1}, "on: 1"),
        ("fault", {"kind": "reset", "seed": "x"}, "seed: 'x'"),
        ("key", {"key": "paper-micro-trade"}, "switches: send an object"),
        ("key", {"key": "paper-micro-trade", "switches": {"enableFlying": True}}, "switches: send an object"),
        ("key", {"key": "paper-micro-trade", "switches": {"ipRestrict": 1}}, "ipRestrict: 1 is neither true nor false"),
        ("key", {"key": "nobody", "switches": {}}, "key: there is no key 'nobody'"),
        ("key", {"key": ["x"], "switches": {}}, "key: there is no key"),
    ],
)
async def test_a_defective_wish_is_refused_and_named(
    rest_playing: Rest, path: str, document: dict[str, Any], named: str
) -> None:
    status, body = await rest_playing.sim(path, document)

    assert status == 400
    assert named in body["error"]


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff", b"NaN"])
async def test_a_body_that_is_no_object_is_refused(rest: Rest, body: bytes) -> None:
    async with rest.session.post(f"{rest.url}/sim/speed", data=body) as reply:
        assert reply.status == 400


# --- faults of requests -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "status", "body", "executed"),
    [
        (
            {"kind": "error"},
            500,
            {"code": -1000, "msg": "An unknown error occured while processing the request."},
            False,
        ),
        ({"kind": "error", "status": 504, "executed": True}, 504, {"code": -1000}, True),
        ({"kind": "error", "status": 400, "code": -1007, "executed": True}, 400, {"code": -1007}, True),
        ({"kind": "html"}, 403, "Request blocked", False),
        ({"kind": "html", "executed": True}, 403, "Request blocked", True),
        ({"kind": "empty"}, 504, "", False),
        ({"kind": "throttle"}, 429, {"code": -1003}, False),
        ({"kind": "ban"}, 418, {"code": -1003}, False),
        ({"kind": "latency", "latency_ms": 1}, 200, {"status": "NEW"}, True),
    ],
)
async def test_a_request_fails_as_asked_and_only_so_often(
    rest: Rest, fault: dict[str, Any], status: int, body: Any, executed: bool
) -> None:
    await rest.sim("fault", {"target": ORDER, **fault})

    got_status, got = await rest.order(newClientOrderId="gc-1", newOrderRespType="FULL")
    _, listed = await rest.signed("GET", LIST)

    assert got_status == status
    if isinstance(body, dict):
        assert body.items() <= got.items()
    else:
        assert body in got
    assert (len(listed) == 1) is executed
    assert (await rest.order(newClientOrderId="gc-2"))[0] == 200


@pytest.mark.parametrize("retry_after", ["0", "-5", "99999999999", "Fri, 21 Nov 2036 07:28:00 GMT", "soon"])
async def test_any_retry_after_can_be_sent(rest: Rest, retry_after: str) -> None:
    await rest.sim("fault", {"kind": "throttle", "retry_after": retry_after})

    assert (await rest.order())[0] == 429
    assert rest.headers["retry-after"] == retry_after


async def test_without_retry_after_the_header_is_absent(rest: Rest) -> None:
    await rest.sim("fault", {"kind": "ban"})

    assert (await rest.order())[0] == 418
    assert "retry-after" not in rest.headers


@pytest.mark.parametrize(("kind", "executed"), [("drop_request", False), ("drop_response", True)])
async def test_a_dropped_connection_leaves_the_order_or_not(rest: Rest, kind: str, executed: bool) -> None:
    await rest.sim("fault", {"kind": kind, "target": ORDER})

    with pytest.raises(aiohttp.ClientError):
        await rest.order()
    assert (len((await rest.signed("GET", LIST))[1]) == 1) is executed


@pytest.mark.parametrize("kind", ["truncated", "garbage"])
async def test_a_garbled_reply_is_no_json_and_the_order_is_there(rest: Rest, kind: str) -> None:
    await rest.sim("fault", {"kind": kind, "target": ORDER})

    with pytest.raises((json.JSONDecodeError, UnicodeDecodeError)):
        await rest.order()
    assert len((await rest.signed("GET", LIST))[1]) == 1


async def test_faults_may_concern_one_account_and_let_some_requests_pass(rest: Rest) -> None:
    await rest.sim("fault", {"kind": "error", "account": "micro", "count": 0, "skip": 1})

    assert (await rest.signed("GET", LIST))[0] == 200
    assert (await rest.signed("GET", LIST, "paper-micro-read"))[0] == 200
    assert (await rest.signed("GET", LIST, "paper-micro-read"))[0] == 500
    await rest.sim("fault", {"kind": "reset"})
    assert (await rest.signed("GET", LIST, "paper-micro-read"))[0] == 200


def test_the_dice_of_a_seed_fall_alike() -> None:
    def fall(seed: int) -> list[bool]:
        drawn = Faults(seed=seed)
        drawn.rules.append(Fault(FaultKind.ERROR, probability=0.5, count=0))
        return [drawn.draw(ORDER, "") is not None for _ in range(50)]

    assert fall(7) == fall(7) != fall(8)


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(
            ["kind", "target", "count", "probability", "latency_ms", "retry_after", "executed", "status", "x"]
        ),
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.sampled_from([*FaultKind]),
        max_size=5,
    )
)
def test_any_fault_is_read_or_refused(document: dict[str, Any]) -> None:
    try:
        fault = faults.parse(document)
    except FaultError:
        return
    assert 0 <= fault.probability <= 1
    assert fault.count >= 0


# --- faults of streams --------------------------------------------------------------------------------------------


async def test_a_silent_market_stays_connected_and_says_nothing(rest: Rest, frozen: RunningExchange) -> None:
    async with rest.session.ws_connect(f"{frozen.ws_url}/ws/btcusdt@trade") as market:
        await until(lambda: frozen.exchange.streams.count == 1)
        await rest.sim("fault", {"kind": "silent_market"})
        frozen.player.step()
        frozen.player.step()
        await rest.sim("fault", {"kind": "silent_market", "on": False})
        frozen.player.step()

        assert (await soon(market.receive_json()))["t"] == 100_000_002


async def test_lost_messages_leave_a_gap(rest: Rest, frozen: RunningExchange) -> None:
    async with rest.session.ws_connect(f"{frozen.ws_url}/ws/btcusdt@trade") as market:
        await until(lambda: frozen.exchange.streams.count == 1)
        await rest.sim("fault", {"kind": "lose_market", "count": 1})
        for _ in range(3):
            frozen.player.step()

        assert (await soon(market.receive_json()))["t"] == 100_000_002


@pytest.mark.parametrize(
    ("document", "kind", "data"),
    [
        ({}, aiohttp.WSMsgType.TEXT, '{"e":"trade","s":'),
        ({"text": "{}"}, aiohttp.WSMsgType.TEXT, "{}"),
        ({"text": "a", "binary": True}, aiohttp.WSMsgType.BINARY, b"a"),
        ({"text": "a", "bytes": 100_000}, aiohttp.WSMsgType.TEXT, "a" + " " * 99_999),
    ],
)
async def test_garbage_reaches_the_market_stream(
    rest: Rest, frozen: RunningExchange, document: dict[str, Any], kind: aiohttp.WSMsgType, data: Any
) -> None:
    async with rest.session.ws_connect(f"{frozen.ws_url}/ws") as market:
        await until(lambda: frozen.exchange.streams.count == 1)
        await rest.sim("fault", {"kind": "garbage_market", **document})

        message = await soon(market.receive())

    assert (message.type, message.data) == (kind, data)


async def test_streams_can_be_cut_and_ended(rest: Rest, frozen: RunningExchange) -> None:
    async with (
        rest.session.ws_connect(f"{frozen.ws_url}/ws") as market,
        rest.session.ws_connect(f"{frozen.ws_url}/ws-api/v3") as user,
    ):
        await until(lambda: frozen.exchange.streams.count == frozen.exchange.users.count == 1)
        next(iter(frozen.exchange.users._connections)).subscribe("production")

        assert (await rest.sim("fault", {"kind": "terminate_user"}))[1]["affected"] == 1
        assert (await soon(user.receive_json()))["event"]["e"] == "eventStreamTerminated"
        assert (await rest.sim("fault", {"kind": "disconnect_user"}))[1]["affected"] == 1
        assert (await rest.sim("fault", {"kind": "disconnect_market"}))[1]["affected"] == 1
        assert (await soon(market.receive())).type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)
        assert (await soon(user.receive())).type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)


@pytest.mark.parametrize(
    ("fault", "kinds"),
    [
        ("duplicate_user", ["executionReport"] * 2 + ["outboundAccountPosition"] * 2),
        ("reorder_user", ["outboundAccountPosition", "executionReport"]),
    ],
)
async def test_account_events_come_twice_or_in_another_order(
    rest: Rest, frozen: RunningExchange, fault: str, kinds: list[str]
) -> None:
    async with rest.session.ws_connect(f"{frozen.ws_url}/ws-api/v3") as user:
        await until(lambda: frozen.exchange.users.count == 1)
        next(iter(frozen.exchange.users._connections)).subscribe("production")
        await rest.sim("fault", {"kind": fault})
        await rest.order()

        assert [(await soon(user.receive_json()))["event"]["e"] for _ in kinds] == kinds

"""Editing a running grid: what is typed is shown before it is done, refused by field, done once, and on record."""

import re
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils.timezone import now

from tests.riskops.proofs import text_of
from trading import live
from trading.domain import places
from trading.domain.admitting import fingerprint
from trading.domain.carrying import Touch
from trading.domain.grid import GridSettings
from trading.domain.grids import GridSpec, shape
from trading.domain.laying import lay
from trading.domain.limits import ExecutionStyle
from trading.domain.places import Footing, Place, Role
from trading.domain.range_meter import Measured
from trading.models import Account, AuditEvent, Fill, FillMark, Grid, Mandate, Order, running
from trading.runtime import rows
from trading.selectors import armings, desks, grid_edit, recovery, symbols
from trading.services import grids

pytestmark = pytest.mark.django_db
MakeOrder = Callable[..., Order]
PAGE, PREVIEW, CONFIRM = (f"/symbols/BTCUSDT/edit/{part}" for part in ("", "preview/", "confirm/"))
TOUCH = Touch(1, 60_000_00, 60_000_01, 60_000_00)
FIXED = {"lower": "59000", "upper": "61000", "step_fraction": "", "slots": "8", "lot_quote": "6", "style": "TAKER",
         "spacing": "arithmetic", "carried": "keep", "flatten": "true", "trail_up_to": "65000"}  # fmt: skip


@pytest.fixture
def grid(micro: Account) -> Grid:
    live.publish_values({"m.BTCUSDT.bid": 60_000.0, "m.BTCUSDT.ask": 60_000.01, "m.BTCUSDT.px": 60_000.0})
    return Grid.objects.get(account=micro, symbol="BTCUSDT")


def seen(grid: Grid) -> dict[str, str]:
    return {"seen": fingerprint(Grid.objects.get(pk=grid.pk).chosen)}


def edited(grid: Grid, **changes: str) -> Grid:
    return grids.edit(
        account=grid.account, symbol="BTCUSDT", words=FIXED | changes, **seen(grid), touch=TOUCH, by="trader", at=now()
    )


def test_an_untouched_form_shows_the_grid_in_force(signed_in: Client, grid: Grid) -> None:
    html = signed_in.get(PAGE).content.decode()

    assert 'name="step_fraction" inputmode="decimal" value="0.001"' in html
    assert 'name="slots" inputmode="decimal" value="8"' in html
    assert "Confirm the change" in html
    assert "Levels" in html


def test_an_untouched_form_shows_the_ladder_as_it_stands_and_that_nothing_changes(
    signed_in: Client, grid: Grid
) -> None:
    grid.levels_ticks = [50_000_00 + step * 50_00 for step in range(9)]  # far from the price of now
    grid.save()

    text = text_of(signed_in.get(PAGE))

    assert "Nothing changes. This is the grid in force" in text
    assert "50,400.00" in text
    assert "Orders placed" not in text
    assert "Orders placed" in text_of(signed_in.get(PREVIEW, FIXED))


def test_a_preview_says_what_the_typed_grid_would_be_and_changes_nothing(signed_in: Client, grid: Grid) -> None:
    before = AuditEvent.objects.count()

    text = text_of(signed_in.get(PREVIEW, FIXED | {"stop": "58000"}))

    for words in ("9, 8 slots", "Break-even step", "Profit of a round trip", "Worst-case exposure", "Lost at the stop"):
        assert words in text
    assert "59,000.00" in text
    assert AuditEvent.objects.count() == before
    assert Grid.objects.get(pk=grid.pk).spec == {}


def measured(account: Account, make_order: MakeOrder, count: int, later: str) -> None:
    """Store fills after which the bid went from 100 to `later`."""
    facts = {"price": 100, "quantity": 1, "price_ticks": 10_000, "quantity_lots": 1, "fee": 0, "fee_asset": "USDT"}
    facts |= {"maker": False, "realized_quote": 0, "at": now(), "at_ns": 0}
    for number in range(count):
        fill = Fill.objects.create(
            account=account, order=make_order(), trade_id=number, symbol="BTCUSDT", side="BUY", **facts
        )
        FillMark.objects.create(fill=fill, mark=100, later=Decimal(later), measured_at=now())


@pytest.mark.parametrize("address", ["/symbols/?symbol=BTCUSDT", PREVIEW])
def test_without_twenty_measured_fills_the_spacing_floor_is_unknown(
    signed_in: Client, grid: Grid, make_order: MakeOrder, address: str
) -> None:
    measured(grid.account, make_order, 19, "99")

    text = text_of(signed_in.get(address, FIXED if address == PREVIEW else {}))

    assert "Spacing floor from measured mark-out unknown" in text
    assert "unknown: 19 fills of the last 7 days have 10 s after them recorded, 20 are needed." in text
    assert "lies below" not in text


@pytest.mark.parametrize(("later", "floor"), [("99.99", "0.1000 %"), ("99.98", "0.1200 %"), ("101", "0.0800 %")])
def test_the_spacing_floor_of_a_running_grid_is_what_its_fills_measured(
    signed_in: Client, grid: Grid, make_order: MakeOrder, later: str, floor: str
) -> None:
    """Two fees of 0.04 % and no spread, twice the mark-out where it is against us; the step is 0.1 %."""
    live.publish_values({"m.BTCUSDT.ask": 60_000.0})
    measured(grid.account, make_order, 20, later)

    text = text_of(signed_in.get("/symbols/?symbol=BTCUSDT"))

    assert f"Spacing floor from measured mark-out {floor}" in text
    assert "unknown" not in text
    assert ("lies below the spacing floor" in text) is (floor == "0.1200 %")


@pytest.mark.parametrize(("slots", "is_below"), [("20", False), ("21", True)])
def test_a_typed_step_below_the_spacing_floor_is_warned_of_and_may_be_confirmed(
    signed_in: Client, grid: Grid, make_order: MakeOrder, slots: str, is_below: bool
) -> None:
    """A step of 100 at 60,900 is 0.1642 %; 0.08 % and twice 0.0420 %, with the spread, are 0.1640 %."""
    measured(grid.account, make_order, 20, "99.958")

    text = text_of(signed_in.get(PREVIEW, FIXED | {"slots": slots}))

    assert "0.0420 % against us within 10 s, mean of 20 fills" in text
    assert ("lies below the spacing floor of 0.1640 %" in text) is is_below
    assert signed_in.post(CONFIRM, FIXED | {"slots": slots} | seen(grid)).status_code == 302


def test_the_change_is_shown_order_by_order(signed_in: Client, micro: Account) -> None:
    live.publish_values({"m.ETHUSDT.bid": 2_600.0, "m.ETHUSDT.ask": 2_600.01})
    Mandate.objects.filter(account=micro).update(execution_styles=["MAKER"])
    row = Grid.objects.get(account=micro, symbol="ETHUSDT")
    row.style, row.levels_ticks = "MAKER", [250_000, 255_000, 260_500, 265_000]
    row.slots, row.spacing = 3, "arithmetic"
    row.save()

    text = text_of(signed_in.get(
        "/symbols/ETHUSDT/edit/preview/",
        FIXED | {"lower": "2500", "upper": "2600", "slots": "2", "style": "MAKER", "trail_up_to": ""},
    ))  # fmt: skip

    assert "Orders kept : 2" in text.replace("Orders kept:", "Orders kept :")
    assert "Orders cancelled" in text


def test_a_confirmed_change_is_in_force_and_on_record(signed_in: Client, grid: Grid) -> None:
    answer = signed_in.post(CONFIRM, FIXED | seen(grid), follow=True)

    assert answer.redirect_chain[0][0] == "/symbols/?symbol=BTCUSDT"
    assert "takes it up within a second" in text_of(answer)
    after = Grid.objects.get(pk=grid.pk)
    assert isinstance(after.chosen, GridSpec)
    assert (after.chosen.lower, after.chosen.trail_up_to) == (Decimal(59_000), Decimal(65_000))
    assert (after.slots, after.spacing, after.lot_quote) == (8, "arithmetic", Decimal(6))
    event = AuditEvent.objects.latest("sequence")
    assert (event.actor, event.action, event.subject) == ("trader", "grid.edited", "grid:micro:BTCUSDT")
    assert event.payload["before"]["step_fraction"] == "0.001000"
    assert event.payload["after"]["trail_up_to"] == "65000"


def test_the_loop_starts_anew_with_the_edited_grid(grid: Grid) -> None:
    before = rows.read("micro")
    assert rows.read("micro").grids == before.grids

    edited(grid)

    after = rows.read("micro")
    assert after.grids != before.grids  # what makes the loop start anew
    assert [one for one in after.grids if isinstance(one, GridSpec)]
    edited(grid)
    assert rows.read("micro").grids == after.grids


def test_a_form_that_says_what_is_in_force_changes_nothing(grid: Grid) -> None:
    words = grid_edit.typed_of(running(grid), {})

    edited_row = grids.edit(
        account=grid.account, symbol="BTCUSDT", words=words, **seen(grid), touch=TOUCH, by="trader", at=now()
    )

    assert edited_row.spec == {}
    assert isinstance(Grid.objects.get(pk=grid.pk).chosen, GridSettings)
    assert not AuditEvent.objects.filter(action="grid.edited").exists()


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"slots": "x"}, "Slots", "not a plain decimal number"),
        ({"slots": "0"}, "Slots", "use 1 to"),
        ({"upper": "59000"}, "Highest level", "not above lower"),
        ({"upper": ""}, "Highest level", "give both"),
        ({"lower": "59000.001"}, "Lowest level", "not on the tick"),
        ({"trail_up_to": "60000"}, "Follow up to", "not above upper"),
        ({"trail_up_to": "65000.001"}, "Follow up to", "not on the tick"),
        ({"stop": "59500"}, "Stop bound", "not below lower"),
        ({"take_profit": "60500", "trail_up_to": ""}, "Take-profit bound", "not above upper"),
        ({"lot_quote": "900"}, "Lot, quote", "above the mandate"),
        ({"lot_quote": "1"}, "Lot, quote", "smallest order"),
        ({"style": "MAKER"}, "Style", "is not allowed in phase"),
        ({"slots": "200"}, "Slots", "earns less than the fees"),
        ({"resting": "2"}, "Orders that rest a side", "a TAKER grid rests no orders"),
        ({"mode": "short"}, "Mode", "lab only"),
        ({"carried": "roll"}, "Lots that fall out", "lab only"),
        ({"skew_fraction": "NaN"}, "Skew", "plain decimal"),
        ({"recentre_steps": "1"}, "Re-centre beyond, steps", "not both"),
        ({"lot_quote": ""}, "Lot, quote", "give one of them"),
        ({"slots": ""}, "Slots", "it is missing"),
    ],
)
def test_bad_input_is_refused_by_field_and_changes_nothing(
    signed_in: Client, grid: Grid, changes: dict[str, str], field: str, words: str
) -> None:
    answer = signed_in.post(CONFIRM, FIXED | changes | seen(grid))

    assert answer.status_code == 422
    said = re.search(rf"<b>{re.escape(field)}</b>: ([^<]*)", answer.content.decode())
    assert said, text_of(answer)
    assert words in said[1]
    assert Grid.objects.get(pk=grid.pk).spec == {}
    assert AuditEvent.objects.latest("sequence").action == "refused"


def test_a_kind_that_only_the_lab_runs_cannot_be_sneaked_in(signed_in: Client, grid: Grid) -> None:
    signed_in.post(CONFIRM, FIXED | {"kind": "reverse"} | seen(grid))

    assert isinstance(chosen := Grid.objects.get(pk=grid.pk).chosen, GridSpec)
    assert (chosen.kind, chosen.mode) == ("range", "long")
    with pytest.raises(grids.UnableToEdit, match="lab only"):
        edited(grid, mode="short")


def test_a_grid_that_was_changed_meanwhile_is_not_overwritten(signed_in: Client, grid: Grid) -> None:
    old = seen(grid)
    edited(grid, slots="6")

    answer = signed_in.post(CONFIRM, FIXED | old)

    assert answer.status_code == 422
    assert "changed meanwhile" in text_of(answer)
    assert Grid.objects.get(pk=grid.pk).slots == 6


def test_without_a_price_nothing_is_previewed_nor_confirmed(signed_in: Client, grid: Grid) -> None:
    live.publish_values({"m.BTCUSDT.bid": None})

    assert "no price now" in text_of(signed_in.get(PAGE))
    assert signed_in.post(CONFIRM, FIXED | seen(grid)).status_code == 422
    assert Grid.objects.get(pk=grid.pk).spec == {}


@pytest.mark.parametrize("name", ["ceo", "cto"])
def test_who_may_not_edit_sees_no_button_and_is_refused(client: Client, grid: Grid, name: str) -> None:
    client.force_login(User.objects.get(username=name))

    assert "Confirm the change" not in client.get(PAGE).content.decode()
    client.post(CONFIRM, FIXED | seen(grid))

    assert Grid.objects.get(pk=grid.pk).spec == {}


def test_a_symbol_without_a_grid_cannot_be_edited(signed_in: Client, grid: Grid) -> None:
    assert signed_in.get("/symbols/DOGEUSDT/edit/").status_code == 404
    assert signed_in.post("/symbols/DOGEUSDT/edit/confirm/", FIXED).status_code == 404


def test_capital_that_changes_keeps_the_kind_of_the_grid(grid: Grid) -> None:
    edited(grid)

    Grid.objects.filter(pk=grid.pk).update(lot_quote=Decimal("5.50"))  # as `mandates.put_into_force` does

    chosen: Any = Grid.objects.get(pk=grid.pk).chosen
    assert (chosen.lot_quote, chosen.trail_up_to) == (Decimal("5.5"), Decimal(65_000))


MEASURED = FIXED | {"lower": "", "upper": "", "trail_up_to": "", "atr_multiple": "2", "slots": "4"}


def test_what_a_neutral_grid_buys_at_the_market_is_shown_first(signed_in: Client, grid: Grid) -> None:
    neutral = FIXED | {"mode": "neutral"}
    text = text_of(signed_in.get(PREVIEW, neutral))
    assert "Bought at the market where nothing is held" in text
    assert "Bought at the market for slots above the price" not in text  # nothing is laid that it would change
    assert "Bought at the market" not in text_of(signed_in.get(PREVIEW, FIXED))

    Grid.objects.filter(pk=grid.pk).update(levels_ticks=[59_000_00 + 250_00 * line for line in range(9)])
    assert "Bought at the market for slots above the price : 1" in text_of(signed_in.get(PREVIEW, neutral)).replace(
        "price:", "price :"
    )

    edited(grid, mode="neutral")
    chosen: Any = Grid.objects.get(pk=grid.pk).chosen
    assert chosen.mode == "neutral"


def test_a_neutral_grid_is_refused_where_the_mandate_lets_nothing_be_bought_at_the_market(
    signed_in: Client, grid: Grid
) -> None:
    Mandate.objects.filter(account=grid.account).update(execution_styles=["MAKER"])

    text = text_of(signed_in.get(PREVIEW, FIXED | {"mode": "neutral", "style": "MAKER"}))

    assert "buys at the market when it is laid, and TAKER is not allowed" in text


def test_before_a_range_is_measured_an_edit_is_held_against_the_mandate_alone(signed_in: Client, grid: Grid) -> None:
    assert "laid when 14 bars of 60 s are known" in text_of(signed_in.get(PREVIEW, MEASURED))
    assert "above the mandate" in text_of(signed_in.get(PREVIEW, MEASURED | {"lot_quote": "900"}))
    assert "not on the tick" in text_of(signed_in.get(PREVIEW, MEASURED | {"stop": "58000.001"}))

    edited(grid, **MEASURED)

    chosen: Any = Grid.objects.get(pk=grid.pk).chosen
    assert (chosen.atr_multiple, chosen.step_fraction) == (2, None)
    assert "as measured when it is laid" in text_of(signed_in.get("/symbols/?symbol=BTCUSDT"))


def test_with_what_the_desk_has_measured_an_edit_is_shown_in_full(signed_in: Client, grid: Grid) -> None:
    row = edited(grid, **MEASURED)
    measured = Measured(14, 60, 14, 150_00.0, 60_000_00, 7)
    footing = Footing(shape(running(row).spec), measured=measured)
    Grid.objects.filter(pk=row.pk).update(footing=places.as_json(footing))

    text = text_of(signed_in.get(PREVIEW, MEASURED))

    assert "5, 4 slots" in text
    assert "59,850.00" in text  # half of two ranges below the price
    assert running(Grid.objects.get(pk=row.pk)).footing == footing
    assert "laid when 9 bars" in text_of(signed_in.get(PREVIEW, MEASURED | {"atr_bars": "9"}))


def test_a_grid_whose_step_is_not_measured_yet_fits_by_its_mandate(grid: Grid) -> None:
    limits = recovery.limits_in_force(edited(grid, **MEASURED).account)

    assert armings.feasibility(grid.account, limits)["BTCUSDT"] == ""
    other = replace(limits, execution_styles=frozenset({ExecutionStyle.MAKER}))
    assert "TAKER is not allowed" in (armings.feasibility(grid.account, other)["BTCUSDT"] or "")


def test_a_restart_reads_back_where_a_moving_ladder_stands(grid: Grid) -> None:
    row = edited(grid)
    spec: Any = row.chosen
    instrument = desks.instruments_of(row.account)["BTCUSDT"].instrument
    laid = lay(spec, instrument, 60_000_00)
    levels = laid.ladder.levels
    footing = Footing(shape(spec), laid.rungs, 0, (Place(3, levels[0], levels[1]), Place(9, 1, 2, Role.PARKED)), None)
    Grid.objects.filter(pk=row.pk).update(levels_ticks=list(levels), levels_lap=0, footing=places.as_json(footing))

    row = Grid.objects.get(pk=row.pk)
    assert running(row).footing == footing
    found = symbols.page(row.account, "BTCUSDT", live.last_values(), now())
    assert found is not None
    assert found.ladder is not None
    assert [rung.slot for rung in found.ladder.rungs] == [3]  # the parked one holds nothing
    assert recovery.grid_settings(row.account)

"""Which answers of the venue make a key unfit for its purpose."""

from dataclasses import replace

import pytest

from trading.domain.restrictions import KeyPurpose, Restrictions, objections

SOUND = Restrictions(True, True, True, False, False, False, False, False, False)
READS = replace(SOUND, may_trade_spot=False)


@pytest.mark.parametrize(
    ("purpose", "found"), [(KeyPurpose.TRADE, SOUND), (KeyPurpose.CANCEL, SOUND), (KeyPurpose.READ, READS)]
)
def test_a_sound_key_is_fit(purpose: KeyPurpose, found: Restrictions) -> None:
    assert objections(purpose, found) == ()


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("may_withdraw", True, "withdrawals are enabled"),
        ("may_transfer_internally", True, "internal transfers are enabled"),
        ("may_transfer_universally", True, "universal transfers are enabled"),
        ("is_address_restricted", False, "it is not restricted to an address"),
        ("may_read", False, "it may not read"),
        ("may_trade_margin", True, "margin trading is enabled"),
        ("may_trade_futures", True, "futures are enabled"),
        ("may_trade_options", True, "options are enabled"),
    ],
)
@pytest.mark.parametrize("purpose", KeyPurpose)
def test_what_no_key_may_do_is_named_for_every_purpose(purpose: KeyPurpose, field: str, value: bool, text: str) -> None:
    sound = READS if purpose is KeyPurpose.READ else SOUND

    assert objections(purpose, replace(sound, **{field: value})) == (text,)


@pytest.mark.parametrize(
    ("purpose", "trades", "text"),
    [
        (KeyPurpose.READ, True, "it may trade, and is for reading"),
        (KeyPurpose.TRADE, False, "it may not trade, and so not cancel either"),
        (KeyPurpose.CANCEL, False, "it may not trade, and so not cancel either"),
    ],
)
def test_a_key_may_trade_exactly_where_its_purpose_needs_it(purpose: KeyPurpose, trades: bool, text: str) -> None:
    assert objections(purpose, replace(SOUND, may_trade_spot=trades)) == (text,)

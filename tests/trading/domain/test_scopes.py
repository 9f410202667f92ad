"""One text says what a halt stops."""

import pytest

from trading.domain.scopes import Scope


@pytest.mark.parametrize(
    ("text", "scope"),
    [
        ("", Scope()),
        ("*", Scope()),
        ("micro", Scope("micro")),
        ("*/BTCUSDT", Scope("", "BTCUSDT")),
        ("/BTCUSDT", Scope("", "BTCUSDT")),
        ("micro/BTCUSDT", Scope("micro", "BTCUSDT")),
    ],
)
def test_a_scope_is_one_text(text: str, scope: Scope) -> None:
    assert Scope.parse(text) == scope
    assert Scope.parse(str(scope)) == scope


@pytest.mark.parametrize("text", ["micro/", "micro/*", "a/b/c", "micro\x00", "mi\ncro"])
def test_what_is_no_scope_is_refused_and_as_a_latch_stops_everything(text: str) -> None:
    with pytest.raises(ValueError, match="is no scope"):
        Scope.parse(text)
    assert Scope.of_latch(text) == Scope()


@pytest.mark.parametrize(
    ("scope", "account", "concerned"),
    [
        (Scope(), "micro", True),
        (Scope("micro"), "micro", True),
        (Scope("micro"), "production", False),
        (Scope("", "BTCUSDT"), "production", True),
        (Scope("micro", "BTCUSDT"), "production", False),
    ],
)
def test_a_scope_concerns_its_accounts(scope: Scope, account: str, concerned: bool) -> None:
    assert scope.concerns(account) is concerned

"""Secrets at rest: opened by whoever has the key, by nobody else, and the key is made once."""

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from pytest_django import Settings

from trading.adapters.sealing import Unreadable, seal, unseal

SECRET = "slack://T1/B2/ключ"


@pytest.fixture(autouse=True)
def key_file(settings: Settings, tmp_path: Path) -> Path:
    settings.SECRETS_KEYS = ""
    settings.SECRETS_KEY_FILE = tmp_path / "new" / "secrets.key"
    return tmp_path / "new" / "secrets.key"


def test_what_is_sealed_shows_nothing_and_opens_again() -> None:
    sealed = seal(SECRET)

    assert "slack" not in sealed
    assert sealed != seal(SECRET)  # nobody can tell that two secrets are the same
    assert unseal(sealed) == SECRET


def test_the_key_is_made_once_and_for_its_owner_alone(key_file: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        sealed = list(pool.map(seal, [SECRET] * 40))

    assert {unseal(one) for one in sealed} == {SECRET}
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    assert list(key_file.parent.iterdir()) == [key_file]


def test_keys_of_the_environment_count_and_can_be_changed_one_after_the_other(settings: Settings) -> None:
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    settings.SECRETS_KEYS = old
    sealed = seal(SECRET)

    settings.SECRETS_KEYS = f"{new}, {old}"
    assert unseal(sealed) == SECRET
    again = seal(SECRET)

    settings.SECRETS_KEYS = new
    assert unseal(again) == SECRET
    with pytest.raises(Unreadable, match="another key"):
        unseal(sealed)


@pytest.mark.parametrize("sealed", ["", "x", "gAAAAA", "ö"])
def test_what_nobody_sealed_is_refused(sealed: str) -> None:
    with pytest.raises(Unreadable, match="another key, or changed"):
        unseal(sealed)


def test_a_changed_character_is_noticed() -> None:
    sealed = seal(SECRET)

    with pytest.raises(Unreadable):
        unseal(sealed[:20] + ("A" if sealed[20] != "A" else "B") + sealed[21:])


def test_a_key_that_is_none_is_named(settings: Settings, key_file: Path) -> None:
    settings.SECRETS_KEYS = "short"
    with pytest.raises(Unreadable, match="GRIDCONSOLE_SECRETS_KEYS holds no Fernet key"):
        seal(SECRET)

    settings.SECRETS_KEYS = ""
    key_file.parent.mkdir()
    key_file.write_text("")
    with pytest.raises(Unreadable, match=r"secrets\.key holds no Fernet key"):
        seal(SECRET)

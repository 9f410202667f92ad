"""Readers of the environment: each accepted form, and errors that say what to change."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gridconsole import env, profile, secret
from gridconsole.env import InvalidEnvironment


@pytest.mark.parametrize(
    ("read", "found", "expected"),
    [
        (lambda: env.text("X", "d"), None, "d"),
        (lambda: env.text("X", "d"), "  ", "d"),
        (lambda: env.text("X", "d"), " v ", "v"),
        (lambda: env.choice("X", ("a", "b"), "a"), "b", "b"),
        (lambda: env.integer("X", 5, low=1, high=9), None, 5),
        (lambda: env.integer("X", 5, low=1, high=9), "1", 1),
        (lambda: env.integer("X", 5, low=1, high=9), "9", 9),
        (lambda: env.boolean("X", False), "Yes", True),
        (lambda: env.boolean("X", True), "false", False),
        (lambda: env.url("X", "", ("redis", "unix")), "unix:///run/v.sock", "unix:///run/v.sock"),
        (lambda: env.origins("X", ""), "https://a.example/, http://b:81", ["https://a.example", "http://b:81"]),
        (lambda: env.database("X", "")["HOST"], "postgresql://u@/n?host=/run/pg", "/run/pg"),
        (lambda: env.database("X", "")["PASSWORD"], "postgresql://u:p%40w@db:5433/n", "p@w"),
        (lambda: env.database("X", "")["OPTIONS"], "postgresql://u@db/n?sslmode=require", {"sslmode": "require"}),
    ],
)
def test_what_is_accepted_is_read(
    monkeypatch: pytest.MonkeyPatch, read: Callable[[], Any], found: str | None, expected: object
) -> None:
    if found is not None:
        monkeypatch.setenv("X", found)

    assert read() == expected


@pytest.mark.parametrize(
    ("read", "found", "accepted"),
    [
        (lambda: env.required("X", "an address"), "", "an address"),
        (lambda: env.choice("X", ("a", "b"), "a"), "c", "a, b"),
        (lambda: env.integer("X", 5, low=1, high=9), "0", "from 1 to 9"),
        (lambda: env.integer("X", 5, low=1, high=9), "10", "from 1 to 9"),
        (lambda: env.integer("X", 5, low=1, high=9), "five", "from 1 to 9"),
        (lambda: env.integer("X", 5, low=1, high=9), "²", "from 1 to 9"),
        (lambda: env.boolean("X", True), "False!", "true"),
        (lambda: env.directory("X", Path("/")), __file__, "folder"),
        (lambda: env.url("X", "", ("redis",)), "amqp://h", "redis://"),
        (lambda: env.url("X", "", ("redis",)), "redis://", "redis://"),
        (lambda: env.url("X", "", ("redis",)), "redis://h:port", "redis://"),
        (lambda: env.origins("X", ""), "*", "https://"),
        (lambda: env.origins("X", ""), "https://*.example.com", "https://"),
        (lambda: env.origins("X", ""), "example.com", "https://"),
        (lambda: env.database("X", ""), "mysql://u@h/n", "postgresql://"),
        (lambda: env.database("X", ""), "postgresql://u@h", "postgresql://"),
    ],
)
def test_what_is_not_accepted_is_named_with_the_values_that_are(
    monkeypatch: pytest.MonkeyPatch, read: Callable[[], Any], found: str, accepted: str
) -> None:
    monkeypatch.setenv("X", found)

    with pytest.raises(InvalidEnvironment) as refusal:
        read()

    message = str(refusal.value)
    assert message.startswith("X: found ")
    assert found in message
    assert accepted in message


def test_a_mistyped_address_does_not_repeat_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgres//desk:hunter2@db/n")

    with pytest.raises(InvalidEnvironment) as refusal:
        env.database("DATABASE_URL", "")

    assert "hunter2" not in str(refusal.value)


@pytest.mark.parametrize("missing", ["DATABASE_URL", "REDIS_URL"])
def test_the_distributed_profile_asks_for_its_servers(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    monkeypatch.setenv("GRIDCONSOLE_PROFILE", "distributed")
    monkeypatch.setenv("DATABASE_URL", "postgresql://u@db/n")
    monkeypatch.setenv("REDIS_URL", "redis://valkey")
    monkeypatch.delenv(missing)

    with pytest.raises(InvalidEnvironment, match=missing):
        profile.read()


def test_an_address_that_is_given_wins_over_the_embedded_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://u@db/n")
    monkeypatch.delenv("REDIS_URL", raising=False)

    found = profile.read()

    assert (found.own_postgres, found.own_valkey) == (False, True)


def test_sockets_move_to_a_short_folder_when_the_data_folder_is_deep(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 90)

    assert profile.socket_dir(Path("/srv/console")) == Path("/srv/console/run")
    assert len(os.fsencode(profile.socket_dir(deep) / profile.POSTGRES_SOCKET)) <= profile.SOCKET_PATH_LIMIT


def test_the_embedded_signing_key_is_made_once_and_private(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("SECRET_KEY", raising=False)
    monkeypatch.setenv("GRIDCONSOLE_DATA_DIR", str(tmp_path))

    first, second = secret.key(profile.read()), secret.key(profile.read())

    assert first == second
    assert len(first) >= secret.SHORTEST
    assert (tmp_path / "secret.key").stat().st_mode & 0o777 == 0o600


def test_a_short_signing_key_is_refused_without_repeating_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", "hunter2")

    with pytest.raises(InvalidEnvironment) as refusal:
        secret.key(profile.read())

    assert "hunter2" not in str(refusal.value)


def test_a_bucket_is_read_with_all_that_belongs_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not any(env.bucket("X").values())

    for part in ("BUCKET", "KEY", "SECRET"):
        monkeypatch.setenv(f"X_{part}", part.lower())
    monkeypatch.setenv("X_ENDPOINT", "http://127.0.0.1:9000")

    assert env.bucket("X") == {
        "bucket": "bucket",
        "endpoint": "http://127.0.0.1:9000",
        "key": "key",
        "secret": "secret",
        "region": "",
    }


@pytest.mark.parametrize(
    ("found", "named"),
    [
        ({"KEY": "k", "SECRET": "s"}, "X_BUCKET"),
        ({"BUCKET": "b", "KEY": "k"}, "X_SECRET"),
        ({"BUCKET": "b", "SECRET": "s"}, "X_SECRET"),
        ({"BUCKET": "b", "ENDPOINT": "ftp://host"}, "X_ENDPOINT"),
        ({"ENDPOINT": "http://host"}, "X_BUCKET"),
    ],
)
def test_half_a_bucket_is_refused_without_repeating_its_secret(
    monkeypatch: pytest.MonkeyPatch, found: dict[str, str], named: str
) -> None:
    for part, value in found.items():
        monkeypatch.setenv(f"X_{part}", value)

    with pytest.raises(InvalidEnvironment, match=named) as refused:
        env.bucket("X")
    assert "'s'" not in str(refused.value)

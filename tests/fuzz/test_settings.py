"""Whatever stands in the environment or in .env, the console starts with a sound setting or says what is wrong."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridconsole import datalock, env, profile
from tests.fuzz.hostile import NUMBERS, WORDS, assert_sound, damaged, drawn, many, promptly, text
from trading.adapters.latch_file import LatchFile
from trading.runtime.watchdog import read_accounts, read_beat

NAME = "GRIDCONSOLE_FUZZ"
HERE = Path("/tmp")

# What a variable can hold: any bytes but zero, and near misses of what is right.
NEAR: list[str] = [
    "8000", "0", "-1", "1e3", "10.5", "true", "no", "embedded", "ticks", "~", "~nobody/var", "/tmp", "/dev/null", "./x",
    "/" + "a" * 300, "/" + "a/" * 3_000, "http://127.0.0.1:8000", "http://[::1", "http://[::1]:80", "https://*.example.com",
    "http://a:99999999", "http://a:x", "http://user:secret@host:x/", "http://", "//host", "http:///path", "http://a\tb",
    "postgresql://gc:secret@host:5432/db", "postgresql://gc@/db?host=/run&sslmode=require", "postgres:///%00",
    "postgresql:///?host=", "postgresql://h/%ff", "postgresql://h/" + "a" * 100, "unix:///run/valkey.sock", "redis://h:6379/0",
    "https://a.example,http://b.example:8000/", "https://a.example/path", ",,,", "http://\u2100.example", "http://a\u2024b",
]  # fmt: skip
WORDY = [word for word in [*NEAR, *NUMBERS, *WORDS] if isinstance(word, str)]


def _setting(random: Random) -> str:
    kind = random.random()
    if kind < 0.3:
        found = random.choice(WORDY)
    elif kind < 0.5:
        found = random.choice(NEAR) + text(random, 8)
    elif kind < 0.8:
        scheme = random.choice(("http", "postgresql", "redis", "ftp", ""))
        found = (
            f"{scheme}://{text(random, 8)}:{text(random, 5)}@{text(random, 8)}:{random.choice(WORDY)}/{text(random, 8)}"
        )
    else:
        found = os.fsdecode(random.randbytes(random.randint(0, 40)))
    # What no environment can hold: a zero byte, half a pair.
    return os.fsdecode(found.encode("utf-8", "ignore" if kind < 0.8 else "surrogateescape").replace(b"\0", b""))


TEXTS = drawn(_setting)

READERS: dict[str, Callable[[], Any]] = {
    "required": lambda: env.required(NAME, "anything"),
    "choice": lambda: env.choice(NAME, ("a", "b"), "a"),
    "integer": lambda: env.integer(NAME, 5, low=1, high=60),
    "number": lambda: env.number(NAME, 5.0, low=0.5, high=60.0),
    "boolean": lambda: env.boolean(NAME, True),
    "directory": lambda: str(env.directory(NAME, HERE)),
    "url": lambda: env.url(NAME, "http://127.0.0.1", ("http", "https")),
    "origins": lambda: env.origins(NAME, "http://127.0.0.1"),
    "database": lambda: env.database(NAME, "postgresql:///db"),
    "dataset": lambda: profile._dataset(NAME),
}


@pytest.fixture(autouse=True)
def variable() -> Iterator[None]:
    """Take the variable away again."""
    yield
    os.environ.pop(NAME, None)


@pytest.mark.parametrize("reader", READERS)
@many
@given(setting=TEXTS)
def test_a_variable_is_a_sound_setting_or_the_message_names_it(reader: str, setting: str) -> None:
    os.environ[NAME] = setting

    try:
        found = _found(READERS[reader])
    except env.InvalidEnvironment as error:
        _assert_named(error)
        return
    if reader == "integer":
        assert 1 <= found <= 60
    if reader == "number":
        assert 0.5 <= found <= 60.0
    if reader == "database":
        assert found["NAME"]


def _assert_named(error: env.InvalidEnvironment) -> None:
    assert error.name == NAME
    assert NAME in str(error)


def _found(read: Callable[[], Any]) -> Any:
    with promptly():
        return read()


ENV_FILE = b"GRIDCONSOLE_PORT=8001\nGRIDCONSOLE_SPEED='10'\n# a comment\nexport GRIDCONSOLE_LOG_LEVEL=\"INFO\"\n"


@many
@given(content=damaged(ENV_FILE))
def test_a_damaged_env_file_is_read_or_refused(
    content: bytes, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path_factory.getbasetemp() / "env"
    folder.mkdir(exist_ok=True)
    (folder / ".env").write_bytes(content)
    monkeypatch.setattr(profile, "BASE_DIR", folder)
    before = dict(os.environ)
    os.environ.clear()
    os.environ["GRIDCONSOLE_DATA_DIR"] = str(folder)
    try:
        found = _found(profile.read)
    except env.InvalidEnvironment:
        return
    finally:
        os.environ.clear()
        os.environ.update(before)

    assert 1024 <= found.port <= 65_535
    assert 1 <= found.speed <= 60


# --- files that one process leaves for another ----------------------------------------------------------------

LEFT = {
    "console.lock": b'{"pid": 123, "port": 8000, "simulator_port": 8900, "url": "http://127.0.0.1:8000"}',
    "watched.json": b'{"micro": ["BTCUSDT", "ETHUSDT"], "production": []}',
    "heartbeat": b"1700000000000",
}
CONTENTS = st.sampled_from(sorted(LEFT)).flatmap(lambda name: damaged(LEFT[name]))


class Left:
    """A folder and a file of the given content; a real one would cost most of the time."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def __truediv__(self, name: str) -> "Left":
        return self

    def read_text(self) -> str:
        """Return the content, or fail as a real path would."""
        return self._content.decode()


@many
@given(content=CONTENTS | st.just(b"[" * 4_000))
def test_a_file_of_another_process_is_read_or_counts_as_absent(content: bytes) -> None:
    path: Any = Left(content)

    with promptly():
        described, accounts, beat = datalock.described(path), read_accounts(path), read_beat(path)
        latched = LatchFile(path).read()

    assert isinstance(described, dict)
    assert all(isinstance(symbol, str) for symbols in accounts.values() for symbol in symbols)
    assert_sound(beat)
    assert isinstance(latched, dict)
    assert latched or json.loads(content) == {}  # what cannot be understood latches

"""What every store of artefacts must do alike: a folder, and a bucket of a server that speaks S3."""

import contextlib
import copy
import itertools
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pytest_django import Settings

from trading.adapters import artifacts_storage
from trading.adapters.artifacts_storage import FolderArtifacts, S3Artifacts
from trading.ports import ArtifactError, ArtifactExists, ArtifactMissing, ArtifactStore, ArtifactUnreachable

NAME = "models/ab12/card.json"
CONTENT = b'{"name": "lstm"}'
_numbers = itertools.count()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Run a server that speaks S3 in a process of its own."""
    port = free_port()
    environment = {**os.environ, "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_for(f"{url}/moto-api/", process)
        yield url
    finally:
        process.kill()
        process.wait()


def _wait_for(url: str, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise AssertionError("the server that speaks S3 did not start")


def s3(url: str, bucket: str) -> S3Artifacts:
    return S3Artifacts(bucket=bucket, endpoint=url, key="key", secret="secret")


@pytest.fixture(scope="module")
def client(server: str) -> S3Artifacts:
    """Half a second to make, and the same for every bucket."""
    return s3(server, "-")


@pytest.fixture
def bucket(client: S3Artifacts) -> S3Artifacts:
    found = copy.copy(client)
    found._bucket = f"models-{next(_numbers)}"
    found._client.create_bucket(Bucket=found._bucket)
    return found


@pytest.fixture(params=["folder", "bucket"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ArtifactStore:
    if request.param == "folder":
        return FolderArtifacts(tmp_path / "artifacts")
    found: ArtifactStore = request.getfixturevalue("bucket")
    return found


def test_what_was_put_is_what_one_gets(store: ArtifactStore) -> None:
    store.put(NAME, CONTENT)

    assert store.get(NAME, at_most=len(CONTENT)) == CONTENT
    assert store.head(NAME) == len(CONTENT)


def test_names_below_a_prefix_are_listed_sorted(store: ArtifactStore) -> None:
    for name in ("models/b/x", "models/a/y", "models/ab/z", "archives/a"):
        store.put(name, b"1")

    assert list(store.list("models")) == ["models/a/y", "models/ab/z", "models/b/x"]
    assert list(store.list("models/a")) == ["models/a/y"]
    assert list(store.list("nothing")) == []
    assert len(store.list("")) == 4


def test_what_is_not_there_is_missing(store: ArtifactStore) -> None:
    store.put(NAME, CONTENT)

    for name in ("models/ab12/other", "models/ab12", "models/ab12/card.json/deeper"):
        assert store.head(name) is None or name == "models/ab12"
        with pytest.raises(ArtifactMissing):
            store.get(name, at_most=10)


def test_the_same_content_again_is_no_error_and_another_is_refused(store: ArtifactStore) -> None:
    store.put(NAME, CONTENT)
    store.put(NAME, CONTENT)

    for other in (CONTENT + b" ", CONTENT[:-1], b""):
        with pytest.raises(ArtifactExists):
            store.put(NAME, other)
    assert store.get(NAME, at_most=100) == CONTENT


def test_of_many_who_put_at_once_one_wins_and_every_other_is_told(store: ArtifactStore) -> None:
    def put(number: int) -> int:
        try:
            store.put(NAME, b"%d" % number)
        except ArtifactExists:
            return 0
        return 1

    with ThreadPoolExecutor(8) as threads:
        won = sum(threads.map(put, range(8)))

    assert won == 1
    assert int(store.get(NAME, at_most=10)) in range(8)


def test_more_than_it_may_have_is_refused(store: ArtifactStore) -> None:
    store.put(NAME, CONTENT)

    with pytest.raises(ArtifactError, match="larger than"):
        store.get(NAME, at_most=len(CONTENT) - 1)


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/etc/passwd", "", "a//b", "a/", ".hidden", "a\\b", "ü", "a\n"])
def test_a_name_that_is_no_name_is_refused_by_every_call(store: ArtifactStore, name: str) -> None:
    calls: list[Callable[[], object]] = [
        lambda: store.put(name, b"1"),
        lambda: store.get(name, at_most=1),
        lambda: store.head(name),
    ]
    for call in calls:
        with pytest.raises(ArtifactError, match="no name"):
            call()


# --- the folder ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("linked", ["the file", "its folder"])
def test_a_link_is_never_followed(tmp_path: Path, linked: str) -> None:
    outside, root = tmp_path / "outside", tmp_path / "artifacts"
    outside.mkdir()
    (outside / "card.json").write_bytes(CONTENT)
    (root / "models").mkdir(parents=True)
    if linked == "the file":
        (root / "models/ab12").mkdir()
        (root / NAME).symlink_to(outside / "card.json")
    else:
        (root / "models/ab12").symlink_to(outside)
    store = FolderArtifacts(root)

    for call in (lambda: store.get(NAME, at_most=100), lambda: store.head(NAME), lambda: store.put(NAME, b"other")):
        with pytest.raises(ArtifactError, match="link"):
            call()
    assert list(store.list("models")) == []
    assert (outside / "card.json").read_bytes() == CONTENT


def test_nothing_half_written_is_ever_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    store = FolderArtifacts(tmp_path)
    monkeypatch.setattr("trading.adapters.artifacts_storage.os.fsync", full)

    with pytest.raises(ArtifactUnreachable, match="No space left"):
        store.put(NAME, CONTENT)

    assert store.head(NAME) is None
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_file_in_the_place_of_a_folder_is_told(tmp_path: Path) -> None:
    store = FolderArtifacts(tmp_path)
    store.put("models", CONTENT)

    with pytest.raises(ArtifactError):
        store.put(NAME, CONTENT)


# --- the bucket ---------------------------------------------------------------------------------------------------


def every_call(store: ArtifactStore) -> list[Callable[[], object]]:
    return [
        lambda: store.put(NAME, CONTENT),
        lambda: store.get(NAME, at_most=100),
        lambda: store.head(NAME),
        lambda: store.list("models"),
    ]


def test_a_bucket_that_is_gone_is_no_missing_artefact(server: str) -> None:
    for call in every_call(s3(server, "never-made")):
        with pytest.raises(ArtifactUnreachable, match="bucket"):
            call()


def test_a_server_that_is_down_is_told_at_once() -> None:
    began = time.monotonic()

    for call in every_call(s3(f"http://127.0.0.1:{free_port()}", "models")):
        with pytest.raises(ArtifactUnreachable, match="does not answer"):
            call()

    assert time.monotonic() - began < 10


def test_a_key_the_server_does_not_know_is_told(server: str, bucket: S3Artifacts) -> None:
    _ask_for_keys_after(server, 0)
    try:
        for call in every_call(bucket):
            with pytest.raises(ArtifactUnreachable, match="refused"):
                call()
    finally:
        _ask_for_keys_after(server, 1_000_000)


def _ask_for_keys_after(server: str, actions: int) -> None:
    asked = urllib.request.Request(
        f"{server}/moto-api/reset-auth", str(actions).encode(), {"Content-Type": "text/plain"}
    )
    urllib.request.urlopen(asked, timeout=5).close()


def test_an_answer_that_ends_early_is_not_taken_for_the_artefact() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        answer = b"HTTP/1.1 200 OK\r\nContent-Length: 16\r\nConnection: close\r\n\r\n" + CONTENT[:9]
        threading.Thread(target=_answer_always, args=(listening, answer), daemon=True).start()
        store = s3(f"http://127.0.0.1:{listening.getsockname()[1]}", "models")

        with pytest.raises(ArtifactUnreachable):
            store.get(NAME, at_most=100)


def _answer_always(listening: socket.socket, answer: bytes) -> None:
    with contextlib.suppress(OSError):  # until it is closed
        while True:
            connection, _ = listening.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(answer)


def test_a_server_that_knows_no_condition_overwrites_nothing_either(
    bucket: S3Artifacts, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = bucket._client.put_object
    monkeypatch.setattr(bucket._client, "put_object", lambda IfNoneMatch, **asked: put(**asked))
    bucket.put(NAME, CONTENT)

    with pytest.raises(ArtifactExists):
        bucket.put(NAME, b"other")


# --- which one ----------------------------------------------------------------------------------------------------


def test_the_settings_name_the_store(settings: Settings, tmp_path: Path) -> None:
    settings.ARTIFACTS_DIR = tmp_path
    assert isinstance(artifacts_storage.store(), FolderArtifacts)

    settings.ARTIFACTS_S3 = {"bucket": "b", "endpoint": "http://127.0.0.1:1", "key": "k", "secret": "s", "region": ""}
    assert isinstance(artifacts_storage.store(), S3Artifacts)

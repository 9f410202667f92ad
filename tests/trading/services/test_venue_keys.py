"""Keys of venues: sealed, split by purpose, checked against what the venue says, and seen by nobody again."""

import asyncio
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.core import serializers
from pytest_django import Settings

from tests.trading.simulator.conftest import QUIET
from trading.adapters.keys_paper import paper_key
from trading.adapters.keys_sealed import SealedKeys, read_cancel_keys, write_cancel_keys
from trading.adapters.sealing import seal
from trading.domain.modes import Mode
from trading.domain.restrictions import KeyPurpose
from trading.management.commands.watchdog import Watchdog
from trading.models import Account, AuditEvent, KeyCheck, VenueKey
from trading.ports import Keys, NoKey
from trading.services import armings, venue_keys
from trading.services.demo import load_demo
from trading.services.venue_keys import UnableToKeep
from trading.simulator.access import keys_of
from trading.simulator.server import running_exchange

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
SECRETS = [text for key in keys_of("micro") for text in (key.name, key.secret)]


@pytest.fixture(autouse=True)
def key_file(settings: Settings, tmp_path: Path) -> None:
    settings.SECRETS_KEY_FILE = tmp_path / "secrets.key"


@pytest.fixture
def live() -> Account:
    load_demo(at=NOW)
    return armings.prepare(paper=Account.objects.get(slug="micro"), mode=Mode.LIVE, by="lead", at=NOW)


def kept(account: Account, purpose: KeyPurpose, of: str = "micro") -> VenueKey:
    key, secret = paper_key(of, purpose)
    return venue_keys.add(
        account=account, purpose=purpose, label=f"our {purpose}", key=key, secret=secret, by="cto", at=NOW
    )


@contextmanager
def exchange(settings: Settings) -> Iterator[Any]:
    """Run a simulated exchange in a thread: what asks it here waits."""
    loop, ready, stop = asyncio.new_event_loop(), threading.Event(), asyncio.Event()
    held: list[Any] = []

    async def serve() -> None:
        async with running_exchange(recording=QUIET, seam_pause_s=0.0) as running:
            held.append(running)
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    ready.wait(30)
    settings.VENUE_URL = held[0].url
    try:
        yield held[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(30)
        loop.close()


# --- the port -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["paper", "sealed"])
def test_a_purpose_has_its_own_key_and_an_unknown_one_has_none(kind: str) -> None:
    rows = {("micro", purpose): tuple(map(seal, paper_key("micro", purpose))) for purpose in KeyPurpose}
    keys: Keys = paper_key if kind == "paper" else SealedKeys(rows)  # type: ignore[arg-type]  # map gives two

    assert [keys("micro", purpose) for purpose in KeyPurpose] == [(k.name, k.secret) for k in keys_of("micro")]
    with pytest.raises(NoKey, match="withdraw"):
        keys("micro", "withdraw")


def test_a_key_that_was_sealed_with_another_key_is_none(settings: Settings, tmp_path: Path) -> None:
    keys = SealedKeys({("a", "trade"): (seal("name"), seal("secret"))})
    settings.SECRETS_KEY_FILE = tmp_path / "another.key"

    with pytest.raises(NoKey, match="a: the trade key cannot be opened"):
        keys("a", "trade")


# --- adding and revoking ------------------------------------------------------------------------------------------


def test_a_key_is_kept_sealed_and_nothing_that_is_stored_or_said_holds_it(
    live: Account, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        rows = [kept(live, purpose) for purpose in KeyPurpose]
    stored = serializers.serialize("json", [*rows, *AuditEvent.objects.all()])

    assert venue_keys.key_of(live, KeyPurpose.TRADE) == paper_key("micro", "trade")
    assert not [text for text in SECRETS if text in stored + caplog.text + repr(rows) + str(rows)]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"key": "short"}, "The key is no key of a venue"),
        ({"secret": "with a blank in it"}, "The secret is no key of a venue"),
        ({"secret": "\x00" * 20}, "The secret is no key of a venue"),
        ({"secret": "k" * 201}, "The secret is no key of a venue"),
        ({"secret": "k" * 64}, "Key and secret are the same"),
        ({"label": "  "}, "Give the key a label"),
    ],
)
def test_what_is_no_key_is_refused_and_not_repeated(live: Account, changes: dict[str, str], why: str) -> None:
    given = {"key": "k" * 64, "secret": "s" * 64, "label": "ours", **changes}

    with pytest.raises(UnableToKeep, match=why) as refused:
        venue_keys.add(account=live, purpose=KeyPurpose.READ, by="cto", at=NOW, **given)

    assert given["secret"] not in str(refused.value)
    assert not VenueKey.objects.exists()


def test_a_paper_account_keeps_no_key(live: Account) -> None:
    with pytest.raises(UnableToKeep, match="is a paper account"):
        kept(Account.objects.get(slug="micro"), KeyPurpose.READ)


def test_one_purpose_has_one_key_in_use_and_one_key_one_purpose(live: Account) -> None:
    kept(live, KeyPurpose.TRADE)
    same_key, _ = paper_key("micro", "trade")

    with pytest.raises(UnableToKeep, match="has a trade key in use: revoke that one first"):
        kept(live, KeyPurpose.TRADE, of="production")
    with pytest.raises(UnableToKeep, match="This key is in use already"):
        venue_keys.add(account=live, purpose=KeyPurpose.READ, label="x", key=same_key, secret="s" * 64, by="c", at=NOW)


def test_a_revoked_key_is_gone_from_the_database(live: Account) -> None:
    row = kept(live, KeyPurpose.TRADE)

    with pytest.raises(UnableToKeep, match="Type the label of the key, our trade"):
        venue_keys.revoke(key_id=row.pk, typed="trade", by="cto", at=NOW)
    venue_keys.revoke(key_id=row.pk, typed="our trade", by="cto", at=NOW)

    row.refresh_from_db()
    assert (row.sealed_key, row.sealed_secret, row.revoked_by) == ("", "", "cto")
    with pytest.raises(NoKey):
        venue_keys.key_of(live, KeyPurpose.TRADE)
    with pytest.raises(UnableToKeep, match="revoked already"):
        venue_keys.revoke(key_id=row.pk, typed="our trade", by="cto", at=NOW)


# --- what the venue says --------------------------------------------------------------------------------------------


def test_the_venue_is_asked_what_each_key_may_do_and_what_time_it_is(live: Account, settings: Settings) -> None:
    for purpose in KeyPurpose:
        kept(live, purpose)

    with exchange(settings) as running:
        running.exchange.keys.switch("paper-micro-cancel", {"enableWithdrawals": True, "ipRestrict": False})
        venue_keys.check_all(at=NOW)

    said = {answer.key.purpose: answer.objections for answer in KeyCheck.objects.select_related("key")}
    assert said == {
        "trade": [], "read": [], "cancel": ["withdrawals are enabled", "it is not restricted to an address"],
    }  # fmt: skip
    assert all(answer.opened and abs(answer.skew_ms or 9e9) < 500 for answer in KeyCheck.objects.all())


@pytest.mark.parametrize("damage", ["html", "empty", "garbage", "truncated"])
def test_an_answer_that_cannot_be_read_is_none(live: Account, settings: Settings, damage: str) -> None:
    row = kept(live, KeyPurpose.TRADE)

    with exchange(settings) as running:
        from trading.simulator import faults

        rule = {"kind": damage, "target": "GET /sapi", "count": 0}
        running.gate.faults.rules.append(faults.parse(rule))
        answer = venue_keys.check(row, at=NOW)

    assert answer.objections is None
    assert answer.problem
    assert not [text for text in SECRETS if text in answer.problem]


def test_a_venue_that_does_not_answer_leaves_nothing_known(live: Account, settings: Settings) -> None:
    settings.VENUE_URL = "http://127.0.0.1:1"

    answer = venue_keys.check(kept(live, KeyPurpose.TRADE), at=NOW)

    assert (answer.objections, answer.skew_ms) == (None, None)
    assert "no usable answer" in answer.problem


# --- the watchdog -----------------------------------------------------------------------------------------------------


def test_the_watchdog_reads_its_keys_sealed_and_only_those_to_cancel(live: Account, tmp_path: Path) -> None:
    for purpose in KeyPurpose:
        kept(live, purpose)
    path, sealed = tmp_path / "cancel-keys.json", venue_keys.sealed(live)
    write_cancel_keys(path, {"microlive": ("http://venue", sealed[("microlive", "cancel")])})
    watchdog = Watchdog(data_dir=tmp_path, latch=tmp_path / "halt.latch", url="http://paper")

    assert watchdog._door("microlive") == ("http://venue", *paper_key("micro", "cancel"))
    assert watchdog._door("micro") == ("http://paper", *paper_key("micro", "cancel"))
    assert path.stat().st_mode & 0o777 == 0o600
    assert not [text for text in SECRETS if text in path.read_text()]


def test_a_watchdog_without_a_key_never_takes_a_paper_key_for_it(tmp_path: Path) -> None:
    write_cancel_keys(tmp_path / "cancel-keys.json", {"microlive": ("http://venue", None)})
    watchdog = Watchdog(data_dir=tmp_path, latch=tmp_path / "halt.latch", url="http://paper")

    with pytest.raises(NoKey, match="microlive: no cancel key is kept"):
        watchdog._door("microlive")


@pytest.mark.parametrize("text", ["", "[]", "{", '{"a": 1}', '{"a": []}', '{"a": ["u", ["one"]]}', "[" * 9_999])
def test_a_damaged_file_of_cancel_keys_makes_no_account_paper(tmp_path: Path, text: str) -> None:
    (tmp_path / "cancel-keys.json").write_text(text)

    with pytest.raises(NoKey, match=r"cancel-keys\.json is damaged"):
        read_cancel_keys(tmp_path / "cancel-keys.json")

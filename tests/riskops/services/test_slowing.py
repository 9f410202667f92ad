"""Guesses that come at once share one wait, whichever thread or process takes them."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from threading import Thread
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import close_old_connections, connection
from django.db.utils import OperationalError
from django.utils.timezone import now

from riskops.domain.slowness import Door
from riskops.models import FailedSignIns, Tries
from riskops.services import sign_in, slowing
from riskops.services.sign_in import Place, UnableToSignIn
from riskops.services.slowing import TooSoon

GUESSERS = 8
GUESSES = 40
FREE = 3
KEYS = {Door.STEP_UP: "cto"}


def guess(number: int) -> str:
    place = Place(f"203.0.113.{number}", "")
    try:
        sign_in.prove_password(name="cto", password=f"guess {number}", place=place, at=now())
    except (UnableToSignIn, TooSoon) as error:
        return type(error).__name__
    finally:
        connection.close()
        close_old_connections()
    return "in"


@pytest.mark.django_db(transaction=True)
def test_guesses_at_once_are_looked_at_one_wait_at_a_time() -> None:
    User.objects.create_user("cto", password="a long enough passphrase 1")

    began = now()
    with ThreadPoolExecutor(GUESSERS) as pool:
        found = Counter(pool.map(guess, range(GUESSES)))
    took_s = (now() - began).total_seconds()

    # The fourth waits one second after the third, the fifth two after that: what the time that passed allows.
    allowed = FREE + sum(took_s >= 2**number - 1 for number in range(1, 8))
    assert FREE <= found["UnableToSignIn"] <= allowed
    assert found["TooSoon"] == GUESSES - found["UnableToSignIn"]
    assert sum(FailedSignIns.objects.values_list("times", flat=True)) == found["UnableToSignIn"]


@pytest.mark.django_db(transaction=True)
def test_who_gets_in_while_another_tries_does_not_take_the_count_away_from_under_them() -> None:
    slowing.take(KEYS, now())
    got_in: list[str] = []

    def forget() -> None:
        try:
            with connection.cursor() as cursor:
                cursor.execute("SET lock_timeout = '200ms'")
            slowing.succeeded(KEYS)
            got_in.append("at once")
        except OperationalError:
            got_in.append("after the other")
        finally:
            connection.close()

    def then_forget(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        done = execute(sql, params, many, context)
        if sql.startswith("INSERT"):
            meanwhile = Thread(target=forget)
            meanwhile.start()
            meanwhile.join()
        return done

    with connection.execute_wrapper(then_forget):
        slowing.take(KEYS, now())

    assert got_in == ["after the other"]
    assert [row.failures for row in Tries.objects.all()] == [2]


@pytest.mark.django_db(transaction=True)
def test_a_try_at_two_doors_is_counted_at_both() -> None:
    keys = {Door.ACCOUNT: "cto", Door.ADDRESS: "192.0.2.1"}

    slowing.take(keys, now())
    slowing.take(keys, now())
    slowing.succeeded(keys)

    assert [row.failures for row in Tries.objects.all()] == [1]

"""Guesses that come at once share one wait, whichever thread or process takes them."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.contrib.auth.models import User
from django.db import close_old_connections, connection
from django.utils.timezone import now

from riskops.models import FailedSignIns
from riskops.services import sign_in
from riskops.services.sign_in import Place, UnableToSignIn
from riskops.services.slowing import TooSoon

GUESSERS = 8
GUESSES = 40
FREE = 3


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

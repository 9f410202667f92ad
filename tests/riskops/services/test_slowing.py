"""Tries at one door from several processes."""

from datetime import UTC, datetime
from threading import Thread
from typing import Any

import pytest
from django.db import connection
from django.db.utils import OperationalError

from riskops.domain.slowness import Door
from riskops.models import Tries
from riskops.services import slowing

pytestmark = pytest.mark.django_db(transaction=True)

AT = datetime(2026, 1, 1, 12, tzinfo=UTC)
KEYS = {Door.STEP_UP: "cto"}


def test_who_gets_in_while_another_tries_does_not_take_the_count_away_from_under_them() -> None:
    slowing.take(KEYS, AT)
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
        slowing.take(KEYS, AT)

    assert got_in == ["after the other"]
    assert [row.failures for row in Tries.objects.all()] == [2]


def test_a_try_at_two_doors_is_counted_at_both() -> None:
    keys = {Door.ACCOUNT: "cto", Door.ADDRESS: "192.0.2.1"}

    slowing.take(keys, AT)
    slowing.take(keys, AT)
    slowing.succeeded(keys)

    assert [row.failures for row in Tries.objects.all()] == [1]

"""An outage that passes is waited for; one that does not is said."""

import psycopg
import pytest
from django.db import OperationalError
from psycopg import errors
from redis.exceptions import ConnectionError as RedisConnectionError

from trading.runtime.outages import server_went_away, why_not_storable


def wrapped(cause: Exception) -> OperationalError:
    """What Django makes of it."""
    error = OperationalError(str(cause))
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "went_away"),
    [
        (psycopg.OperationalError("connection failed"), True),
        (errors.AdminShutdown("57P01"), True),
        (wrapped(errors.CannotConnectNow("starting up")), True),
        (RedisConnectionError("reset"), True),
        (ExceptionGroup("loop", [RedisConnectionError("reset"), psycopg.OperationalError("gone")]), True),
        (ExceptionGroup("loop", [RedisConnectionError("reset"), ValueError("a bug")]), False),
        (errors.DiskFull("No space left on device"), False),
        (wrapped(errors.ReadOnlySqlTransaction("read-only")), False),
        (ValueError("a bug"), False),
    ],
    ids=repr,
)
def test_only_what_passes_by_itself_is_an_outage(error: Exception, went_away: bool) -> None:
    assert server_went_away(error) is went_away


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (errors.DiskFull("No space left on device"), "No space left on device (53100)"),
        (wrapped(errors.UniqueViolation("duplicate key")), "duplicate key (23505)"),
        (errors.TooManyConnections("53300"), ""),
        (psycopg.OperationalError("gone"), ""),
        (ValueError("a bug"), ""),
    ],
    ids=repr,
)
def test_what_does_not_pass_is_said(error: Exception, said: str) -> None:
    assert why_not_storable(error).endswith(said)
    assert bool(why_not_storable(error)) is bool(said)

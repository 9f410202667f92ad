"""What a failure of the database or of Valkey means: it passes by itself, or somebody must look."""

from typing import Final

import psycopg
from django.db import DatabaseError
from redis.exceptions import ConnectionError as RedisConnectionError

# PostgreSQL's SQLSTATE classes of what passes: the connection, a server that restarts, a lock, too many connections.
PASSING: Final = ("08", "40", "57P", "55P03", "57014", "53300")


def why_not_storable(error: BaseException) -> str:
    """Return why the database refuses to keep what was decided; "" where it is only away, or it was no database error.

    A full disk, a read-only or damaged database, a row that contradicts another: none of these passes by itself.
    """
    cause = error.__cause__ or error
    state = getattr(cause, "sqlstate", None)
    if not isinstance(state, str) or state.startswith(PASSING):
        return ""
    return f"the audit trail cannot be written: {str(cause).splitlines()[0][:160]} ({state})"


def server_went_away(error: BaseException) -> bool:
    """Return whether a loop ended because database or Valkey did: it need not wait longer than they do."""
    if isinstance(error, BaseExceptionGroup):
        return all(server_went_away(each) for each in error.exceptions)
    from_server = isinstance(error, DatabaseError | psycopg.Error | RedisConnectionError)
    return from_server and not why_not_storable(error)

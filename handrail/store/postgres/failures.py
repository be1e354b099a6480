"""The driver's errors, told apart and turned into ours. None of the driver's leaves the store."""

from __future__ import annotations

import psycopg
from psycopg import errors

from handrail.model.errors import BadInput, Conflict, Unavailable

RERUN = (errors.SerializationFailure, errors.DeadlockDetected, errors.LockNotAvailable)
"""Two were in each other's way: the one that got this is rolled back, and may try again."""

_CUT = (
    errors.AdminShutdown,
    errors.CrashShutdown,
    errors.CannotConnectNow,
    errors.IdleInTransactionSessionTimeout,
)


def is_cut(error: BaseException, connection: psycopg.Connection[object]) -> bool:
    """Whether the connection is lost, whatever the statement had come to."""
    return connection.closed or connection.broken or isinstance(error, _CUT)


def mapped(error: BaseException) -> BaseException:
    """The error a caller gets."""
    if not isinstance(error, psycopg.Error):
        return error
    what = first_line(error)
    if isinstance(error, errors.ReadOnlySqlTransaction):
        made: BaseException = Unavailable(
            f"the database takes no writes ({what}); connect to the primary"
        )
    elif isinstance(error, psycopg.IntegrityError):
        made = Conflict(f"what is stored does not go with this: {what}; read it again, then repeat")
    elif isinstance(error, errors.DiskFull):
        made = Unavailable(
            f"the database is full ({what}); nothing was stored; free space on its machine, "
            "then repeat"
        )
    elif isinstance(error, errors.OutOfMemory | errors.TooManyConnections):
        made = Unavailable(
            f"the database has no room for this now ({what}); nothing was stored; give it more "
            "memory or connections, or others fewer, then repeat"
        )
    elif isinstance(error, errors.ProgramLimitExceeded | psycopg.DataError):
        made = BadInput(f"the database cannot store this: {what}")
    elif isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        made = Unavailable(f"the database did not answer: {what}; nothing was stored; try again")
    else:
        made = Unavailable(f"the database refused a statement: {what}; this is a defect")
    made.__cause__ = error
    return made


def first_line(error: BaseException) -> str:
    """The first line of the driver's message."""
    return str(error).strip().split("\n")[0] or type(error).__name__

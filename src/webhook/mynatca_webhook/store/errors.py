"""How the store fails.

StoreError
├── BadStoreUrl         the address is not one that a store can have
├── StoreUnavailable    it cannot be reached, or cannot write; what was to be stored is not known to be stored
└── LeaseLost           somebody else has taken over the job

No text holds what was to be stored, nor a password.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, SQLAlchemyError


class StoreError(Exception):
    """The store did not do what it was asked to do."""


class BadStoreUrl(StoreError):
    """The address is not one that a store can have."""


class StoreUnavailable(StoreError, OSError):
    """It cannot be reached, cannot write, or did not answer in time; the same call may succeed later.

    An OSError too, as that is what `reconcile` expects of a journal that takes nothing more.
    """


class LeaseLost(StoreError):
    """Somebody else took the job over, or it is finished already: its result must not be written again."""


@contextmanager
def unavailable() -> Iterator[None]:
    """Turn whatever a database raises into `StoreUnavailable`.

    The first line only, and no cause: the others quote rows, which in the journal have names and addresses.
    """
    try:
        yield
    except StoreUnavailable:
        raise
    except TimeoutError:
        raise StoreUnavailable("the store did not answer in time") from None
    except (SQLAlchemyError, sqlite3.Error, OSError) as error:
        told = error.orig if isinstance(error, DBAPIError) and error.orig else error
        first_line = str(told).strip().partition("\n")[0]
        raise StoreUnavailable(f"{type(told).__name__}: {first_line}") from None

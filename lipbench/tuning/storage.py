"""Where Optuna keeps its trials: a journal file, sqlite, or a database's URL."""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path

import optuna
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from lipbench.errors import UserError
from lipbench.urls import without_password

_LONGEST_LINE = 2**16  # of a journal, in bytes
_SQLITE_SECONDS = 60  # that a process waits for another one's write


def locate(given: str, folder: Path) -> str:
    """Return where a storage is: `journal`, `sqlite` (both in a study's folder), a path, a URL.

    Raises UserError for a word that is none of these.
    """
    if given == "journal":
        return str(folder / "optuna.journal")
    if given == "sqlite":
        return f"sqlite:///{(folder / 'optuna.db').resolve()}"
    if ":" not in given and not given.endswith(".journal"):
        raise UserError(
            f"no storage called {without_password(given)!r}; there are journal, sqlite, a path "
            "that ends in .journal, and a database's URL"
        )
    return given


def opened(location: str) -> BaseStorage:
    """Return a storage, made at the first time. Raises UserError where it cannot be reached."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with reached(location):
        if ":" not in location:
            return JournalStorage(JournalFileBackend(location, _Lock(Path(location))))
        url = _url(location)
        if url.drivername == "postgresql":  # a default of SQLAlchemy's that changed
            url = url.set(drivername="postgresql+psycopg2")
        is_sqlite = url.drivername.startswith("sqlite")
        return RDBStorage(
            url.render_as_string(hide_password=False),
            engine_kwargs={
                "connect_args": {"timeout": _SQLITE_SECONDS} if is_sqlite else {},
                "pool_pre_ping": True,  # trials are long, and idle connections get cut
            },
        )


def _url(location: str) -> URL:
    try:
        return make_url(location)
    except (ArgumentError, ValueError) as error:
        raise UserError(
            f"the storage {without_password(location)} is no URL of a database; write "
            "postgresql://USER:PASSWORD@HOST/DATABASE or sqlite:///FILE"
        ) from error


class _Lock(JournalFileOpenLock):
    """Guards a journal's writes; ends with its process, where Optuna's own outlives a killed one
    and stops the others for half a minute."""

    def __init__(self, journal: Path) -> None:
        self._journal = journal

    def acquire(self) -> bool:
        self._file = Path(f"{self._journal}.lock").open("a")  # noqa: SIM115 - until its release
        fcntl.flock(self._file, fcntl.LOCK_EX)
        self._cut()
        return True

    def release(self) -> None:
        self._file.close()

    def _cut(self) -> None:
        """Drop a last line that was never finished: the next one would merge with it."""
        with self._journal.open("rb+") as file:
            end = file.seek(0, 2)
            file.seek(max(0, end - _LONGEST_LINE))
            tail = file.read()
            if tail and not tail.endswith(b"\n"):
                file.truncate(end - len(tail) + tail.rfind(b"\n") + 1)


@contextlib.contextmanager
def reached(location: str) -> Iterator[None]:
    """Tell what a storage or its database refuses as the user's to mend."""
    try:
        yield
    except UserError:
        raise
    except ImportError as error:
        hint = ": pip install 'lipbench[postgresql]'" if location.startswith("postgres") else ""
        raise UserError(
            f"the storage {without_password(location)} needs a database driver that is not "
            f"here{hint}"
        ) from error
    except Exception as error:
        if not _is_storages(error, location):
            raise
        lines = [line for line in str(error.__cause__ or error).splitlines() if line.strip()]
        raise UserError(
            f"the storage {without_password(location)} cannot be used "
            f"({lines[0] if lines else type(error).__name__}). No run is lost: once it can, the "
            "same command goes on"
        ) from error


def _is_storages(error: Exception, location: str) -> bool:
    """Return whether an error is a database's, a journal's or Optuna's storage's own."""
    if isinstance(error, OSError):
        return ":" not in location and str(error.filename or "").startswith(location)
    module = type(error).__module__.partition(".")[0]
    of_optuna = isinstance(error, optuna.exceptions.StorageInternalError)
    return of_optuna or module in ("sqlalchemy", "psycopg2")

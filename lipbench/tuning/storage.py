"""Where Optuna keeps its trials: a journal file, sqlite, or a database's URL."""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import optuna
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from sqlalchemy import exc
from sqlalchemy.engine import URL, make_url

from lipbench import records
from lipbench.errors import UserError
from lipbench.records import Damaged
from lipbench.runs import locks
from lipbench.urls import without_password

_LONGEST_LINE = 2**16  # of a journal, in bytes
_SQLITE_SECONDS = 60  # that a process waits for another one's write


class Broken(UserError):  # noqa: N818 - it names what is so
    """A storage whose content cannot be used, or is of another study than its folder's."""


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
            _check_journal(Path(location))
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


def file_of(location: str) -> Path | None:
    """Return the file that a storage is, or None where it is a database's server."""
    if ":" not in location:
        return Path(location)
    url = _url(location)
    is_file = url.drivername.startswith("sqlite") and url.database not in (None, "", ":memory:")
    return Path(str(url.database)) if is_file else None


def put_aside(path: Path) -> Path:
    """Rename a storage's file, with what sqlite keeps beside it; return its new path."""
    aside = records.put_aside(path)
    for suffix in ("-journal", "-wal", "-shm"):
        beside = Path(f"{path}{suffix}")
        if beside.exists():
            beside.rename(f"{aside}{suffix}")
    return aside


def _check_journal(path: Path) -> None:
    """Raise Damaged for a line that is no record: Optuna only sees it when others follow."""
    found = records.rows(path, records.Journal)
    for damage in found.damage:
        raise damage


def _url(location: str) -> URL:
    try:
        return make_url(location)
    except (exc.ArgumentError, ValueError) as error:
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
        file = locks.acquire(Path(f"{self._journal}.lock"), wait=True)
        assert file is not None
        self._file: IO[bytes] = file
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
    except Damaged as damage:
        raise Broken(str(damage)) from damage
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
        kind = Broken if _is_damage(error) else UserError
        raise kind(
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
    return of_optuna or module in ("sqlalchemy", "psycopg2") or _is_of_journal(error)


def _is_of_journal(error: Exception) -> bool:
    """Return whether an error was raised where Optuna reads a journal.

    For records that do not fit together it raises what its own code runs into.
    """
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    return any(
        frame.f_globals.get("__name__", "").startswith("optuna.storages.journal")
        for frame in frames
    )


def _is_damage(error: Exception) -> bool:
    """Return whether the content of a storage is at fault, and not the way to it."""
    cause = error.__cause__ if isinstance(error.__cause__, exc.SQLAlchemyError) else error
    if isinstance(cause, OSError):
        return isinstance(cause, IsADirectoryError)
    if isinstance(cause, exc.OperationalError):
        return any(word in str(cause) for word in ("no such", "malformed", "unable to open"))
    return isinstance(cause, exc.DatabaseError) or _is_of_journal(error)

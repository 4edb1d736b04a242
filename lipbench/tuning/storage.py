"""Where Optuna keeps its trials: a journal file, sqlite, or a database's URL."""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path

import optuna
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from sqlalchemy.engine import make_url

from lipbench.errors import UserError
from lipbench.urls import without_password

_SQLITE_SECONDS = 60  # that a process waits for another one's write


def locate(given: str, folder: Path) -> str:
    """Return the storage that a study's file names: `journal`, `sqlite` (both in its folder), a
    path of a journal, or a URL."""
    if given == "journal":
        return str(folder / "optuna.journal")
    if given == "sqlite":
        return f"sqlite:///{(folder / 'optuna.db').resolve()}"
    return given


def opened(location: str) -> BaseStorage:
    """Return a storage, made at the first time. Raises UserError where it cannot be reached."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with reached(location):
        if "://" not in location:
            Path(location).parent.mkdir(parents=True, exist_ok=True)
            return JournalStorage(JournalFileBackend(location, _Lock(Path(f"{location}.lock"))))
        url = make_url(location)
        if url.drivername == "postgresql":  # a default of SQLAlchemy's that changed
            url = url.set(drivername="postgresql+psycopg2")
        is_sqlite = url.drivername.startswith("sqlite")
        return RDBStorage(
            url.render_as_string(hide_password=False),
            engine_kwargs={"connect_args": {"timeout": _SQLITE_SECONDS} if is_sqlite else {}},
        )


class _Lock(JournalFileOpenLock):
    """Guards a journal's writes; ends with its process, where Optuna's own outlives a killed one
    and stops the others for half a minute."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def acquire(self) -> bool:
        self._file = self._path.open("a")
        fcntl.flock(self._file, fcntl.LOCK_EX)
        return True

    def release(self) -> None:
        self._file.close()


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
        if not _is_storages(error):
            raise
        lines = [line for line in str(error.__cause__ or error).splitlines() if line.strip()]
        raise UserError(
            f"the storage {without_password(location)} cannot be used "
            f"({lines[0] if lines else type(error).__name__}); the runs in its folder stay, and "
            "the same command goes on"
        ) from error


def _is_storages(error: Exception) -> bool:
    """Return whether an error is a database's, a file's or Optuna's storage's own."""
    module = type(error).__module__.partition(".")[0]
    of_optuna = isinstance(error, optuna.exceptions.StorageInternalError)
    return of_optuna or isinstance(error, OSError) or module in ("sqlalchemy", "psycopg2")

"""A PostgreSQL server for tests: a new one for each test process, gone with it."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

SECONDS = 60

# Its input ends with the process that holds the other end, however that ends.
UNTIL_INPUT_ENDS = """
"$0" "$@" &
read -r _
kill -INT $!
wait $!
rm -rf "$FOLDER"
"""
FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
SMALL = {"shared_buffers": "16MB", "max_connections": "40"}


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """Yield the URL of an empty database on a server that takes connections by a socket alone."""
    binaries = _binaries()
    if binaries is None:
        pytest.skip("no PostgreSQL server is installed here (no initdb)")
    pytest.importorskip("psycopg2")
    folder = Path(tempfile.mkdtemp(prefix="lipbench-postgresql-", dir="/tmp"))
    try:
        shared = _account(folder) | {"cwd": "/", "env": {"LC_ALL": "C", "FOLDER": str(folder)}}
        _initdb(binaries, folder, shared)
        with _served(binaries, folder, shared):
            yield f"postgresql+psycopg2://postgres@/postgres?host={folder}"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _binaries() -> Path | None:
    """Return the folder of the server's programs; Debian keeps them off the path."""
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    installed = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    newest = max(installed, key=lambda path: float(path.parts[-3]), default=None)
    return newest.parent if newest else None


def _account(folder: Path) -> dict[str, Any]:
    """Return whom to run as, and give them the folder: the server refuses to be root's."""
    if os.geteuid() != 0:
        return {}
    names = {entry.pw_name: entry for entry in pwd.getpwall()}
    entry = names.get("postgres") or names["nobody"]
    os.chown(folder, entry.pw_uid, entry.pw_gid)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def _initdb(binaries: Path, folder: Path, shared: dict[str, Any]) -> None:
    options = ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-sync"]
    command = [binaries / "initdb", *options, "-D", folder / "data"]
    done = subprocess.run(command, capture_output=True, text=True, **shared)
    assert done.returncode == 0, done.stderr


@contextlib.contextmanager
def _served(binaries: Path, folder: Path, shared: dict[str, Any]) -> Iterator[None]:
    """Run the server, from when it takes connections until the block ends."""
    settings = {**FAST, **SMALL, "listen_addresses": "", "unix_socket_directories": str(folder)}
    options = [f"--{name}={value}" for name, value in settings.items()]
    command = ["/bin/sh", "-c", UNTIL_INPUT_ENDS, binaries / "postgres", *options]
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(
            [*command, "-D", folder / "data"],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C is for pytest, which then comes here
            **shared,
        )
    assert server.stdin is not None
    try:
        _await(folder)
        yield
    finally:
        server.stdin.close()
        try:
            server.wait(SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


def _await(folder: Path) -> None:
    """Return once the server takes connections; fail with its log if it does not."""
    import psycopg2

    deadline = time.monotonic() + SECONDS
    while True:
        try:
            psycopg2.connect(user="postgres", dbname="postgres", host=str(folder)).close()
            return
        except psycopg2.OperationalError:
            log = (folder / "log").read_text()
            assert "FATAL:  could not" not in log, log
            assert time.monotonic() < deadline, log
            time.sleep(0.05)

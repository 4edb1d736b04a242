"""What of a URL may be shown and kept."""

from __future__ import annotations

import random
import string
from pathlib import Path
from urllib.parse import quote

import pytest

from lipbench import urls
from lipbench.urls import (
    absolute,
    is_masked,
    local_file,
    masked,
    remembered,
    without_password,
)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://me:secret@host:5432/db", "postgresql://me:***@host:5432/db"),
        (
            "--storage=postgresql+psycopg2://me:s@c:r@host/db",
            "--storage=postgresql+psycopg2://me:***@host/db",
        ),
        ("postgresql:/me:secret@host/db", "postgresql:/me:***@host/db"),
        ("postgresql://me:se/cr?et#@host/db", "postgresql://me:***@host/db"),
        ("postgresql://:secret@host/db", "postgresql://:***@host/db"),
        ("postgresql://me:secret@a:1,b:2/db", "postgresql://me:***@a:1,b:2/db"),
        (
            "postgresql://host/db?user=me&password=secret",
            "postgresql://host/db?user=me&password=***",
        ),
        (
            "postgresql://host/db?sslPassword=a;b&PASSWD=c&sslmode=x&Token=d",
            "postgresql://host/db?sslPassword=***&PASSWD=***&sslmode=x&Token=***",
        ),
        ("postgresql://host/db;pass%77ord=secret", "postgresql://host/db;pass%77ord=***"),
        ("host=h password=secret dbname=d", "host=h password=*** dbname=d"),
        ("https://abcdefghij0123456789@host/a", "https://***@host/a"),
        ("http://me@host:80/a:b@c", "http://me@host:80/a:b@c"),
        ("sqlite:////tmp/a:b/c@d.db", "sqlite:////tmp/a:b/c@d.db"),
        ("runs/x/optuna.journal", "runs/x/optuna.journal"),
        ("--set key.path=1", "--set key.path=1"),
        (
            "OperationalError: cannot reach mysql://me:secret@host/db (2003)",
            "OperationalError: cannot reach mysql://me:***@host/db (2003)",
        ),
    ],
)
def test_a_password_is_starred_and_nothing_else(url: str, shown: str) -> None:
    assert without_password(url) == shown


def test_no_password_of_any_letters_is_shown_raw_or_encoded() -> None:
    draw = random.Random(0)
    letters = string.ascii_letters + string.digits + string.punctuation
    for _ in range(2000):
        core = "".join(draw.choice(letters) for _ in range(draw.randint(6, 30)))
        password = f"Zq{core}qZ"
        for written in (password, quote(password, safe="")):
            shown = without_password(f"at postgresql://me:{written}@host:1/db now")
            assert shown == "at postgresql://me:***@host:1/db now"
            parameter = quote(password, safe="")
            shown = without_password(f"postgresql://me@host/db?password={parameter}&a=1")
            assert shown == "postgresql://me@host/db?password=***&a=1"


def test_an_error_that_repeats_a_password_alone_is_masked() -> None:
    uri = "postgresql://me:p%40ss%2Fword@host/db?token=t%26oken"
    text = masked("no user with 'p@ss/word' or t&oken, p%40ss%2Fword", uri, environment={})
    assert text == "no user with '***' or ***, ***"
    environment = {"MLFLOW_TRACKING_TOKEN": "abc123"}
    assert masked("Bearer abc123", environment=environment) == "Bearer ***"
    assert is_masked(without_password(uri))
    assert not is_masked("sqlite:///a.db")


def test_a_relative_store_is_made_absolute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert absolute("sqlite:///rel.db") == f"sqlite:///{tmp_path}/rel.db"
    assert absolute("sqlite:///a/../rel.db") == f"sqlite:///{tmp_path}/rel.db"
    assert absolute("sqlite:///a/rel.db?x=1") == f"sqlite:///{tmp_path}/a/rel.db?x=1"
    assert absolute("file:mlruns") == f"file://{tmp_path}/mlruns"
    assert absolute("./mlruns") == f"{tmp_path}/mlruns"
    own = absolute("sqlite:///file:rel.db?uri=true")
    assert own == f"sqlite:///file:{tmp_path}/rel.db?uri=true"
    for uri in ("sqlite:////abs.db", "http://host:1", "databricks", "databricks://profile"):
        assert absolute(uri) == uri
    assert local_file("sqlite:////a/b.db?x=1") == Path("/a/b.db")
    assert local_file("http://host/a.db") is None


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("postgresql://me:a S3cret@h:1/db", "postgresql://me:***@h:1/db"),
        ("postgresql://me:a\nS3cret@h/db", "postgresql://me:***@h/db"),
        (
            "mssql+pyodbc:///?odbc_connect=DRIVER%3DX%3BPWD%3DS3cret",
            "mssql+pyodbc:///?odbc_connect=***",
        ),
        ("http://h:1/?jwt=S3cret", "http://h:1/?jwt=***"),
        ("http://h/?anything=S3cret&sslmode=require", "http://h/?anything=***&sslmode=require"),
        ("http://h/#token=S3cret", "http://h/#***"),
        ("http://S3cret@h", "http://***@h"),
        ("me:S3cret@h", "me:***@h"),
        ("sqlite+pysqlcipher://:S3cret@/x.db", "sqlite+pysqlcipher://:***@/x.db"),
        ("postgresql://h/db?options=-c%20password%3DS3cret", "postgresql://h/db?options=***"),
        ("sqlite:////tmp/a:b@c.db?cache=shared", "sqlite:////tmp/a:b@c.db?cache=shared"),
        ("postgresql://me@h:1/db", "postgresql://me@h:1/db"),
        ("http://127.0.0.1:5000", "http://127.0.0.1:5000"),
    ],
)
def test_of_a_uri_that_the_user_gave_nothing_secret_is_shown(
    uri: str, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(urls, "_REMEMBERED", {})
    assert remembered(uri) == uri
    assert without_password(f"no store at {uri} (again)") == f"no store at {shown} (again)"
    if shown != uri:
        assert "S3cret" not in without_password("denied: PWD=S3cret;")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("password = 'x y'", "password = '***'"),
        ('{"password": "xyz"} a', '{"password": "***"} a'),
        ("http://h/a:b?email=x@y.z", "http://h/a:b?email=x@y.z"),
        ("http://h/#access_token=abc", "http://h/#access_token=***"),
    ],
)
def test_other_forms_of_a_password_are_starred_in_any_text(text: str, shown: str) -> None:
    assert without_password(text) == shown

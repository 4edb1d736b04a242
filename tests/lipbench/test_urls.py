"""What of a URL may be shown."""

from __future__ import annotations

import pytest

from lipbench.urls import without_password


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://me:secret@host:5432/db", "postgresql://me:***@host:5432/db"),
        (
            "--storage=postgresql+psycopg2://me:s@c:r@host/db",
            "--storage=postgresql+psycopg2://me:***@host/db",
        ),
        ("postgresql:/me:secret@host/db", "postgresql:/me:***@host/db"),
        (
            "postgresql://host/db?user=me&password=secret",
            "postgresql://host/db?user=me&password=***",
        ),
        ("http://me@host:80/a:b@c", "http://me@host:80/a:b@c"),
        ("sqlite:////tmp/a:b/c@d.db", "sqlite:////tmp/a:b/c@d.db"),
        ("runs/x/optuna.journal", "runs/x/optuna.journal"),
    ],
)
def test_a_password_is_starred_and_nothing_else(url, shown):
    assert without_password(url) == shown

"""URLs, as they may be shown and kept."""

from __future__ import annotations

import re

_PASSWORD = re.compile(r"(:/+[^:/@\s]*):[^/\s]*@")
_QUERY = re.compile(r"([?&]password=)[^&\s]*")


def without_password(text: str) -> str:
    """Return a text whose URLs have stars in the place of passwords.

    >>> without_password("--storage=postgresql://me:p@ss@host/db")
    '--storage=postgresql://me:***@host/db'
    """
    return _QUERY.sub(r"\1***", _PASSWORD.sub(r"\1:***@", text))

"""Remember what identifies a dataset, so that planning need not read it again."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from lipbench import cached


def remembered(cache: Path, signature: str, compute: Callable[[], str]) -> str:
    """Return the fingerprint of whatever has this signature, computed at the first time only.

    The signature must change whenever the content can have. A damaged memo is computed again.
    Raises UserError where the cache cannot be written.
    """
    key = hashlib.sha256(signature.encode()).hexdigest()
    memo = cache / "fingerprints" / f"{key}.json"
    stored = cached.read(memo, key)
    if isinstance(stored, str):
        return stored
    fingerprint = compute()
    cached.write(memo, key, fingerprint)
    return fingerprint

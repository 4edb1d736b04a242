"""Remember what identifies a dataset, so that planning need not read it again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

from lipbench import atomic


def remembered(cache: Path, signature: str, compute: Callable[[], str]) -> str:
    """Return the fingerprint of whatever has this signature, computed at the first time only.

    The signature must change whenever the content can have.
    """
    memo = cache / "fingerprints" / f"{hashlib.sha256(signature.encode()).hexdigest()}.json"
    if memo.exists():
        return str(json.loads(memo.read_text())["fingerprint"])
    fingerprint = compute()
    memo.parent.mkdir(parents=True, exist_ok=True)
    atomic.replace_text(memo, json.dumps({"fingerprint": fingerprint}))
    return fingerprint

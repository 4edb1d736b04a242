"""Values in the cache: read as they were written, or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from lipbench import cached
from lipbench.data import fingerprints
from lipbench.errors import UserError

KEY = {"protocol": ("digits", 1)}
VALUE = {"fd": 1.25, "classes": ["a", "é"]}


def test_a_value_is_read_by_its_key_alone(tmp_path: Path) -> None:
    cached.write(tmp_path / "new" / "x.json", KEY, VALUE)
    assert cached.read(tmp_path / "new" / "x.json", KEY) == VALUE
    assert cached.read(tmp_path / "new" / "x.json", "another") is None
    assert cached.read(tmp_path / "nowhere.json", KEY) is None


def test_a_file_with_one_bit_flipped_is_no_value_or_the_same(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    cached.write(path, KEY, VALUE)
    content = path.read_bytes()
    for at in range(8 * len(content)):
        damaged = bytearray(content)
        damaged[at // 8] ^= 1 << at % 8
        path.write_bytes(damaged)
        assert cached.read(path, KEY) in (None, VALUE)


@pytest.mark.parametrize(
    "content",
    [b"", b"null", b"[]", b"3", b'"x"', b"{}", b"{", b"\xff\xfe", b"[" * 100_000, bytes(100),
     b'{"fingerprint": "' + b"0" * 64 + b'"}', b'{"key": 1, "value": 2, "sha256": 3}'],
)  # fmt: skip
def test_a_fingerprints_memo_that_is_damaged_is_computed_again(
    tmp_path: Path, content: bytes
) -> None:
    assert fingerprints.remembered(tmp_path, "signature", lambda: "of the content") == (
        "of the content"
    )
    (memo,) = (tmp_path / "fingerprints").iterdir()
    sound = memo.read_bytes()
    assert fingerprints.remembered(tmp_path, "signature", lambda: "another") == "of the content"
    memo.write_bytes(content)
    assert fingerprints.remembered(tmp_path, "signature", lambda: "of the content") == (
        "of the content"
    )
    assert memo.read_bytes() == sound


def test_a_memo_of_another_type_is_computed_again(tmp_path: Path) -> None:
    fingerprints.remembered(tmp_path, "signature", lambda: "first")
    (memo,) = (tmp_path / "fingerprints").iterdir()
    cached.write(memo, json.loads(memo.read_text())["key"], ["first"])
    assert fingerprints.remembered(tmp_path, "signature", lambda: "second") == "second"


@pytest.mark.parametrize(
    "block",
    [
        lambda folder: folder.write_text("a file stands in the way"),
        lambda folder: (folder / "x.json" / "inside").mkdir(parents=True),
    ],
)
def test_a_cache_that_cannot_be_written_is_one_line(
    tmp_path: Path, block: Callable[[Path], object]
) -> None:
    block(tmp_path / "folder")
    path = tmp_path / "folder" / "x.json"
    assert cached.read(path, KEY) is None
    with pytest.raises(UserError, match=r"^cannot write to the cache [^\n]*; \$LIPBENCH_CACHE"):
        cached.write(path, KEY, VALUE)

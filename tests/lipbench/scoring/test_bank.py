from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from lipbench.data import Dataset, Split
from lipbench.errors import UserError
from lipbench.protocols import protocol
from lipbench.scoring.bank import Bank
from lipbench.scoring.features import Extractor

DIGITS = protocol("digits")


class Counting(nn.Module):
    """An extractor that says how many images it has seen: the features are their pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = 0

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        self.seen += len(images)
        flat = images.flatten(1).float()
        return flat, flat[:, :10]


@pytest.fixture
def network() -> Counting:
    return Counting()


@pytest.fixture
def bank_of(network: Counting, digits: Dataset, tmp_path: Path) -> Callable[..., Bank]:
    def bank_of(dataset: Dataset = digits, **changes: str) -> Bank:
        changed = dataclasses.replace(DIGITS, **changes)  # type: ignore[arg-type]
        return Bank(changed, dataset, Extractor(network, 1, 100), tmp_path)

    return bank_of


def stored(cache: Path) -> Path:
    (path,) = (cache / "features").iterdir()
    return path


def test_features_are_of_the_images_that_were_asked_for(
    bank_of: Callable[..., Bank], digits: Dataset
) -> None:
    index = torch.tensor([3, 700, 12])
    found = bank_of().features("train", index).pooled
    assert found.equal(digits.train.samples[index].flatten(1).float())


def test_no_real_image_is_extracted_twice(bank_of: Callable[..., Bank], network: Counting) -> None:
    bank_of().features("test", torch.arange(10))
    bank_of().features("test", torch.arange(10))  # another process, as it were
    assert network.seen == 10
    more = bank_of().features("test", torch.tensor([25, 4, 12]))
    assert network.seen == 12  # image 4 was there
    assert more.pooled.equal(bank_of().features("test", torch.tensor([25, 4, 12])).pooled)
    bank_of(name="another", version=0).features("test", torch.arange(10))
    assert network.seen == 12  # a protocol's name decides no feature


def test_what_decides_a_feature_decides_the_file(
    bank_of: Callable[..., Bank], digits: Dataset, network: Counting, tmp_path: Path
) -> None:
    larger = Split(digits.test.samples.repeat_interleave(2, 1), digits.test.labels)
    banks = [
        bank_of(),
        bank_of(preprocessing="another"),
        bank_of(dataclasses.replace(digits, fingerprint="0" * 64)),
        bank_of(dataclasses.replace(digits, test=larger)),
    ]
    for bank in banks:
        bank.features("test", torch.arange(5))
    banks[0].features("train", torch.arange(5))
    assert network.seen == 25
    assert len(list((tmp_path / "features").iterdir())) == 5


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5000])


def _flip_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _foreign(path: Path) -> None:
    tensors = safetensors.torch.load_file(path)
    safetensors.torch.save_file(tensors, path, {"key": "another"})


@pytest.mark.parametrize("spoil", [_truncate, _flip_a_bit, _empty, _foreign])
def test_a_spoilt_file_is_made_again(
    spoil: Callable[[Path], None], bank_of: Callable[..., Bank], network: Counting, tmp_path: Path
) -> None:
    sound = bank_of().features("test", torch.arange(10)).pooled
    spoil(stored(tmp_path))
    assert bank_of().features("test", torch.arange(10)).pooled.equal(sound)
    assert network.seen == 20


def test_a_file_with_a_bit_of_its_header_flipped_is_made_again(
    bank_of: Callable[..., Bank], tmp_path: Path
) -> None:
    sound = bank_of().features("test", torch.arange(3))
    content = stored(tmp_path).read_bytes()
    header = 8 + int.from_bytes(content[:8], "little")
    for at in range(header):
        damaged = bytearray(content)
        damaged[at] ^= 1 << at % 8
        stored(tmp_path).write_bytes(damaged)
        found = bank_of().features("test", torch.arange(3))
        assert found.pooled.equal(sound.pooled)
        assert found.logits.equal(sound.logits)


def test_a_cache_that_cannot_be_written_is_the_users_to_mend(
    bank_of: Callable[..., Bank], tmp_path: Path
) -> None:
    (tmp_path / "features").write_text("a file stands in the way")
    with pytest.raises(UserError, match="cannot write to the cache"):
        bank_of().features("test", torch.arange(3))


def test_it_tells_how_far_it_is_with_the_images_that_it_has_to_see(
    digits: Dataset, tmp_path: Path
) -> None:
    told: list[tuple[str, int, int]] = []

    def report(what: str, done: int, total: int) -> None:
        told.append((what, done, total))

    bank = Bank(DIGITS, digits, Extractor(Counting(), 1, 100), tmp_path, report)
    bank.features("test", torch.arange(250))
    what = "features of real images (test split)"
    assert told == [(what, done, 250) for done in (0, 100, 200, 250)]
    told.clear()
    bank.features("test", torch.arange(250))
    assert told == []
    bank.features("test", torch.arange(300))
    assert told == [(what, 0, 50), (what, 50, 50)]

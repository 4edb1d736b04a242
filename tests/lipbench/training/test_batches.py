"""Real batches: what is drawn, what training does to images, and data that is mapped from disk."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from lipbench import streams
from lipbench.data import Split
from lipbench.planning.spec import Augmentation
from lipbench.training import batches

NONE = Augmentation()
EVERY = Augmentation(flip=True, crop=2, dequantise=True)


@pytest.fixture
def images() -> Split:
    """Return 50 images of noise, 6 x 5 pixels in 3 colours, labelled by their number."""
    draw = torch.Generator().manual_seed(0)
    samples = torch.randint(256, (50, 6, 5, 3), generator=draw, dtype=torch.uint8)
    return Split(samples, torch.arange(50), 50)


@pytest.fixture
def mapped(images: Split, tmp_path: Path) -> Split:
    """Return the same images, mapped from disk."""
    np.save(tmp_path / "x.npy", images.samples.numpy())
    samples = torch.from_numpy(np.load(tmp_path / "x.npy", mmap_mode="c"))
    return replace(images, samples=samples, is_mapped=True)


def batch(data: Split, augmentation: Augmentation, *index: int, count: int = 8) -> torch.Tensor:
    return batches.real_batch(data, count, 3, "data", *index, augmentation=augmentation)[0]


def pixels(inputs: torch.Tensor) -> torch.Tensor:
    """Return gray levels (B, H, W, C) of networks' inputs."""
    return inputs.permute(0, 2, 3, 1).add(1).mul(127.5).round().to(torch.uint8)


def test_without_augmentation_a_batch_is_what_it_was_before_there_was_any(images):
    chosen = torch.randint(50, (8,), generator=streams.generator(3, "data", 4, 0))
    inputs, labels = batches.real_batch(images, 8, 3, "data", 4, 0)
    assert torch.equal(labels, chosen)
    assert torch.equal(
        inputs, images.samples[chosen].permute(0, 3, 1, 2).float().div_(127.5).sub_(1)
    )
    assert inputs.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(
    "augmentation", [Augmentation(flip=True), Augmentation(crop=1), Augmentation(dequantise=True)]
)
def test_the_images_of_a_batch_are_the_same_whatever_is_done_to_them(images, augmentation):
    plain, done = (
        batches.real_batch(images, 8, 3, "data", 4, 0, augmentation=each)
        for each in (NONE, augmentation)
    )
    assert torch.equal(plain[1], done[1])
    assert plain[0].shape == done[0].shape
    assert not torch.equal(plain[0], done[0])


def test_flips_mirror_about_half_of_the_images_from_left_to_right(images):
    plain, flipped = (batch(images, each, 0, 0, count=1000) for each in (NONE, Augmentation(True)))
    is_flipped = (flipped == plain.flip(3)).flatten(1).all(1)
    is_plain = (flipped == plain).flatten(1).all(1)
    assert (is_flipped ^ is_plain).all()
    assert 0.45 < is_flipped.float().mean() < 0.55
    drawn = torch.rand(1000, generator=streams.generator(3, "flip of data", 0, 0)) < 0.5
    assert torch.equal(is_flipped, drawn)


def test_crops_are_windows_of_the_image_in_a_frame_of_zeros(images):
    augmentation = Augmentation(crop=2)
    drawn = batches.draw(images, 500, augmentation, 3, "data", 7, 1)
    source = streams.generator(3, "crop of data", 7, 1)
    assert torch.equal(drawn.offsets, torch.randint(5, (500, 2), generator=source))
    assert len(drawn.offsets.unique(dim=0)) == 25  # all places, corners included
    got = pixels(batch(images, augmentation, 7, 1, count=500))
    for image, chosen, (row, column) in zip(got, drawn.chosen, drawn.offsets, strict=True):
        framed = np.pad(images.samples[chosen].numpy(), ((2, 2), (2, 2), (0, 0)))
        assert np.array_equal(image.numpy(), framed[row : row + 6, column : column + 5])


def test_dequantisation_adds_noise_of_one_gray_level_and_stays_in_range(images):
    images.samples[:2] = torch.tensor([0, 255], dtype=torch.uint8)[:, None, None, None]
    drawn = batches.draw(images, 500, Augmentation(dequantise=True), 3, "data", 0, 0)
    got = batch(images, Augmentation(dequantise=True), 0, 0, count=500)
    exact = (images.samples[drawn.chosen].float() + drawn.noise) / 128 - 1
    assert torch.equal(got, exact.permute(0, 3, 1, 2))
    assert got.min() >= -1
    assert got.max() <= 1
    assert got.min() < -0.99
    assert got.max() > 0.99
    levels = ((got.permute(0, 2, 3, 1) + 1) * 128).floor()  # up to float32's rounding
    assert (levels - images.samples[drawn.chosen]).abs().max() <= 1


def test_each_kind_of_draw_is_its_own_stream_and_a_function_of_the_index(images):
    one = batches.draw(images, 8, EVERY, 3, "data", 5, 1)
    assert torch.equal(
        one.flips, batches.draw(images, 8, Augmentation(True), 3, "data", 5, 1).flips
    )
    other = batches.draw(images, 8, EVERY, 3, "data", 5, 2)
    assert not torch.equal(one.noise, other.noise)
    assert not torch.equal(one.chosen, other.chosen)


def test_points_are_taken_as_they_are():
    points = Split(torch.randn(9, 2), torch.zeros(9, dtype=torch.long))
    inputs, labels = batches.real_batch(points, 4, 0, "data", 0)
    chosen = torch.randint(9, (4,), generator=streams.generator(0, "data", 0))
    assert torch.equal(inputs, points.samples[chosen])
    assert labels.shape == (4,)


@pytest.mark.parametrize("augmentation", [NONE, EVERY])
def test_mapped_batches_are_the_resident_ones_in_their_order(images, mapped, augmentation):
    indices = [(update, inner) for update in range(20) for inner in range(2)]
    resident, streamed = (
        list(batches.in_order(data, 8, 3, augmentation, iter(indices)))
        for data in (images, mapped)
    )
    assert len(resident) == len(streamed) == 40
    for (inputs, labels), (others, their_labels) in zip(resident, streamed, strict=True):
        assert torch.equal(inputs, others)
        assert torch.equal(labels, their_labels)


def test_a_mapped_split_that_is_left_early_leaves_no_thread(mapped):
    indices = ((update, 0) for update in range(10**9))
    before = threading.active_count()
    ordered = batches.in_order(mapped, 8, 3, NONE, indices)
    next(ordered)
    assert threading.active_count() == before + 1
    assert next(indices) == (batches.AHEAD, 0)  # no more is asked for than is gathered ahead
    ordered.close()
    assert threading.active_count() == before


def test_an_error_of_the_thread_is_raised_where_its_batch_is_asked_for(mapped):
    broken = replace(mapped, samples=mapped.samples[:0])
    with pytest.raises(RuntimeError):
        next(batches.in_order(broken, 8, 3, NONE, iter([(0, 0)])))


def test_samples_are_taken_by_index_wherever_they_are(images, mapped):
    index = torch.tensor([4, 0, 4])
    assert torch.equal(mapped.at(index), images.samples[index])
    assert mapped.device == images.device == torch.device("cpu")

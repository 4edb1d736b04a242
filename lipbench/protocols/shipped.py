"""The protocols that lipbench ships."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable

from lipbench.errors import UserError
from lipbench.protocols.record import Protocol, Selection, Sizes, Use
from lipbench.protocols.scores import DIGITS_SHA256, EFFNETLITE0_SHA256, INCEPTION_SHA256

_INCEPTION = (
    "torch-fidelity's Inception of 2015-12-05: gray repeated to 3 channels, TensorFlow 1's "
    "bilinear resize to 299 pixels, (x - 128) / 128"
)
_TEN_SPLITS = Use(options={"splits": 10})
_SETS = 3  # by default, to see the noise of an evaluation; our choice

PROTOCOLS: dict[str, Protocol] = {
    protocol.name: protocol
    for protocol in (
        Protocol(
            name="miyato2018",
            version=2,
            source="Miyato et al. 2018, appendix B.1; the split as Kurach et al. 2019 state it, "
            "the FID over as many sets as the IS our choice",
            extractor="inception",
            weights_sha256=INCEPTION_SHA256,
            preprocessing=_INCEPTION,
            real_split="test",
            n_real=10_000,
            n_fake=5_000,
            scores={"fid": Use(sets=10), "is": Use(sets=10)},
            primary="fid",
            selection=Selection("train", 10_000, 5_000, ("fid", "is")),
        ),
        Protocol(
            name="kurach2019",
            version=1,
            source="Kurach et al. 2019, section 4: 10,000 test images against as many; the mean "
            "over 3 sets is their code's, github.com/google/compare_gan",
            extractor="inception",
            weights_sha256=INCEPTION_SHA256,
            preprocessing=_INCEPTION,
            real_split="test",
            n_real=10_000,
            n_fake=10_000,
            scores={"fid": Use(sets=3), "is": Use(sets=3)},
            primary="fid",
            selection=Selection("train", 10_000, 10_000, ("fid", "is")),
        ),
        Protocol(
            name="mimicry50k",
            version=1,
            source="the tables of github.com/kwotsin/mimicry: 50,000 training images against as "
            "many, IS in 10 splits; the subsets of the KID are torch-fidelity's",
            extractor="inception",
            weights_sha256=INCEPTION_SHA256,
            preprocessing=_INCEPTION,
            real_split="train",
            n_real=50_000,
            n_fake=50_000,
            scores={"fid": Use(), "is": _TEN_SPLITS, "kid": Use()},
            primary="fid",
            selection=Selection("test", 10_000, 10_000, ("fid", "is")),
            floor_split="test",
        ),
        Protocol(
            name="chainer_gan_lib",
            version=1,
            source="the README of github.com/pfnet-research/chainer-gan-lib: FID of 10,000 "
            "against 50,000 training images, IS the mean of 10 sets of 5,000; its Inception is "
            "Chainer's, on which the IS of real images is 12.0, ours is the one of the FID paper",
            extractor="inception",
            weights_sha256=INCEPTION_SHA256,
            preprocessing=_INCEPTION,
            real_split="train",
            n_real=50_000,
            n_fake=10_000,
            scores={"fid": Use(), "is": Use(n_fake=5_000, sets=10)},
            primary="fid",
            selection=Selection("test", 10_000, 10_000, ("fid", "is")),
            floor_split="test",
        ),
        Protocol(
            name="clean",
            version=1,
            source="after Parmar et al. 2022 (clean-fid): 50,000 training images against as many, "
            "resized without aliasing",
            extractor="inception_clean",
            weights_sha256=INCEPTION_SHA256,
            preprocessing="torch-fidelity's Inception of 2015-12-05: gray repeated to 3 channels, "
            "antialiased bicubic resize to 299 pixels in float32 as Pillow's, clamped to "
            "[0, 255], (x - 128) / 128",
            real_split="train",
            n_real=50_000,
            n_fake=50_000,
            scores={"fid": Use(), "kid": Use()},
            primary="fid",
            selection=Selection("test", 10_000, 10_000, ("fid",)),
            floor_split="test",
        ),
        Protocol(
            name="offline",
            version=2,
            source="our choice: needs no download, and is not comparable with published values",
            extractor="effnetlite0",
            weights_sha256=EFFNETLITE0_SHA256,
            # Its native size is 224 pixels, where it is 6 times slower on a CPU.
            preprocessing="gray repeated to 3 channels, antialiased bilinear resize to 96 pixels "
            "(6 times faster than the native 224), (x - 127) / 128",
            real_split="test",
            n_real=5_000,
            n_fake=5_000,
            scores={
                "fd_effnetlite0": Use(sets=_SETS),
                "kd_effnetlite0": Use(sets=_SETS, options={"subsets": 50}),
                "cs_effnetlite0": Use(sets=_SETS),
                "precision_effnetlite0": Use(),
                "recall_effnetlite0": Use(),
                "density_effnetlite0": Use(),
                "coverage_effnetlite0": Use(),
                "fd_infinity_effnetlite0": Use(),
                "authenticity_effnetlite0": Use(),
            },
            primary="fd_effnetlite0",
            selection=Selection("test", 5_000, 5_000, ("fd_effnetlite0", "cs_effnetlite0")),
            n_training=10_000,
        ),
        Protocol(
            name="digits",
            version=2,
            source="our choice: a small data set, scored by a small classifier of our own",
            extractor="digits",
            weights_sha256=DIGITS_SHA256,
            preprocessing="antialiased bilinear resize to 16 pixels, (x - 127.5) / 127.5",
            real_split="test",
            n_real=599,
            n_fake=1_000,
            scores={
                "fd_digits": Use(sets=_SETS),
                "kd_digits": Use(sets=_SETS, options={"subsets": 50, "subset_size": 250}),
                "cs_digits": Use(sets=_SETS),
                "modes_covered_digits": Use(sets=_SETS),
                "precision_digits": Use(),
                "recall_digits": Use(),
                "density_digits": Use(),
                "coverage_digits": Use(),
                "authenticity_digits": Use(),
                "parzen_pixels": Use(),
                "mmd_pixels": Use(),
            },
            primary="fd_digits",
            selection=Selection(
                "train", 599, 1_000, ("fd_digits", "cs_digits", "modes_covered_digits")
            ),
            n_training=1_198,
            dataset="digits",
        ),
    )
}


_SMALLEST = Sizes(train=100, test=20)
_FEWEST = 200  # images in all, for `offline_small`
_LARGEST_DRAW = 5_000  # as in `offline`
_LARGEST_SUBSET = 1_000  # of a kernel distance, as torch-fidelity's


def _offline_small(sizes: Sizes) -> Protocol:
    """Return the protocol of a small dataset: as many images of each kind as the dataset has.

    Its name carries the sizes, so that scores of different counts have different protocols. No
    Frechet distance: a covariance of 1,280 features has full rank from 1,281 images on only, and
    a kernel distance is unbiased at any count.
    """
    images = sizes.train + sizes.test
    if images < _FEWEST or sizes.train < _SMALLEST.train or sizes.test < _SMALLEST.test:
        raise UserError(
            f"protocol 'offline_small' needs {_FEWEST} images, {_SMALLEST.train} of them training "
            f"and {_SMALLEST.test} test images; the dataset has {sizes.train:,} training and "
            f"{sizes.test:,} test images"
        )
    n_train, n_test = min(sizes.train, _LARGEST_DRAW), min(sizes.test, _LARGEST_DRAW)
    subset = min(n_train, n_test, _LARGEST_SUBSET)
    kernel = Use(sets=_SETS, options={"subsets": 50, "subset_size": subset})
    return dataclasses.replace(
        PROTOCOLS["offline"],
        name=f"offline_small_{sizes.train}_{sizes.test}",
        version=1,
        source="our choice: for datasets of 200 to 10,000 images, needs no download; its counts "
        "are the dataset's",
        n_real=n_test,
        n_fake=n_train,
        scores={
            "kd_effnetlite0": kernel,
            "cs_effnetlite0": Use(sets=_SETS),
            "precision_effnetlite0": Use(),
            "recall_effnetlite0": Use(),
            "density_effnetlite0": Use(),
            "coverage_effnetlite0": Use(),
            "authenticity_effnetlite0": Use(),
        },
        primary="kd_effnetlite0",
        selection=Selection("train", n_train, n_train, ("kd_effnetlite0", "cs_effnetlite0")),
        n_training=n_train,
    )


# Protocols whose counts follow from the sizes of the dataset.
FITTED: dict[str, Callable[[Sizes], Protocol]] = {"offline_small": _offline_small}


def check(protocol: Protocol, n_train: int, n_test: int, dataset: str | None = None) -> None:
    """Raise UserError if a dataset of these sizes, and of this name if given, cannot be scored."""
    if dataset is not None and protocol.dataset not in (None, dataset):
        raise UserError(
            f"protocol {protocol.name!r} scores the dataset {protocol.dataset!r} only, "
            f"not {dataset!r}"
        )
    needed = {"train": protocol.training_images, "test": 0}
    chosen = protocol.selection
    drawn = protocol.n_real + (chosen.n_real if chosen.split == protocol.real_split else 0)
    needed[protocol.real_split] = max(needed[protocol.real_split], drawn)
    needed[chosen.split] = max(needed[chosen.split], chosen.n_real)
    if n_test < needed["test"] or n_train < needed["train"]:
        raise UserError(
            f"protocol {protocol.name!r} needs {needed['test']:,} test and {needed['train']:,} "
            f"training images; the dataset has {n_test:,} and {n_train:,}"
            f"{_smaller(Sizes(n_train, n_test))}"
        )


def _smaller(sizes: Sizes) -> str:
    """Return words on the protocols that follow a dataset's sizes, where they take these."""
    fits = []
    for name, make in FITTED.items():
        with contextlib.suppress(UserError):
            make(sizes)
            fits.append(name)
    return f"; `--set protocol={fits[0]}` takes its counts from the dataset" if fits else ""

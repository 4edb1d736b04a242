"""Protocols: named, versioned records that pin how scores are computed. Imports no torch."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lipbench.errors import UserError, unknown
from lipbench.scores import (
    ABOUT,
    DIGITS_SHA256,
    EFFNETLITE0_SHA256,
    INCEPTION_SHA256,
    SCORES,
    SPACES,
    Score,
)

__all__ = [
    "PROTOCOLS", "SCORES", "Protocol", "Score", "Selection", "Use", "check", "custom", "find",
    "from_json", "protocol",
]  # fmt: skip


@dataclass(frozen=True)
class Use:
    """How a protocol computes one score; a count that is None is the protocol's."""

    n_real: int | None = None
    n_fake: int | None = None
    sets: int = 1  # of generated images, from different latents; the score is the mean over them
    options: Mapping[str, float] = field(default_factory=dict)  # those unlike the measure's own


@dataclass(frozen=True)
class Selection:
    """How the best checkpoint is chosen: by other latents and other real images than reported.

    Where they come from the split that scores are reported on, the two draws share no image.
    """

    split: str
    n_real: int
    n_fake: int
    scores: tuple[str, ...]  # measured during training, and drawn; the primary one chooses


@dataclass(frozen=True)
class Protocol:
    """All that decides a score's value but the images. A change of any field needs a new version.

    A generator is scored on as many independent sets of images as the score that uses most. A
    score is the mean over its sets, with the standard deviation over them where there are several.
    """

    name: str
    version: int  # 0 for a user's own, which goes by its content instead
    source: str  # what is followed, or that it is our choice
    extractor: str  # a key of lipbench.scoring.extractors.EXTRACTORS
    weights_sha256: str
    preprocessing: str
    real_split: str
    n_real: int  # drawn once, the same share of each class
    n_fake: int  # in each set; a floor draws as many from the other split
    scores: Mapping[str, Use]
    primary: str  # the score to rank by
    selection: Selection
    floor_split: str = "train"
    n_training: int = 0  # training images that fakes are compared with, for copies
    bootstrap: int = 20  # replicates, of the images of the first set
    dataset: str | None = None  # the only one it can score, or any
    rounding: str = "round(clamp(127.5 x + 127.5, 0, 255)) to uint8"
    batch_norm: str = "running"  # the generator's statistics: running ones, not the batch's
    latents_stream: str = "evaluation latents"
    collapse_ratio: float = 0.05  # of trace(covariance), fake to real; our choice

    def __post_init__(self) -> None:
        self._check_values()
        for name in (*self.scores, *self.selection.scores):
            if name not in SCORES:
                raise UserError(f"{self.name}: {unknown('score', name, SCORES)}")
            if SCORES[name].weights_sha256 not in ("", self.weights_sha256):
                raise UserError(
                    f"{self.name}: {name!r} is only defined on the features of "
                    f"{SPACES[SCORES[name].space].title}; the extractor {self.extractor!r} has "
                    "others, whose scores have other names"
                )
            known = ABOUT[SCORES[name].measure].options
            for option, value in self.scores.get(name, Use()).options.items():
                if option not in known:
                    raise UserError(f"{self.name}: {name}: {unknown('option', option, known)}")
                whole = isinstance(known[option], int)
                kinds = (int,) if whole else (int, float)
                if type(value) not in kinds or not 0 < value <= _MOST.get(option, math.inf):
                    expected = "a whole number" if whole else "a number"
                    most = f", at most {_MOST[option]:g}" if option in _MOST else ""
                    raise UserError(
                        f"{self.name}: {name}.{option}: got {value!r}; it is {expected} above 0"
                        f"{most}"
                    )
        if self.primary not in self.selection.scores or set(self.selection.scores) - set(
            self.scores
        ):
            raise UserError(
                f"{self.name}: its primary score {self.primary!r} must be one of its selection's, "
                f"and those be among its scores; they are {', '.join(self.selection.scores)} and "
                f"{', '.join(self.scores)}"
            )
        for name in self.scores:
            n_real, n_fake = self.n_real_of(name), self.n_fake_of(name)
            self._check_counts(name, n_real, n_fake)
            if n_real > self.n_real or n_fake > self.n_fake:
                raise UserError(
                    f"{self.name}: {name} asks for {n_real:,} real and {n_fake:,} generated "
                    f"images, more than the protocol's {self.n_real:,} and {self.n_fake:,}"
                )
        for name in self.selection.scores:
            self._check_counts(name, self.selection.n_real, self.selection.n_fake)

    def __hash__(self) -> int:
        return hash(self.id)

    @property
    def id(self) -> str:
        """Return the name that results carry, e.g. `miyato2018@2`; a user's ends in a hash."""
        if self.version:
            return f"{self.name}@{self.version}"
        content = json.dumps(dataclasses.asdict(self), sort_keys=True)
        return f"{self.name}@{hashlib.sha256(content.encode()).hexdigest()[:8]}"

    @property
    def sets(self) -> int:
        """Return how many sets of generated images are scored."""
        return max(use.sets for use in self.scores.values())

    def n_real_of(self, score: str) -> int:
        """Return how many real images a score is computed with."""
        return self.scores[score].n_real or self.n_real

    def n_fake_of(self, score: str) -> int:
        """Return how many generated images, of each set, a score is computed with."""
        return self.scores[score].n_fake or self.n_fake

    def n_fake_in(self, set_: int) -> int:
        """Return how many images a set needs: the most that a score takes of it."""
        return max(self.n_fake_of(name) for name, use in self.scores.items() if use.sets > set_)

    def options(self, score: str) -> dict[str, float]:
        """Return every option of a score's measure."""
        use = self.scores.get(score, Use())
        return {**ABOUT[SCORES[score].measure].options, **use.options}

    def _check_values(self) -> None:
        chosen = self.selection
        for split in (self.real_split, self.floor_split, chosen.split):
            if split not in _SPLITS:
                raise UserError(f"{self.name}: {unknown('split', split, _SPLITS)}")
        counts: list[tuple[str, object, int]] = [
            ("n_real", self.n_real, 1),
            ("n_fake", self.n_fake, 1),
            ("n_training", self.n_training, 0),
            ("bootstrap", self.bootstrap, 0),
            ("selection.n_real", chosen.n_real, 1),
            ("selection.n_fake", chosen.n_fake, 1),
        ]
        for name, use in self.scores.items():
            counts += [(f"{name}.sets", use.sets, 1)]
            counts += [(f"{name}.n_real", 1 if use.n_real is None else use.n_real, 1)]
            counts += [(f"{name}.n_fake", 1 if use.n_fake is None else use.n_fake, 1)]
        for name, value, least in counts:
            if type(value) is not int or value < least:
                raise UserError(
                    f"{self.name}: {name}: got {value!r}; it is a whole number from {least} on"
                )
        ratio: object = self.collapse_ratio
        if type(ratio) not in (int, float) or not 0 <= self.collapse_ratio < 1:
            raise UserError(f"{self.name}: collapse_ratio: got {ratio!r}; it is from 0 to below 1")
        if self.bootstrap == 1:
            raise UserError(f"{self.name}: bootstrap: 1 replicate has no spread; 0, or 2 and more")
        if any(ABOUT[s.measure].needs_training for s in map(SCORES.get, self.scores) if s):
            least = 2
            if self.n_training < least:
                raise UserError(
                    f"{self.name}: n_training: got {self.n_training}; scores that compare with "
                    f"training images need {least} or more"
                )

    def _check_counts(self, score: str, n_real: int, n_fake: int) -> None:
        least = _least(score, self.options(score))
        if min(n_real, n_fake) < least:
            raise UserError(
                f"{self.name}: {score} needs at least {least:,} real and as many generated "
                f"images ({_why(score)}); it would get {n_real:,} and {n_fake:,}"
            )

    def sentence(self) -> str:
        """Return the whole record as one sentence, for a report."""
        groups: dict[str, list[str]] = {}
        for name in self.scores:
            groups.setdefault(self._how(name), []).append(SCORES[name].title)
        how = "; ".join(f"{_listed(titles)} {text}" for text, titles in groups.items())
        training = (
            f"; copies are looked for among {self.n_training:,} training images"
            if self.n_training
            else ""
        )
        chosen = self.selection
        by = _listed([SCORES[name].title for name in chosen.scores])
        return (
            f"{self.id} ({self.source}): {how}; real images are {self.n_real:,} of the "
            f"{self.real_split} split{training}; floors put real images of the {self.floor_split} "
            f"split in the generated ones' place, and standard errors are of {self.bootstrap} "
            f"bootstrap replicates; extractor {self.extractor} (weights sha256 "
            f"{self.weights_sha256}; {self.preprocessing}); generated images as {self.rounding}, "
            f"the generator with {self.batch_norm} batch-norm statistics (and its moving average "
            f"where a suite keeps one), latents from the stream {self.latents_stream!r}; during "
            f"training {by} of {chosen.n_fake:,} images from other latents against "
            f"{chosen.n_real:,} other real images, of the {chosen.split} split, choose the "
            "best checkpoint; collapsed means a feature variance below "
            f"{self.collapse_ratio:.0%} of the real images'."
        )

    def _how(self, score: str) -> str:
        use = self.scores[score]
        sets = f"{use.sets} sets of " if use.sets > 1 else ""
        text = f"on {sets}{self.n_fake_of(score):,} generated images"
        if SCORES[score].measure != "classifier_score":
            text += f" against {self.n_real_of(score):,} real ones"
        options = {
            key: value
            for key, value in self.options(score).items()
            if (key, value) != ("splits", 1)
        }
        told = _listed([f"{key.replace('_', ' ')} {value:,g}" for key, value in options.items()])
        return f"{text} ({told})" if told else text


def _least(score: str, options: Mapping[str, float]) -> int:
    """Return the fewest images, of either kind, that a score means anything with."""
    about = SCORES[score]
    features = SPACES[about.space].features or 0
    return {
        "frechet_distance": features + 1,
        "frechet_distance_infinity": 3 * features + 2,
        "kernel_distance": int(options.get("subset_size", 2)),
        "classifier_score": 2 * int(options.get("splits", 1)),
    }.get(about.measure, int(options.get("neighbours", 1)) + 1)


def _why(score: str) -> str:
    about = SCORES[score]
    features = SPACES[about.space].features
    return {
        "frechet_distance": f"a covariance of {features} features has full rank only then",
        "frechet_distance_infinity": f"3 times its {features} features, to extrapolate from",
        "kernel_distance": "the size of its subsets",
        "classifier_score": "2 for each of its splits",
    }.get(about.measure, "more than its neighbours")


def _listed(words: list[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


_INCEPTION = (
    "torch-fidelity's Inception of 2015-12-05: gray repeated to 3 channels, TensorFlow 1's "
    "bilinear resize to 299 pixels, (x - 128) / 128"
)
_TEN_SPLITS = Use(options={"splits": 10})
_SPLITS = ("train", "test")
_MOST = {"neighbours": 10, "probability": 1, "share": 1}  # of options
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


def protocol(name: str) -> Protocol:
    """Return a protocol by its name; raise UserError, with the nearest one, if there is none."""
    if name not in PROTOCOLS:
        raise UserError(unknown("protocol", name, PROTOCOLS))
    return PROTOCOLS[name]


def find(given: str | Mapping[str, Any]) -> Protocol:
    """Return a protocol by its name, or a user's own from a mapping or a YAML file of one.

    Raises UserError for what is neither, and for a record that contradicts itself.
    """
    if isinstance(given, Mapping):
        return custom(given)
    if Path(given).suffix not in (".yaml", ".yml"):
        return protocol(given)
    from lipbench import yamlmarks

    record = yamlmarks.read(Path(given)).data
    if not isinstance(record, Mapping):
        raise UserError(f"{given}: a protocol is a mapping: name, based_on, scores, ...")
    if set(record) == {"protocol"} and isinstance(record["protocol"], Mapping):
        record = record["protocol"]  # as it stands in a suite
    return custom(record)


def custom(record: Mapping[str, Any]) -> Protocol:
    """Return a user's own protocol: `name`, `based_on`, and the fields that differ from that one.

    `scores` maps names to what they differ in, and replaces those of the base:
    `{fid: {n_fake: 10000, sets: 3}, kid: {subsets: 50}}`. Raises UserError for what
    cannot be a protocol.
    """
    given: dict[str, Any] = {key: _integral(value) for key, value in record.items()}
    try:
        name, base = str(given.pop("name")), protocol(str(given.pop("based_on")))
    except KeyError as error:
        raise UserError(
            f"a protocol of your own needs {error.args[0]!r}: name, based_on (one of "
            f"{', '.join(PROTOCOLS)}), and what differs"
        ) from error
    if not re.fullmatch(r"\w[\w.-]*", name):
        raise UserError(f"a protocol's name is of letters, digits, _, - and .; got {name!r}")
    if name in PROTOCOLS:
        raise UserError(f"the protocol {name!r} exists; call yours something else")
    fields = {f.name for f in dataclasses.fields(Protocol)} - _PINNED
    for key, value in given.items():
        if key not in fields:
            raise UserError(f"protocol {name!r}: {unknown('field', key, sorted(fields))}")
        nested = key in ("scores", "selection")
        if nested and not (isinstance(value, Mapping) and value):
            raise UserError(
                f"protocol {name!r}: {key}: got {value!r}; it is a mapping, e.g. "
                "scores: {fid: {n_fake: 10000}}, selection: {split: train}"
            )
    source = f"a user's own, based on {base.id}"
    changed: dict[str, Any] = {"name": name, "version": 0, "source": source, **given}
    try:
        if "scores" in given:
            changed["scores"] = {score: _use(use) for score, use in given["scores"].items()}
            changed.setdefault("primary", next(iter(changed["scores"])))
        primary = changed.get("primary", base.primary)
        kept = [s for s in base.selection.scores if s in changed.get("scores", base.scores)]
        chosen: dict[str, Any] = {"scores": [primary, *[s for s in kept if s != primary]]}
        chosen |= {key: _integral(v) for key, v in changed.get("selection", {}).items()}
        chosen["scores"] = tuple(chosen["scores"])
        changed["selection"] = dataclasses.replace(base.selection, **chosen)
        return dataclasses.replace(base, **changed)
    except (TypeError, AttributeError, ValueError) as error:
        raise UserError(f"protocol {name!r}: {error}") from error


# What a user's own protocol keeps from the one it is based on: lipbench computes it as it says.
_PINNED = {"version", "weights_sha256", "extractor", "preprocessing", "rounding", "batch_norm"}
_PINNED |= {"name", "source", "dataset", "latents_stream"}
_COUNTS = ("n_real", "n_fake", "sets")


def _integral(value: Any) -> Any:
    """Take 1e4 for a whole number, as people write it."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _use(given: Mapping[str, Any] | None) -> Use:
    """Return how a score is used, its measure's options written beside its counts."""
    given = {} if given is None else given
    if not isinstance(given, Mapping):
        raise TypeError(f"got {given!r} for a score; write its counts, e.g. {{n_fake: 10000}}")
    counts = {key: _integral(value) for key, value in given.items() if key in _COUNTS}
    return Use(**counts, options={k: _integral(v) for k, v in given.items() if k not in _COUNTS})


def from_json(record: Mapping[str, Any]) -> Protocol:
    """Return a protocol from `dataclasses.asdict` of one, as results store it."""
    fields = dict(record)
    fields["scores"] = {name: Use(**use) for name, use in fields["scores"].items()}
    chosen = dict(fields["selection"])
    fields["selection"] = Selection(**{**chosen, "scores": tuple(chosen["scores"])})
    return Protocol(**fields)


def check(protocol: Protocol, n_train: int, n_test: int, dataset: str | None = None) -> None:
    """Raise UserError if a dataset of these sizes, and of this name if given, cannot be scored."""
    if dataset is not None and protocol.dataset not in (None, dataset):
        raise UserError(
            f"protocol {protocol.name!r} scores the dataset {protocol.dataset!r} only, "
            f"not {dataset!r}"
        )
    needed = {"train": protocol.n_training, "test": 0}
    chosen = protocol.selection
    drawn = protocol.n_real + (chosen.n_real if chosen.split == protocol.real_split else 0)
    needed[protocol.real_split] = max(needed[protocol.real_split], drawn)
    needed[chosen.split] = max(needed[chosen.split], chosen.n_real)
    if n_test < needed["test"] or n_train < needed["train"]:
        raise UserError(
            f"protocol {protocol.name!r} needs {needed['test']:,} test and {needed['train']:,} "
            f"training images; the dataset has {n_test:,} and {n_train:,}"
        )

"""The record that a protocol is, and what makes one valid."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from lipbench.errors import UserError, unknown
from lipbench.measure import Measure
from lipbench.parameterized import checked
from lipbench.protocols.scores import SCORES

Keys = tuple[str | int, ...]

_SPLITS = ("train", "test")
NO_EXTRACTOR = "none"  # of a protocol whose scores all compare images as they are


class RecordError(UserError):
    """A record that cannot be a protocol; `keys` lead to the value that is wrong."""

    def __init__(self, message: str, *keys: str | int) -> None:
        super().__init__(message)
        self.keys: Keys = keys


@dataclass(frozen=True)
class Sizes:
    """How many images the splits of a dataset have."""

    train: int
    test: int


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
    extractor: str  # a key of lipbench.scoring.extractors.EXTRACTORS, or "none"
    weights_sha256: str  # empty without an extractor
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
        self._check_names()
        self._check_values()
        self._check_options()
        for name in self.scores:
            n_real, n_fake = self.n_real_of(name), self.n_fake_of(name)
            self._check_counts(name, n_real, n_fake, "scores", name)
            if n_real > self.n_real or n_fake > self.n_fake:
                raise RecordError(
                    f"{self.name}: {name} asks for {n_real:,} real and {n_fake:,} generated "
                    f"images, more than the protocol's {self.n_real:,} and {self.n_fake:,}",
                    "scores",
                    name,
                )
        for name in self.selection.scores:
            self._check_counts(name, self.selection.n_real, self.selection.n_fake, "selection")

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
        return {**SCORES[score].options, **use.options}

    def measure(self, score: str) -> Measure:
        """Return a score's measure with its options. Raises UserError as its file's import."""
        return checked(SCORES.measure(score), self.options(score), score, "option")

    @property
    def uses_extractor(self) -> bool:
        """Return whether any score is on a network's features, and not on images as they are."""
        return any(SCORES[name].weights_sha256 for name in self.scores)

    @property
    def scores_points(self) -> bool:
        """Return whether its samples are points, and no images."""
        return any(SCORES[name].space == "points" for name in self.scores)

    @property
    def _samples(self) -> str:
        return "points" if self.scores_points else "images"

    @property
    def training_images(self) -> int:
        """Return how many training images generated ones are compared with; 0 if no score does."""
        compares = any(SCORES[name].needs_training for name in self.scores)
        return self.n_training if compares else 0

    def _check_names(self) -> None:
        """Raise RecordError for a score or split that does not exist or is not defined here."""
        for where, names in (("scores", self.scores), ("selection", self.selection.scores)):
            for name in names:
                keys = (where, name) if where == "scores" else (where, "scores")
                if name not in SCORES:
                    raise RecordError(f"{self.name}: {unknown('score', name, SCORES)}", *keys)
                if SCORES[name].weights_sha256 not in ("", self.weights_sha256):
                    raise RecordError(
                        f"{self.name}: {name!r} is only defined on the features of "
                        f"{SCORES[name].on.title}; the extractor {self.extractor!r} "
                        "has others, whose scores have other names",
                        *keys,
                    )
        if self.primary not in self.selection.scores or set(self.selection.scores) - set(
            self.scores
        ):
            raise RecordError(
                f"{self.name}: its primary score {self.primary!r} must be one of its selection's, "
                f"and those be among its scores; they are {', '.join(self.selection.scores)} and "
                f"{', '.join(self.scores)}",
                "primary",
            )
        splits = {
            ("real_split",): self.real_split,
            ("floor_split",): self.floor_split,
            ("selection", "split"): self.selection.split,
        }
        for at, split in splits.items():
            if split not in _SPLITS:
                raise RecordError(f"{self.name}: {unknown('split', split, _SPLITS)}", *at)

    def _check_options(self) -> None:
        """Raise RecordError for an option that a score's measure does not take."""
        for name, use in self.scores.items():
            measure = SCORES.imported(name)
            if measure is None:  # of a stored record, which was checked when it was made
                continue
            what = f"{self.name}: {name}"
            for option, value in use.options.items():
                with _at("scores", name, str(option)):
                    checked(measure, {option: value}, what, "option")
            with _at("scores", name):
                checked(measure, use.options, what, "option")

    def _check_values(self) -> None:
        """Raise RecordError for a number out of its range."""
        chosen = self.selection
        counts: list[tuple[str, object, int]] = [
            ("n_real", self.n_real, 1),
            ("n_fake", self.n_fake, 1),
            ("n_training", self.n_training, 0),
            ("bootstrap", self.bootstrap, 0),
            ("selection.n_real", chosen.n_real, 1),
            ("selection.n_fake", chosen.n_fake, 1),
        ]
        for name, use in self.scores.items():
            counts += [(f"scores.{name}.sets", use.sets, 1)]
            counts += [(f"scores.{name}.n_real", 1 if use.n_real is None else use.n_real, 1)]
            counts += [(f"scores.{name}.n_fake", 1 if use.n_fake is None else use.n_fake, 1)]
        for at, value, least in counts:
            if type(value) is not int or value < least:
                raise RecordError(
                    f"{self.name}: {at.removeprefix('scores.')}: got {value!r}; it is a whole "
                    f"number from {least} on",
                    *at.split("."),
                )
        ratio: object = self.collapse_ratio
        if type(ratio) not in (int, float) or not 0 <= self.collapse_ratio < 1:
            raise RecordError(
                f"{self.name}: collapse_ratio: got {ratio!r}; it is from 0 to below 1",
                "collapse_ratio",
            )
        if self.bootstrap == 1:
            raise RecordError(
                f"{self.name}: bootstrap: 1 replicate has no spread; 0, or 2 and more",
                "bootstrap",
            )
        if any(SCORES[name].needs_training for name in self.scores):
            least = 2
            if self.n_training < least:
                raise RecordError(
                    f"{self.name}: n_training: got {self.n_training}; scores that compare with "
                    f"training images need {least} or more",
                    "n_training",
                )

    def _check_counts(self, score: str, n_real: int, n_fake: int, *at: str) -> None:
        if SCORES.imported(score) is None:
            return
        measure = self.measure(score)
        if measure.needs_as_many and n_real != n_fake:
            raise RecordError(
                f"{self.name}: {score} needs as many real as generated samples; it would get "
                f"{n_real:,} and {n_fake:,}",
                *at,
            )
        least, why = measure.fewest(SCORES[score].on.features or 0)
        if min(n_real, n_fake) < least:
            raise RecordError(
                f"{self.name}: {score} needs at least {least:,} real and as many generated "
                f"images ({why}); it would get {n_real:,} and {n_fake:,}",
                *at,
            )

    def sentence(self) -> str:
        """Return the whole record as one sentence, for a report."""
        what = self._samples
        groups: dict[str, list[str]] = {}
        for name in self.scores:
            groups.setdefault(self._how(name), []).append(SCORES[name].title)
        how = "; ".join(f"{_listed(titles)} {text}" for text, titles in groups.items())
        training = (
            f"; copies are looked for among {self.training_images:,} training {what}"
            if self.training_images
            else ""
        )
        extractor = (
            f"{what} are compared as they are, without an extractor"
            if self.extractor == NO_EXTRACTOR
            else f"extractor {self.extractor} (weights sha256 {self.weights_sha256}; "
            f"{self.preprocessing})"
        )
        errors = ""
        if self.bootstrap:
            errors = f", and standard errors are of {self.bootstrap} bootstrap replicates"
        chosen = self.selection
        by = _listed([SCORES[name].title for name in chosen.scores])
        return (
            f"{self.id} ({self.source}): {how}; real {what} are {self.n_real:,} of the "
            f"{self.real_split} split{training}; floors put real {what} of the {self.floor_split} "
            f"split in the generated ones' place{errors}; {extractor}; generated {what} as "
            f"{self.rounding}, the generator with {self.batch_norm} batch-norm statistics (and "
            "its moving average where a suite keeps one), latents from the stream "
            f"{self.latents_stream!r}; during training {by} of {chosen.n_fake:,} {what} from "
            f"other latents against {chosen.n_real:,} other real {what}, of the {chosen.split} "
            "split, choose the best checkpoint; collapsed means a feature variance below "
            f"{self.collapse_ratio:.0%} of the real {what}'."
        )

    def _how(self, score: str) -> str:
        use = self.scores[score]
        sets = f"{use.sets} sets of " if use.sets > 1 else ""
        text = f"on {sets}{self.n_fake_of(score):,} generated {self._samples}"
        if SCORES[score].needs_real:
            text += f" against {self.n_real_of(score):,} real ones"
        untold = SCORES[score].untold.items()
        options = {key: v for key, v in self.options(score).items() if (key, v) not in untold}
        told = _listed([f"{key.replace('_', ' ')} {value:,g}" for key, value in options.items()])
        return f"{text} ({told})" if told else text


@contextlib.contextmanager
def _at(*keys: str) -> Iterator[None]:
    """Say of a mistake where in the record it is."""
    try:
        yield
    except UserError as error:
        raise RecordError(str(error), *keys) from error


def _listed(words: list[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def from_json(record: Mapping[str, Any]) -> Protocol:
    """Return a protocol from `dataclasses.asdict` of one, as results store it."""
    fields = dict(record)
    fields["scores"] = {name: Use(**use) for name, use in fields["scores"].items()}
    chosen = dict(fields["selection"])
    fields["selection"] = Selection(**{**chosen, "scores": tuple(chosen["scores"])})
    return Protocol(**fields)

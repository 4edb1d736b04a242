"""A suite: the question that a YAML file asks, checked against a strict schema."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from annotated_types import Ge, Gt, Le, Lt
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails

from lipbench import plugins, yamlmarks
from lipbench.errors import UserError, shortened, unknown
from lipbench.planning.schema import (
    Integer,
    Named,
    NotEmpty,
    OneOrMore,
    PositiveInteger,
    Probability,
    Seed,
    Strict,
    different,
    name_and_params,
)
from lipbench.planning.spec import Setting
from lipbench.planning.tune_entries import ChoicesEntry, RangeEntry, TuneEntry

# Miyato et al. 2018, Table 1: (lr, beta1, beta2, n_dis).
MIYATO2018 = {
    "A": Setting(1e-4, 0.5, 0.9, 5),
    "B": Setting(1e-4, 0.5, 0.999, 1),
    "C": Setting(2e-4, 0.5, 0.999, 1),
    "D": Setting(1e-3, 0.5, 0.9, 5),
    "E": Setting(1e-3, 0.5, 0.999, 5),
    "F": Setting(1e-3, 0.9, 0.999, 5),
}
PRESETS = {"miyato2018": tuple(MIYATO2018)}
RECIPE = "recipe"
DEFAULT_ARCHITECTURE = "standard_cnn"

# The optimizers, and each one's parameters with their defaults; one without must be given. Those
# of RMSprop and SGD are PyTorch's.
OPTIMIZERS: Mapping[str, Mapping[str, float | None]] = {
    "adam": {"beta1": None, "beta2": None},
    "rmsprop": {"alpha": 0.99, "momentum": 0.0},
    "sgd": {"momentum": 0.0},
}


def _flat(value: Any) -> Any:
    """Take `digits` and `{name: images, path: P}` for a name and parameters."""
    if isinstance(value, dict) and "name" in value:
        params = {key: given for key, given in value.items() if key != "name"}
        return {"name": value["name"], "params": params}
    return {"name": value} if isinstance(value, str) else value


DatasetEntry = Annotated[Named, BeforeValidator(_flat)]


def _architecture(value: Any) -> Any:
    """Take `{width: 0.5}` for the standard CNN with that width."""
    return _flat({"name": DEFAULT_ARCHITECTURE, **value} if isinstance(value, dict) else value)


ArchitectureEntry = Annotated[Named, BeforeValidator(_architecture)]
OptionalLoss = Annotated[Named, BeforeValidator(name_and_params)] | None


class OptimizerEntry(Strict):
    """A setting written out: an optimizer with its parameters, and n_dis.

    Where D and G differ in the learning rate, `lr` is D's and `lr_g` is G's.
    """

    optimizer: str = "adam"
    lr: Annotated[float, Gt(0)]
    lr_g: Annotated[float, Gt(0)] | None = None
    beta1: Probability | None = None
    beta2: Probability | None = None
    alpha: Probability | None = None
    momentum: Probability | None = None
    n_dis: PositiveInteger

    @model_validator(mode="after")
    def _has_the_optimizers_own(self) -> OptimizerEntry:
        """Refuse an unknown optimizer, a parameter of another one, and one that is missing."""
        if self.optimizer not in OPTIMIZERS:
            raise ValueError(unknown("optimizer", self.optimizer, OPTIMIZERS))
        known = OPTIMIZERS[self.optimizer]
        others = {name for own in OPTIMIZERS.values() for name in own} - known.keys()
        for name in sorted(others):
            if getattr(self, name) is not None:
                raise ValueError(
                    f"{self.optimizer} has no {name}; its parameters are {', '.join(known)}"
                )
        for name, default in known.items():
            if getattr(self, name) is None and default is None:
                raise ValueError(f"{self.optimizer} needs {name}")
        return self

    def setting(self) -> Setting:
        """Return the setting, with the optimizer's defaults where the file says nothing."""
        known = OPTIMIZERS[self.optimizer]
        given = {name: getattr(self, name) for name in known}
        values = {n: default if given[n] is None else given[n] for n, default in known.items()}
        return Setting(
            lr=float(self.lr),
            beta1=values.pop("beta1", None),
            beta2=values.pop("beta2", None),
            n_dis=self.n_dis,
            optimizer=self.optimizer,
            lr_g=None if self.lr_g in (None, self.lr) else float(self.lr_g or 0),
            **values,
        )


class SettingEntry(OptimizerEntry):
    """One of a suite's settings, which can have a name."""

    name: str | None = None


_FORM = Discriminator(lambda value: "written out" if isinstance(value, dict) else "name")
# A preset's name, one of its settings' names, `recipe`, or a setting written out.
AnySetting = Annotated[
    Annotated[SettingEntry, Tag("written out")] | Annotated[str, Tag("name")], _FORM
]
# One setting's name, or a setting written out.
OneSetting = Annotated[
    Annotated[OptimizerEntry, Tag("written out")] | Annotated[str, Tag("name")], _FORM
]


class BudgetEntry(Strict):
    """How long each run trains. The paper trains for 100,000 updates of G, and states no batch
    size: 64 is its authors' code's."""

    generator_updates: Annotated[PositiveInteger, Le(100_000_000)]
    batch_size: Annotated[PositiveInteger, Le(65_536)] = 64
    generator_batch_size: Annotated[PositiveInteger, Le(65_536)] = 64
    schedule: Literal["constant", "linear"] = "constant"


class AugmentationEntry(Strict):
    """What training does to real images; see `spec.Augmentation`."""

    flip: bool = False
    crop: Annotated[Integer, Ge(0)] = 0
    dequantise: bool = False


class Intervals(Strict):
    """How often, in updates of G, something is done besides at the end.

    `keep` says which generators stay beside the last one: with scores during training the best
    one, or that of each scoring, so that another protocol can choose the best anew.
    """

    metrics: PositiveInteger = 100
    score: PositiveInteger | None = None
    samples: PositiveInteger | None = None
    audit: PositiveInteger | None = None
    checkpoint: PositiveInteger = 1000
    keep: Literal["all", "best", "last"] = "best"

    def every(self) -> dict[str, int | None]:
        """Return each interval by its name."""
        return {name: every for name, every in self if name != "keep"}


class MethodEntry(Strict):
    """One method or a combination, with the hyperparameters that the suite sets.

    Its own setting stands in for its recipe, its own loss for the suite's. A key beside `methods`
    is one of `plugins.RESERVED`, since it stands among methods' names in a file.
    """

    methods: dict[str, dict[str, Any]]
    label: str | None = None
    setting: OneSetting | None = None
    loss: OptionalLoss = None

    @model_validator(mode="before")
    @classmethod
    def _forms(cls, value: Any) -> Any:
        """Take `a + b`, and `{a: {field: value}, b: {}, label: L}`."""
        if isinstance(value, str):
            names = [name.strip() for name in value.split("+")]
            if len(set(names)) < len(names) or "" in names:
                raise ValueError("a combination names different methods, with a + between each")
            return {"methods": {name: {} for name in names}}
        if isinstance(value, dict):
            reserved = plugins.RESERVED["methods"]
            named = {k: {} if v is None else v for k, v in value.items() if k not in reserved}
            own = {key: value[key] for key in reserved if value.get(key) is not None}
            return {"methods": named, **own}
        return value

    def size(self) -> int:
        """Return how many points `grid` has, without making them."""
        values = [value for fields in self.methods.values() for value in fields.values()]
        return math.prod(len(value) for value in values if isinstance(value, list))

    def grid(self) -> list[dict[str, dict[str, Any]]]:
        """Return one dictionary of hyperparameters for each point of the lists' product."""
        axes = [
            [(method, field, point) for point in (value if isinstance(value, list) else [value])]
            for method, fields in self.methods.items()
            for field, value in fields.items()
        ]
        points = []
        for chosen in itertools.product(*axes):
            point: dict[str, dict[str, Any]] = {method: {} for method in self.methods}
            for method, field, value in chosen:
                point[method][field] = value
            points.append(point)
        return points


class Suite(Strict):
    """Everything a suite file says; `plan` resolves it to runs."""

    name: Annotated[str, Field(pattern=r"^[\w][\w.-]*$", max_length=64)] = "suite"
    description: str = ""
    dataset: DatasetEntry
    architecture: ArchitectureEntry = Named(name=DEFAULT_ARCHITECTURE)
    initialisation: str | None = None  # None: the architecture's own
    loss: OptionalLoss = None
    methods: Annotated[list[MethodEntry], OneOrMore, NotEmpty]
    settings: Annotated[list[AnySetting], OneOrMore, NotEmpty] | None = None
    seeds: Annotated[list[Seed], OneOrMore, NotEmpty, AfterValidator(different)] = Field(
        default_factory=lambda: [0]
    )
    budget: BudgetEntry
    protocol: str | dict[str, Any]  # a name, a YAML file, or a record of the user's own
    intervals: Intervals = Intervals()
    augmentation: AugmentationEntry = AugmentationEntry()
    precision: Literal["float32", "bfloat16"] = "float32"
    ema_decay: Annotated[float, Gt(0), Lt(1)] | None = None
    allow: Annotated[list[str], OneOrMore] = Field(default_factory=list)
    tune: TuneEntry | None = None  # then the file is a study's
    small: dict[str, Any] | None = None  # laid over the other keys for the small form


def find(given: str) -> Path:
    """Return the file of a suite: a path, or the name of one that is installed."""
    path = Path(given)
    if path.is_file():
        return path
    shipped = installed()
    if path.suffix in (".yaml", ".yml") or len(path.parts) > 1:
        raise UserError(f"no suite file {given}; installed suites: {', '.join(sorted(shipped))}")
    if given not in shipped:
        raise UserError(unknown("suite", given, shipped))
    return shipped[given][1]


def installed() -> dict[str, tuple[str, Path]]:
    """Return who brings each installed suite, and its file, by its name."""
    return {
        file.stem: (origin, file)
        for origin, _, folder in plugins.package_folders("lipbench.suites")
        for file in sorted(folder.glob("*.yaml"))
    }


def read(
    path: Path, assignments: list[str], small: bool = False
) -> tuple[Suite, yamlmarks.Document]:
    """Return a suite after `--set` assignments, and where each of its values was written.

    With `small` it is the suite's small form, to which the assignments are made. Raises UserError
    for the first value that does not fit the schema.
    """
    document = yamlmarks.read(path)
    if not isinstance(document.data, dict):
        raise UserError("a suite is a mapping: dataset, methods, settings, ...", document.mark(()))
    if small:
        _make_small(document, path.stem)
    for assignment in assignments:
        document.set(assignment)
    if small and "small" in document.data:
        raise UserError("the small form has no small form of its own", document.mark(("small",)))
    try:
        suite = Suite.model_validate(document.data)
    except ValidationError as error:
        complaints = sorted(error.errors(), key=lambda e: e["type"] != "extra_forbidden")
        raise _user_error(complaints[0], document) from error
    if "tune" in suite.model_fields_set and suite.tune is None:
        raise UserError("tune is empty; it needs search and budget", document.mark(("tune",)))
    if "name" not in suite.model_fields_set:
        suite = suite.model_copy(update={"name": path.stem})
    return suite, document


def _make_small(document: yamlmarks.Document, stem: str) -> None:
    """Lay the key `small` over a suite's other keys; its name gets an ending.

    Raises UserError where there is no such key, or no mapping.
    """
    data = document.data
    overlay = data.get("small")
    if overlay is None:
        name = data.get("name", stem)
        raise UserError(f"{name} has no small form: no key 'small'", document.mark(()))
    if not isinstance(overlay, dict):
        raise UserError(
            f"small: got {shortened(overlay)}; it should be a mapping of names to values",
            document.mark(("small",)),
        )
    for key in ("dataset", "architecture"):  # `resnet` is short for `{name: resnet}`
        if isinstance(data.get(key), str):
            data[key] = {"name": data[key]}
    document.lay_over("small")
    name = data.get("name", stem)
    if isinstance(name, str):
        data["name"] = f"{name}_small"


def _user_error(error: ErrorDetails, document: yamlmarks.Document) -> UserError:
    """Return pydantic's first complaint as one line that names file, line, value and choices."""
    # Pydantic's location also names the branches of unions, which the file does not hold.
    path: list[str | int] = []
    value: Any = document.data
    for step in error["loc"]:
        inside = isinstance(value, dict) and step in value
        if inside or (isinstance(value, list) and isinstance(step, int) and step < len(value)):
            value = value[step]
            path.append(step)
    where = ".".join(shortened(str(step))[1:-1] for step in path) or "suite"
    mark = document.mark(tuple(path))
    if error["type"] == "extra_forbidden":
        return UserError(unknown("key", where, _siblings(error["loc"], path)), mark)
    if error["type"] == "missing":
        return UserError(f"{where} needs {error['loc'][-1]!r}", mark)
    expected = error["msg"].removeprefix("Value error, ")
    expected = expected[0].lower() + expected[1:]
    if error["type"] == "model_type":
        expected = "it should be a mapping of names to values"
    return UserError(f"{where}: got {shortened(value)}; {expected}", mark)


def _siblings(location: tuple[int | str, ...], path: list[str | int]) -> list[str]:
    """Return the keys that may stand where an unknown one does."""
    model: type[BaseModel] = Suite
    for step in path[:-1]:
        if isinstance(step, str) and step in model.model_fields:
            model = _models(model.model_fields[step].annotation)[0]
        elif isinstance(step, str):  # of `tune.search`, whose keys are parameters
            model = ChoicesEntry if "choices" in location else RangeEntry
    prefix = ".".join(str(step) for step in path[:-1])
    return [f"{prefix}.{name}" if prefix else name for name in model.model_fields]


def _models(annotation: Any) -> list[type[BaseModel]]:
    """Return the models that an annotation names."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for inner in get_args(annotation) for model in _models(inner)]

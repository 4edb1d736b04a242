"""What the parts of a suite's schema share: strict models, and numbers as people write them."""

from __future__ import annotations

from typing import Annotated, Any

from annotated_types import Ge, Lt
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


class Strict(BaseModel):
    """A mapping whose keys and types are exactly these."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


def integral(value: Any) -> Any:
    """Take 1e5 for an integer, as people write it; never true or '100'."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def listed(value: Any) -> Any:
    """Take a single entry for a list of one."""
    return value if isinstance(value, list) else [value]


def name_and_params(value: Any) -> Any:
    """Take `hinge` and `{non_saturating: {real_target: 0.9}}` for a name and its parameters."""
    if isinstance(value, dict) and len(value) == 1:
        ((name, params),) = value.items()
        return {"name": name, "params": {} if params is None else params}
    if isinstance(value, dict) and "name" not in value:
        raise ValueError("write one name, alone or with its parameters: NAME: {key: value}")
    return {"name": value} if isinstance(value, str) else value


def different(seeds: list[int]) -> list[int]:
    """Return seeds; raise ValueError where one is there twice."""
    if len(set(seeds)) < len(seeds):
        raise ValueError("a seed is there twice")
    return seeds


Integer = Annotated[int, BeforeValidator(integral), Ge(-(2**63)), Lt(2**63)]  # 1e300 is none
PositiveInteger = Annotated[Integer, Ge(1)]
Seed = Annotated[Integer, Ge(0)]
Probability = Annotated[float, Ge(0), Lt(1)]
OneOrMore = BeforeValidator(listed)
NotEmpty = Field(min_length=1)


class Named(Strict):
    """Something by its name, with the parameters that the suite sets."""

    name: str
    params: dict[str, Any] = Field(default_factory=dict)

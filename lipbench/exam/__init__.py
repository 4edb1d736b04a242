"""The exam: cases that each plugin of a kind must pass, whatever it is.

`lipbench check` prints them as a card. A plugin author's own tests take the same cases:

    @pytest.mark.parametrize("case", exam.CASES, ids=exam.title)
    def test_my_method_passes_the_exam(case):
        case(exam.Candidate(MyMethod()))

A case returns a few words on what it measured, and raises AssertionError where a method fails.
The networks are the standard CNN at an eighth of its width, on the embedded digits at 16 x 16 x 3.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from lipbench.architecture import Architecture
from lipbench.dataset import Source
from lipbench.errors import UserError
from lipbench.exam import of_architectures, of_datasets, of_losses, of_measures
from lipbench.exam.candidate import LATE, Candidate
from lipbench.exam.cases import CASES, Case
from lipbench.exam.cost import Cost, cost
from lipbench.loss import Loss
from lipbench.measure import Measure
from lipbench.method import Method

__all__ = [
    "CASES",
    "LATE",
    "Candidate",
    "Case",
    "CaseResult",
    "Cost",
    "cost",
    "examine",
    "title",
]

Examined = TypeVar("Examined")


@dataclass(frozen=True)
class CaseResult:
    """One case of a card: whether it passed, and what was measured, or what was wrong."""

    case: str
    passed: bool
    measured: str
    traceback: str | None = None  # of an error


def title(case: Callable[..., str]) -> str:
    """Return a case's name as words."""
    return case.__name__.replace("_", " ")


def _told(error: Exception, plugin: object) -> str:
    """Return an error in a line, with the line of the plugin's own file that it passed through."""
    source = getattr(sys.modules.get(type(plugin).__module__), "__file__", None)
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.filename == source]
    at = (own or frames)[-1]
    where = f"{Path(at.filename).name}:{at.lineno}"
    where = where if own else f"{where}, outside of the plugin's file; --verbose: the traceback"
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0]} ({where})"


def _failure(case: str, error: Exception, plugin: object) -> CaseResult:
    trace = "".join(traceback.format_exception(error))
    return CaseResult(case, False, _told(error, plugin), trace)


def examine(plugin: Method | Loss | Source | Architecture | Measure) -> Iterator[CaseResult]:
    """Yield the card of a plugin, case by case. An error of its own is a failure.

    Where the networks cannot be built with a method, that is the one line. Raises UserError where
    they do not take its hyperparameters, and where a dataset is missing.
    """
    if isinstance(plugin, Loss):
        yield from _passed_through(of_losses.CASES, plugin, plugin)
        return
    if isinstance(plugin, Measure):
        yield from _passed_through(of_measures.CASES, of_measures.ExaminedMeasure(plugin), plugin)
        return
    if isinstance(plugin, Source):
        subject = of_datasets.ExaminedDataset(plugin)
        _ = subject.info
        yield from _passed_through(of_datasets.CASES, subject, plugin)
        return
    if isinstance(plugin, Architecture):
        narrowed = of_architectures.ExaminedArchitecture(plugin)
        yield from _passed_through(of_architectures.CASES, narrowed, plugin)
        return
    candidate = Candidate(plugin)
    try:
        candidate.build()
    except UserError:
        raise
    except Exception as error:
        yield _failure("its networks can be built", error, plugin)
        return
    yield from _passed_through(CASES, candidate, plugin)


def _passed_through(
    cases: Sequence[Callable[[Examined], str]], subject: Examined, plugin: object
) -> Iterator[CaseResult]:
    for case in cases:
        try:
            yield CaseResult(title(case), True, case(subject))
        except AssertionError as error:
            if str(error):
                yield CaseResult(title(case), False, str(error))
            else:
                yield _failure(title(case), error, plugin)
        except Exception as error:
            yield _failure(title(case), error, plugin)

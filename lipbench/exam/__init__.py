"""The exam of a method: cases that each method must pass, whatever it is.

`lipbench check` prints them as a card. A plugin author's own tests take the same cases:

    @pytest.mark.parametrize("case", exam.CASES, ids=exam.title)
    def test_my_method_passes_the_exam(case):
        case(exam.Candidate(MyMethod()))

A case returns a few words on what it measured, and raises AssertionError where a method fails.
The networks are the standard CNN at an eighth of its width, on the embedded digits at 16 x 16 x 3.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lipbench.exam.candidate import Candidate
from lipbench.exam.cases import CASES, Case
from lipbench.exam.cost import Cost, cost
from lipbench.method import Method

__all__ = ["CASES", "Candidate", "Case", "Cost", "Line", "cost", "examine", "title"]


@dataclass(frozen=True)
class Line:
    """One case of a card: whether it passed, and what was measured, or what was wrong."""

    case: str
    passed: bool
    measured: str


def title(case: Case) -> str:
    """Return a case's name as words."""
    return case.__name__.replace("_", " ")


def examine(method: Method) -> Iterator[Line]:
    """Yield the card of a method, case by case. An error of the method's own is a failure."""
    candidate = Candidate(method)
    for case in CASES:
        try:
            yield Line(title(case), True, case(candidate))
        except AssertionError as error:
            yield Line(title(case), False, str(error) or "an assertion of the method's own failed")
        except Exception as error:
            first = str(error).partition("\n")[0]
            yield Line(title(case), False, f"{type(error).__name__}: {first}")

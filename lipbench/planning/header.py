"""The comment at the start of a suite's file: the question, and parts that begin with a word.

    # How robust is each method to Adam's settings? Figures 1 and 2 of Miyato et al. 2018.
    #
    # Family: the paper
    # Paper: the published answer, with its numbers.
    # Cost: not run by us. 144 runs of 100,000 updates.
    # Small: 3 minutes on 2 cores. What differs from the full suite.
    # Seen: what our runs showed, with seeds.

A part ends where the next one begins, or at an empty line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

FAMILIES = ("the paper", "the lineage", "methods", "tuning", "examples")
PARTS = ("Family", "Paper", "Cost", "Small", "Seen")


@dataclass(frozen=True)
class Header:
    """The comment, without its marks, and its parts in one line each."""

    text: str
    parts: Mapping[str, str]

    @property
    def question(self) -> str:
        """Return the first sentence, or nothing where it is no question."""
        first = self.text.replace("\n", " ")
        return first.partition("?")[0] + "?" if "?" in first.partition(". ")[0] else ""

    def brief(self, part: str) -> str:
        """Return the first sentence of a part, without its stop; nothing where it is missing."""
        return self.parts.get(part, "").partition(". ")[0].removesuffix(".")


def read(path: Path) -> Header:
    """Return the comment at a file's start."""
    lines = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.removeprefix("#").removeprefix(" "))
    return Header("\n".join(lines), _parts(lines))


def _parts(lines: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    current = ""
    for line in lines:
        word, colon, rest = line.partition(":")
        if colon and word in PARTS:
            current, found[word] = word, rest.strip()
        elif not line.strip():
            current = ""
        elif current:
            found[current] += f" {line.strip()}"
    return found

"""What the results say of the claims of Miyato et al. (2018)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd

from lipbench.reporting import Exhibit, Omitted, Shown, Table
from lipbench.results import Results
from lipbench.results.miyato2018 import CLAIMS, CONTRADICTED, SUPPORTED, Finding, PublishedClaim
from lipbench.words import counted, listed

_CITATION = (
    "T. Miyato, T. Kataoka, M. Koyama, Y. Yoshida, Spectral Normalization for Generative "
    "Adversarial Networks, ICLR 2018 (arXiv 1802.05957)."
)


class PaperClaims(Exhibit):
    """Say of each claim that the suite can speak to whether it is supported, with the numbers."""

    title = "Claims of the paper on spectral normalization"
    order = 48

    def show(self, results: Results) -> Iterator[Table | Omitted]:
        if results.tuning:
            return  # its configurations are the best of many, and not the paper's settings
        found = [(claim, claim.check(results)) for claim in CLAIMS]
        spoken = [(claim, each) for claim, each in found if isinstance(each, Finding)]
        silent = [(claim, each) for claim, each in found if isinstance(each, str)]
        if not spoken:
            yield Omitted(
                "this suite can speak to no claim of Miyato et al. (2018): "
                + "; ".join(dict.fromkeys(reason for _, reason in silent))
            )
            return
        yield Table(
            name="paper_claims",
            caption=f"The {counted(len(spoken), 'claim')} of Miyato et al. (2018) that this suite "
            f"can speak to, of {len(CLAIMS)}.",
            columns=("Claim", "Where", "Here", "Numbers", "Tested as"),
            rows=tuple(_row(claim, each) for claim, each in spoken),
            raw=pd.DataFrame(_numbers(claim, each) for claim, each in found),
            notes=tuple(_notes(results, silent)),
            align="lllll",
        )


def _row(claim: PublishedClaim, found: Finding) -> tuple[Shown | str, ...]:
    decided = found.verdict in (SUPPORTED, CONTRADICTED)
    verdict = Shown(found.verdict, best=decided, muted=not decided)
    return (claim.text, claim.where, verdict, found.numbers, claim.tested)


def _numbers(claim: PublishedClaim, found: Finding | str) -> dict[str, str]:
    silent = isinstance(found, str)
    return {
        "claim": claim.text,
        "where": claim.where,
        "verdict": "no evidence" if isinstance(found, str) else found.verdict,
        "numbers": found if isinstance(found, str) else found.numbers,
        "tested": "" if silent else claim.tested,
    }


def _notes(results: Results, silent: Sequence[tuple[PublishedClaim, str]]) -> Iterator[str]:
    runs = results.runs
    yield (
        f"A verdict is about this suite: {', '.join(map(str, runs['dataset'].unique()))}, "
        f"{', '.join(map(str, runs['architecture'].unique()))} of width "
        f"{', '.join(f'{width:g}' for width in runs['width'].unique())}, "
        f"{', '.join(f'{n:,}' for n in runs['planned_updates'].unique())} updates. The paper's "
        "are CIFAR-10 and STL-10, full width and 100,000. How a claim is tested is our choice."
    )
    yield _CITATION
    reasons: dict[str, list[str]] = {}
    for claim, reason in silent:
        reasons.setdefault(reason, []).append(f"“{claim.text}” ({claim.where})")
    for reason, claims in reasons.items():
        yield f"No evidence here on {listed(claims)}: {reason}."

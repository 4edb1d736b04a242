"""Say what was run, as the Methods section of a paper: sentences in LaTeX, made of facts only.

What varies between runs is said to vary, and what is not known is not said.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from lipbench.reporting.citations import Citations, Named
from lipbench.reporting.prose import outcome, search, setup
from lipbench.reporting.prose.setup import methods_table, settings_table
from lipbench.results.results import Results

__all__ = ["methods_table", "paragraphs", "settings_table"]


def paragraphs(
    results: Results, cite: Citations, papers: Named
) -> Iterator[tuple[str, list[str]]]:
    """Yield the title and the sentences of each paragraph that has any.

    `papers` are those of the methods' plugins, by the plugins' names.
    """
    tuning, has_runs = results.tuning, not results.runs.empty
    found: list[tuple[str, Iterable[str]]] = [("Methods", setup.methods(results, cite, papers))]
    if tuning is not None:
        found.append(("Search", search.sentences(results, tuning, cite)))
    if has_runs:
        found += [
            ("Data", setup.data(results, cite)),
            ("Networks", setup.networks(results, cite)),
            ("Training", setup.training(results, cite)),
            ("Runs", outcome.runs(results)),
        ]
    found.append(("Evaluation", outcome.evaluation(results, cite)))
    if has_runs:
        found.append(("Uncertainty", outcome.uncertainty(results)))
    found.append(("Computation", outcome.computation(results, cite)))
    for title, sentences in found:
        if told := list(sentences):
            yield title, told

"""Every installed method passes the exam, says what it is, and can be looked up."""

from __future__ import annotations

import pytest

from lipbench import exam
from lipbench.cli import cards
from lipbench.method import Method
from lipbench.plugins import Plugins

PLUGINS = Plugins()
REGISTRY = PLUGINS.methods
NAMES = sorted(REGISTRY.plugins)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("case", exam.CASES, ids=exam.title)
def test_it_passes_the_exam(case, name):
    case(exam.Candidate(REGISTRY[name].load(Method)()))


@pytest.mark.parametrize("name", NAMES)
def test_its_card_names_a_verified_paper_and_the_ranges_of_its_numbers(name):
    card = cards.describe(name, PLUGINS)
    assert card.papers
    assert card.description.partition("\n")[0].endswith((".", ":"))
    for field in card.hyperparameters:
        numeric = field.type.split()[0] in ("float", "int")
        assert not numeric or any(sign in field.type for sign in "<>"), f"{field} has no range"


def test_labels_are_unique():
    labels = [plugin.summary[0] for plugin in REGISTRY.plugins.values()]
    assert len(set(labels)) == len(labels)


def test_every_listed_paper_is_some_methods():
    named = {key for name in NAMES for key in REGISTRY[name].load(Method).papers}
    listed = cards.bibliography.parse(
        REGISTRY["none"].path.with_name("references.bib").read_text(encoding="utf-8")
    )
    assert named == set(listed)

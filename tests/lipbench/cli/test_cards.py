"""What a method's card says: hyperparameters with ranges, refusals, papers."""

from __future__ import annotations

from pathlib import Path

import pytest

from lipbench import bibliography
from lipbench.cli import cards
from lipbench.errors import UserError
from lipbench.plugins import Plugins, Registry

MINE = '''
"""A method of somebody's own."""
from typing import Literal
from lipbench.method import Claim, Count, Fraction, Method, Positive, Recipe, Trait

class Mine(Method):
    """Do a thing, strongly."""
    label = "Mine"
    papers = ("""@article{doe2020,
  author = {J{\\\\'o}n Doe and {\\\\AA}sa Roe and Max Poe and Eva Loe},
  title = {Things?},
  journal = {arXiv preprint},
  eprint = {2001.00001},
  year = {2020}
}""",)
    recipe = Recipe(lr=1e-4, beta1=0.0, beta2=0.9, n_dis=5)
    traits = frozenset({Trait.BATCH_STATISTICS})
    strength: Positive = 2.0
    share: Fraction = 0.5
    rounds: Count = 3
    form: Literal["a", "b"] = "a"
    gamma: bool = False

    @property
    def claims(self):
        return (Claim("sigma_operator", self.strength, tolerance=0.1, layers="convolutions"),)

    def norm(self, channels):
        raise NotImplementedError
'''


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """Return the installed methods and one of a user's own, `mine`."""
    (tmp_path / "mine.py").write_text(MINE)
    return Plugins([tmp_path / "mine.py"])


def test_a_card_says_everything_that_the_class_does(registry):
    card = cards.describe("mine", registry)
    assert [(field.name, field.type, field.default) for field in card.hyperparameters] == [
        ("strength", "float > 0", "2.0"),
        ("share", "float >= 0 and <= 1", "0.5"),
        ("rounds", "int >= 1", "3"),
        ("form", "a | b", "a"),
        ("gamma", "bool", "False"),
    ]
    assert card.hooks == ("norm",)
    assert card.claims == ("sigma_operator of each convolution <= 2, tolerance 0.1 of that",)
    assert card.recipe == "lr 0.0001, beta1 0, beta2 0.9, n_dis 5"
    assert card.traits == ("an image's logit depends on the other images of its batch",)
    assert [str(paper) for paper in card.papers] == [
        "Doe et al.: Things? arXiv preprint 2001.00001, 2020"
    ]
    assert card.papers[0].fields["author"].startswith("J{")


def test_a_card_names_what_the_method_is_refused_with(registry):
    refusals = {refusal.rule: refusal for refusal in cards.describe("mine", registry).refusals}
    assert {"wgan_gp", "r1"} <= set(refusals["batch_statistics_with_input_gradients"].partners)
    assert "none" not in refusals["batch_statistics_with_input_gradients"].partners
    assert all(refusal.reason and refusal.source for refusal in refusals.values())


def test_a_paper_that_no_file_lists_is_refused(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(MINE.replace("papers = (", 'papers = ("miyato2019",'))
    with pytest.raises(UserError, match="no paper called 'miyato2019'"):
        cards.describe("mine", Plugins([path]))
    path.with_name("references.bib").write_text(
        "@article{miyato2019,\n  author = {A and B},\n  title = {T},\n  year = {2019}\n}\n"
    )
    assert len(cards.describe("mine", Plugins([path])).papers) == 2


def test_a_paper_reads_as_people_cite_it():
    text = Registry("methods")["none"].path.with_name("references.bib").read_text("utf-8")
    papers = bibliography.parse(text)
    assert str(papers["miyato2018"]) == (
        "Miyato et al.: Spectral Normalization for Generative Adversarial Networks. ICLR, 2018"
    )
    assert str(papers["bjorck1971"]).startswith("Björck, Bowie: An Iterative Algorithm")
    assert text == "\n\n".join(paper.bibtex for paper in papers.values()) + "\n"

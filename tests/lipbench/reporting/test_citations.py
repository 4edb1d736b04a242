"""References: each that is known is whole, and what is cited can be read by BibTeX."""

from __future__ import annotations

import pytest

from lipbench.bibliography import parse
from lipbench.networks import INITIALISATIONS
from lipbench.plugins import Registry
from lipbench.protocols import FITTED, PROTOCOLS, SPACES, Sizes, custom, papers, protocol
from lipbench.reporting import citations, terms
from lipbench.reporting.citations import Citations

NEEDED = {  # by BibTeX's plain style
    "inproceedings": {"author", "title", "booktitle", "year"},
    "article": {"author", "title", "journal", "year"},
    "techreport": {"author", "title", "institution", "year"},
    "misc": {"author", "title", "howpublished", "year"},
}
LIBRARY = citations.library()
KEYS = {
    *terms.ADAM,
    *terms.OPTUNA,
    *(
        key
        for known in (
            terms.INITIALISATIONS,
            terms.PACKAGES,
        )
        for term in known.values()
        for key in term.papers
    ),
    *(
        key
        for keys in (*terms.SPACES.values(), *map(papers, [*PROTOCOLS, *FITTED]))
        for key in keys
    ),
}


@pytest.mark.parametrize("key", sorted(LIBRARY))
def test_an_entry_is_whole(key):
    kind = LIBRARY[key].bibtex.partition("{")[0].removeprefix("@")

    assert NEEDED[kind] <= LIBRARY[key].fields.keys()
    assert LIBRARY[key].bibtex.isascii()


def test_every_key_has_an_entry_and_every_entry_of_ours_is_used():
    own = citations.importlib.resources.files("lipbench.reporting") / "references.bib"

    assert LIBRARY.keys() >= KEYS
    assert set(parse(own.read_text())) <= KEYS


def test_what_runs_can_name_has_a_term():
    assert terms.INITIALISATIONS.keys() == INITIALISATIONS.keys()
    assert terms.SPACES.keys() == SPACES.keys()


def test_a_protocol_of_ones_own_cites_what_its_base_follows():
    mine = custom({"name": "mine", "based_on": "kurach2019", "n_fake": 20_000})

    assert terms.of_protocol(mine) == ("kurach2019",)
    assert terms.of_protocol(PROTOCOLS["clean"]) == ("parmar2022",)
    assert terms.of_protocol(protocol("offline_small", Sizes(240, 60))) == ()


def test_every_built_in_method_names_its_papers_without_being_imported():
    registry = Registry("methods")

    found = citations.of_methods(registry.plugins, [])

    assert [name for name, papers in found.items() if not papers] == []
    assert [paper.key for paper in found["wgan_gp"]] == ["gulrajani2017"]


def test_the_papers_that_a_measure_names_are_found():
    registry = Registry("measures")
    found = citations.of_measures(registry.plugins, [])

    named = {name: len(plugin.papers) for name, plugin in registry.plugins.items()}
    assert {name: len(papers) for name, papers in found.items()} == named
    assert [paper.key for paper in found["parzen"]] == ["goodfellow2014", "theis2016"]


def test_a_method_that_is_gone_or_says_nothing_has_no_paper(tmp_path):
    (tmp_path / "mine.py").write_text("class Mine:\n    papers = tuple(x for x in 'ab')\n")
    (tmp_path / "broken.py").write_text("class")

    found = citations.of_methods(
        ["gone", "mine", "broken"], [tmp_path / f"{n}.py" for n in ("gone", "mine", "broken")]
    )

    assert found == {"gone": [], "mine": [], "broken": []}


def test_two_papers_of_one_key_have_two_entries():
    first, second = (
        parse(f"@misc{{doe 2020,\n title = {{{t}}}\n}}".replace("doe 2020", "doe_2020"))[
            "doe_2020"
        ]
        for t in ("One", "Zwei ß")
    )
    cite = Citations({})

    assert [cite(first), cite(second), cite(first)] == [
        r"~\cite{doe-2020}", r"~\cite{doe-2020-2}", r"~\cite{doe-2020}",
    ]  # fmt: skip
    assert cite.bibtex() == (
        "@misc{doe-2020,\n title = {One}\n}\n\n@misc{doe-2020-2,\n title = {Zwei {\\ss{}}}\n}\n"
    )


def test_nothing_is_written_where_nothing_is_cited():
    cite = Citations(LIBRARY)

    assert cite() == ""
    assert cite.bibtex() == ""

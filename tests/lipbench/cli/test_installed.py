"""What is installed besides methods, and what a shell completes of it."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from lipbench.cli import completion, installed
from lipbench.errors import UserError
from lipbench.planning import header, suite
from lipbench.plugins import Plugins
from lipbench.protocols import FITTED, PROTOCOLS

from ..conftest import TINY


def test_a_suites_size_is_that_of_its_plan(plan_of):
    for name in ("quickstart", "methods_digits"):
        card = installed.suite(name)
        assert card.runs == len(plan_of(suite.find(name)).runs)
    assert installed.suite("quickstart").size == "5 methods x 3 settings x 3 seeds = 45 runs"
    assert installed.suite("table1_2_cifar10").runs == 144


def test_a_study_says_its_budget_and_its_confirming_runs():
    card = installed.suite("tune_digits")
    assert (card.kind, card.runs) == ("study", None)
    assert card.size == "4 methods x 25 trials, then 3 runs each to confirm"


def test_suites_are_listed_by_family_and_figures_by_their_numbers():
    cards = installed.suites()
    families = [card.family for card in cards]
    assert list(dict.fromkeys(families)) == list(header.FAMILIES)
    assert families == sorted(families, key=header.FAMILIES.index)
    figures = [card.name for card in cards if card.name.startswith("figure")]
    assert figures.index("figure9_sigma") < figures.index("figure10_cost")


def test_every_shipped_suite_tells_its_family_its_cost_and_the_published_answer():
    for card in installed.suites():
        about = header.read(Path(card.path))
        assert about.parts["Family"] in header.FAMILIES, card.name
        assert 0 < len(card.cost) < 40, card.name
        if card.family in ("tuning", "examples"):
            assert "Seen" in about.parts, card.name
        assert bool(card.small_cost) == bool(card.small_size), card.name
        if card.family in ("the paper", "the lineage"):
            assert "Paper" in about.parts, card.name
            assert card.small_size, card.name


def test_a_card_shows_the_small_form_with_its_size():
    card = installed.suite("table1_2_cifar10")
    assert card.size == "8 methods x 6 settings x 3 seeds = 144 runs"
    assert card.small_size == "8 methods x 6 settings x 1 seed = 48 runs"


def test_a_part_of_the_comment_ends_at_the_next_one_or_at_an_empty_line(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(
        "# Why? Because.\n#\n# Cost: 2 minutes. On\n#   a laptop.\n# Small: none\n#\n# Note: x\n"
        "name: x\n"
    )
    about = header.read(path)
    assert about.question == "Why?"
    assert about.parts == {"Cost": "2 minutes. On a laptop.", "Small": "none"}
    assert (about.brief("Cost"), about.brief("Small"), about.brief("Seen")) == (
        "2 minutes", "none", "",
    )  # fmt: skip


def test_a_suite_without_a_comment_is_among_the_others(tmp_path, monkeypatch):
    path = tmp_path / "mine.yaml"
    path.write_text(TINY.replace("name: tiny", "name: tiny\ndescription: A trial."))
    monkeypatch.setattr(installed, "installed", lambda: {"mine": ("a package", path)})
    (card,) = installed.suites()
    assert (card.family, card.question, card.cost) == ("others", "A trial.", "")


def test_a_suites_question_is_the_first_sentence_of_its_file():
    assert installed.suite("figure11_n_dis").question == (
        "Does a method gain from more updates of D for each of G?"
    )
    assert all(card.question for card in installed.suites())


def test_every_protocol_has_a_card_with_its_primary_score_first():
    cards = {card.name: card for card in installed.protocols()}
    assert set(cards) == {*PROTOCOLS, *FITTED}
    for name, protocol in PROTOCOLS.items():
        assert cards[name].scores[0] == protocol.primary
        assert set(cards[name].scores) == set(protocol.scores)
        assert (cards[name].n_real, cards[name].n_fake) == (protocol.n_real, protocol.n_fake)
    assert cards["offline_small"].n_real is None


def test_a_losss_card_has_its_parameters_with_their_ranges():
    assert [card.name for card in installed.plugins(Plugins().losses)] == sorted(
        Plugins().losses.plugins
    )
    (field,) = installed.plugin(Plugins().losses, "wasserstein").hyperparameters
    assert str(field) == "drift: float >= 0 | null, default null"
    assert installed.plugin(Plugins().losses, "hinge").hyperparameters == ()


@pytest.mark.parametrize("kind", ["suite", "protocol", "loss"])
def test_a_name_that_is_not_there_is_refused_with_a_near_one(kind):
    near = {"suite": "quickstart", "protocol": "miyato2018", "loss": "hinge"}[kind]
    show = partial(installed.plugin, Plugins().losses)
    with pytest.raises(UserError, match=f"no {kind} called '{near}x'; did you mean '{near}'"):
        (show if kind == "loss" else getattr(installed, kind))(f"{near}x")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Return a folder with results, a suite, a method and hidden things."""
    monkeypatch.chdir(tmp_path)
    for name in ("runs/one", "runs/two", "runs/empty", "data", ".git"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("runs/one/plan.json", "runs/two/plan.json", "mine.yaml", "mine.py", "notes.txt"):
        (tmp_path / name).touch()
    (tmp_path / "runs" / "one" / "runs" / "SN-A-s0-1234").mkdir(parents=True)
    return tmp_path


def test_suites_are_completed_by_name_and_by_file(folder):
    assert completion.suites("q") == ["quickstart"]
    assert completion.suites("m") == ["methods_digits", "mode_collapse", "mine.yaml"]
    assert {"table1_2_cifar10", "data/", "mine.yaml", "runs/"} <= set(completion.suites(""))
    assert ".git/" not in completion.suites("")


def test_results_are_completed_where_there_is_a_plan(folder):
    assert completion.results("")[:2] == ["runs/one", "runs/two"]
    assert completion.results("runs/o") == ["runs/one"]
    assert completion.results("runs/one/runs/S") == ["runs/one/runs/SN-A-s0-1234/"]
    assert completion.results("nowhere/x") == []


def test_methods_protocols_losses_and_plugin_files_are_completed(folder):
    assert completion.methods("spectral_norm_e") == ["spectral_norm_exact"]
    assert completion.protocols("off") == ["offline", "offline_small"]
    assert completion.losses("h") == ["hinge"]
    assert completion.plugin_files("m") == ["mine.py"]


def test_a_broken_installation_completes_nothing(monkeypatch):
    def broken(group):
        raise UserError("no package")

    monkeypatch.setattr("lipbench.plugins.package_folders", broken)
    assert completion.methods("s") == []
    assert completion.suites("nothing_like_it") == []


LISTS = """
import sys
from lipbench.cli import main as cli
for words in (["suites"], ["suites", "quickstart"], ["protocols"], ["protocols", "offline_small"],
              ["losses"], ["losses", "wasserstein"], ["losses", "--json"], ["methods"],
              ["--version"], ["run", "-h"]):
    sys.argv = ["lipbench", *words]
    try:
        cli.main()
    except SystemExit as ended:
        assert not ended.code, words
import os
os.environ.update(_LIPBENCH_COMPLETE="complete_bash", COMP_WORDS="lipbench status ")
os.environ["COMP_CWORD"] = "2"
sys.argv = ["lipbench"]
try:
    cli.main()
except SystemExit as ended:
    assert not ended.code
for heavy in ("torch", "pandas", "optuna", "matplotlib"):
    assert heavy not in sys.modules, heavy
"""


def test_lists_help_and_completion_start_without_torch_and_pandas(folder):
    done = subprocess.run(
        [sys.executable, "-c", LISTS], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    for part in ("the paper:", "quickstart                run", "Which method survives",
                 "miyato2018@2", "ranks by         kd_effnetlite0",
                 "parameters       drift: float >= 0 | null", '"name": "least_squares"',
                 "lipbench 0.1.0", "runs/one\nruns/two"):  # fmt: skip
        assert part in done.stdout, part
    start = done.stdout.index("[\n {")
    listed, _ = json.JSONDecoder().raw_decode(done.stdout[start:])
    assert [loss["name"] for loss in listed] == sorted(Plugins().losses.plugins)

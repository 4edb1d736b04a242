"""Results as Python reads them, and the report of results that are there: on two real runs."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

import lipbench
from lipbench.cli.main import app
from lipbench.errors import UserError
from lipbench.planning import resolve, suite
from lipbench.plugins import Plugins, Registry
from lipbench.reporting import command, exhibits
from lipbench.runs import sweep
from lipbench.runs.run import run
from lipbench.runs.suite_folder import SuiteFolder

from ..conftest import TINY


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, cache, workplace) -> Path:
    """Return the folder of a suite with two completed and audited runs."""
    folder = tmp_path_factory.mktemp("loaded")
    (folder / "tiny.yaml").write_text(TINY.replace("checkpoint: 3", "checkpoint: 3, audit: 3"))
    plan = resolve.plan(*suite.read(folder / "tiny.yaml", []), Plugins(), cache)
    results = SuiteFolder(folder / "runs" / "tiny")
    results.save_plan(plan, "sqlite://")
    choices, registry = sweep.Choices(), Plugins()
    for task in sweep.tasks(plan, plan.runs, results, registry, choices, cache, None):
        run(task, workplace, lambda *_: True, lambda: False)
    return results.path


@pytest.fixture
def results(made, tmp_path, monkeypatch, cache) -> Path:
    """Return a copy of the results, without a report."""
    monkeypatch.setenv("LIPBENCH_CACHE", str(cache))
    return Path(shutil.copytree(made, tmp_path / "tiny"))


def spectral_norm(results: Path) -> Path:
    (found,) = (results / "runs").glob("spectral_norm*")
    return found


def test_audits_are_a_long_table_of_the_discriminator_and_its_layers(results):
    audits = lipbench.load_audits(results)

    assert list(audits) == ["run_id", "update", "layer", "name", "value"]
    assert set(audits["update"]) == {0, 3, 6}
    assert audits["run_id"].nunique() == 2
    whole = audits[audits["layer"].isna()]
    assert {"upper_bound", "lower_bound", "lower_bound_attack", "tightness"} <= set(whole["name"])
    kernels = audits[audits["run_id"].eq(spectral_norm(results).name)]
    kernels = kernels[kernels["name"].eq("sigma_kernel") & kernels["update"].eq(6)]
    assert kernels["layer"].is_unique
    assert kernels["value"].between(0.9, 1.3).all()
    product = kernels["value"].prod()
    bound = whole[whole["name"].eq("upper_bound_kernel") & whole["update"].eq(6)]
    assert any(abs(bound["value"] - product) < 1e-6 * product)


def test_an_audit_that_was_made_again_counts_once(results):
    path = spectral_norm(results) / "audits.jsonl"
    before = lipbench.load_audits(results)
    path.write_text(path.read_text() + path.read_text().splitlines()[-1] + "\n")
    assert lipbench.load_audits(results).equals(before)


def test_a_run_has_its_spec_its_rows_and_its_networks(results):
    one = lipbench.load_run(spectral_norm(results))

    assert [method.name for method in one.spec.methods] == ["spectral_norm"]
    assert one.status.outcome == "completed"
    assert {row["update"] for row in one.rows["metrics"]} == {2, 4, 6}
    assert {name: bool(rows) for name, rows in one.rows.items()} == dict.fromkeys(
        ("metrics", "scores", "audits"), True
    )
    with torch.no_grad():
        images = one.generator(torch.zeros(3, 128))
        logits = one.discriminator(images)
    assert (images.shape, logits.shape) == ((3, 1, 16, 16), (3,))
    assert not one.generator.training
    assert one.generator is one.generator  # built once


def test_reading_a_run_does_not_wait_for_torch(results):
    code = f"""
import sys, lipbench
one = lipbench.load_run({str(spectral_norm(results))!r})
lipbench.load_audits({str(results)!r})
sys.exit("torch" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_what_is_no_run_is_said_in_a_line(results, tmp_path):
    with pytest.raises(UserError, match="is no run's folder, but a suite's results"):
        lipbench.load_run(results)
    with pytest.raises(UserError, match=r"is no run's folder$"):
        lipbench.load_run(tmp_path)
    with pytest.raises(UserError, match=r"no plan\.json"):
        lipbench.load_audits(tmp_path)


def test_networks_of_a_run_without_a_checkpoint_are_missed_when_they_are_asked_for(results):
    folder = spectral_norm(results)
    for path in folder.glob("checkpoint*"):
        path.unlink()
    one = lipbench.load_run(folder)
    with pytest.raises(UserError, match="has no checkpoint yet, so no networks"):
        _ = one.discriminator


@pytest.fixture
def few(monkeypatch):
    """Let a report have two sections, which is quicker."""
    some = [e for e in exhibits() if type(e).__name__ in ("Answer", "Outcomes")]
    monkeypatch.setattr("lipbench.reporting.page.exhibits", lambda: some)


@pytest.mark.usefixtures("few")
def test_a_report_is_made_again_where_its_results_have_changed_and_only_there(results):
    asked = command.Asked((results,))
    first = command.make(asked)
    assert (first.page, first.as_it_was) == (results / "report/index.html", False)
    assert command.make(asked).as_it_was

    with (spectral_norm(results) / "metrics.jsonl").open("a") as file:
        file.write("\n")
    assert not command.make(asked).as_it_was

    (results / "report/index.html").write_text("mine")
    assert not command.make(asked).as_it_was


@pytest.mark.usefixtures("few")
def test_what_is_asked_for_has_a_folder_of_its_own(results, tmp_path):
    other = Path(shutil.copytree(results, tmp_path / "other"))
    command.make(command.Asked((results,)))
    some = command.make(command.Asked((results,), where="lr < 1"))
    both = command.make(command.Asked((results, other)))
    out = command.make(command.Asked((results,), methods=("sn",), out=tmp_path / "here"))

    assert some.page == results / "report-selected/index.html"
    assert both.page == results / "report-vs-other/index.html"
    assert out.page == tmp_path / "here/index.html"
    assert "Compared are the results in tiny and other." in both.page.read_text()
    assert "left out" in out.page.read_text()


MINE = """
from lipbench.reporting import Exhibit, Sentences
class Mine(Exhibit):
    title = "A section of mine"
    order = 0
    def show(self, results):
        yield Sentences((f"{len(results.runs)} runs, counted.",))
"""


def test_a_report_shows_a_users_own_section_and_is_made_again_where_its_code_changes(
    results, tmp_path, monkeypatch
):
    few = ("Answer", "Mine")
    monkeypatch.setattr(
        "lipbench.reporting.command.exhibits",
        lambda files: [e for e in exhibits(files) if type(e).__name__ in few],
    )
    (tmp_path / "mine.py").write_text(MINE)
    asked = command.Asked((results,), plugins=(tmp_path / "mine.py",))
    page = command.make(asked).page.read_text()
    assert "A section of mine" in page
    assert "2 runs, counted." in page
    assert command.make(asked).as_it_was
    del sys.modules[Registry("reports", asked.plugins)["mine"].module]  # as in a later process
    (tmp_path / "mine.py").write_text(MINE.replace("counted", "counted again"))
    assert not command.make(asked).as_it_was
    assert "2 runs, counted again." in asked.folder.joinpath("index.html").read_text()


def test_a_users_section_with_a_mistake_is_told_of_with_its_place(made, tmp_path):
    (tmp_path / "mine.py").write_text(MINE.replace("Exhibit,", "Exhibits,"))
    done = subprocess.run(
        [sys.executable, "-m", "lipbench", "report", made, "--plugin", tmp_path / "mine.py"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "mine.py:2: cannot be imported: ImportError: cannot import name 'Exh" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.usefixtures("few")
def test_a_watched_report_is_made_until_the_last_run_has_ended(results):
    told: list[command.Report] = []
    command.watch(command.Asked((results,)), told.append, seconds=0.01)
    assert [report.unfinished for report in told] == [0]
    assert "http-equiv" not in told[0].page.read_text()


@pytest.mark.usefixtures("few")
def test_a_page_that_is_watched_loads_itself_again_while_runs_are_left(results, monkeypatch):
    run = spectral_norm(results)
    later = run.rename(results.parent / run.name)
    told: list[tuple[int, bool]] = []
    monkeypatch.setattr(command.time, "sleep", lambda _: later.rename(run))
    command.watch(
        command.Asked((results,)),
        lambda r: told.append((r.unfinished, "http-equiv" in r.page.read_text())),
    )
    assert told == [(1, True), (0, False)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--where", "lrr > 1"], "no column called 'lrr'"),
        (["--methods", "nobody"], "no method called 'nobody'"),
        (["--metric", "nothing"], "no score called 'nothing'"),
        (["nowhere"], "nowhere is not a suite's results"),
    ],
)
def test_what_a_report_cannot_be_of_is_said_in_a_line(results, arguments, message):
    with pytest.raises(UserError, match=message):
        CliRunner().invoke(
            app,
            ["report", str(results), *arguments],
            catch_exceptions=False,
            standalone_mode=False,
        )

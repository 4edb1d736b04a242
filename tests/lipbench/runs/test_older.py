"""Results of the version before this schema, kept as files: they open, go on, and lose nothing.

`older/before` has a completed run, with scores by its suite's protocol and by `mine.yaml`, and
one that was stopped at update 25. `older/search` is a study of two trials and a confirming run.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from lipbench.planning.spec import SCHEMA
from lipbench.plugins import Plugins
from lipbench.results.frame import load_curves, load_runs
from lipbench.runs.suite_folder import SuiteFolder

OLDER = Path(__file__).with_name("older")
FD = 859.302163309244  # of the completed run, as its version computed it
FD_MINE = 859.3270542745571
FD_RESUMED = 701.8591573095915  # of the other one, had its version gone on with it
FD_OF_TRIAL = 874.6357340331966


@pytest.fixture
def older(tmp_path, monkeypatch):
    """Return a copy of the older results, in the current folder, of methods as they are now."""
    shutil.copytree(OLDER, tmp_path, dirs_exist_ok=True)
    (tmp_path / "runs").mkdir()
    for name in ("before", "search"):
        (tmp_path / name).rename(tmp_path / "runs" / name)
    plugins = Plugins()
    for path in tmp_path.glob("runs/*/runs/*/manifest.json"):
        manifest = json.loads(path.read_text())
        for session in manifest["sessions"]:  # the code of a method may have changed meanwhile
            for kind in plugins.kinds:
                sources = session.get(kind.sources, {})
                session[kind.sources] = {name: kind[name].source_hash for name in sources}
        path.write_text(json.dumps(manifest))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_older_results_are_read_where_they_are(older):
    """Nothing is renamed to read them, and the other protocol's scores are found by its id."""
    before = sorted((older / "runs").rglob("*"))
    runs = load_runs("runs/before").set_index("method")
    assert list(runs["outcome"]) == ["completed", "interrupted"]
    assert runs.at["none", "fd_digits"] == FD
    assert (runs.at["none", "width"], runs.at["none", "latent_dim"]) == (0.01, 128)
    assert (runs.at["none", "optimizer"], runs.at["none", "lr_g"]) == ("adam", 2e-4)
    other = load_runs("runs/before", "quick@21e65295").set_index("method")
    assert other.at["none", "fd_digits"] == FD_MINE
    assert load_runs("runs/before", "quick").equals(load_runs("runs/before", "quick@21e65295"))
    assert other.at["none", "best_update"] == 400
    assert "fd_digits_selection" in set(load_curves("runs/before")["name"])
    assert sorted((older / "runs").rglob("*")) == before


def test_an_older_suite_goes_on_under_its_new_names(older, command):
    """The completed run is done; its folder has the new hash, one file of scores, all of them."""
    code, printed = command("run", "before.yaml", "--workers", 1, "--only", "none")
    assert code == 0
    assert "0 to do" in printed
    (folder,) = [
        f for f in SuiteFolder(Path("runs/before")).folders().values() if "none" in f.path.name
    ]
    assert folder.path.name.endswith(folder.spec().hash)
    assert json.loads((folder.path / "spec.json").read_text())["schema"] == SCHEMA
    assert not (folder.path / "evals.jsonl").exists()
    found = {(row["protocol"], row["checkpoint"]) for row in folder.rows("scores")}
    assert found == {
        ("digits@2", "selection"), ("digits@2", "best"), ("digits@2", "last"),
        ("quick@21e65295", "best"), ("quick@21e65295", "last"),
    }  # fmt: skip


def test_a_folder_in_the_new_place_of_an_older_run_stops_nothing(older, command):
    """The run stays where it is, and is still done."""
    suite = SuiteFolder(Path("runs/before"))
    ((hash_, folder),) = [
        (hash_, folder)
        for hash_, folder in suite.folders().items()
        if folder.path.name.startswith("none")
    ]
    place = folder.path.parent / f"none-C-s0-{hash_}"
    place.mkdir()
    (place / "notes.txt").write_text("mine")
    code, printed = command("run", "before.yaml", "--workers", 1, "--only", "none")
    assert code == 0, printed
    assert "0 to do" in printed
    assert load_runs("runs/before").set_index("method").at["none", "fd_digits"] == FD


@pytest.mark.slow
def test_an_older_run_resumes_to_the_result_that_it_would_have_had(older, command):
    code, printed = command("run", "before.yaml", "--workers", 1)
    assert code == 0, printed
    assert "1 to do" in printed
    runs = load_runs("runs/before").set_index("method")
    # Another make of CPU was seen to change it by 0.0006 of it, other draws of real data by 0.06.
    assert runs.at["SN", "fd_digits"] == pytest.approx(FD_RESUMED, rel=0.01)


def test_an_older_study_goes_on(older, command):
    """Its definition is that of today's file, and no trial is made again."""
    code, printed = command("tune", "search.yaml", "--workers", 1)
    assert code == 0, printed
    runs = load_runs("runs/search")
    assert len(runs) == 3
    assert runs["fd_digits"].min() == FD_OF_TRIAL
    assert len(list(Path("runs/search/runs").iterdir())) == 3

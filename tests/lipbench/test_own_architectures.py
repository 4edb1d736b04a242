"""A user's own architecture: found by its file, checked, trained, resumed, its changes noticed."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from lipbench.errors import UserError
from lipbench.planning import parts
from lipbench.plugins import Plugins, Registry, beside, kind_of

GUIDE = Path(__file__).parents[2] / "docs" / "architectures.md"
(LADDER,) = re.findall(r"```python\n(.*?)```", GUIDE.read_text("utf-8"), re.DOTALL)


@pytest.fixture
def file(tmp_path):
    def file(text: str = LADDER, name: str = "ladder.py"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return file


def test_what_a_file_defines_tells_its_kind(file):
    assert kind_of(file()) == "architectures"
    assert kind_of(Registry("architectures")["mlp"].path) == "architectures"
    of_mlp = "from lipbench.architectures.mlp import MLP\nclass B(MLP): pass"
    assert kind_of(file(of_mlp, "b.py")) == "architectures"
    assert beside(file(name="architectures/ladder.py").parents[1])[0].name == "ladder.py"


def test_its_values_are_checked(file):
    plugins = Plugins([file()])
    made = parts.architecture("ladder", {"steps": 3, "latent_dim": 5}, plugins)
    assert (made.steps, made.latents.dim, made.latents.law) == (3, 5, "normal")
    with pytest.raises(UserError, match="steps: got 0"):
        parts.architecture("ladder", {"steps": 0}, plugins)


def test_it_is_listed_shown_and_examined(file, command):
    path = file()
    code, told = command("architectures", "--plugin", path)
    assert code == 0
    assert ["ladder", "file"] in [line.split()[:2] for line in told.splitlines()]
    told = command("architectures", "ladder", "--plugin", path)[1]
    assert "steps: int >= 1 and <= 8, default 2" in told
    code, told = command("check", "--plugin", path)
    assert (code, "9 of 9 cases passed" in told) == (0, True), told


def test_a_stopped_run_of_it_goes_on(file, write, plan_of, tasks_of, do):
    file(name="architectures/ladder.py")
    plan = plan_of(
        write(("{width: 0.125}", "{name: ladder, steps: 1}"), ("[none, spectral_norm]", "[none]")),
        plugins=(file(name="architectures/ladder.py"),),
    )
    (run,) = plan.runs
    assert run.spec.architecture.params["steps"] == 1
    assert run.spec.initialisation == "xavier_uniform"
    (task,) = tasks_of(plan)
    assert do(task, stop_after=2).outcome == "interrupted"
    (task,) = tasks_of(plan)
    assert do(task).outcome == "completed"
    assert tasks_of(plan) == []
    (session, *_) = json.loads((task.folder / "manifest.json").read_text())["sessions"]
    assert list(session["architecture_sources"]) == ["ladder"]


@pytest.mark.slow
def test_a_file_beside_the_suite_trains_and_its_changed_code_is_noticed(
    file, command, write, tmp_path
):
    path = file(name="architectures/ladder.py")
    suite = write(("{width: 0.125}", "ladder"), ("[none, spectral_norm]", "[none]"))
    asked = ("run", suite, "--runs-dir", tmp_path / "runs", "--workers", 1)
    code, told = command(*asked)
    assert code == 0, told
    assert "0 to do" in command(*asked)[1]
    del sys.modules[Plugins([path]).architectures["ladder"].module]  # as in a later process
    file(LADDER.replace("LeakyReLU(0.2)", "LeakyReLU(0.1)"), "architectures/ladder.py")
    code, told = command(*asked)
    assert code == 2
    assert "ladder.py changed since" in told

"""A user's own loss: found by its file, checked with the suite, and what training gives it."""

from __future__ import annotations

import sys

import pytest
import torch

from lipbench.errors import UserError
from lipbench.planning import parts
from lipbench.plugins import Plugins, Registry, beside, kind_of

LOGCOSH = '''
"""A loss of a user."""
from dataclasses import dataclass
from typing import Annotated
from annotated_types import Gt
from lipbench.loss import Loss

@dataclass(frozen=True)
class Pull(Loss):
    """Wasserstein, scaled."""
    source = "our choice"
    scale: Annotated[float, Gt(0)] = 2.0

    def discriminator(self, real_logits, fake_logits):
        return self.scale * (fake_logits.mean() - real_logits.mean())

    def generator(self, fake_logits, real_logits):
        return -self.scale * fake_logits.mean()
'''


@pytest.fixture
def file(tmp_path):
    def file(text: str = LOGCOSH, name: str = "pull.py"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return file


def test_what_a_file_defines_tells_its_kind(file):
    assert kind_of(file()) == "losses"
    assert kind_of(file("from lipbench.method import Method\nclass A(Method): pass", "a.py")) == (
        "methods"
    )
    of_hinge = "from lipbench.losses.hinge import Hinge\nclass B(Hinge): pass"
    assert kind_of(file(of_hinge, "b.py")) == "losses"
    assert kind_of(file("from .pull import Pull\nclass C(Pull): pass", "c.py")) == "losses"
    assert kind_of(Registry("losses")["saturating"].path) == "losses"
    assert kind_of(Registry("methods")["wgan_gp"].path) == "methods"


def test_a_loss_file_joins_the_losses_and_its_values_are_checked(file):
    plugins = Plugins([file()])
    assert plugins.losses["pull"].origin == "file"
    assert plugins.files() == [file()]
    made = parts.loss("pull", {"scale": 3}, plugins)
    logits = torch.tensor([1.0, 3.0])
    assert made.discriminator(logits, logits * 0).item() == -6.0
    with pytest.raises(UserError, match="greater than 0"):
        parts.loss("pull", {"scale": 0}, plugins)
    with pytest.raises(UserError, match="no parameter called 'scales'"):
        parts.loss("pull", {"scales": 1}, plugins)


def test_a_file_in_a_folder_of_another_kind_is_refused(file, tmp_path):
    good = file(name="losses/pull.py")
    assert beside(tmp_path) == [good]
    bad = file(name="methods/pull.py")
    with pytest.raises(UserError, match=r"defines a loss and stands in methods/") as told:
        beside(tmp_path)
    assert str(bad) in str(told.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (LOGCOSH + "\nclass Two(Loss): pass\n", "defines Pull, Two"),
        (LOGCOSH.replace("class Pull(Loss)", "class Pull(Loss"), "SyntaxError"),
        (LOGCOSH.replace("from annotated_types", "from annotated_typos"), "annotated_typos"),
    ],
)
def test_a_file_with_a_mistake_is_told_of_with_its_place(file, command, write, text, words):
    path = file(text)
    code, told = command("plan", write(), "--plugin", path)
    assert code == 2
    assert words in told
    assert str(path) in told


def test_a_name_that_is_taken_and_a_name_that_is_not_there(file, command, write):
    code, told = command("plan", write(), "--plugin", file(name="hinge.py"))
    assert (code, "'hinge' is taken" in told) == (2, True)
    code, told = command("plan", write(), "--plugin", file(), "--set", "loss=pul")
    assert code == 2
    assert "did you mean 'pull'" in told


def test_batches_that_a_loss_cannot_pair_are_refused(command, write):
    path = write()
    code, told = command("plan", path, "--set", "loss=relativistic")
    assert code == 0, told
    code, told = command(
        "plan", path, "--set", "loss=relativistic", "--set", "budget.generator_batch_size=7"
    )
    assert code == 2
    assert "must be equal" in told


def test_a_users_loss_is_listed_shown_and_examined(file, command):
    path = file()
    code, told = command("losses", "--plugin", path)
    assert code == 0
    assert ["pull", "file", "scale"] in [line.split()[:3] for line in told.splitlines()]
    assert "scale: float > 0, default 2.0" in command("losses", "pull", "--plugin", path)[1]
    code, told = command("check", "--plugin", path)
    assert (code, "5 of 5 cases passed" in told) == (0, True)


def test_a_users_loss_is_examined_though_a_method_has_its_name(file, command):
    code, told = command("check", "--plugin", file(name="r1.py"))
    assert (code, told.splitlines()[0]) == (0, "r1 (loss)")


@pytest.mark.slow
def test_a_run_with_a_users_loss_resumes_and_notices_when_its_code_changes(
    file, command, write, tmp_path
):
    path, suite = file(), write()
    runs = ("--runs-dir", tmp_path / "runs", "--workers", 1)
    asked = ("run", suite, "--set", "loss=pull", "--plugin", path, *runs)
    code, told = command(*asked)
    assert code == 0, told
    assert "0 to do" in command(*asked)[1]
    name = next((tmp_path / "runs").glob("*/runs/*")).name
    status = (tmp_path / "runs").glob(f"*/runs/{name}/manifest.json")
    assert '"loss_sources"' in next(status).read_text()
    del sys.modules[Plugins([path]).losses["pull"].module]  # as in a later process
    file(LOGCOSH.replace("-self.scale *", "-2 * self.scale *"))
    code, told = command(*asked)
    assert code == 2
    assert "pull.py changed since" in told

"""A user's own measure: found by its file, named in a protocol, scored, reported without it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from lipbench.errors import UserError
from lipbench.planning import plan as plans
from lipbench.plugins import Plugins, kind_of
from lipbench.protocols import SCORES, custom, find
from lipbench.runs.suite_folder import SuiteFolder
from lipbench.scoring import extractors

INK = '''
"""A measure of a user."""
from dataclasses import dataclass
from typing import Annotated
from annotated_types import Gt, Le
from lipbench.measure import Mean, require_finite

@dataclass(frozen=True)
class Ink(Mean):
    """How much of an image is bright."""
    title = "ink"
    description = "Share of values above a level, on the {features}"
    higher_is_better = True
    unit = "pixels a pixel"
    spaces = ("pixels",)
    needs_real = False
    level: Annotated[float, Gt(0), Le(1)] = 0.5

    def per_image(self, fake, real):
        require_finite(fake)
        return (fake.pooled > self.level).float().mean(dim=1)
'''
PROTOCOL = """
protocol:
  name: mine
  based_on: digits
  scores:
    ink_pixels: {level: 0.25}
    mmd_pixels: {}
"""


@pytest.fixture(autouse=True)
def forgotten(monkeypatch):
    """Each test begins with the scores of installed measures alone."""
    monkeypatch.setattr(SCORES, "_scores", {})
    monkeypatch.setattr(SCORES, "_plugins", {})


@pytest.fixture
def file(tmp_path):
    def file(text: str = INK, name: str = "ink.py") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return file


@pytest.fixture
def suite(write):
    """Return a function that writes the tiny suite under a protocol of the user's own."""

    def suite(protocol: str = PROTOCOL) -> Path:
        return write(
            ("protocol: digits\n", protocol.lstrip("\n")),
            ("methods: [none, spectral_norm]", "methods: [none]"),
        )

    return suite


def test_a_measures_file_is_known_by_what_it_extends(file):
    assert kind_of(file()) == "measures"
    of_built_in = "from lipbench.measures.mmd import Mmd\nclass B(Mmd): pass"
    assert kind_of(file(of_built_in, "b.py")) == "measures"
    assert Plugins([file()]).measures["ink"].origin == "file"


def test_its_scores_follow_from_its_spaces_and_can_be_named_in_a_protocol(file):
    SCORES.join([file()])
    score = SCORES["ink_pixels"]
    assert (score.title, score.higher_is_better, score.axis) == ("ink (pixels)", True, "linear")
    assert score.description == "Share of values above a level, on the pixels, scaled to [0, 1]"
    mine = custom(
        {"name": "mine", "based_on": "digits", "scores": {"ink_pixels": {"level": 0.25}}}
    )
    assert mine.options("ink_pixels") == {"level": 0.25}
    assert "ink (pixels) on 1,000 generated images (level 0.25)" in mine.sentence()


def test_a_measure_of_networks_features_has_a_score_for_each_network(file):
    SCORES.join([file(INK.replace('    spaces = ("pixels",)\n', ""))])
    assert [name for name in SCORES if SCORES[name].measure == "ink"] == [
        "ink_inception", "ink_effnetlite0", "ink_digits",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("level: 0.25", "levl: 0.25", "no option called 'levl'; did you mean 'level'"),
        ("level: 0.25", "level: 2", "level: got 2; .* less than or equal to 1"),
        ("ink_pixels", "ink_pixel", "no score called 'ink_pixel'; did you mean"),
    ],
)
def test_what_it_does_not_take_is_refused_with_file_and_line(file, suite, command, old, new, told):
    path = suite(PROTOCOL.replace(old, new))
    number = 1 + ["ink_pixel" in line for line in path.read_text().splitlines()].index(True)
    code, printed = command("plan", path, "--plugin", file())
    assert code == 2
    with pytest.raises(UserError, match=told):
        raise UserError(printed)
    assert f"{path}:{number}: " in printed


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('    title = "ink"\n', "", "a measure must say its title"),
        ("    higher_is_better = True\n", "", "a measure must say its higher_is_better"),
        ("] = 0.5", "]", "the option level needs a default"),
        ('("pixels",)', '("pixls",)', "no space called 'pixls'; did you mean 'pixels'"),
        ('title = "ink"', 'title = "ink"\n    prefix = "mmd"', "'mmd_pixels' is that of"),
        ("class Ink", "class Inc(Mean): pass\nclass Ink", "defines Inc, Ink"),
    ],
)  # fmt: skip
def test_a_file_with_a_mistake_is_told_of_with_its_place(file, suite, command, old, new, told):
    path = file(INK.replace(old, new))
    code, printed = command("plan", suite(), "--plugin", path)
    assert code == 2
    assert told in printed
    assert str(path) in printed


def test_a_name_that_is_taken_is_refused(file, suite, command):
    code, told = command("plan", suite(), "--plugin", file(name="mmd.py"))
    assert (code, "'mmd' is taken" in told) == (2, True)


def test_a_users_measure_is_listed_shown_and_examined(file, command):
    path = file()
    code, told = command("measures", "--plugin", path)
    assert code == 0
    rows = [line.split() for line in told.splitlines()]
    assert ["ink", "file", "higher", "level", "ink_pixels"] in rows
    told = command("measures", "ink", "--plugin", path)[1]
    assert "level: float > 0 and <= 1, default 0.5" in told
    assert "pixels a pixel" in told
    code, told = command("check", "--plugin", path)
    assert (code, "6 of 6 cases passed" in told) == (0, True)


def test_it_scores_runs_and_a_later_command_reads_them_without_its_file(
    file, suite, plan_of, tasks_of, do, tmp_path
):
    made = plan_of(suite(), plugins=(file(),))
    (task,) = tasks_of(made)
    assert do(task, stop_after=3).outcome == "interrupted"
    (task,) = tasks_of(made)
    assert do(task).outcome == "completed"
    (run,) = (tmp_path / "runs" / "tiny" / "runs").iterdir()
    rows = [json.loads(line) for line in (run / "scores.jsonl").read_text().splitlines()]
    assert all(0 < row["scores"]["ink_pixels"] <= 1 for row in rows)
    assert 0 < rows[-1]["floors"]["ink_pixels"] < 1
    (sources,) = {
        tuple(session["measure_sources"].items())
        for session in json.loads((run / "manifest.json").read_text())["sessions"]
    }
    assert sources[0][0] == "ink"

    file().unlink()
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "import lipbench\n"
        "from lipbench.protocols import SCORES\n"
        f"runs = lipbench.load_runs({str(tmp_path / 'runs' / 'tiny')!r})\n"
        "assert 0 < runs['ink_pixels'][0] <= 1\n"
        "assert SCORES['ink_pixels'].higher_is_better\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_stored_plan_tells_its_scores_without_importing_the_file(file, suite, plan_of):
    path = file()
    made = plan_of(suite(), plugins=(path,))
    stored = json.loads(json.dumps(made.to_json()))
    assert [each["score"]["name"] for each in stored["own_scores"]] == ["ink_pixels"]
    before = SCORES["ink_pixels"]
    SCORES._scores, SCORES._plugins = {}, {}
    sys.modules.pop(Plugins([path]).measures["ink"].module)
    again = plans.from_json(stored)
    assert again.protocol == made.protocol
    assert SCORES["ink_pixels"] == before
    assert not Plugins([path]).measures["ink"].is_imported
    assert SCORES.measure("ink_pixels").__name__ == "Ink"  # where it is asked for


def test_a_plan_of_installed_measures_stores_no_scores(write, plan_of):
    assert plan_of(write()).to_json()["own_scores"] == []


def test_changed_code_of_a_users_measure_is_noticed(file, suite, command, tmp_path):
    path = suite()
    asked = ("run", path, "--plugin", file(), "--runs-dir", tmp_path / "runs", "--workers", 1)
    code, told = command(*asked)
    assert code == 0, told
    assert "0 to do" in command(*asked)[1]
    del sys.modules[Plugins([file()]).measures["ink"].module]  # as in a later process
    file(INK.replace("fake.pooled >", "1 - fake.pooled >"))
    code, told = command(*asked)
    assert code == 2
    assert "ink.py changed since" in told


def test_a_file_beside_the_suite_or_the_protocol_needs_no_option(file, suite, command, tmp_path):
    file(name="measures/ink.py")
    code, told = command("plan", suite())
    assert code == 0, told
    alone = tmp_path / "mine.yaml"
    alone.write_text(PROTOCOL)
    assert "ink_pixels" in find(str(alone)).scores


def test_no_weights_are_asked_for_where_no_score_needs_a_network(file, suite, plan_of, tmp_path):
    made = plan_of(suite(), plugins=(file(),))
    assert not made.protocol.uses_extractor
    extractors.prepare(made.protocol, tmp_path, explicit=tmp_path / "absent.pth")
    with pytest.raises(UserError):
        extractors.prepare(find("miyato2018"), tmp_path, explicit=tmp_path / "absent.pth")
    assert SuiteFolder(tmp_path).path == tmp_path

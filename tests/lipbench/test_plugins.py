"""Plugins: a user's own file, what can be wrong with it, and the traps of dataclasses."""

from __future__ import annotations

from pathlib import Path

import pytest

from lipbench import resolve
from lipbench.errors import UserError
from lipbench.method import Method
from lipbench.plugins import RESERVED, Registry

GOOD = '''
"""A method of somebody's own."""
from __future__ import annotations
from lipbench.method import Method, Positive

class Mine(Method):
    """Do nothing, strongly."""
    label = "Mine"
    strength: Positive = 2.0
'''


@pytest.fixture
def file(tmp_path: Path):
    def file(text: str, name: str = "mine.py") -> Path:
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return file


def test_a_file_is_a_plugin_by_its_name(file):
    registry = Registry("methods", [file(GOOD)])
    method = registry["mine"].load(Method)(strength=3.0)
    assert method.strength == 3.0
    assert registry["mine"].summary == ("Mine", "Do nothing, strongly.")
    assert registry.files() == [registry["mine"].path]


@pytest.mark.parametrize("name", RESERVED["methods"])
def test_a_method_cannot_have_the_name_of_a_key_that_stands_beside_it(file, name):
    with pytest.raises(UserError, match=rf"{name}.py: the name '{name}' is a key of a suite's me"):
        Registry("methods", [file(GOOD, f"{name}.py")])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import nothing_of_the_kind", r"mine.py:1: cannot be imported: ModuleNotFoundError"),
        ("x = 1\nraise KeyError('y')", r"mine.py:2: cannot be imported: KeyError"),
        ("import sys\nsys.exit(4)", r"mine.py:2: cannot be imported: SystemExit: 4"),
        ("import os\nos._exit(4)", r"mine.py:2: cannot be imported: SystemExit: 4"),
        ("raise KeyboardInterrupt", r"mine.py:1: cannot be imported: KeyboardInterrupt"),
        ("def broken(:", r"mine.py:1: cannot be imported: SyntaxError"),
        ("x = 1", r"mine.py: defines no Method; a plugin file defines one subclass of Method"),
        (GOOD + "\nclass Other(Mine):\n    'Another.'\n", r"defines Mine, Other; a plugin file"),
    ],
)
def test_a_file_that_is_no_plugin_is_explained_with_its_line(file, text, message):
    with pytest.raises(UserError, match=message):
        Registry("methods", [file(text)])["mine"].load(Method)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "strength: Positive",
            "requires = 'hinge'\n    strength: Positive",
            "requires should",
        ),
        (
            "strength: Positive",
            "traits = frozenset({'x'})\n    strength: Positive",
            "traits",
        ),
        ("strength: Positive", "papers = 'x'\n    strength: Positive", "papers should be a tuple"),
        ("class Mine(Method)", "class Mine(Penalty)", "Mine is a Penalty without a `term`"),
        ("class Mine(Method)", "class Mine(Projection)", "Projection without a `constrain`"),
        ("= 2.0", "= 2.0\n    def penalti(self): pass", "penalti is no hook; did you mean 'pena"),
        ("= 2.0", "= 2.0\n    def project(self, d): pass", r"project should take \(self, discrim"),
    ],
)
def test_what_a_class_says_in_another_form_is_refused_when_it_is_loaded(file, old, new, message):
    text = GOOD.replace("import Method,", "import Method, Penalty, Projection,")
    assert old in text
    with pytest.raises(UserError, match=message):
        Registry("methods", [file(text.replace(old, new))])["mine"].load(Method)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("= 2.0", "= -2.0", "strength: got -2.0; input should be greater than 0"),
        (
            "= 2.0",
            "= 2.0\n    @property\n    def claims(self): return (Claim('sigma', 1.0, 0.1),)",
            "its claims: ValueError: no quantity called 'sigma'; there are",
        ),
    ],
)
def test_a_bad_default_or_claim_is_told_when_the_method_is_made(file, old, new, message):
    text = GOOD.replace("import Method,", "import Claim, Method,").replace(old, new)
    with pytest.raises(UserError, match=message):
        resolve.instance("mine", {}, Registry("methods", [file(text)]))


def test_a_file_whose_name_is_no_identifier_is_refused(file):
    with pytest.raises(UserError, match="letters, digits and underscores"):
        Registry("methods", [file(GOOD, "my-method.py")])


def test_a_taken_name_and_a_missing_file_are_refused(file, tmp_path):
    with pytest.raises(UserError, match=r"the name 'none' is taken by .*none.py \(built-in\)"):
        Registry("methods", [file(GOOD, "none.py")])
    with pytest.raises(UserError, match="no such Python file"):
        Registry("methods", [tmp_path / "absent.py"])


def test_the_source_hash_is_of_the_code_and_not_of_its_comments(file):
    def digest(text: str) -> str:
        return Registry("methods", [file(text)])["mine"].source_hash

    plain = digest(GOOD)
    assert digest(GOOD.replace("strongly", "weakly") + "\n# a comment\n") == plain
    assert digest(GOOD.replace("2.0", "2.5")) != plain


def test_the_source_hash_covers_the_siblings_that_a_file_imports(file):
    (path := file("from .other import x\n")).with_name("other.py").write_text("x = 1\n")
    before = Registry("methods", [path])["mine"].source_hash
    path.with_name("other.py").write_text("x = 2\n")
    assert Registry("methods", [path])["mine"].source_hash != before


def test_the_source_hash_is_of_what_was_imported_not_of_a_later_edit(file):
    plugin = Registry("methods", [file(GOOD, "kept.py")])["kept"]
    plugin.load(Method)
    before = plugin.source_hash
    plugin.path.write_text(GOOD.replace("2.0", "2.5"))
    assert Registry("methods", [plugin.path])["kept"].source_hash == before


def test_a_file_that_is_an_installed_plugin_itself_is_no_clash():
    path = Registry("methods")["none"].path
    assert Registry("methods", [path])["none"].origin == "built-in"


def test_a_hyperparameter_without_annotation_is_refused():
    with pytest.raises(TypeError, match="strength has no annotation"):
        type("Bad", (Method,), {"__doc__": "Bad.", "label": "bad", "strength": 2.0})


def test_a_mutable_default_is_refused():
    with pytest.raises(TypeError, match=r"mutable default"):
        type(
            "Bad",
            (Method,),
            {"__doc__": "B.", "label": "b", "x": [1], "__annotations__": {"x": list}},
        )


def test_a_hyperparameter_without_a_default_is_refused():
    with pytest.raises(TypeError, match="strength has no default"):
        type(
            "Bad",
            (Method,),
            {"__doc__": "B.", "label": "b", "__annotations__": {"strength": "float"}},
        )


@pytest.mark.parametrize(
    ("body", "message"),
    [({"__doc__": "Bad."}, "has no label"), ({"label": "bad"}, "has no docstring")],
)
def test_a_method_without_label_or_docstring_is_refused(body, message):
    with pytest.raises(TypeError, match=message):
        type("Bad", (Method,), body)

"""Plugins: a user's own file, what can be wrong with it, and the traps of dataclasses."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest
from torch import nn

from lipbench.errors import UserError
from lipbench.method import Method
from lipbench.planning import parts
from lipbench.plugins import RESERVED, Plugins, Registry

GOOD = '''
"""A method of somebody's own."""
from __future__ import annotations
from torch import nn
from lipbench.method import Method, Positive

class Mine(Method):
    """Do nothing, strongly."""
    label = "Mine"
    strength: Positive = 2.0

    def activation(self, channels):
        return nn.Softplus()
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
        ("def activation(self, channels)", "def penalise(self, d, batch)", "penalise is no hook"),
        (
            "def activation(self, channels)",
            "def _activation(self, c)",
            "Mine overrides no hook, so",
        ),
        ("= 2.0", "= 2.0\n    is_baseline = True", "is a baseline, but overrides activation"),
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
        parts.method("mine", {}, Plugins([file(text)]))


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


class Hooked(Method, abstract=True):
    """Override a hook, so that a class below is refused for nothing else."""

    def project(self, discriminator, step):
        self.shrink(discriminator)

    def shrink(self, discriminator):
        """Be what a class below can define."""

    def _private(self):
        pass


class Helpers:
    """No method, but a class that methods inherit from too."""

    def halve(self, weight):
        return weight / 2


def made(bases=(Hooked,), **members):
    return type("Mine", bases, {"__doc__": "Mine.", "label": "mine", **members})


def nothing(self):
    """Do nothing."""


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("a function", nothing),
        ("a lambda", lambda self, discriminator, batch: 0),
        ("a partial function", functools.partial(nothing)),
        ("a static method", staticmethod(nothing)),
        ("a class method", classmethod(nothing)),
        ("a property", property(nothing)),
        ("a cached property", functools.cached_property(nothing)),
        ("a module", nn.ReLU()),
    ],
)
def test_a_public_member_that_nothing_calls_is_refused_of_whatever_kind_it_is(kind, value):
    message = (
        "Mine.penalise is no hook, so nothing calls it. A method can define norm, activation, "
        "wrap, wrap_generator, prepare, penalty, project, generator_loss, claims, shrink; "
        "a helper's name starts with _"
    )
    with pytest.raises(TypeError) as refused:
        made(penalise=value)
    assert str(refused.value) == message


@pytest.mark.parametrize("value", [nothing, staticmethod(nothing), property(nothing)])
def test_a_member_whose_name_starts_with_an_underscore_is_a_helper(value):
    assert made(_penalise=value)().label == "mine"


@pytest.mark.parametrize(
    "members",
    [
        {"shrink": nothing},  # its base's
        {"claims": property(lambda self: ())},
        {"Part": nn.ReLU},  # a class within
        {"penalty": lambda self, discriminator, batch: 0},
        {"penalty": classmethod(lambda cls, discriminator, batch: 0)},
        {"norm": nn.BatchNorm2d},  # called with the channels alone, as a class is
    ],
    ids=lambda members: next(iter(members)),
)
def test_what_a_method_may_define_is_taken(members):
    assert made(**members)().label == "mine"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (3.0, r"penalty is a hook's name, so it should be a method .*, not 3\.0"),
        (property(nothing), r"penalty is a hook's name, so it should be a method that takes"),
        (staticmethod(lambda d, batch: 0), r"penalty should take \(self, discriminator, batch\)"),
        (classmethod(lambda cls, d: 0), r"penalty should take \(self, discriminator, batch\)"),
    ],
)
def test_a_hook_that_training_cannot_call_is_refused(value, message):
    with pytest.raises(TypeError, match=message):
        made(penalty=value)


def test_a_class_beside_the_base_is_held_to_the_same():
    with pytest.raises(TypeError, match=r"Mine\.halve is no hook"):
        made((Helpers, Hooked))


def test_an_abstract_class_may_bring_in_another_class():
    class Base(Helpers, Hooked, abstract=True):
        """Bring in a helper."""

    assert made((Base,))().halve(4) == 2


def test_an_abstract_class_may_add_names_but_not_misspell_a_hook():
    with pytest.raises(TypeError, match=r"Base\.projekt is no hook; did you mean 'project'\?"):

        class Base(Method, abstract=True):
            """Misspell."""

            def projekt(self, discriminator, step):
                pass


def test_a_class_below_an_abstract_one_that_overrides_nothing_is_refused():
    class Base(Method, abstract=True):
        """Add a name and no hook."""

        def shrink(self, discriminator):
            pass

    with pytest.raises(TypeError, match="Mine overrides no hook, so training would be that of"):
        made((Base,), shrink=nothing)

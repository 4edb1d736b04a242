"""Plugins and suites with a mistake: one or two lines that say where, and exit code 2."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest
from PIL import Image

from lipbench import protocols
from lipbench.data import DatasetInfo
from lipbench.dataset import misfit
from lipbench.errors import UserError
from lipbench.protocols import SCORES
from lipbench.words import a

PLUGINS = {
    "methods": '''
"""A method."""
from lipbench.method import NonNegative, Penalty, Requires

class Mine(Penalty):
    """Add nothing much."""
    label = "mine"
    coefficient: NonNegative = 0.1

    def term(self, discriminator, batch):
        return self.coefficient * batch.fake_logits.mean()
''',
    "losses": '''
"""A loss."""
from dataclasses import dataclass
from typing import Annotated
from annotated_types import Gt
from lipbench.loss import Loss

@dataclass(frozen=True)
class Mine(Loss):
    """Wasserstein, scaled."""
    source = "our choice"
    scale: Annotated[float, Gt(0)] = 2.0

    def discriminator(self, real_logits, fake_logits):
        return self.scale * (fake_logits.mean() - real_logits.mean())

    def generator(self, fake_logits, real_logits):
        return -self.scale * fake_logits.mean()
''',
    "datasets": '''
"""A dataset."""
from dataclasses import dataclass
from typing import Annotated
import numpy as np
from annotated_types import Ge
from lipbench.data import DatasetInfo
from lipbench.dataset import Source

@dataclass(frozen=True)
class Mine(Source):
    """Noise."""
    count: Annotated[int, Ge(2)] = 300

    def inspect(self, cache):
        return DatasetInfo("mine", "f" * 64, (1, 16, 16), self.count, self.count, ("a", "b"))

    def load(self, info, cache):
        draw, arrays = np.random.default_rng(0), {}
        for split in ("train", "test"):
            images = draw.integers(0, 256, (self.count, 16, 16, 1), dtype=np.uint8)
            labels = np.arange(self.count) % 2
            arrays |= {f"{split}_samples": images, f"{split}_labels": labels}
        return arrays, ()
''',
    "architectures": '''
"""An architecture."""
import math
from dataclasses import dataclass
from typing import Annotated
from annotated_types import Ge
from torch import nn
from lipbench.architecture import Architecture, Discriminator, Generator, identity

class Made(Generator):
    def __init__(self, latents, shape):
        super().__init__(latents)
        self.dense = nn.Linear(latents.dim, math.prod(shape))
        self.shape = shape

    def compute(self, inputs):
        return self.dense(inputs).tanh().view(-1, *self.shape)

class Judged(Discriminator):
    def __init__(self, shape, units, norm, activation):
        super().__init__(shape)
        self.body = nn.Sequential(nn.Conv2d(shape[0], units, 3), norm(units), activation(units))
        self.head = nn.Linear(units * (shape[1] - 2) * (shape[2] - 2), 1)

@dataclass(frozen=True)
class Mine(Architecture):
    """A dense layer, and a convolution."""
    shapes = "images"
    examples = ((1, 16, 16),)
    units: Annotated[int, Ge(1)] = 4

    def takes(self, shape):
        return len(shape) == 3

    def generator(self, shape, classes=0):
        return Made(self.latents, shape)

    def discriminator(self, shape, classes=0, norm=identity, activation=None):
        return Judged(shape, self.units, norm, activation or (lambda channels: nn.ReLU()))
''',
    "measures": '''
"""A measure."""
from dataclasses import dataclass
from typing import Annotated
from annotated_types import Gt, Le
from lipbench.measure import Mean, require_finite

@dataclass(frozen=True)
class Mine(Mean):
    """How much of an image is bright."""
    title = "mine"
    description = "Share of values above a level, on the {features}"
    higher_is_better = True
    spaces = ("pixels",)
    needs_real = False
    level: Annotated[float, Gt(0), Le(1)] = 0.5

    def per_image(self, fake, real):
        require_finite(fake)
        return (fake.pooled > self.level).float().mean(dim=1)
''',
    "reports": '''
"""A section of a report."""
from lipbench.reporting import Exhibit, Omitted

class Mine(Exhibit):
    """Show nothing."""
    title = "Mine"
    order = 0

    def show(self, results):
        yield Omitted("it is mine")
''',
}
USED = {  # how a suite uses the plugin
    "methods": ["methods=[mine]"],
    "losses": ["loss=mine"],
    "datasets": ["dataset=mine", "protocol=offline_small"],
    "architectures": ["architecture=mine"],
    "measures": ["protocol={name: m, based_on: digits, scores: {mine_pixels: {}}}"],
}
MEASURED = "protocol={{name: m, based_on: digits, scores: {{{}}}}}"
DEFINED = {"methods": "class Mine(Penalty):", "losses": "class Mine(Loss):",
           "datasets": "class Mine(Source):", "architectures": "class Mine(Architecture):",
           "measures": "class Mine(Mean):", "reports": "class Mine(Exhibit):"}  # fmt: skip
BASES = {"methods": "Method", "losses": "Loss", "datasets": "Source", "reports": "Exhibit",
         "architectures": "Architecture", "measures": "Measure"}  # fmt: skip


@pytest.fixture(autouse=True)
def forgotten(monkeypatch):
    """Each test begins with the scores of installed measures alone."""
    monkeypatch.setattr(SCORES, "_scores", {})
    monkeypatch.setattr(SCORES, "_plugins", {})


def line_of(text: str, part: str) -> int:
    """Return the line of a text that has a part."""
    return text[: text.index(part)].count("\n") + 1


@pytest.fixture
def refused(command, write, tmp_path, monkeypatch):
    """Return a function that gives a command a plugin of a text, and returns its error.

    `{file}` in what is said is the plugin's path.
    """
    monkeypatch.chdir(tmp_path)

    def refused(kind, text, verb="plan", sets=None, path="mine.py"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)
        arguments = [] if path != "mine.py" else ["--plugin", "mine.py"]
        if kind == "reports":
            verb, arguments = "report", ["nowhere", *arguments]
        else:
            for assignment in USED[kind] if sets is None else sets:
                arguments += ["--set", assignment]
            arguments = [write(), *arguments]
        code, told = command(verb, *arguments)
        assert code == 2, told
        *before, error = told.splitlines()
        assert error.startswith("error: ")
        assert [line for line in before if verb != "run" or not line.startswith("tiny: ")] == []
        return error.replace(str(tmp_path / path), "{file}")

    return refused


@pytest.mark.parametrize("kind", PLUGINS)
def test_the_plugins_that_the_cases_spoil_are_good(kind, command, write, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(PLUGINS[kind])
    if kind == "reports":
        told = command("report", "nowhere", "--plugin", "mine.py")[1]
        assert "nowhere is not a suite's results" in told
        return
    sets = [word for assignment in USED[kind] for word in ("--set", assignment)]
    code, told = command("plan", write(), "--plugin", "mine.py", *sets)
    assert code == 0, told


@pytest.mark.parametrize("kind", PLUGINS)
def test_a_file_without_the_class_that_it_should_define(kind, refused):
    spoiled = PLUGINS[kind].replace(DEFINED[kind], "class Mine:")
    # Which is what else is expected; an architecture's file has its networks, too.
    base = BASES[kind if kind in ("reports", "architectures") else "methods"]
    told = refused(kind, spoiled)
    assert f"{{file}}: defines no {base}; a plugin file defines one subclass of {base}" in told


@pytest.mark.parametrize("kind", PLUGINS)
def test_a_file_with_two_classes(kind, refused):
    text = PLUGINS[kind] + "\nclass Two(Mine):\n    '''Another.'''\n    label = 'two'\n"
    base, line = BASES[kind], line_of(text, "class Two")
    expected = f"{{file}}:{line}: defines Mine, Two; a plugin file defines one subclass of {base}"
    assert expected in refused(kind, text)


@pytest.mark.parametrize("kind", PLUGINS)
@pytest.mark.parametrize(
    ("new", "said"),
    [
        ("import nothing_of_the_kind\n", ": cannot be imported: ModuleNotFoundError: No module"),
        ("def broken(:\n", ": cannot be imported: SyntaxError"),
        ("raise KeyError('y')\n", ": cannot be imported: KeyError: 'y'"),
    ],
)
def test_a_file_that_cannot_be_imported(kind, new, said, refused):
    text = PLUGINS[kind].replace("from lipbench", f"{new}from lipbench", 1)
    assert f"{{file}}:{line_of(text, new)}{said}" in refused(kind, text)


@pytest.mark.parametrize(
    ("kind", "other", "said"),
    [
        ("methods", "reports", "it defines a report; `lipbench report` takes it, with --plugin"),
        ("reports", "methods", "it defines a method, not a report"),
        ("reports", "losses", "it defines a loss, not a report"),
        ("reports", "datasets", "it defines a dataset, not a report"),
        ("reports", "architectures", "it defines an architecture, not a report"),
        ("reports", "measures", "it defines a measure, not a report"),
    ],
)
def test_a_file_of_another_kind_than_the_command_takes(kind, other, said, refused):
    assert f"{{file}}: {said}" in refused(kind, PLUGINS[other])


@pytest.mark.parametrize("folder", USED)
@pytest.mark.parametrize("kind", USED)
def test_a_file_in_a_folder_of_another_kind(folder, kind, refused):
    if folder != kind:
        told = refused(kind, PLUGINS[kind], path=f"{folder}/mine.py")
        singular = "loss" if kind == "losses" else kind.removesuffix("s")
        assert f"{{file}}: it defines {a(singular)}" in told
        assert f"and stands in {folder}/; move it to {kind}/" in told


def test_a_file_of_two_kinds(refused):
    text = PLUGINS["methods"] + PLUGINS["losses"].replace("class Mine", "class Two")
    assert "{file}: it defines a loss and a method; a plugin file defines one" in refused(
        "methods", text
    )


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("methods", "r1"),
        ("losses", "hinge"),
        ("datasets", "digits"),
        ("reports", "scores"),
        ("architectures", "mlp"),
        ("measures", "mmd"),
    ],
)
def test_a_name_that_another_plugin_of_the_kind_has(kind, name, command, write, tmp_path):
    (tmp_path / f"{name}.py").write_text(PLUGINS[kind])
    given = ("report", "nowhere") if kind == "reports" else ("plan", write())
    code, told = command(*given, "--plugin", tmp_path / f"{name}.py")
    assert (code, told.count("\n")) == (2, 1)
    assert f"{name}.py: the name {name!r} is taken by /" in told
    assert f"/{name}.py (built-in); rename the file" in told


@pytest.mark.parametrize("kind", USED)
def test_a_name_that_two_files_have(kind, command, write, tmp_path):
    files = [tmp_path / folder / "mine.py" for folder in "ab"]
    for file in files:
        file.parent.mkdir()
        file.write_text(PLUGINS[kind])
    code, told = command("plan", write(), "--plugin", files[0], "--plugin", files[1])
    assert code == 2
    assert told == (
        f"error: {files[1]}: the name 'mine' is taken by {files[0]} (file); rename the file\n"
    )


REQUIRES = '    label = "mine"\n    requires = Requires(loss="{}")'


@pytest.mark.parametrize(
    ("kind", "old", "new", "sets", "said"),
    [  # what a suite says
        ("methods", "", "", ["methods=[{mine: {coefficient: -1}}]"],
         "method 'mine': coefficient: got -1; input should be greater than or equal to 0"),
        ("methods", "", "", ["methods=[{mine: {weight: 1}}]"],
         "method 'mine': no hyperparameter called 'weight'"),
        ("methods", '    label = "mine"', REQUIRES.format("hinge"),
         ["methods=[mine]", "loss=wasserstein"], "mine requires the loss hinge, not wasserstein"),
        ("methods", '    label = "mine"', REQUIRES.format("hing"), ["methods=[mine]"],
         "no loss called 'hing'; did you mean 'hinge'?"),
        ("methods", "", "", ["methods=[wgan_gp, mine]", "loss=hinge"],
         "WGAN-GP requires the loss wasserstein, not hinge"),
        ("methods", "", "", ["methods=[{spectral_norm: {}, loss: wasserstein}, mine]"],
         "users report that it never trains"),
        ("losses", "", "", ["loss={mine: {scale: 0}}"],
         "loss 'mine': scale: got 0; input should be greater than 0"),
        ("losses", "", "", ["loss={mine: {scale: big}}"], "loss 'mine': scale: got 'big'; "),
        ("losses", "", "", ["loss={mine: {scales: 1}}"],
         "loss 'mine': no parameter called 'scales'; did you mean 'scale'?"),
        ("losses", "    scale", "    paired = True\n    scale",
         ["loss=mine", "budget.generator_batch_size=7"],
         "the loss mine pairs real and generated images, so batch_size and"),
        ("datasets", "", "", ["dataset={name: mine, count: 1}"],
         "dataset 'mine': count: got 1; input should be greater than or equal to 2"),
        ("datasets", "", "", ["dataset={name: mine, size: 1}"],
         "dataset 'mine': no parameter called 'size'"),
        ("datasets", "1, 16, 16), self", "1, 20, 20), self", ["dataset=mine"],
         "standard_cnn makes square images of 16, 32 or 48 pixels; these are images of 20 pixels"),
        ("architectures", "", "", ["architecture={name: mine, units: 0}"],
         "architecture 'mine': units: got 0; input should be greater than or equal to 1"),
        ("architectures", "", "", ["architecture={name: mine, width: 65}"],
         "architecture 'mine': width: got 65; input should be less than or equal to 64"),
        ("architectures", "", "", ["architecture={name: mine, latent_law: cauchy}"],
         "architecture 'mine': latent_law: got 'cauchy'; input should be 'normal' or 'uniform'"),
        ("architectures", "", "", ["architecture={name: mine, unit: 1}"],
         "architecture 'mine': no parameter called 'unit'; did you mean 'units'?"),
        ("architectures", "", "", ["architecture=min"],
         "no architecture called 'min'; did you mean 'mine'?"),
        ("architectures", "return len(shape) == 3", "return shape[-1] == 20",
         ["architecture=mine"], "mine makes images; these are images of 16 pixels"),
        ("architectures", "", "", ["architecture=mine", "dataset=gaussians", "protocol=points"],
         "mine makes images; these are points of 2 values"),
        ("architectures", "", "", ["dataset=gaussians", "protocol=points"],
         "standard_cnn makes square images of 16, 32 or 48 pixels; these are points of 2 values"),
        ("measures", "", "", [MEASURED.format("mine_pixels: {level: 2}")],
         "level: got 2; input should be less than or equal to 1"),
        ("measures", "", "", [MEASURED.format("mine_pixels: {levl: 1}")],
         "no option called 'levl'; did you mean 'level'?"),
        ("measures", "", "", [MEASURED.format("mine_pixel: {}")],
         "no score called 'mine_pixel'; did you mean 'mine_pixels'?"),
        ("measures", '"pixels"', '"points"', [MEASURED.format("mine_points: {}")], "points"),
    ],
)  # fmt: skip
def test_a_suite_that_does_not_fit_a_plugin(kind, old, new, sets, said, refused):
    told = refused(kind, PLUGINS[kind].replace(old, new, 1) if old else PLUGINS[kind], sets=sets)
    assert said in told
    assert told.startswith(("error: --set ", "error: /"))  # its place


@pytest.mark.parametrize(
    ("kind", "old", "new", "line", "said"),
    [  # what a class says, or forgets
        ("losses", "def generator", "def genrator", "class Mine",
         "Mine does not define generator; is 'genrator' meant to be it?"),
        ("losses", "def discriminator(self, real_logits, fake_logits)",
         "def discriminator(self, real_logits)", "class Mine",
         "Mine.discriminator should take (self, real_logits, fake_logits)"),
        ("losses", '    source = "our choice"\n', "", "class Mine", "Mine has no source"),
        ("losses", "    scale", "    needs_real = 1\n    scale", "class Mine",
         "Mine.needs_real should be True or False"),
        ("losses", "    scale", "    papers = 'x'\n    scale", "class Mine",
         "Mine.papers should be a tuple"),
        ("losses", "scale: Annotated[float, Gt(0)] = 2.0", "scale = 2.0", "class Mine",
         "Mine.scale has no annotation, so no suite could set it; write `scale: float = 2.0`"),
        ("losses", "@dataclass(frozen=True)\n", "", "class Mine",
         "Mine has the field scale and is no dataclass; write @dataclass(frozen=True) above it"),
        ("losses", "scale: Annotated[float, Gt(0)]", "scale: Nothing", "scale: Nothing",
         "cannot be imported: NameError: name 'Nothing' is not defined"),
        ("losses", "scale: Annotated[float, Gt(0)]", "scale: 'Nothing'", "class Mine",
         "Mine: its fields cannot be checked"),
        ("losses", "scale: Annotated[float, Gt(0)]", "scale: 'Loss.discriminator'", "class Mine",
         "Mine: its fields cannot be checked"),
        ("methods", "coefficient: NonNegative", "coefficient: 'Nothing'", "class Mine",
         "Mine: its fields cannot be checked"),
        ("datasets", "def load", "def read", "class Mine", "Mine does not define load"),
        ("datasets", "def inspect(self, cache)", "def inspect(self)", "class Mine",
         "Mine.inspect should take (self, cache)"),
        ("datasets", "@dataclass(frozen=True)\n", "", "class Mine",
         "Mine has the field count and is no dataclass"),
        ("architectures", "def generator", "def genrator", "class Mine",
         "Mine does not define generator; is 'genrator' meant to be it?"),
        ("architectures", "def takes", "def makes", "class Mine", "Mine does not define takes"),
        ("architectures", "norm=identity, activation=None)", "norm=identity)", "class Mine",
         "Mine.discriminator should take (self, shape, classes, norm, activation)"),
        ("architectures", '    shapes = "images"\n', "", "class Mine", "Mine has no shapes"),
        ("architectures", "    units", "    initialisation = 'normal'\n    units", "class Mine",
         "Mine: no initialisation called 'normal'"),
        ("architectures", "@dataclass(frozen=True)\n", "", "class Mine",
         "Mine has the field units and is no dataclass"),
        ("measures", "def per_image", "def per_imge", "class Mine",
         "Mine does not define per_image; is 'per_imge' meant to be it?"),
        ("measures", "def per_image(self, fake, real)", "def per_image(self, fake)", "class Mine",
         "Mine.per_image should take (self, fake, real)"),
        ("measures", "import Mean, ", "import Measure as Mean, ", "class Mine",
         "Mine does not define value"),
        ("measures", "level: Annotated[float, Gt(0), Le(1)]", "level", "class Mine",
         "Mine.level has no annotation"),
        ("reports", "    order = 0\n", "", "class Mine",
         "Mine needs order: its place within its part, a number"),
        ("reports", "    title = ", "    heading = ", "class Mine", "Mine needs title: the head"),
        ("reports", "    order = 0", "    order = 0\n    part = 'end'", "class Mine",
         "Mine needs part: one of answer, evidence, lipschitz and cost, everything, not 'end'"),
        ("reports", "def show", "def shows", "class Mine", "Mine does not define show"),
    ],
)  # fmt: skip
def test_a_class_that_is_no_plugin_yet(kind, old, new, line, said, refused):
    assert old in PLUGINS[kind]
    text = PLUGINS[kind].replace(old, new, 1)
    assert f"{{file}}:{line_of(text, line)}: {said}" in refused(kind, text)


@pytest.mark.parametrize(
    ("kind", "old", "new", "said"),
    [
        ("losses", "= 2.0", "= -2.0", "loss 'mine': scale: got -2.0; input should be greater"),
        ("datasets", "= 300", "= 1", "dataset 'mine': count: got 1; input should be greater"),
    ],
)
def test_a_default_out_of_its_own_range(kind, old, new, said, refused):
    assert said in refused(kind, PLUGINS[kind].replace(old, new))


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("return Made(self.latents, shape)", "return Made(self.latents, (1, 20, 20))",
         "def generator",
         "generator returned a network with outputs of shape (2, 1, 20, 20) for 2 inputs, not"),
        ("return Made(self.latents, shape)", "return None", "def generator",
         "generator returned None, which is no Generator"),
        ("return Judged(", "return nn.Sequential(", "return nn.Sequential(",
         "discriminator fails for ("),
        ("super().__init__(shape)", "super().__init__(shape); shape[3]", "shape[3]",
         "discriminator fails for (1, 16, 16): IndexError: tuple index out of range"),
        ("units * (shape[1] - 2)", "units * shape[1]", "def discriminator",
         "discriminator fails for (1, 16, 16): RuntimeError: mat1 and mat2 shapes cannot be"),
        ("* (shape[2] - 2), 1)", "* (shape[2] - 2), 2)", "def discriminator",
         "discriminator returned a network with outputs of shape (2, 2) for 2 inputs, not (2,)"),
    ],
)  # fmt: skip
def test_networks_that_do_not_fit_the_samples(old, new, line, said, refused):
    text = PLUGINS["architectures"].replace(old, new, 1)
    assert f"{{file}}:{line_of(text, line)}: {said}" in refused("architectures", text)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('DatasetInfo("mine", "f" * 64, (1, 16, 16), self.count, self.count, ("a", "b"))', "None",
         "inspect returned None, which is no DatasetInfo"),
        ("16), self.count, self.count", "16), 0, self.count", "inspect returned n_train 0"),
        ("(1, 16, 16)", "(1.5, 16, 16)", "inspect returned the shape (1.5, 16, 16), which is no"),
        ('"f" * 64', "7", "inspect returned the fingerprint 7, which is no text"),
        ('("a", "b")', '"ab"', "inspect returned the classes 'ab', which are no tuple of names"),
    ],
)  # fmt: skip
def test_facts_of_a_dataset_that_cannot_be(old, new, said, refused):
    text = PLUGINS["datasets"].replace(old, new, 1)
    assert f"{{file}}:{line_of(text, 'def inspect')}: {said}" in refused("datasets", text)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("(self.count, 16, 16, 1)", "(self.count - 1, 16, 16, 1)",
         "train_samples is (299, 16, 16, 1); `inspect` says (300, 16, 16, 1)"),
        ("(self.count, 16, 16, 1)", "(self.count, 1, 16, 16)",
         "train_samples is (300, 1, 16, 16); `inspect` says (300, 16, 16, 1)"),
        ("dtype=np.uint8)", "dtype=np.uint8) / 255", "train_samples is float64, not uint8"),
        ("labels = np.arange(self.count) % 2", "labels = np.arange(self.count) % 3",
         "train labels are 0 to 2; there are 2 classes"),
        ("labels = np.arange(self.count) % 2", "labels = np.arange(self.count) % 2.0",
         "train_labels is float64, not int64"),
        ("labels = np.arange(self.count) % 2", "labels = [0, 1] * 150",
         "train_labels is a list, no array of NumPy"),
        ('f"{split}_labels": labels', '', "its arrays are ['test_samples', 'train_samples'], not"),
        ("return arrays, ()", "return [], ()", "its arrays are [], not ["),
    ],
)  # fmt: skip
def test_arrays_that_are_not_what_inspect_says_are_refused_before_any_run(
    old, new, said, refused, tmp_path
):
    text = PLUGINS["datasets"].replace(old, new, 1)
    place = f"{{file}}:{line_of(text, 'def load')}: load returned other data than inspect says: "
    assert place + said in refused("datasets", text, verb="run")
    assert not list(tmp_path.glob("runs/*/runs/*"))


@pytest.mark.parametrize(
    ("kind", "old", "new", "said", "verb"),
    [
        ("datasets", "return DatasetInfo(", "1 / 0; return DatasetInfo(",
         "inspect fails: ZeroDivisionError: division by zero", "plan"),
        ("datasets", "draw, arrays =", "1 / 0; draw, arrays =",
         "load fails: ZeroDivisionError: division by zero", "run"),
        ("architectures", "return len(shape) == 3", "return shape[7] == 3",
         "takes fails: IndexError: tuple index out of range", "plan"),
        ("losses", "return self.scale * (", "return self.none * (",
         "discriminator fails: AttributeError: 'Mine' object has no attribute 'none'", "plan"),
        ("losses", "return -self.scale * fake_logits.mean()", "return real_logits.mean()",
         "generator fails: AttributeError: 'NoneType' object has no attribute 'mean'", "plan"),
    ],
)  # fmt: skip
def test_a_function_that_fails_is_told_with_its_line(kind, old, new, said, verb, refused):
    text = PLUGINS[kind].replace(old, new, 1)
    assert f"{{file}}:{line_of(text, new)}: {said}" in refused(kind, text, verb=verb)


@pytest.mark.parametrize(
    ("new", "said"),
    [
        ("return fake_logits - real_logits",
         "discriminator returned a tensor of shape (4,) for logits of shape (4,), not a scalar"),
        ("return 1.0", "discriminator returned 1.0, not a scalar"),
    ],
)  # fmt: skip
def test_a_loss_that_is_no_scalar(new, said, refused):
    old = "return self.scale * (fake_logits.mean() - real_logits.mean())"
    text = PLUGINS["losses"].replace(old, new, 1)
    assert f"{{file}}:{line_of(text, 'def discriminator')}: {said}" in refused("losses", text)


@pytest.mark.parametrize(
    ("method", "old", "layer"),
    [("batch_norm", "norm(units)", "norm"), ("group_sort", "activation(units)", "activation")],
)
def test_a_method_whose_layers_the_architecture_leaves_out(method, old, layer, refused):
    text = PLUGINS["architectures"].replace(old, "nn.ReLU()", 1)
    sets = ["architecture=mine", f"methods=[{method}]"]
    said = f"the discriminator of mine takes no {layer} of a method into its hidden layers"
    assert said in refused("architectures", text, sets=sets)


def test_points_that_are_not_finite_are_refused():
    info = DatasetInfo("mine", "f", (2,), 3, 3, ("a",))
    points = np.zeros((3, 2), dtype=np.float32)
    arrays = {"train_samples": points, "test_samples": points}
    arrays |= {f"{split}_labels": np.zeros(3, dtype=np.int64) for split in ("train", "test")}
    assert misfit(arrays, info) == ""
    broken = points.copy()
    broken[1, 0] = np.nan
    assert misfit({**arrays, "test_samples": broken}, info) == "test_samples hold nan or inf"


def test_a_protocol_that_needs_as_many_of_both_says_so_when_it_is_read():
    scores = {"wasserstein_points": {"n_real": 300, "n_fake": 200}}
    with pytest.raises(UserError, match=r"needs as many real as generated samples.* 300 and 200"):
        protocols.find({"name": "m", "based_on": "points", "scores": scores})


def test_a_protocols_file_that_is_not_there_is_told_with_the_suites_line(write, plan_of):
    with pytest.raises(UserError, match=r"tiny\.yaml:\d+: there is no file missing\.yaml"):
        plan_of(write(("protocol: digits", "protocol: missing.yaml")))


def test_an_architecture_of_points_alone_does_not_speak_of_image_sizes(refused):
    text = PLUGINS["architectures"].replace("((1, 16, 16),)", "((2,),)", 1)
    text = text.replace("return len(shape) == 3", "return len(shape) == 1", 1)
    said = refused("architectures", text)
    assert "mine makes images; these are images of 16 pixels" in said
    assert "image_size" not in said


@pytest.mark.parametrize(
    ("kind", "given"), [("losses", "loss=mine"), ("methods", "methods=[mine]"),
                        ("architectures", "architecture=mine"), ("datasets", "dataset=mine")]
)  # fmt: skip
def test_a_name_of_a_file_that_nobody_gave_is_told_how_to_give_it(
    kind, given, command, write, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(PLUGINS[kind])
    code, told = command("plan", write(), "--set", given)
    assert code == 2
    assert "--plugin mine.py takes the file that is here" in told


def made_empty(folder):
    for split in ("train", "val"):
        (folder / split / "a").mkdir(parents=True)
        Image.new("RGB", (40, 40)).save(folder / split / "a" / "0.png")
    (folder / "train" / "b").mkdir()


def made_of_two_sizes(folder):
    Image.new("RGB", (40, 30)).save(folder / "0.png")
    for name in ("1.png", "2.png"):
        Image.new("RGB", (32, 32)).save(folder / name)


def made_cut_short(folder):
    with zipfile.ZipFile(folder / "cut.zip", "w") as archive:
        archive.writestr("a/0.png", bytes(100))
    (folder / "cut.zip").write_bytes((folder / "cut.zip").read_bytes()[:-10])


def made_no_parquet(folder):
    (folder / "train-0.parquet").write_bytes(b"PAR1")


@pytest.mark.parametrize(
    ("make", "dataset", "said"),
    [
        (made_empty, "{name: imagenet, path: set, image_size: 32}", "train/b is empty"),
        (made_empty, "{name: images, path: set, image_size: 32}", "train/b is empty"),
        (made_of_two_sizes, "{name: images, path: set}", "0.png is 40 x 30, not square"),
        (made_cut_short, "{name: images, path: set/cut.zip}", "give a folder or a zip of images"),
        (made_no_parquet, "{name: parquet, path: set}", "train-0.parquet cannot be read"),
        (None, "{name: parquet, path: nowhere}", "nowhere does not exist"),
        (None, "{name: imagenet, path: nowhere, image_size: 32}", "nowhere does not exist"),
        (None, "{name: lsun, path: nowhere}", "nowhere/bedroom_train does not exist"),
        (None, "{name: lsun, category: tower}", "needs the folder that has tower_train/"),
        (None, "{name: svhn, path: nowhere}", "nowhere is no folder; make it"),
        (None, "{name: celeba, path: nowhere}", "nowhere is no folder; make it"),
        (None, "{name: stl10, image_size: 50}", "image_size: got 50; input should be 32, 48"),
        (None, "{name: mnist, image_size: 32}", "no parameter called 'image_size'"),
    ],
)
def test_a_dataset_that_is_not_there_or_is_spoiled_is_refused_with_its_line(
    make, dataset, said, command, write, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "set").mkdir()
    if make:
        make(tmp_path / "set")
    text = ("dataset: digits", f"dataset:\n  {dataset}")
    architecture = ("{width: 0.125}", "{name: mlp, units: 8}")
    code, told = command("plan", write(text, architecture))
    assert code == 2, told
    assert said in told
    assert f"{tmp_path / 'tiny.yaml'}:4: " in told
    assert len(told.splitlines()) <= 2

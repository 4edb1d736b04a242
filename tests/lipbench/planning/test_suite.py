"""What a suite's file may say, and what is said to somebody who got it wrong."""

from __future__ import annotations

import re

import pytest

from lipbench.errors import UserError
from lipbench.planning import suite


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "dataset: digits",
            "datset: digits",
            r":3: no key called 'datset'; did you mean 'dataset'",
        ),
        ("protocol: digits", "", r":2: suite needs 'protocol'"),
        ("generator_updates: 6", "generator_updates: '6'", r":7: .*got '6'; .*valid integer"),
        ("generator_updates: 6", "generator_updates: true", r":7: .*got True; .*integer"),
        ("generator_updates: 6", "generator_updates: 0", r":7: .*got 0; .*greater than or equal"),
        ("batch_size: 8,", "batchsize: 8,", r":7: .*'budget.batchsize'; did you mean 'budget.bat"),
        ("settings: [C]", "settings: []", r":6: settings: got \[\]"),
        (
            "settings: [C]",
            "settings: [{lr: -1, beta1: 0, beta2: 0, n_dis: 1}]",
            r":6: .*lr: got -1",
        ),
        (
            "settings: [C]",
            "settings: [{lr: '1e-4', beta1: 0, beta2: 0, n_dis: 1}]",
            r":6: .*'1e-4'",
        ),
        ("settings: [C]", "settings: [3]", r":6: settings.0: got 3"),
        ("budget: {", "budget: 3  # {", r":7: budget: got 3; it should be a mapping"),
        (
            "protocol: digits",
            "protocol: digits\nprecision: auto",
            r":9: .*'float32' or 'bfloat16'",
        ),
        ("protocol: digits", "protocol: digits\nprotocol: x", r":9: 'protocol' stands here twice"),
        ("protocol: digits", "protocol: [digits", r":9: not valid YAML"),
        ("[C]", "[{lr: .inf, beta1: 0, beta2: 0, n_dis: 1}]", r":6: .*finite number"),
        ("dataset: digits", "dataset: {{ name }}", r":3: a key must be a name"),
        ("name: tiny", "name: \x07", r":2: has the control character '.x07'"),
        ("name: tiny", "name: ../tiny", r":2: name: got '../tiny'"),
        (
            "name: tiny",
            "loss: {hinge: {}, wasserstein: {}}",
            r":2: loss: got .*; write one name, alone or with its parameters",
        ),
        (
            "[none,",
            "\n  - none: {}\n    setting: {lr: 1, beta1: 2, beta2: 0, n_dis: 1}\n  -",
            r":7: methods.0.setting.beta1: got 2; .*less than 1",
        ),
        (
            "[none,",
            "\n  - none: {}\n    setting: {name: X, lr: 1, beta1: 0, beta2: 0, n_dis: 1}\n  -",
            r":7: no key called 'methods.0.setting.name'; .*There are .*setting.beta1",
        ),
        ("[none,", "[{none: {}, setting: {lr: 1}},", r":5: methods.0.setting needs 'n_dis'"),
        (
            "[C]",
            "[{lr: 1, beta1: 0, n_dis: 1}]",
            r":6: settings.0: got .*; adam needs beta2",
        ),
        (
            "[C]",
            "[{optimizer: rmsprop, lr: 1, beta1: 0, n_dis: 1}]",
            r":6: settings.0: got .*; rmsprop has no beta1; its parameters are alpha, momentum",
        ),
        (
            "[C]",
            "[{optimizer: adan, lr: 1, n_dis: 1}]",
            r":6: settings.0: got .*; no optimizer called 'adan'; did you mean 'adam'?",
        ),
        ("[none,", "[{none: {}, setting: 3},", r":5: methods.0.setting: got 3; .*string"),
        ("[none,", "[{none: {}, setting: [C]},", r":5: methods.0.setting: got \['C'\]; .*string"),
        ("[none,", "[{none: {}, loss: 3},", r":5: methods.0.loss: got 3; it should be a mapping"),
        (
            "[none,",
            "[{none: {}, loss: {hinge: {}, wasserstein: {}}},",
            r":5: methods.0.loss: got .*; write one name, alone or with its parameters",
        ),
    ],
)
def test_a_mistake_is_told_with_its_line_and_what_is_possible(write, old, new, message):
    path = write((old, new))
    with pytest.raises(UserError, match=re.escape(str(path)) + message):
        suite.read(path, [])


def test_numbers_are_read_as_people_write_them(write):
    path = write(("generator_updates: 6", "generator_updates: 1e5"), ("0.125", "1.25e-1"))
    read, _ = suite.read(path, [])
    assert read.budget.generator_updates == 100_000
    assert read.architecture.params == {"width": 0.125}


def test_a_setting_written_as_1e_4_is_a_number(write):
    path = write(("[C]", "[{lr: 1e-4, beta1: .5, beta2: 0.9, n_dis: 5}]"))
    read, _ = suite.read(path, [])
    assert read.settings[0].lr == 1e-4


def test_a_single_entry_stands_for_a_list_of_one(write):
    read, _ = suite.read(write(("settings: [C]", "settings: miyato2018\nseeds: 3")), [])
    assert read.settings == ["miyato2018"]
    assert read.seeds == [3]


def test_set_changes_a_value_and_is_blamed_for_it(write):
    read, _ = suite.read(write(), ["budget.generator_updates=9", "dataset.image_size=32"])
    assert read.budget.generator_updates == 9
    assert (read.dataset.name, read.dataset.params) == ("digits", {"image_size": 32})
    with pytest.raises(UserError, match=r"^--set budget.generator_updates=x: .*got 'x'"):
        suite.read(write(), ["budget.generator_updates=x"])


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("budget", "write it as key.path=value"),
        ("budget.x=3", r"no key called 'budget.x'"),
        ("methods.9=none", "there is no place 9 to set"),
        ("seeds=[", "not valid YAML"),
    ],
)
def test_a_set_that_cannot_be_is_explained(write, assignment, message):
    with pytest.raises(UserError, match=rf"^--set {re.escape(assignment)}: .*{message}"):
        suite.read(write(), [assignment])


def test_an_installed_suite_is_found_by_name_and_a_typo_gets_a_suggestion():
    assert suite.find("quickstart").name == "quickstart.yaml"
    with pytest.raises(UserError, match="did you mean 'quickstart'"):
        suite.find("quickstrat")
    with pytest.raises(UserError, match=r"no suite file nowhere/x.yaml"):
        suite.find("nowhere/x.yaml")


def test_the_papers_settings_are_those_of_its_table_1():
    values = {name: (s.lr, s.beta1, s.beta2, s.n_dis) for name, s in suite.MIYATO2018.items()}
    assert values == {
        "A": (0.0001, 0.5, 0.9, 5),
        "B": (0.0001, 0.5, 0.999, 1),
        "C": (0.0002, 0.5, 0.999, 1),
        "D": (0.001, 0.5, 0.9, 5),
        "E": (0.001, 0.5, 0.999, 5),
        "F": (0.001, 0.9, 0.999, 5),
    }

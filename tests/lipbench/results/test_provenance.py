"""What the manifests say of how runs were made."""

from __future__ import annotations

from types import SimpleNamespace

from lipbench.results import provenance


def of(*sessions):
    return provenance.of(SimpleNamespace(dataset=None, plugins=()), sessions)


def test_a_command_is_as_a_shell_takes_it_and_said_once():
    run = {"command": ["/home/somebody/bin/lipbench", "run", "my suite.yaml", "--workers", "1"]}

    assert of(run, run).commands == ("lipbench run 'my suite.yaml' --workers 1",)


def test_a_module_that_is_run_is_called_as_such():
    run = {"command": ["/lib/lipbench/__main__.py", "run", "mine.yaml"]}

    assert of(run).commands == ("python -m lipbench run mine.yaml",)


def test_versions_are_those_of_all_sessions():
    found = of({"versions": {"torch": "2.6"}}, {"versions": {"torch": "2.7"}}, {})

    assert found.versions == {"torch": ("2.6", "2.7")}
    assert found.commands == ()

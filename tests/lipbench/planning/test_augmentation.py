"""What training does to real images, in a suite and in a run's identity."""

from __future__ import annotations

import dataclasses

import pytest

from lipbench.errors import UserError
from lipbench.planning import spec
from lipbench.planning.spec import Augmentation

GIVEN = "augmentation: {flip: true, crop: 2, dequantise: true}\n"


def test_a_run_without_augmentation_has_the_identity_of_before_there_was_any(write, plan_of):
    run = plan_of(write()).runs[0].spec
    assert run.augmentation == Augmentation()
    assert "augmentation" not in run.to_json()
    written_out = "augmentation: {flip: false, crop: 0, dequantise: false}\nseeds:"
    same = plan_of(write(("settings:", f"{written_out} [0]\nsettings:"))).runs[0].spec
    assert same.hash == run.hash


def test_every_part_of_an_augmentation_is_part_of_a_runs_identity(write, plan_of):
    run = plan_of(write()).runs[0].spec
    every = [
        dataclasses.replace(run, augmentation=each)
        for each in (
            Augmentation(),
            Augmentation(flip=True),
            Augmentation(crop=2),
            Augmentation(crop=3),
            Augmentation(dequantise=True),
        )
    ]
    assert len({each.hash for each in every}) == 5
    for each in every:
        assert spec.from_json(each.to_json()) == each
        assert [spec.fits(each.to_json(), other) for other in every].count(True) == 1


def test_a_suite_gives_its_runs_their_augmentation_and_a_plan_says_so(write, plan_of, command):
    suite = write(("settings:", f"{GIVEN}settings:"))
    assert {run.spec.augmentation for run in plan_of(suite).runs} == {Augmentation(True, 2, True)}
    code, told = command("plan", suite)
    assert code == 0
    assert "horizontal flips, crops of images framed by 2 zeros, dequantisation" in told


@pytest.mark.parametrize(
    ("set_", "words"),
    [
        ("augmentation.crop=16", "augmentation.crop: got 16; the frame should be narrower than"),
        ("augmentation.crop=-1", "augmentation.crop: got -1"),
        ("augmentation.flip=yes", "augmentation.flip: got 'yes'"),
        ("augmentation.flop=true", "no key called 'augmentation.flop'; did you mean"),
        ("augmentation=flip", "augmentation: got 'flip'; it should be a mapping"),
    ],
)
def test_what_is_no_augmentation_is_refused_with_its_place(write, command, set_, words):
    code, told = command("plan", write(), "--set", set_)
    assert code == 2
    assert words in told
    assert "--set" in told


def test_points_are_not_augmented(write, plan_of):
    points = (
        ("dataset: digits", "dataset: gaussians\naugmentation: {flip: true}"),
        ("architecture: {width: 0.125}", "architecture: {name: mlp, units: 16, layers: 2}"),
        ("protocol: digits", "protocol: points"),
    )
    with pytest.raises(UserError, match="augmentation is of images; gaussians has points") as told:
        plan_of(write(*points))
    assert ":4" in str(told.value)

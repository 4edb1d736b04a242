"""From suites to plans: grids, labels, identities, and what is refused."""

from __future__ import annotations

import json

import pytest

from lipbench.errors import UserError
from lipbench.planning import parts, spec, suite
from lipbench.planning import plan as plans
from lipbench.plugins import Plugins
from lipbench.tuning import study as studies


def labels(plan):
    return list(dict.fromkeys(run.method for run in plan.runs))


def test_a_plan_is_the_product_of_methods_settings_and_seeds(write, plan_of):
    plan = plan_of(write(("[C]", "miyato2018\nseeds: [0, 1]")))
    assert len(plan.runs) == 2 * 6 * 2
    assert len({run.id for run in plan.runs}) == 24
    assert [run.setting for run in plan.runs[:12:2]] == list("ABCDEF")


def test_a_list_of_values_is_a_grid_and_its_labels_tell_the_points_apart(write, plan_of):
    plan = plan_of(write(("[none, spectral_norm]", "[{weight_clipping: {bound: [0.01, 0.1]}}]")))
    assert labels(plan) == ["WC", "WC (bound=0.1)"]
    plan = plan_of(
        write(("[none, spectral_norm]", "[{weight_clipping: {bound: [0.01, 1]}, label: clip}]"))
    )
    assert labels(plan) == ["clip (bound=0.01)", "clip (bound=1)"]


def test_a_plus_makes_a_combination(write, plan_of):
    plan = plan_of(write(("[none, spectral_norm]", "[spectral_norm + gan_gp]")))
    assert labels(plan) == ["SN + GAN-GP"]
    assert [m.name for m in plan.runs[0].spec.methods] == ["spectral_norm", "gan_gp"]
    assert plan.runs[0].id.startswith("spectral_norm+gan_gp-C-s0-")


def test_a_spec_spells_out_every_default(write, plan_of):
    run = plan_of(write()).runs[1].spec
    assert run.methods[0].params == {"power_iterations": 1, "gamma": False}
    assert (run.initialisation, run.loss, run.precision) == (
        "normal_0.02",
        spec.LossSpec("non_saturating", {"real_target": None}),
        "float32",
    )
    assert run.architecture == spec.ArchitectureSpec(
        "standard_cnn",
        {
            "width": 0.125, "latent_dim": 128, "latent_law": "normal",
            "widths": "table", "slope": 0.1, "dense_norm": False,
        },
    )  # fmt: skip
    assert run.setting == spec.Setting(2e-4, 0.5, 0.999, 1, "adam")


def test_numbers_are_coerced_before_they_are_hashed(write, plan_of):
    entry = "[{weight_clipping: {bound: %s}}]"
    ids = {
        plan_of(write(("[none, spectral_norm]", entry % bound))).runs[0].id
        for bound in ("1", "1.0", "1e0")
    }
    assert len(ids) == 1


def test_the_order_of_keys_in_a_stored_spec_does_not_matter(write, plan_of):
    stored = plan_of(write()).runs[0].spec.to_json()
    hashes = set()
    for params in ({"a": 1, "b": 2}, {"b": 2, "a": 1}):
        methods = [{"name": "any", "params": params}]
        hashes.add(spec.from_json({**stored, "methods": methods}).hash)
    assert len(hashes) == 1


def test_protocols_paths_intervals_and_labels_are_not_part_of_the_identity(write, plan_of):
    """A run is its training: neither how it is scored nor how often is in its hash."""
    plain = plan_of(write()).runs[0].spec.hash
    labelled = ("[none, spectral_norm]", "[{none: {}, label: nothing}]")
    same = write(labelled, ("metrics: 2", "metrics: 3"), ("name: tiny", "name: other"))
    assert plan_of(same).runs[0].spec.hash == plain
    assert plan_of(write(("score: 4", "score: 5"))).runs[0].spec.hash == plain
    other = {"name": "mine", "based_on": "digits", "bootstrap": 7}
    scored = write(("protocol: digits", f"protocol: {json.dumps(other)}"))
    assert plan_of(scored).runs[0].spec.hash == plain
    assert plan_of(scored).protocol.bootstrap == 7
    assert plan_of(write(("width: 0.125", "latent_dim: 64"))).runs[0].spec.hash != plain


def test_a_loss_left_open_is_filled_by_the_method_that_requires_one(write, plan_of):
    plan = plan_of(write(("[none, spectral_norm]", "[none, wgan_gp, spectral_norm + wgan_gp]")))
    assert [run.spec.loss.name for run in plan.runs] == [
        "non_saturating",
        "wasserstein",
        "wasserstein",
    ]


def test_a_losss_parameters_are_part_of_the_run(write, plan_of):
    smooth = "loss: {non_saturating: {real_target: 0.9}}\nname"
    plain, smoothed = (plan_of(write(("name", text))).runs[0].spec for text in ("name", smooth))
    assert str(plain.loss) == "non_saturating"
    assert str(smoothed.loss) == "non_saturating (real_target=0.9)"
    assert plain.hash != smoothed.hash


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        ("{hinge: {margin: 2}}", r":2: loss 'hinge': no parameter called 'margin'"),
        ("{non_saturating: {real_target: 0}}", r":2: .*real_target: got 0.*greater than 0"),
        ("{hinge: {}, wasserstein: {}}", r":2: "),
        ("hing", r":2: no loss called 'hing'; did you mean 'hinge'"),
    ],
)
def test_a_loss_that_does_not_exist_or_fit_is_refused_with_its_line(write, plan_of, loss, message):
    with pytest.raises(UserError, match=rf"tiny.yaml{message}"):
        plan_of(write(("name", f"loss: {loss}\nname")))


@pytest.mark.parametrize(
    ("methods", "loss", "rule"),
    [
        ("batch_norm + wgan_gp", "wasserstein", "batch_statistics_with_input_gradients"),
        ("spectral_norm", "wasserstein", "spectral_norm_with_wasserstein"),
        ("spectral_norm + weight_clipping", "hinge", "projection_of_reparametrized_weights"),
        ("spectral_norm + weight_norm", "hinge", "two_reparametrizations"),
        ("none", "wasserstein", "wasserstein_without_control"),
        ("lecam", "wasserstein", "wasserstein_without_control"),
        ("cayley + srip", "hinge", "penalty_on_untransformed_weights"),
        ("gradient_normalization + gan_gp", "non_saturating",
         "gradient_normalization_with_target_one"),
    ],
)  # fmt: skip
def test_a_bad_combination_is_refused_unless_it_is_allowed_by_name(
    write, plan_of, methods, loss, rule
):
    suite_ = write(("[none, spectral_norm]", f"[{methods}]"), ("name", f"loss: {loss}\nname"))
    with pytest.raises(UserError, match=rf"tiny.yaml:6: .* allow: \[{rule}\]"):
        plan_of(suite_)
    assert plan_of(suite_, f"allow=[{rule}]").runs


@pytest.mark.parametrize("other", ["spectral_norm", "weight_clipping"])
@pytest.mark.parametrize("name", ["cayley", "singular_value_constraint"])
def test_a_combination_that_could_not_run_is_refused_whatever_is_allowed(
    write, plan_of, name, other
):
    suite_ = write(
        ("[none, spectral_norm]", f"[{name} + {other}]"),
        ("name", "allow: [two_reparametrizations, projection_of_reparametrized_weights]\nname"),
    )
    with pytest.raises(UserError, match="not of the weight's shape"):
        plan_of(suite_)
    with pytest.raises(UserError, match="no combination called"):
        plan_of(suite_, "allow=[factored_weights_with_others]")


def test_what_is_allowed_is_not_part_of_the_run(write, plan_of):
    allowed = write(("name", "allow: wasserstein_without_control\nname"))
    assert plan_of(allowed).runs[0].id == plan_of(write()).runs[0].id
    with pytest.raises(UserError, match=r"tiny.yaml:2: no combination called 'nonsense'"):
        plan_of(write(("name", "allow: nonsense\nname")))


@pytest.mark.parametrize("methods", ["wgan_gp", "wgan_gp + gan_gp"])
def test_a_loss_that_a_method_cannot_have_is_refused(write, plan_of, methods):
    with pytest.raises(UserError, match=r"tiny.yaml:6: .*GP requires the loss"):
        plan_of(write(("[none, spectral_norm]", f"[{methods}]"), ("name", "loss: hinge\nname")))


def test_recipe_is_each_methods_own_setting(write, plan_of):
    plan = plan_of(write(("[none, spectral_norm]", "[wgan_gp]"), ("[C]", "recipe")))
    assert plan.runs[0].spec.setting == spec.Setting(1e-4, 0.0, 0.9, 5)
    with pytest.raises(UserError, match=r"no Adam setting is recommended for WC"):
        plan_of(write(("[none, spectral_norm]", "[weight_clipping]"), ("[C]", "recipe")))


OWN = """
  - spectral_norm: {power_iterations: [1, 2]}
    label: SN
    setting: {lr: 3.1e-4, beta1: 0.41, beta2: 0.97, n_dis: 2}
    loss: {non_saturating: {real_target: 0.9}}
  - wgan_gp: {}
    setting: F
  - spectral_norm
"""


def test_a_method_can_bring_its_own_setting_and_loss(write, plan_of):
    plan = plan_of(write(("[none, spectral_norm]", OWN), ("[C]", "[recipe, A]")))
    own = ["SN (power_iterations=1)", "SN (power_iterations=2)", "WGAN-GP"]
    assert labels(plan) == [*own, "SN"]
    found = {(run.method, run.setting): run.spec for run in plan.runs}
    for label in own[:2]:
        assert found[label, "recipe"].setting == spec.Setting(3.1e-4, 0.41, 0.97, 2)
        assert found[label, "recipe"].loss.params == {"real_target": 0.9}
        assert found[label, "A"].loss.params == {"real_target": 0.9}
    assert found["WGAN-GP", "recipe"].setting == suite.MIYATO2018["F"]
    assert found["WGAN-GP", "recipe"].loss.name == "wasserstein"
    assert found["SN", "recipe"].setting == suite.MIYATO2018["C"]
    assert found["SN", "recipe"].loss.params == {"real_target": None}
    assert {run.spec.setting for run in plan.runs if run.setting == "A"} == {suite.MIYATO2018["A"]}


def test_a_methods_own_loss_goes_before_the_suites(write, plan_of):
    entries = "[none, {spectral_norm: {}, loss: wasserstein}]"
    suite_ = write(("[none, spectral_norm]", entries), ("name", "loss: hinge\nname"))
    plan = plan_of(suite_, "allow=[spectral_norm_with_wasserstein]")
    assert [run.spec.loss.name for run in plan.runs] == ["hinge", "wasserstein"]
    with pytest.raises(UserError, match=r"tiny.yaml:6: SN with the loss wasserstein"):
        plan_of(suite_)


def test_a_single_entry_can_bring_its_own_setting(write, plan_of):
    entry = "\n  spectral_norm: {}\n  setting: %s"
    tuned = write(("[none, spectral_norm]", entry % "B"), ("[C]", "recipe"))
    assert plan_of(tuned).runs[0].spec.setting == suite.MIYATO2018["B"]
    with pytest.raises(UserError, match=r"tiny.yaml:7: no single setting called 'G'"):
        plan_of(write(("[none, spectral_norm]", entry % "G"), ("[C]", "recipe")))


@pytest.mark.parametrize(
    ("key", "settings", "message"),
    [
        ("setting: G", "recipe", r":7: no single setting called 'G'; there are A, B, C, D, E, F"),
        ("setting: miyato2018", "recipe", r":7: no single setting called 'miyato2018'; there are"),
        ("setting: recipe", "recipe", r":7: no single setting called 'recipe'; there are A"),
        ("setting: A", "[A, B]", r":7: a method's own setting stands in for 'recipe', which the"),
        ("loss: hing", "C", r":7: no loss called 'hing'; did you mean 'hinge'"),
        ("loss: {wasserstein: {drft: 2}}", "C", r":7: loss .wasserstein.: no parameter called"),
        ("loss: hinge", "C", r":7: WGAN-GP requires the loss wasserstein, not hinge"),
    ],
)
def test_a_methods_own_setting_or_loss_that_does_not_fit_is_refused_with_its_line(
    write, plan_of, key, settings, message
):
    entry = f"\n  - wgan_gp: {{}}\n    {key}"
    with pytest.raises(UserError, match=rf"tiny.yaml{message}"):
        plan_of(write(("[none, spectral_norm]", entry), ("[C]", settings)))


def test_a_run_that_two_cells_share_stands_in_both_and_is_one_run(write, plan_of):
    plan = plan_of(write(("[none, spectral_norm]", "[spectral_norm]"), ("[C]", "[C, recipe]")))
    assert [run.setting for run in plan.runs] == ["C", "recipe"]
    assert [run.setting for run in plan.unique] == ["C"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[none,", "[nine,", r":5: no method called 'nine'; did you mean 'none'"),
        ("[none,", "[{weight_clipping: {bund: 1}},", r":5: .*hyperparameter called 'bund'; did"),
        ("[none,", "[{weight_clipping: {bound: 0}},", r":5: .*bound: got 0.*greater than 0"),
        ("[none,", "[{spectral_norm: {power_iterations: 1.5}},", r":5: .*got 1.5.*valid integer"),
        ("[none,", "[{weight_clipping: {bound: true}},", r":5: .*got True.*valid number"),
        ("[none,", "[{weight_clipping: {bound: []}},", r":5: an empty grid"),
        ("[none,", "[none, none,", r":5: two entries are called 'none'"),
        ("dataset: digits", "dataset: digit", r":3: no dataset called 'digit'; did you mean"),
        (
            "[C]",
            "[G]",
            r":6: no setting called 'G'; there are A, B, C, D, E, F, miyato2018, recipe",
        ),
        ("[none,", "[none + none,", r":5: .*names different methods"),
        ("[none,", "[none +,", r":5: .*names different methods"),
        (
            "[none,",
            "[{group_norm: {groups: 7}},",
            r":5: GroupNorm .*: 7 groups do not",
        ),
        ("name: tiny", "seeds: [1, 1]\nname: tiny", r":2: .*a seed is there twice"),
        ("[C]", "[C, miyato2018]", r":6: two settings are called 'C'"),
        ("width:", "name: resnext, width:", r":4: no architecture called 'resnext'"),
        ("protocol: digits", "protocol: digit", r":8: no protocol called 'digit'"),
        (
            "protocol: digits",
            "protocol: miyato2018",
            r":8: .*needs 10,000 test and 10,000 training images",
        ),
        (
            "digits\narch",
            "{name: digits, image_size: 20}\narch",
            r":3: standard_cnn makes square images of 16, 32 or 48 pixels; these are images of 20",
        ),
        ("digits\narch", "{name: images, path: /nowhere}\narch", r":3: .*/nowhere does not exist"),
        ("digits\narch", "{name: images}\narch", r":3: .*needs a folder or zip"),
    ],
)
def test_what_does_not_exist_or_fit_is_refused_with_its_line(write, plan_of, old, new, message):
    with pytest.raises(UserError, match=rf"tiny.yaml{message}"):
        plan_of(write((old, new)))


@pytest.mark.parametrize(
    "setting",
    [
        "{lr: 1e-3, beta1: 0, beta2: 0.9, n_dis: 2}",
        "{optimizer: adam, lr: 1e-3, lr_g: 2e-3, beta1: 0, beta2: 0.9, n_dis: 2}",
        "{optimizer: rmsprop, lr: 5e-5, n_dis: 2}",
        "{optimizer: rmsprop, lr: 5e-5, lr_g: 1e-5, alpha: 0.9, momentum: 0.1, n_dis: 2}",
        "{optimizer: sgd, lr: 1e-3, n_dis: 2}",
        "{optimizer: sgd, lr: 1e-3, momentum: 0.9, n_dis: 2}",
    ],
)
def test_a_plan_survives_being_stored(write, plan_of, setting):
    plan = plan_of(write(("[C]", f"[A, {setting}]")))
    again = plans.from_json(json.loads(json.dumps(plan.to_json())))
    assert again == plan
    assert [run.spec.hash for run in again.runs] == [run.spec.hash for run in plan.runs]


def test_a_stored_adam_without_its_betas_is_no_spec(write, plan_of):
    stored = plan_of(write()).runs[0].spec.to_json()
    del stored["setting"]["beta1"]
    with pytest.raises(ValueError, match="beta1"):
        spec.from_json(stored)


def test_a_plan_from_before_datasets_had_notes_is_read(write, plan_of):
    stored = plan_of(write()).to_json()
    del stored["dataset"]["notes"], stored["dataset"]["version"]
    dataset = plans.from_json(json.loads(json.dumps(stored))).dataset
    assert (dataset.notes, dataset.version) == ((), 1)


def test_a_spec_of_an_older_schema_is_the_same_run(write, plan_of):
    run = plan_of(write()).runs[0].spec
    now = run.to_json()
    second = {
        **now,
        "setting": {"lr": 2e-4, "beta1": 0.5, "beta2": 0.999, "n_dis": 1},
        "architecture": "standard_cnn",
        "width": 0.125,
        "dataset": {**now["dataset"], "image_size": 16, "channels": 1},
        "protocol": "digits@2",
        "score_every": 4,
        "schema": 2,
    }
    assert spec.from_json(second).hash == run.hash
    three = {"width": 0.125, "latent_dim": 128, "latent_law": "normal"}
    third = {**now, "architecture": {"name": "standard_cnn", "params": three}, "schema": 3}
    assert spec.from_json(third).hash == run.hash
    assert spec.from_json({**second, "loss": "non_saturating", "schema": 1}).hash == run.hash
    assert spec.fits(second, run)
    assert not spec.fits({**second, "width": 0.25}, run)
    with pytest.raises(ValueError, match="schema 99 is not known"):
        spec.from_json({**run.to_json(), "schema": 99})


def test_a_hyperparameter_that_a_method_gained_since_takes_its_default(write, plan_of):
    run = plan_of(write()).runs[1].spec
    stored = run.to_json()
    stored["methods"][0]["params"] = {}
    old = spec.from_json(stored)
    assert old.hash != run.hash
    assert parts.complete(old, Plugins()).hash == run.hash


def test_a_method_that_needs_labels_is_refused_for_an_unconditional_architecture(write, plan_of):
    methods = ("[none, spectral_norm]", "[auxiliary_classifier]")
    with pytest.raises(UserError, match=r"AC needs labels; standard_cnn is not conditional"):
        plan_of(write(methods))
    conditional = "architecture: {name: resnet, condition: classifier"
    assert plan_of(write(methods, ("architecture: {", conditional + ", "))).runs


@pytest.mark.parametrize("study", [False, True])
def test_a_plan_of_too_many_runs_is_refused_before_it_is_made(write, plan_of, study):
    points = list(range(1, 1002))
    entry = (
        f"[none,\n {{weight_clipping: {{bound: {points}}}, gan_gp: {{coefficient: {points}}}}}]"
    )
    text = write(("[none, spectral_norm]", entry), ("[C]", "[C, D]\nseeds: [0, 1, 2]"))
    message = (
        r"tiny.yaml:\d+: 1,002,002 methods x 2 settings x 3 seeds are 6,012,012 runs; at most"
    )
    if study:
        tune = "tune: {search: {lr: [1, 2]}, budget: {trials: 1}}\nname: tiny"
        text = write(("name: tiny", tune), text=text.read_text())
        read, document = suite.read(text, [])
        with pytest.raises(UserError, match="1,002,002 methods x 1 setting x 3 seeds"):
            studies.study(read, document, Plugins(), text.parent)
        return
    with pytest.raises(UserError, match=message):
        plan_of(text)


@pytest.mark.parametrize("size", ["9223372036854775807", "1e18", "1e300", "9223372036854775808"])
def test_a_great_image_size_is_refused_with_its_place(write, plan_of, size):
    with pytest.raises(
        UserError, match=r"tiny.yaml:3: .*(pixels|less than|64 bits|valid integer)"
    ):
        plan_of(write(("dataset: digits", f"dataset: {{name: digits, image_size: {size}}}")))

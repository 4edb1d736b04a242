from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from lipbench.errors import UserError
from lipbench.protocols import (
    FITTED,
    PROTOCOLS,
    SCORES,
    Sizes,
    Use,
    check,
    custom,
    find,
    from_json,
    protocol,
)


def test_importing_protocols_imports_neither_torch_nor_numpy() -> None:
    code = (
        "import sys, lipbench.protocols; sys.exit({'torch', 'numpy'} & set(sys.modules) != set())"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_misspelt_protocol_is_answered_with_the_nearest() -> None:
    with pytest.raises(UserError, match="no protocol called 'ofline'; did you mean 'offline'"):
        protocol("ofline")


def test_the_papers_protocol_has_the_papers_numbers() -> None:
    paper = protocol("miyato2018")
    assert (paper.real_split, paper.n_real_of("fid"), paper.n_fake_of("fid")) == (
        "test",
        10_000,
        5_000,
    )
    assert (paper.n_fake_of("is"), paper.scores["is"].sets) == (5_000, 10)
    assert paper.options("is") == {"splits": 1}


@pytest.mark.parametrize(
    ("name", "split", "n_real", "n_fake"),
    [
        ("kurach2019", "test", 10_000, 10_000),
        ("mimicry50k", "train", 50_000, 50_000),
        ("chainer_gan_lib", "train", 50_000, 10_000),
        ("clean", "train", 50_000, 50_000),
    ],
)
def test_a_published_fid_has_its_counts(name: str, split: str, n_real: int, n_fake: int) -> None:
    of = protocol(name)
    assert (of.real_split, of.n_real_of("fid"), of.n_fake_of("fid")) == (split, n_real, n_fake)


@pytest.mark.parametrize(
    ("id_", "digest"),
    [
        ("chainer_gan_lib@1", "2486e22ed6e7c313"),
        ("clean@1", "518b9998119ef133"),
        ("digits@2", "4dc5b2791f5ce650"),
        ("kurach2019@1", "c3f07b783cf7fa1c"),
        ("mimicry50k@1", "f6ce868a32c00405"),
        ("miyato2018@2", "07e9e10739eafc5e"),
        ("offline@2", "5a0747d7d7b3aee9"),
        ("offline_small_240_60@1", "e94597a12d0ce3c3"),
    ],
)
def test_a_record_changes_only_with_its_version(id_: str, digest: str) -> None:
    """Results carry the id: what it stands for stays, so a change needs a new line here."""
    shipped = [*PROTOCOLS.values(), *(make(Sizes(240, 60)) for make in FITTED.values())]
    records = {each.id: json.dumps(dataclasses.asdict(each), sort_keys=True) for each in shipped}
    assert hashlib.sha256(records[id_].encode()).hexdigest().startswith(digest)


def test_distances_have_the_axis_of_distances_however_they_are_computed() -> None:
    logarithmic = {score.measure for score in SCORES.values() if score.axis == "log"}
    assert logarithmic == {
        "frechet_distance", "frechet_distance_infinity", "intra_frechet_distance", "wasserstein",
    }  # fmt: skip


def test_a_count_of_ones_own_can_follow_from_the_dataset() -> None:
    record = {
        "name": "mine",
        "based_on": "digits",
        "n_real": {"of": "test", "most": 500},
        "scores": {"kd_digits": {"subset_size": {"of": ["train", "test"], "most": 4e2}}},
        "selection": {"n_real": {"of": ["test"]}},
    }
    mine = custom(record, Sizes(1198, 599))
    assert (mine.n_real, mine.selection.n_real) == (500, 599)
    assert mine.options("kd_digits")["subset_size"] == 400
    with pytest.raises(UserError, match="n_real follows from a dataset's sizes"):
        custom(record)


@pytest.mark.parametrize("count", [{"of": "val"}, {"of": []}, {"of": "test", "least": 3}])
def test_a_count_of_something_else_is_refused(count: dict[str, object]) -> None:
    with pytest.raises(UserError, match=r"n_fake: got .* write {of: \[train, test\], most: 5000}"):
        custom({"name": "mine", "based_on": "digits", "n_fake": count}, Sizes(1198, 599))


def test_a_protocol_without_an_extractor_takes_no_score_of_a_networks_features() -> None:
    record = protocol("digits")
    pixels = {"scores": {"mmd_pixels": Use()}, "primary": "mmd_pixels"}
    chosen = dataclasses.replace(record.selection, scores=("mmd_pixels",))
    none = {"extractor": "none", "weights_sha256": "", "preprocessing": ""}
    raw = dataclasses.replace(record, **none, **pixels, selection=chosen)
    assert (raw.uses_extractor, record.uses_extractor) == (False, True)
    assert "images are compared as they are, without an extractor" in raw.sentence()
    with pytest.raises(UserError, match="'fd_digits' is only defined on the features of digits"):
        dataclasses.replace(record, **none)


def test_scores_of_one_protocol_can_differ_in_counts_and_sets() -> None:
    of = protocol("chainer_gan_lib")
    assert [of.n_fake_in(number) for number in range(of.sets)] == [10_000, *[5_000] * 9]


@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_sentence_tells_the_whole_record(name: str) -> None:
    record = protocol(name)
    sentence = record.sentence()
    samples = "points" if record.scores_points else "images"
    told = [record.id, record.source, record.rounding, record.latents_stream]
    if not record.scores_points:
        told += [record.extractor, record.weights_sha256, record.preprocessing]
    told += [f"{record.selection.n_real:,}", f"{record.n_real:,} of the {record.real_split} split"]
    told += [f"{record.bootstrap} boot"] if record.bootstrap else []
    for score, use in record.scores.items():
        told += [SCORES[score].title, f"{record.n_fake_of(score):,} generated {samples}"]
        told += [f"{use.sets} sets"] if use.sets > 1 else []
        told += [f"{key.replace('_', ' ')} {value:,g}" for key, value in use.options.items()]
    assert [part for part in told if part not in sentence] == []


@pytest.mark.parametrize("name", PROTOCOLS)
def test_no_checkpoint_is_chosen_by_what_is_reported(name: str) -> None:
    record = protocol(name)
    assert record.primary in record.selection.scores
    if record.selection.split == record.real_split:
        check(record, 50_000, 10_000)  # both draws fit into the split, so they share no image


@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_record_survives_json(name: str) -> None:
    record = protocol(name)
    stored = json.loads(json.dumps(dataclasses.asdict(record)))
    assert from_json(stored) == record
    assert from_json(stored).id == record.id


def test_the_name_fid_is_refused_to_other_weights() -> None:
    with pytest.raises(UserError, match="'fid' is only defined on"):
        dataclasses.replace(protocol("offline"), scores={"fid": Use()}, primary="fid")


def test_a_primary_score_must_be_one_of_the_protocols() -> None:
    with pytest.raises(UserError, match="'kid' must be one of its selection"):
        dataclasses.replace(protocol("miyato2018"), primary="kid")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {"n_fake": 999, "scores": {"kd_effnetlite0": {}}},
            "at least 1,000 .*subsets.* get .*999",
        ),
        ({"n_fake": 1280}, r"at least 1,281 .*full rank.* get 5,000 and 1,280"),
        (
            {"scores": {"cs_effnetlite0": {"splits": 10, "n_fake": 19}}},
            "at least 20 .*2 for each of its splits",
        ),
        ({"scores": {"fd_effnetlite0": {"n_real": 6000}}}, "asks for 6,000 .* more than .* 5,000"),
        (
            {"scores": {"fid": {}}},
            "'fid' is only defined on the features of Inception; the extractor 'effnetlite0'",
        ),
        ({"scores": {"fd_efnetlite0": {}}}, "no score called 'fd_efnetlite0'; did you mean"),
        ({"scores": {"kd_effnetlite0": {"subsetsize": 9}}}, "no option called 'subsetsize'"),
        ({"nfake": 9}, "no field called 'nfake'; did you mean 'n_fake'"),
        ({"extractor": "inception"}, "no field called 'extractor'"),
        ({"n_fake": "many"}, "n_fake: got 'many'; it is a whole number"),
        ({"n_fake": -5000}, "n_fake: got -5000; it is a whole number from 1 on"),
        ({"n_fake": 4000.5}, "n_fake: got 4000.5; it is a whole number"),
        ({"bootstrap": 1}, "1 replicate has no spread"),
        ({"n_training": 0}, "n_training: got 0; .* need 2 or more"),
        ({"real_split": "tset"}, "no split called 'tset'; did you mean 'test'"),
        ({"selection": {"split": "val"}}, "no split called 'val'; there are"),
        ({"selection": {"n_real": 0}}, "selection.n_real: got 0"),
        ({"selection": {"nreal": 9}}, "selection: no key called 'nreal'; did you mean 'n_real'"),
        (
            {"selection": {"scores": {"fd_effnetlite0": {"subsets": 5}}}},
            "selection.scores: got .*; it is a list of different names.* stand under `scores`",
        ),
        ({"selection": {"scores": "fd_effnetlite0"}}, "selection.scores: got 'fd_eff"),
        ({"selection": {"scores": ["fd_effnetlite0"] * 2}}, "list of different names"),
        ({"selection": {"scores": [3]}}, r"selection.scores: got \[3\]"),
        ({"scores": {3: {}}}, "no score called '3'"),
        ({7: 1}, "no field called '7'"),
        ({"name": "m" * 300}, r"at most 64; got 'm{70,80}\.\.\.$"),
        ({"name": None}, "a protocol's name is of letters.*got None"),
        ({"name": "offline_small_160_40"}, "'offline_small_160_40' exists"),
        ({"selection": ["train"]}, "selection: got .*; it is a mapping"),
        ({"scores": ["fd_effnetlite0"]}, "scores: got .*; it is a mapping"),
        ({"scores": {"fd_effnetlite0": {"sets": 0}}}, "fd_effnetlite0.sets: got 0"),
        ({"scores": {"fd_effnetlite0": {"sets": True}}}, "fd_effnetlite0.sets: got True"),
        ({"scores": {"fd_effnetlite0": 3}}, "got 3 for a score; write its counts"),
        ({"collapse_ratio": "x"}, "collapse_ratio: got 'x'"),
        ({"scores": {"kd_effnetlite0": {"subset_size": 1.5}}}, "subset_size: got 1.5; .* integer"),
        (
            {"scores": {"recall_effnetlite0": {"neighbours": 20}}},
            "got 20; .* less than or equal to 10",
        ),
        ({"scores": {"cs_effnetlite0": {"splits": 0}}}, "splits: got 0"),
        ({"latents_stream": "selection latents"}, "no field called 'latents_stream'"),
        ({"name": "../mine"}, "a protocol's name is of letters"),
        (
            {"n_real": 2000, "scores": {"fd_effnetlite0": {"n_real": 4000}}},
            "asks for 4,000 real .* more than the protocol's 2,000",
        ),
        (
            {"scores": {"fd_infinity_effnetlite0": {"n_fake": 3841}}},
            "at least 3,842 real",
        ),
        ({"scores": {}}, "scores: got {}; it is a mapping"),
        ({"based_on": "oflline"}, "no protocol called 'oflline'"),
        ({"name": "digits"}, "the protocol 'digits' exists"),
    ],
)
def test_a_protocol_that_cannot_be_is_refused_with_what_it_needs(
    changes: dict[str, object], told: str
) -> None:
    with pytest.raises(UserError, match=told):
        find({"name": "mine", "based_on": "offline", **changes})


def test_a_protocol_of_ones_own_says_only_what_differs(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(
        "name: mine\nbased_on: offline\nn_fake: 4e3\n"
        "scores:\n  kd_effnetlite0: {subset_size: 500, sets: 2}\n  fd_effnetlite0:\n"
    )
    mine = find(str(file))
    nested = tmp_path / "nested.yaml"
    nested.write_text(
        "protocol:\n" + "".join(f"  {line}\n" for line in file.read_text().splitlines())
    )
    assert find(str(nested)) == mine  # as a suite has it
    assert (mine.n_fake, mine.n_real, mine.primary) == (4000, 5000, "kd_effnetlite0")
    assert mine.options("kd_effnetlite0") == {"subsets": 100, "subset_size": 500}
    assert mine.selection.scores == ("kd_effnetlite0", "fd_effnetlite0")
    assert re.fullmatch(r"mine@[0-9a-f]{8}", mine.id)
    assert "a user's own, based on offline@2" in mine.sentence()


def test_ones_own_protocol_goes_by_its_content() -> None:
    first = find({"name": "mine", "based_on": "digits"})
    assert first.id == find({"name": "mine", "based_on": "digits"}).id
    assert first.id != find({"name": "mine", "based_on": "digits", "n_fake": 999}).id


def test_a_protocol_of_ones_own_needs_a_name_and_a_base() -> None:
    with pytest.raises(UserError, match=r"needs 'based_on'.*miyato2018"):
        find({"name": "mine"})


def test_a_small_dataset_is_refused_with_both_numbers() -> None:
    with pytest.raises(UserError, match=r"needs 10,000 test and 10,000 .*has 9,999 and 50,000"):
        check(protocol("miyato2018"), n_train=50_000, n_test=9_999)
    with pytest.raises(UserError, match="the dataset has 10,000 and 9,999"):
        check(protocol("offline"), n_train=9_999, n_test=10_000)
    check(protocol("miyato2018"), n_train=10_000, n_test=10_000)


def test_the_digits_protocol_scores_only_digits() -> None:
    with pytest.raises(UserError, match="scores the dataset 'digits' only, not 'cifar10'"):
        check(protocol("digits"), 50_000, 10_000, "cifar10")
    check(protocol("digits"), 1_198, 599, "digits")


@pytest.mark.parametrize(
    ("line", "text", "told"),
    [
        (3, "nfake: 9", "no field called 'nfake'"),
        (3, "n_fake: -1", "n_fake: got -1"),
        (4, "selection:\n  n_real: 0", "selection.n_real: got 0"),
        (4, "scores:\n  fd_efnetlite0: {}", "no score called 'fd_efnetlite0'"),
        (5, "scores:\n  kd_effnetlite0:\n    subsets: 1.5", "subsets: got 1.5"),
        (4, "selection:\n  scores: {fd_effnetlite0: {}}", "selection.scores: got"),
        (3, "real_split: tset", "no split called 'tset'"),
        (3, "collapse_ratio: 1", "collapse_ratio: got 1"),
        (3, "bootstrap: 1", "1 replicate has no spread"),
        (3, "n_fake: 1280", "at least 1,281"),
    ],
)
def test_a_wrong_value_of_a_protocols_file_is_named_with_file_and_line(
    tmp_path: Path, line: int, text: str, told: str
) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(f"name: mine\nbased_on: offline\n{text}\n")
    with pytest.raises(UserError, match=told) as caught:
        find(str(file))
    # A count that a score cannot bear is the fault of the score's line where it has one.
    expected = f"{file}:" if "1,281" in told else f"{file}:{line}: "
    assert str(caught.value).startswith(expected)
    assert "\n" not in str(caught.value)


def test_training_images_are_asked_for_only_where_a_score_compares_with_them() -> None:
    without = find({"name": "mine", "based_on": "offline", "scores": {"kd_effnetlite0": {}}})
    assert (without.n_training, without.training_images) == (10_000, 0)
    check(without, n_train=100, n_test=10_000)
    assert "copies are looked for" not in without.sentence()
    scores = {"kd_effnetlite0": {}, "authenticity_effnetlite0": {}}
    with_copies = find({"name": "mine", "based_on": "offline", "scores": scores})
    with pytest.raises(UserError, match="10,000 training images; the dataset has 10,000 and 100"):
        check(with_copies, n_train=100, n_test=10_000)


@pytest.mark.parametrize("images", [200, 300, 1_000, 9_999, 10_000, 60_000])
def test_a_small_dataset_has_a_protocol_whose_counts_are_its_own(images: int) -> None:
    test = images // 5
    fitted = protocol("offline_small", Sizes(images - test, test))
    check(fitted, images - test, test)
    most = 5_000
    assert (fitted.n_real, fitted.n_fake) == (min(test, most), min(images - test, most))
    assert fitted.options(fitted.primary)["subset_size"] == min(test, 1_000)
    assert fitted.id == f"offline_small_{images - test}_{test}@1"
    assert from_json(json.loads(json.dumps(dataclasses.asdict(fitted)))) == fitted
    assert f"{fitted.n_real:,} of the test split" in fitted.sentence()


@pytest.mark.parametrize("sizes", [Sizes(159, 40), Sizes(190, 19), Sizes(99, 200), Sizes(0, 0)])
def test_too_few_images_for_any_protocol_are_refused_with_the_least(sizes: Sizes) -> None:
    with pytest.raises(UserError, match="needs 200 images, 100 of them training and 20 test"):
        protocol("offline_small", sizes)


def test_a_refused_small_dataset_is_told_of_the_protocol_that_takes_it() -> None:
    with pytest.raises(UserError, match="`--set protocol=offline_small` takes its counts from"):
        check(protocol("offline"), n_train=240, n_test=60)
    with pytest.raises(UserError, match=r"the dataset has 10 and 90$"):
        check(protocol("offline"), n_train=90, n_test=10)


def test_a_protocol_of_ones_own_can_differ_from_a_fitted_one() -> None:
    record = {"name": "mine", "based_on": "offline_small", "n_fake": 100}
    mine = custom(record, Sizes(240, 60))
    assert (mine.n_fake, mine.n_real, mine.primary) == (100, 60, "kd_effnetlite0")
    assert "based on offline_small_240_60@1" in mine.source
    with pytest.raises(UserError, match="follow from a dataset's sizes"):
        custom(record)

from __future__ import annotations

import dataclasses
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from lipbench.errors import UserError
from lipbench.protocols import PROTOCOLS, SCORES, Use, check, find, from_json, protocol


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


def test_scores_of_one_protocol_can_differ_in_counts_and_sets() -> None:
    of = protocol("chainer_gan_lib")
    assert [of.n_fake_in(number) for number in range(of.sets)] == [10_000, *[5_000] * 9]


@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_sentence_tells_the_whole_record(name: str) -> None:
    record = protocol(name)
    sentence = record.sentence()
    told = [record.id, record.source, record.extractor, record.weights_sha256, record.rounding]
    told += [record.preprocessing, record.latents_stream, f"{record.selection.n_real:,}"]
    told += [f"{record.n_real:,} of the {record.real_split} split", f"{record.bootstrap} boot"]
    for score, use in record.scores.items():
        told += [SCORES[score].title, f"{record.n_fake_of(score):,} generated images"]
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
        ({"selection": {"nreal": 9}}, "nreal"),
        ({"selection": ["train"]}, "selection: got .*; it is a mapping"),
        ({"scores": ["fd_effnetlite0"]}, "scores: got .*; it is a mapping"),
        ({"scores": {"fd_effnetlite0": {"sets": 0}}}, "fd_effnetlite0.sets: got 0"),
        ({"scores": {"fd_effnetlite0": {"sets": True}}}, "fd_effnetlite0.sets: got True"),
        ({"scores": {"fd_effnetlite0": 3}}, "got 3 for a score; write its counts"),
        ({"collapse_ratio": "x"}, "collapse_ratio: got 'x'"),
        ({"scores": {"kd_effnetlite0": {"subset_size": 1.5}}}, "subset_size: got 1.5; .* whole"),
        ({"scores": {"recall_effnetlite0": {"neighbours": 20}}}, "got 20; .* at most 10"),
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

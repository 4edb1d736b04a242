from __future__ import annotations

import dataclasses
import subprocess
import sys

import pytest

from lipbench.errors import UserError
from lipbench.protocols import PROTOCOLS, SCORES, check, protocol


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
    assert (paper.id, paper.real_split, paper.n_real, paper.n_fake) == (
        "miyato2018@1",
        "test",
        10_000,
        5_000,
    )
    assert (paper.repeats, paper.repeated) == (10, ("is",))


@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_sentence_tells_the_whole_record(name: str) -> None:
    record = protocol(name)
    sentence = record.sentence()
    told = [record.id, record.source, record.extractor, record.weights_sha256, record.rounding]
    told += [
        record.preprocessing,
        record.latents_stream,
        f"{record.n_real:,}",
        f"{record.n_fake:,}",
    ]
    told += [SCORES[score].title for score in record.scores]
    assert [part for part in told if part not in sentence] == []


def test_the_name_fid_is_refused_to_other_weights() -> None:
    with pytest.raises(ValueError, match="'fid' is only defined on"):
        dataclasses.replace(protocol("offline"), scores=("fid",), primary="fid")


def test_a_primary_score_must_be_one_of_the_protocols() -> None:
    with pytest.raises(ValueError, match="name scores of the protocol"):
        dataclasses.replace(protocol("miyato2018"), primary="fd_digits")


def test_a_kernel_subset_larger_than_a_set_is_refused() -> None:
    with pytest.raises(ValueError, match="larger than a set"):
        dataclasses.replace(protocol("offline"), n_fake=999)


def test_a_small_dataset_is_refused_with_both_numbers() -> None:
    with pytest.raises(UserError, match=r"needs 10,000 test images.*5,000.*has 9,999 and 50,000"):
        check(protocol("miyato2018"), n_train=50_000, n_test=9_999)
    with pytest.raises(UserError, match="the dataset has 10,000 and 4,999"):
        check(protocol("offline"), n_train=4_999, n_test=10_000)
    check(protocol("miyato2018"), n_train=5_000, n_test=10_000)


def test_the_digits_protocol_scores_only_digits() -> None:
    with pytest.raises(UserError, match="scores the dataset 'digits' only, not 'cifar10'"):
        check(protocol("digits"), 50_000, 10_000, "cifar10")
    check(protocol("digits"), 1_198, 599, "digits")

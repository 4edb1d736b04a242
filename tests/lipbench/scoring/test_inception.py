"""Inception's path, proved with random weights in the real architecture (no download here)."""

from __future__ import annotations

import dataclasses
import io
import pickle
import urllib.error
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch_fidelity.feature_extractor_inceptionv3 import (
    URL_INCEPTION_V3,
    FeatureExtractorInceptionV3,
)

from lipbench.errors import UserError
from lipbench.protocols import SCORES, Protocol, Selection, Use, protocol, scores
from lipbench.protocols.scores import INCEPTION_SHA256, SPACES
from lipbench.scoring import extractors, inception, prepare, weights
from lipbench.scoring.features import extract


class Unloaded(FeatureExtractorInceptionV3):  # type: ignore[misc]
    """The architecture as it was initialised."""

    def load_state_dict(self, *arguments: Any, **keywords: Any) -> None:
        """Load nothing."""


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("inception") / "random.pth"
    nothing = io.BytesIO()
    torch.save({}, nothing)
    nothing.seek(0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = Unloaded("stand-in", ["2048"], feature_extractor_weights_path=nothing)
    torch.save(network.state_dict(), path)
    return path


@pytest.fixture
def pinned(stand_in: Path, monkeypatch: pytest.MonkeyPatch) -> Protocol:
    """The paper's protocol on the stand-in's weights, so under another name than FID."""
    sha256 = weights.digest(stand_in.read_bytes())
    space = dataclasses.replace(SPACES["inception"], sha256=sha256)
    monkeypatch.setattr(scores, "SPACES", {**SPACES, "stand_in": space})
    score = dataclasses.replace(SCORES["fid"], name="fd_stand_in", space="stand_in")
    monkeypatch.setattr(SCORES, "_scores", {**SCORES, "fd_stand_in": score})
    return dataclasses.replace(
        protocol("miyato2018"),
        weights_sha256=sha256,
        scores={"fd_stand_in": Use()},
        primary="fd_stand_in",
        selection=Selection("train", 10_000, 5_000, ("fd_stand_in",)),
    )


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """torch.hub's folder of checkpoints, empty, on a machine that cannot download."""

    def fail(*arguments: Any, **keywords: Any) -> None:
        raise urllib.error.URLError("no route to host")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(torch.hub, "download_url_to_file", fail)
    folder = tmp_path / "torch" / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


def test_the_pinned_hash_is_the_one_in_the_published_files_name() -> None:
    assert PurePosixPath(URL_INCEPTION_V3).name == inception.FILE_NAME
    assert f"weights-inception-2015-12-05-{INCEPTION_SHA256[:8]}.pth" == inception.FILE_NAME


def test_the_extractor_computes_what_torch_fidelity_does(
    stand_in: Path, pinned: Protocol, cpu: torch.device, tmp_path: Path
) -> None:
    state = torch.get_rng_state()
    extractor = extractors.load(pinned, tmp_path, stand_in).to(cpu)
    assert torch.get_rng_state().equal(state)
    theirs = FeatureExtractorInceptionV3(
        "theirs", ["2048", "logits_unbiased"], feature_extractor_weights_path=str(stand_in)
    )
    images = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    features = extract(extractor, images)
    for mine, other in zip(features[:2], theirs(images), strict=True):
        torch.testing.assert_close(mine, other, rtol=0, atol=0)
    assert (features.pooled.shape, features.logits.shape) == ((2, 2048), (2, 1008))
    gray = extract(extractor, images[:, :1])
    torch.testing.assert_close(gray, extract(extractor, images[:, :1].repeat(1, 3, 1, 1)))


def test_the_clean_resize_is_pillows(stand_in: Path, pinned: Protocol, tmp_path: Path) -> None:
    network = inception.build_clean(stand_in.read_bytes()).network
    images = torch.randint(0, 256, (1, 3, 32, 32), dtype=torch.uint8)
    seen = []
    network.body.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with torch.inference_mode():
        network(images)
    for channel, mine in zip(images[0].numpy(), seen[0][0] * 128 + 128, strict=True):
        picture = Image.fromarray(channel.astype(np.float32))
        theirs = np.asarray(picture.resize((299, 299), Image.Resampling.BICUBIC)).clip(0, 255)
        np.testing.assert_allclose(mine.numpy(), theirs, atol=2e-3)


def test_the_clean_extractor_is_the_same_network_behind_another_resize(stand_in: Path) -> None:
    content = stand_in.read_bytes()
    images = torch.randint(0, 256, (1, 3, 299, 299), dtype=torch.uint8)  # nothing to resize
    with torch.inference_mode():
        usual = inception.build(content).network(images)
        clean = inception.build_clean(content).network(images)
    for mine, other in zip(clean, usual, strict=True):
        torch.testing.assert_close(mine, other)


def test_a_file_of_another_content_is_refused(stand_in: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"sha256 [0-9a-f]{{64}}, not {INCEPTION_SHA256}"):
        prepare(protocol("miyato2018"), tmp_path, stand_in)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cannot read the weights .*nowhere.pth: No such file"):
        prepare(protocol("miyato2018"), tmp_path, tmp_path / "nowhere.pth")


def test_weights_are_found_where_torch_hub_keeps_them(hub: Path, tmp_path: Path) -> None:
    file = hub / inception.FILE_NAME
    file.write_bytes(b"weights")
    assert inception.locate(weights.digest(b"weights"), tmp_path, None) == file


def test_a_spoilt_download_of_torch_hub_is_passed_over(hub: Path, tmp_path: Path) -> None:
    (hub / inception.FILE_NAME).write_bytes(b"half of the wei")
    ours = tmp_path / "weights" / inception.FILE_NAME
    ours.parent.mkdir()
    ours.write_bytes(b"weights")
    assert inception.locate(weights.digest(b"weights"), tmp_path, None) == ours


def test_a_refused_download_is_answered_with_url_path_and_flag(hub: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        prepare(protocol("miyato2018"), tmp_path)
    for part in (URL_INCEPTION_V3, str(tmp_path), "--inception-weights", "no route to host"):
        assert part in str(error.value)


def test_a_download_goes_to_our_cache_and_is_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hub: Path
) -> None:
    def download(url: str, path: str, hash_prefix: str, progress: bool) -> None:
        assert (url, hash_prefix) == (URL_INCEPTION_V3, weights.digest(b"weights"))
        Path(path).write_bytes(b"weights")

    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    path = inception.locate(weights.digest(b"weights"), tmp_path, None)
    assert path == tmp_path / "weights" / inception.FILE_NAME


class Trap:
    """What a hostile pickle does: it runs a function when it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_a_pickle_that_would_run_code_is_not_run(tmp_path: Path) -> None:
    sprung = tmp_path / "sprung"
    file = io.BytesIO()
    torch.save({"fc.weight": Trap(sprung)}, file)
    with pytest.raises(pickle.UnpicklingError):
        inception.build(file.getvalue())
    assert not sprung.exists()


def test_missing_tensors_are_not_passed_over(stand_in: Path) -> None:
    state: dict[str, Tensor] = torch.load(stand_in, weights_only=True)
    del state["fc.weight"]
    file = io.BytesIO()
    torch.save(state, file)
    with pytest.raises(RuntimeError, match=r"fc\.weight"):
        inception.build(file.getvalue())

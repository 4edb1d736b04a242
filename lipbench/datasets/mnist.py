"""MNIST (LeCun et al., 1998) as torchvision reads it, in a frame of zeros."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lipbench.datasets._torchvision import DIGITS, Downloaded, framed


@dataclass(frozen=True)
class Mnist(Downloaded):
    """MNIST's handwritten digits, 32 pixels wide, downloaded to the cache or `path`."""

    title = "MNIST"
    papers = ("lecun1998",)
    splits = (
        "The splits are the data set's own; images of 28 × 28 pixels were framed by zeros to "
        "32 × 32."
    )

    _identity = (
        "mnist f68b3c2dcbeaaa9fbdd348bbdeb94873 d53e105ee54ea40749a09fcbcd1e9432 "
        "9fb629c4189551a2d022fa330f9573f3 ec29112dd5afa0611ce80d1b7f02629c"
    )
    _shape = (1, 32, 32)
    _counts = (60_000, 10_000)
    _classes = DIGITS
    _files = (
        "MNIST/raw/ with the four files {train,t10k}-{images-idx3,labels-idx1}-ubyte.gz of "
        "https://ossci-datasets.s3.amazonaws.com/mnist"
    )

    def read(self, cache: Path, train: bool) -> tuple[np.ndarray, np.ndarray]:
        split = self.opened("MNIST", cache, train=train)
        return framed(split.data.numpy()), split.targets.numpy()

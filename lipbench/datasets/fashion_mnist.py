"""Fashion-MNIST (Xiao et al., 2017) as torchvision reads it, in a frame of zeros."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lipbench.datasets._torchvision import Downloaded, framed


@dataclass(frozen=True)
class FashionMnist(Downloaded):
    """Fashion-MNIST's pieces of clothing, 32 pixels wide, downloaded to the cache or `path`."""

    title = "Fashion-MNIST"
    papers = ("xiao2017",)
    splits = (
        "The splits are the data set's own; images of 28 × 28 pixels were framed by zeros to "
        "32 × 32."
    )

    _identity = (
        "fashion_mnist 8d4fb7e6c68d591d4c3dfef9ec88bf0d 25c81989df183df01b3e8a0aad5dffbe "
        "bef4ecab320f06d8554ea6380940ec79 bb300cfdad3c16e7a12a480ee83cd310"
    )
    _shape = (1, 32, 32)
    _counts = (60_000, 10_000)
    _classes = (
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    )
    _files = (
        "FashionMNIST/raw/ with the four files {train,t10k}-{images-idx3,labels-idx1}-ubyte.gz of "
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com"
    )

    def read(self, cache: Path, train: bool) -> tuple[np.ndarray, np.ndarray]:
        split = self.opened("FashionMNIST", cache, train=train)
        return framed(split.data.numpy()), split.targets.numpy()

"""CIFAR-100 (Krizhevsky, 2009) as torchvision reads it, downloaded once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lipbench.datasets._torchvision import Downloaded

_CLASSES = """
apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus
butterfly camel can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab
crocodile cup dinosaur dolphin elephant flatfish forest fox girl hamster house kangaroo
keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree motorcycle mountain mouse
mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate poppy
porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper
snail snake spider squirrel streetcar sunflower sweet_pepper table tank telephone television
tiger tractor train trout tulip turtle wardrobe whale willow_tree wolf woman worm
"""


@dataclass(frozen=True)
class Cifar100(Downloaded):
    """CIFAR-100 with its 100 fine classes, downloaded to the cache or `path`."""

    title = "CIFAR-100"
    papers = ("krizhevsky2009",)
    splits = "The splits are the data set's own."

    _identity = "cifar100 eb9058c3a382ffc7106e4002c42a8d85"
    _counts = (50_000, 10_000)
    _classes = tuple(_CLASSES.split())
    _files = "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz, unpacked or not,"

    def read(self, cache: Path, train: bool) -> tuple[np.ndarray, np.ndarray]:
        split = self.opened("CIFAR100", cache, train=train)
        return split.data, np.asarray(split.targets, dtype=np.int64)

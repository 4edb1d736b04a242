"""Folders and zips of images as datasets: identity, arrays, their cache, and shared pictures."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lipbench import data
from lipbench.data import decoding, images
from lipbench.errors import UserError
from tests.lipbench.data.conftest import Maker

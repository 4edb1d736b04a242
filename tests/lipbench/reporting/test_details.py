"""What the page knows of runs and scores."""

from __future__ import annotations

import math

import pandas as pd
import pytest
from PIL import Image

from lipbench.reporting import details


def test_the_summary_has_four_digits_and_infinities_as_signs():
    row = dict.fromkeys(details._SUMMARY, 1.0)
    row |= {"score": "fd_digits", "method": "SN", "median": 123.456, "worst": math.inf}
    row |= {"iqm_low": math.nan, "success": 8 / 9, "runs": 9}

    found = details.summary(pd.DataFrame([row]))

    cells = dict(zip(found["columns"], found["rows"][0], strict=True))
    assert (cells["Method"], cells["Score"]) == ("SN", "FD (digits)")
    assert (cells["Median"], cells["Worst"], cells["Success"]) == (123.5, "∞", 0.8889)
    assert cells["95% from"] is None
    assert cells["Runs"] == 9


@pytest.mark.parametrize("content", [b"", b"no image", None])
def test_a_sample_that_is_no_whole_image_is_left_out(tmp_path, content):
    path = tmp_path / "00000001.png"
    if content is None:
        Image.new("RGB", (64, 64), (1, 2, 3)).save(path)
        content = path.read_bytes()[:-30]
    path.write_bytes(content)

    assert details._uri(path) is None


def test_a_sample_is_the_file_as_it_is(tmp_path):
    path = tmp_path / "00000001.png"
    Image.new("L", (8, 8), 100).save(path)

    assert details._uri(path).startswith("data:image/png;base64,iVBOR")

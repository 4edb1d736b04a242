"""Published values stand only beside what repeats them."""

from __future__ import annotations

import json

import pytest

from lipbench.reporting import Omitted
from lipbench.results import published

AS_PUBLISHED = {
    "dataset": "cifar10",
    "image_size": 32,
    "width": 1.0,
    "planned_updates": 100_000,
    "params": json.dumps([{"name": "spectral_norm", "params": {"power_iterations": 1}}]),
}


@pytest.fixture
def show(exhibit):
    """Return what the exhibit shows of a study: one table, or why there is none."""

    def of(results):
        (result,) = exhibit("best_setting").show(results)
        return result

    return of


def test_the_best_setting_is_that_of_the_lowest_median(sketch, show):
    sketch.run("SN", "A", 7.0)
    sketch.run("SN", "B", 6.0, cs_digits=9.0)
    sketch.run("SN", "C", "diverged")

    table = show(sketch.results())

    assert [getattr(e, "text", e) for e in table.rows[0][:4]] == ["SN", "B", "6.00", "9.00"]
    assert table.raw[["setting", "fd_digits"]].values.tolist() == [["B", 6.0]]
    assert any("selected on the reported FD (digits) itself, of 3" in n for n in table.notes)


def test_the_paper_stands_beside_the_runs_that_repeat_it(sketch_of, show):
    sketch = sketch_of("miyato2018", AS_PUBLISHED)
    sketch.run("SN", "B", 30.0)

    table = show(sketch.results())

    assert table.rows[0][-1].text == "IS 7.42 ± 0.08, FID 29.3"
    assert table.raw[["published_fid", "published_is"]].values.tolist() == [[29.3, 7.42]]


def test_hinge_and_twice_the_updates_are_rows_of_their_own(sketch_of, show):
    sketch = sketch_of("miyato2018", AS_PUBLISHED | {"loss": "hinge"})
    sketch.run("SN", "B", 30.0)
    assert show(sketch.results()).rows[0][-1].text == "IS 7.58 ± 0.12, FID 25.5"

    stl = {"dataset": "stl10", "image_size": 48, "planned_updates": 200_000}
    sketch = sketch_of("miyato2018", AS_PUBLISHED | stl)
    sketch.run("SN", "B", 30.0)
    assert show(sketch.results()).rows[0][-1].text == "IS 8.69 ± 0.09, FID 47.5"


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("dataset", "digits", "data digits (published: cifar10)"),
        ("width", 0.25, "width 0.25 (published: 1)"),
        ("planned_updates", 2000, "generator updates 2,000 (published: 100,000)"),
        ("image_size", 48, "image size 48 (published: 32)"),
        ("architecture", "other", "architecture other (published: standard_cnn)"),
        ("loss", "wasserstein", "loss wasserstein (published: non_saturating)"),
        ("params", '{"power_iterations": 5}', "power_iterations 5 (published: 1)"),
    ],
)
def test_one_difference_is_enough_not_to_be_comparable(sketch_of, show, column, value, words):
    sketch = sketch_of("miyato2018", AS_PUBLISHED | {column: value})
    sketch.run("SN", "B", 30.0)

    table = show(sketch.results())

    assert table.rows[0][-1].text == "not comparable"
    assert [note for note in table.notes if note.startswith("Not comparable")] == [
        f"Not comparable: {words}."
    ]


def test_another_protocol_is_not_comparable(sketch, show):
    sketch.run("SN", "A", 7.0)

    table = show(sketch.results())

    assert any("protocol digits@2 (published: miyato2018@2)" in note for note in table.notes)


def test_a_method_that_was_never_published_has_a_dash(sketch, show):
    sketch.run("none", "A", 7.0)

    assert show(sketch.results()).rows[0][-1].text == "—"


def test_real_data_stand_beside_the_papers(sketch_of, show):
    sketch = sketch_of("miyato2018", AS_PUBLISHED | {"fid_floor": 8.1, "is_floor": 11.0})
    sketch.run("SN", "B", 30.0)

    last = show(sketch.results()).rows[-1]

    texts = ["Real data", "", "8.1", "11.00", "IS 11.24 ± 0.12, FID 7.8"]
    assert [getattr(entry, "text", entry) for entry in last] == texts


def test_a_method_without_a_finite_score_has_no_best_setting(sketch, show):
    sketch.run("SN", "A", 7.0)
    sketch.run("WN", "A", "diverged")
    assert [getattr(e, "text", e) for e in show(sketch.results()).rows[1]] == ["WN"] + ["—"] * 5

    sketch.rows.clear()
    sketch.run("WN", "A", "diverged")
    assert isinstance(show(sketch.results()), Omitted)


def test_the_published_table_is_the_papers():
    rows = published()

    cnn = rows[(rows["architecture"] == "standard_cnn") & (rows["dataset"] == "cifar10")]
    fid = cnn[cnn["score"] == "fid"].set_index(["method", "loss"])["value"]
    assert fid["batch_norm", "non_saturating"] == 56.3
    assert fid["spectral_norm", "hinge"] == 25.5
    assert fid.sort_values().index[0] == ("spectral_norm", "hinge")
    assert len(rows) == 48
    assert set(rows["where"]) == {"Table 2"}
    resnet = rows[(rows["architecture"] == "resnet") & (rows["score"] == "fid")]
    assert set(resnet["spread_kind"]) == {"std over models trained with different seeds"}

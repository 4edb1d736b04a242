"""Frames that no suite should give, before every exhibit: a result or a reason in words.

And each says only what it shows: a line, a marker, a colour or bold that is spoken of is there.
"""

from __future__ import annotations

import math
import re

import matplotlib.colors
import numpy as np
import pytest
from matplotlib.collections import FillBetweenPolyCollection, PolyCollection

from lipbench.protocols import PROTOCOLS
from lipbench.reporting import Exhibit, Figure, Omitted, Sentences, Shown, Table, compose, exhibits

INF, NAN = math.inf, math.nan
METHODS = ("none", "SN", "WGAN-GP")


def scored(sketch, values, **columns):
    """Add a run for each method, setting and value, all scores the same, in turns."""
    values = list(values)
    names = PROTOCOLS[sketch.protocol].scores
    place = 0
    for method in METHODS:
        for setting in "ABD":
            for seed in (0, 1):
                value = values[place % len(values)]
                place += 1
                every = {} if isinstance(value, str) else dict.fromkeys(names, value)
                run = sketch.run(method, setting, value, seed, **{**every, **columns})
                sketch.curves += [
                    (run, update, name, value if not isinstance(value, str) else NAN)
                    for update in (0, 10, 20)
                    for name in ("loss_d", "fd_digits_selection")
                ]


def audited(sketch, **facts):
    for method in METHODS:
        run = sketch.run(method, "A", 5.0, seconds_per_update=0.1)
        for update in (1000, 2000):
            sketch.audit(run, update, **facts)


def spread(value):
    return {"n": 8, "mean": value, "std": 0.0, "quantiles": [value] * 21}


def of_audits(value, layer_of):
    """Return the facts of an audit, every number of which is the same."""
    kinds = ("real", "fake", "interpolates")
    of_layer = dict.fromkeys(
        (
            "sigma_kernel",
            "sigma_original",
            "sigma_estimate",
            "sigma_operator",
            "effective_rank",
            "stable_rank",
        ),
        value,
    )
    spectrum = [value] * 3
    of_layer |= {"spectrum_kernel": spectrum, "spectrum_circular": spectrum}
    return {
        "layers": [layer_of("body.conv0", **of_layer)],
        "upper_bound": value,
        "upper_bound_kernel": value,
        "lower_bounds": dict.fromkeys((*kinds, "attack"), value),
        "lower_bound": value,
        "tightness": value,
        "gradient_norms": dict.fromkeys(kinds, spread(value)),
        "saturation": [{"name": "a", "share": value, "dead": value}],
        "logits": dict.fromkeys(("train", "heldout", "fake"), spread(value)),
        **dict.fromkeys(("overfitting_gap", "loss_train", "loss_heldout", "seconds"), value),
    }


NOTHING = {
    "layers": [],
    "upper_bound": None,
    "upper_bound_kernel": None,
    "no_upper_bound": ["norm (X): no rule for this operation"],
    "lower_bounds": {},
    "lower_bound": None,
    "tightness": None,
    "gradient_norms": {},
    "saturation": [],
    "logits": {},
    "overfitting_gap": None,
    "loss_train": None,
    "loss_heldout": None,
    "per_image": False,
}
SCORES = {
    "infinite": [INF],
    "infinite and finite": [INF, 5.0, 7.0],
    "minus infinite": [-INF, 5.0],
    "unknown": [NAN],
    "unknown and finite": [NAN, 5.0, 8.0],
    "huge": [1e300],
    "huge and tiny": [1e300, 1e-300, 1.0],
    "negative": [-3.0, -1.0],
    "negative and huge": [-1e300, 1e300],
    "zero": [0.0],
    "zero and positive": [0.0, 10.0, 2.0],
    "equal": [5.0],
    "ordinary": [5.0, 8.0, 13.0, 6.0],
    "diverged": ["diverged"],
    "diverged and finite": ["diverged", 5.0, 8.0],
    "failed": ["failed"],
    "out of memory and finite": ["out_of_memory", 5.0, 8.0],
    "queued": ["queued"],
}


def frame_of_scores(name):
    return lambda sketch, layer_of: scored(sketch, SCORES[name])


FRAMES = {
    **{f"scores {name}": frame_of_scores(name) for name in SCORES},
    "no runs": lambda sketch, layer_of: None,
    "one run": lambda sketch, layer_of: sketch.run("SN", "A", 5.0),
    "collapsed": lambda sketch, layer_of: scored(sketch, [1.0, 2.0], collapsed=True),
    "infinite floors and errors": lambda sketch, layer_of: scored(
        sketch,
        [1.0, 2.0],
        fd_digits_floor=INF,
        fd_digits_se=INF,
        fd_digits_std=NAN,
        fd_digits_best=INF,
        fd_digits_gap=-INF,
        best_update=10,
    ),
    "floors and bests": lambda sketch, layer_of: scored(
        sketch,
        [1.0, 2.0],
        fd_digits_floor=0.5,
        fd_digits_se=0.1,
        fd_digits_std=0.1,
        fd_digits_best=0.9,
        fd_digits_gap=0.1,
        best_update=10,
        cs_digits_floor=9.9,
    ),
    "no time": lambda sketch, layer_of: scored(sketch, [1.0, 2.0], seconds_per_update=0.0),
    "infinite time": lambda sketch, layer_of: scored(sketch, [1.0], seconds_per_update=INF),
    "times": lambda sketch, layer_of: scored(sketch, [1.0, 2.0], seconds_per_update=0.1),
    "audits": lambda sketch, layer_of: audited(sketch),
    "empty audits": lambda sketch, layer_of: audited(sketch, **NOTHING),
    **{
        f"audits of {value}": lambda sketch, layer_of, value=value: audited(
            sketch, **of_audits(value, layer_of)
        )
        for value in (0.0, "inf", "nan", 1e300, 1e-300, 50.0)
    },
    **{
        f"costs of {seconds}": lambda sketch, layer_of, seconds=seconds: [
            sketch.run("none", "A", 1.0),
            *[sketch.timed(m, list(seconds), n_dis=n) for m in METHODS for n in (1, 5)],
        ]
        for seconds in [(0.0,), (1.0,), (1.0, 2.0), ("inf", 1.0), ("nan", "nan"), (1e300, 1e-300)]
    },
    "labels": lambda sketch, layer_of: [
        sketch.run(label, "[*] λ & 5%", value, fd_digits_floor=1.0, seconds_per_update=0.1)
        for label, value in (
            ("$x^2$ 猫 \u202e", 5.0),
            ("_hidden\n", 6.0),
            ("<b>|\\", 7.0),
            ("😀", "diverged"),
        )
    ],
}
QUICK = ("no runs", "one run", "collapsed", "scores infinite and finite", "scores equal")


class Again(Exhibit):
    """Show results once more, in a report's files."""

    title = "Again"
    order = 0

    def __init__(self, parts):
        self.parts = parts

    def show(self, results):
        return self.parts


def words(result):
    if isinstance(result, Omitted):
        return [result.reason]
    if isinstance(result, Sentences):
        return list(result.texts)
    found = [result.caption, *result.notes]
    if isinstance(result, Table):
        entries = [e if isinstance(e, Shown) else Shown(e) for row in result.rows for e in row]
        found += [*result.columns, *[e.text for e in entries], *[e.detail for e in entries]]
    return found


def is_grey(colour):
    red, green, blue = matplotlib.colors.to_rgb(colour)
    return red == green == blue


def within(axes, line):
    """Return whether a line without an end, as of a reference, is in its panel."""
    (x, *_), (y, *_) = line.get_data()
    data = line.get_data()
    if len(data[0]) == 2 and data[0][0] == data[0][1]:
        low, high = axes.get_xlim()
        return low < x < high
    low, high = axes.get_ylim()
    return low <= y <= high or len(data[0]) > 2


def require_honest_figure(figure):
    """Check what a figure's words speak of."""
    axes = [a for a in figure.drawing.axes if a.get_visible()]
    lines = [line for a in axes for line in a.lines if len(line.get_xdata())]
    said = " ".join([figure.caption, *figure.notes])
    if "dashed" in said.lower():
        of_axes = [(a, line) for a in axes for line in a.lines if len(line.get_xdata()) > 1]
        assert any(line.get_linestyle() == "--" and within(a, line) for a, line in of_axes), said
    if "× is where" in said or "× at the top" in said:
        assert any(line.get_marker() == "x" for line in lines), said
    if re.search(r"\bbands\b", said) and "CSV" not in said:
        bands = (FillBetweenPolyCollection, PolyCollection)
        assert any(isinstance(c, bands) for a in axes for c in a.collections), said
    if "logarithmic" in said and "the logarithm of" not in said and "searched on a" not in said:
        scales = {scale for a in axes for scale in (a.get_xscale(), a.get_yscale())}
        assert scales & {"log", "symlog"}, said
    if "hatched" in said:
        empty = all(bar.get_height() > 0 for a in axes for bar in a.patches)
        assert any(bar.get_hatch() for a in axes for bar in a.patches) or empty, said
    if "Ringed" in said:
        assert any(line.get_markerfacecolor() == "none" for line in lines), said
    if "score of real data" in said:
        assert any(text.get_text() == "real data" for a in axes for text in a.texts), said
    if "Grey: not above" in said:
        assert any(is_grey(bar.get_facecolor()) for a in axes for bar in a.patches), said
    for legend in figure.drawing.legends:
        assert legend.get_texts()


def require_honest_table(table):
    """Check that marks and bold are there where notes speak of them, and explained where not."""
    entries = [e if isinstance(e, Shown) else Shown(e) for row in table.rows for e in row]
    notes = " ".join(table.notes)
    for mark in "†‡§":
        used = any(mark in entry.mark for entry in entries)
        assert used == (f"{mark} " in notes), (mark, table.name, notes)
    assert any(entry.best for entry in entries) == ("Bold is" in notes), (table.name, notes)
    for column in zip(*table.rows, strict=True):
        bold = [e for e in column if isinstance(e, Shown) and e.best]
        methods = [e for e in column if isinstance(e, Shown) and not e.muted and e.text]
        assert not bold or len({e.text for e in methods}) > 1 or any(e.detail for e in bold)
        assert not any(e.text.startswith(("diverged", "∞", "-∞")) for e in bold)


def require_honest(results, shown):
    tables = []
    for exhibit in shown:
        parts = list(exhibit.show(results))
        for result in parts:
            every = words(result)
            assert not any(re.search(r"\b(nan|None|NaT)\b|<NA>", word) for word in every), every
            assert not any(word in ("inf", "-inf") or len(word) > 2000 for word in every), every
            if isinstance(result, Figure):
                result.drawing.draw_without_rendering()
                require_honest_figure(result)
            elif isinstance(result, Table):
                require_honest_table(result)
        tables += [result for result in parts if isinstance(result, Table)]
    files = compose(results, [Again(tables)])
    assert all(content.isascii() for name, content in files.items() if name.endswith(".tex"))


@pytest.mark.parametrize(
    "name", [f if f in QUICK else pytest.param(f, marks=pytest.mark.slow) for f in FRAMES]
)
def test_every_exhibit_shows_any_frame_honestly(sketch, layer_of, name):
    FRAMES[name](sketch, layer_of)
    results = sketch.results() if sketch.rows else sketch.results(["SN", "WN"], ["A"])

    require_honest(results, [e for e in exhibits() if e.reads == "runs"])


TRIALS = {
    **{name: values for name, values in SCORES.items() if name != "queued"},
    "pruned": ["pruned"],
    "pruned and finite": ["pruned", 5.0, 6.0],
}


@pytest.mark.slow
@pytest.mark.parametrize("name", TRIALS)
def test_every_exhibit_of_trials_shows_any_values_honestly(searching, name):
    values = TRIALS[name]
    draws = np.random.default_rng(0)
    for i, method in enumerate(("SN", "WN")):
        for number in range(12):
            lr = float(10 ** draws.uniform(-4, -2))
            searching.trial(method, values[(number + i) % len(values)], params={"lr": lr})
        if any(not isinstance(value, str) for value in values):
            searching.confirm(method, 0, [values[(k + i) % len(values)] for k in range(3)])
    results = searching.results(["SN", "WN"])

    require_honest(results, [e for e in exhibits() if e.reads == "trials" or len(results.runs)])

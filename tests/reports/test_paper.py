"""What a report writes for a LaTeX paper: sentences, tables, figures and references."""

from __future__ import annotations

import json
import random
import re
import shutil
import subprocess
from pathlib import Path

import matplotlib
import pytest

from lipbench.data import DatasetInfo
from lipbench.reporting import Exhibit, Figure, Table, exhibits
from lipbench.reporting.page import compose
from lipbench.reporting.paper import at_column_width
from lipbench.reporting.style import RC
from lipbench.results.provenance import Provenance

PDFLATEX = shutil.which("pdflatex")
needs_pdflatex = pytest.mark.skipif(PDFLATEX is None, reason="pdflatex is not installed")
DIGITS = DatasetInfo("digits", "ab" * 32, (1, 16, 16), 1198, 599, tuple("0123456789"))
VERSIONS = {"python": ("3.11.7",), "lipbench": ("0.1.0",), "torch": ("2.9.0", "2.9.1")}
SN = json.dumps({"spectral_norm": {"power_iterations": 1, "gamma": None}})


def methods_of(results) -> str:
    """Return the Methods section of a report without exhibits."""
    return compose(results, [])["paper/methods.tex"].decode()


def with_facts(results, **facts):
    """Return results with a provenance, and other facts that a sketch has not."""
    provenance = Provenance(DIGITS, VERSIONS)
    return type(results)(**{**vars(results), "provenance": provenance, **facts})


def test_the_methods_are_named_with_their_hyperparameters_and_papers(sketch):
    sketch.run("none", "A", 10.0)
    sketch.run("SN", "A", 5.0, params=SN)

    text = methods_of(sketch.results())

    assert (
        r"We compared 2 methods: none~\cite{radford2016} and SN~\cite{miyato2018} "
        r"(power\_\allowbreak{}iterations = 1)." in text
    )


def test_one_run_is_told_in_the_singular(sketch):
    sketch.run("SN", "A", 5.0, seed=3)

    text = methods_of(sketch.results())

    assert r"We trained with one method: SN~\cite{miyato2018}." in text
    assert "There was 1 run, with seed 3." in text
    assert "The run completed." in text
    assert "Runs with the same seed" not in text
    assert (
        "Methods have 1 seed at a setting. With fewer than 3 seeds there is no interval and no "
        "test: a difference between methods cannot be told from a difference between seeds."
    ) in text
    assert "Holm" not in text


def test_a_full_grid_says_its_settings_and_seeds(sketch):
    for method in ("none", "SN"):
        for setting in ("A", "C"):
            for seed in range(3):
                sketch.run(method, setting, 5.0, seed)

    text = methods_of(sketch.results())

    assert (
        "Each method was trained at each of 2 settings with 3 seeds (0, 1 and 2): 12 runs." in text
    )
    assert "All 12 runs completed." in text
    assert (
        r"The settings were A (learning rate $10^{-4}$, $\beta_1 = 0.5$, $\beta_2 = 0.9$, "
        r"$n_\mathrm{dis} = 5$) and C (learning rate $2 \times 10^{-4}$, $\beta_1 = 0.5$, "
        r"$\beta_2 = 0.999$, $n_\mathrm{dis} = 1$)" in text
    )
    assert "no interval and no test" not in text
    assert r"has the level 95\%" in text


def test_runs_without_a_result_are_counted_by_their_outcomes(sketch):
    sketch.run("none", "A", 5.0, 0)
    sketch.run("none", "A", "diverged", 1)
    sketch.run("none", "A", "diverged", 2)
    sketch.run("SN", "A", "failed", 0)
    sketch.run("SN", "A", "queued", 1)
    sketch.run("SN", "A", 5.0, 2, collapsed=True)
    sketch.run("SN", "A", 5.0, 3)

    text = methods_of(sketch.results())

    assert (
        "There were 7 runs, of 2 combinations of a method and a setting with 3 to 4 seeds each, "
        "of 4 seeds (0, 1, 2 and 3)." in text
    )
    assert "Of 7 runs, 3 completed, 2 diverged, 1 failed and 1 has not begun." in text
    assert "counts as worse than any score" in text
    assert "A run without a result is missing" in text
    assert (
        r"1 completed run collapsed: the features of the generated images vary less than 5\%"
        in text
    )


def test_no_sentence_is_about_what_did_not_happen(sketch):
    sketch.run("none", "A", 5.0)

    text = methods_of(sketch.results())

    for word in (
        "diverged where",
        "missing",
        "collapsed:",
        "moving average of the trained",
        "augmented",
        "audit",
    ):
        assert word not in text, word


def test_what_training_did_to_real_images_is_said(sketch):
    sketch.run("none", "A", 5.0, augmentation="horizontal flips")

    assert (
        "Real images were augmented in training, not for scores: by horizontal flips."
        in methods_of(sketch.results())
    )


def test_what_differs_between_methods_says_for_which(sketch):
    for method in ("none", "SN", "WN", "BN", "LN"):
        sketch.run(method, "A", 5.0)
    sketch.run("WGAN-GP", "A", 5.0, loss="wasserstein (drift=0.001)", batch_size=64)

    text = methods_of(sketch.results())

    assert (
        r"were trained with the Wasserstein loss~\cite{arjovsky2017wgan} (drift = 0.001) for "
        r"WGAN-GP and the non-saturating loss~\cite{goodfellow2014} for the other methods." in text
    )
    assert (
        "A batch of the discriminator had 64 real and as many generated images for WGAN-GP and 32 "
        "real and as many generated images for the other methods, one of the generator had 32 "
        "generated images." in text
    )


def test_what_differs_between_settings_says_at_which(sketch):
    sketch.run("SN", "A", 5.0, planned_updates=1000)
    sketch.run("SN", "B", 5.0)

    assert (
        "for 1,000 updates of the generator at A and 2,000 updates of the generator at B."
        in methods_of(sketch.results())
    )


def test_what_differs_between_runs_of_a_cell_is_said_to_vary(sketch):
    sketch.run("SN", "A", 5.0, 0, params=SN, precision="float32")
    sketch.run("SN", "A", 5.0, 1, params=SN.replace("1", "3"), precision="bfloat16")

    text = methods_of(sketch.results())

    assert "computed in float32 or bfloat16 (it varied between runs) during" in text
    assert "iterations = 1 or 3)" in text


def test_settings_that_differ_between_methods_stand_in_a_table(sketch):
    sketch.run("SN", "published", 5.0, lr=2e-4)
    sketch.run("WGAN-GP", "published", 5.0, lr=1e-4, beta1=0.0)

    files = compose(sketch.results(), [])

    table = files["paper/tables/paper-settings.tex"].decode()
    assert "published & SN & 0.0002 & 0.5" in table
    assert "published & WGAN-GP & 0.0001 & 0 &" in table
    assert r"Table~\ref{tab:paper-settings}" in files["paper/methods.tex"].decode()
    assert r"\input{tables/paper-settings}" in files["paper/main.tex"].decode()


def test_many_methods_stand_in_a_table_with_their_papers(sketch):
    for index in range(9):
        sketch.run(f"method {index}", "A", 5.0, methods="spectral_norm", params=SN)

    files = compose(sketch.results(), [])

    text, table = (
        files[f"paper/{name}.tex"].decode() for name in ("methods", "tables/paper-methods")
    )
    assert r"We compared 9 methods; Table~\ref{tab:paper-methods} lists them" in text
    assert r"method 8 & spectral\_norm & power\_iterations = 1 & \cite{miyato2018} \\" in table
    assert b"@inproceedings{miyato2018," in files["paper/references.bib"]


def test_the_data_are_told_with_their_counts_and_their_split(sketch):
    sketch.run("SN", "A", 5.0)

    text = methods_of(with_facts(sketch.results()))

    assert (
        r"Handwritten Digits~\cite{alpaydin1998,pedregosa2011}: 1,198 training images and 599 "
        r"test images in 10 classes, gray, of 16~$\times$~16 pixels." in text
    )
    assert "A third of each class, drawn once for all runs, is the test split." in text


def test_versions_machines_and_revisions_are_told_only_where_they_are_known(sketch):
    sketch.run("SN", "A", 5.0, seconds_training=7200.0, seconds_scoring=90.0)
    sketch.machines = ("AMD EPYC (1 thread)",)

    known = methods_of(
        with_facts(sketch.results(), revisions=("0123456789abcdef" * 2 + "-dirty",))
    )
    unknown = methods_of(type(sketch)(rows=sketch.rows[:1]).results())

    assert (
        r"Runs were made on AMD EPYC (1 thread) with lipbench 0.1.0 (revision 0123456789ab, "
        r"dirty), Python 3.11.7 and PyTorch 2.9.0 and 2.9.1~\cite{paszke2019}." in known
    )
    assert "Where several versions, revisions or machines are named" in known
    assert "The run took 2~hours of training and 90~seconds of scoring." in known
    assert "made on" not in unknown
    assert "made with" not in unknown


def test_a_score_that_says_so_is_ranked_by_the_higher(sketch_of):
    sketch = sketch_of("miyato2018")
    sketch.run("SN", "A", 25.0)

    text = methods_of(sketch.results())

    assert (
        r"Generators were scored by FID~\cite{heusel2017} and IS~\cite{salimans2016improved}."
        in text
    )
    assert "Methods are ranked by FID (lower is better)" in text
    assert r"The protocol was miyato2018@2~\cite{miyato2018,kurach2019} (Miyato et al." in text
    assert r"Features are those of Inception~\cite{szegedy2016,obukhov2020}." in text


def test_a_study_says_how_it_searched(tuned):
    text = methods_of(tuned())

    assert (
        r"with Optuna's RandomSampler~\cite{akiba2019}; a search had a budget of 25 trials" in text
    )
    assert "All methods searched lr in {[}1e-05, 0.01{]}, log;" in text
    assert re.search(r"Of 200 trials, \d+ completed, \d+ were pruned,", text)
    assert (
        "The best 2 configurations of each search were trained again with 3 seeds (100, 101"
        in text
    )
    assert re.search(r"There were \d+ confirmation runs", text)


def test_a_study_before_its_first_confirmation_has_a_methods_section(searching):
    files = compose(searching.results(["SN", "WN"]), exhibits())

    text = files["paper/methods.tex"].decode()
    assert "We compared 2 methods: SN and WN." in text
    assert r"\paragraph{Data.}" not in text


def test_every_citation_has_an_entry_and_every_entry_is_cited(sketch, tuned):
    sketch.run("SN", "A", 5.0)
    for results in (with_facts(sketch.results()), tuned()):
        files = compose(results, exhibits())
        cited = {
            key
            for name, content in files.items()
            if name.startswith("paper/") and name.endswith(".tex")
            for keys in re.findall(r"\\cite\{([^}]*)\}", content.decode())
            for key in keys.split(",")
        }
        entries = re.findall(r"@\w+\{([^,]+),", files["paper/references.bib"].decode())

        assert sorted(cited) == entries


def test_tables_and_figures_are_all_taken_in(sketch):
    for seed in range(3):
        sketch.run("SN", "A", 5.0 + seed, seed)

    files = compose(sketch.results(), exhibits())
    body = files["paper/main.tex"].decode()

    tables = [name for name in files if name.startswith("tables/") and name.endswith(".csv")]
    figures = [name for name in files if name.startswith("figures/") and name.endswith(".svg")]
    for stem in (Path(name).with_suffix("") for name in (*tables, *figures)):
        assert rf"\input{{{stem}}}" in body
        assert f"paper/{stem}.tex" in files
    assert all(f"paper/{Path(name).with_suffix('.pdf')}" in files for name in figures)


class Drawn(Exhibit):
    title = "Drawn"
    order = 1

    def show(self, results):
        from matplotlib.figure import Figure as Drawing

        for name, width, column in (
            ("narrow", 6.0, True),
            ("wide", 6.0, False),
            ("huge", 9, False),
        ):
            drawing = Drawing(figsize=(width, 3), layout="constrained")
            drawing.add_subplot().plot([1, 2], [1, 2])
            yield Figure(name, name, drawing, column=column)


def test_a_figure_is_as_wide_as_a_column_or_as_the_page(sketch):
    sketch.run("SN", "A", 5.0)

    files = compose(sketch.results(), [Drawn()])

    def points(name):
        found = re.search(rb"/MediaBox \[ 0 0 ([\d.]+) ([\d.]+) \]", files[name])
        return [float(number) for number in found.groups()]

    assert points("paper/figures/narrow.pdf")[0] == pytest.approx(3.25 * 72)
    assert points("paper/figures/wide.pdf") == points("figures/wide.pdf") == [6 * 72, 3 * 72]
    assert files["paper/figures/narrow.pdf"] == files["figures/narrow.pdf"]
    latex = {
        name: files[f"paper/figures/{name}.tex"].decode() for name in ("narrow", "wide", "huge")
    }
    assert r"\begin{figure}" in latex["narrow"]
    assert r"\begin{figure*}" in latex["wide"]
    assert r"\includegraphics{figures/wide.pdf}" in latex["wide"]
    assert r"\includegraphics[width=6.75in]{figures/huge.pdf}" in latex["huge"]


NASTY = [
    "[ours] SN", "*", "&%$#_{}~^\\", "λ=10% μ", "猫 😀", "x" * 90, "a_b/c_d" * 8,
    "\\end{document}",
    "\\input{/etc/passwd}", "%", "--- '' ``", "naïve Émile", "$x", "}", "{", "\u202e \x1b",
]  # fmt: skip


def random_labels(count):
    draw = random.Random(0)
    letters = "abc XYZ019" + "&%$#_{}~^\\[]*<>|\"'`-=@!?;:,." + "éßøλΩ∞≤→猫😀\u0301\u200f"
    return ["".join(draw.choices(letters, k=draw.randint(1, 25))) + str(i) for i in range(count)]


def nasty(sketch, labels, settings):
    """Fill a sketch whose methods and settings have these labels."""
    for i, label in enumerate(labels):
        for j, setting in enumerate(settings):
            for seed in range(2):
                cause = f"ValueError: {label} {setting}"
                value = "failed" if (i + j) % 7 == 6 else 5.0 + i + j / 10 + seed
                sketch.run(label, setting, value, seed, cause=cause, methods="none", loss=label)
    return sketch.results()


@needs_pdflatex
def test_pdflatex_compiles_a_paper_of_nasty_labels_that_fits_its_pages(sketch, tmp_path):
    labels = [*NASTY, *random_labels(30)]
    results = with_facts(
        nasty(sketch, labels, NASTY[:6]),
        suite="100% [small] {_}",
        description="It's & a # $uite \\ of 猫",
        machines=tuple(NASTY),
        revisions=("abc-dirty",),
    )
    shown = [e for e in exhibits() if e.title in ("Settings", "Outcomes", "Other scores")]

    log = compiled(compose(results, shown), tmp_path)

    widest = [float(points) for points in re.findall(r"Overfull \\hbox \(([\d.]+)pt", log)]
    assert max(widest, default=0) < 3, log
    assert "undefined" not in log


@pytest.mark.slow
@needs_pdflatex
def test_pdflatex_compiles_every_exhibit_of_a_study(sketch, tuned, tmp_path):
    for seed in range(3):
        for method in ("none", "SN"):
            run = sketch.run(method, "A", 5.0 + seed, seed)
            sketch.audit(run)
    for number, results in enumerate((with_facts(sketch.results()), tuned())):
        folder = tmp_path / str(number)
        folder.mkdir()

        assert "undefined" not in compiled(compose(results, exhibits()), folder)


@pytest.mark.parametrize("methods", [2, 6])
def test_a_figure_as_wide_as_a_column_cuts_nothing_off(sketch, methods):
    labels = ("none", "SN", "WGAN-GP", "weight clipping", "WN", "LayerNorm")[:methods]
    for i, method in enumerate(labels):
        for setting in "ACF":
            for seed in range(3):
                run = sketch.run(method, setting, 5.0 + i + seed, seed, cs_digits=2.0)
                sketch.audit(run)
    with matplotlib.rc_context(RC):
        narrow = [
            (shown.name, shown.drawing)
            for exhibit in exhibits()
            for shown in exhibit.show(sketch.results())
            if isinstance(shown, Figure) and shown.column
        ]
        for name, drawing in narrow:
            at_column_width(drawing, drawing.get_layout_engine())
            drawing.draw_without_rendering()
            box, (width, height) = drawing.get_tightbbox(), drawing.get_size_inches()

            assert width <= 3.25 + 1e-9
            assert min(box.x0, box.y0) > -0.02, (name, box.extents)
            assert box.x1 < width + 0.02, (name, box.extents)
            assert box.y1 < height + 0.02, (name, box.extents)
    assert len(narrow) > 4


def compiled(files, folder: Path) -> str:
    """Compile a report's paper as its reader would; return the log of the last time."""
    for name, content in files.items():
        if name.startswith("paper/"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
    here = folder / "paper"
    latex = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "main.tex"]
    for command in (latex, ["bibtex", "main"], latex, latex):
        done = subprocess.run(
            command, cwd=here, capture_output=True, text=True, errors="replace", check=False
        )
        assert done.returncode == 0, done.stdout[-3000:]
        assert "Warning--" not in done.stdout, done.stdout  # of bibtex: an entry lacks a field
    return done.stdout


def test_a_table_is_one_table_for_the_page_and_for_the_paper(sketch):
    sketch.run("SN", "A", 5.0)

    files = compose(sketch.results(), exhibits())

    assert not [name for name in files if re.fullmatch(r"tables/.*\.tex", name)]
    assert "paper/tables/robustness.tex" in files


def test_labels_that_become_one_file_name_are_refused(sketch):
    import pandas as pd

    class Twice(Exhibit):
        title = "Twice"
        order = 1

        def show(self, results):
            for name in ("a b", "a-b"):
                yield Table(name, name, ("x", "y"), (("1", "2"),), pd.DataFrame())

    sketch.run("SN", "A", 5.0)
    with pytest.raises(ValueError, match=r"two results are called tables/a-b"):
        compose(sketch.results(), [Twice()])

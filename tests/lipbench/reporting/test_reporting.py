"""The files of a report, whatever it shows."""

from __future__ import annotations

import html.parser
import io
import json
import re
import resource
import shutil
import subprocess
import sys

import pandas as pd
import pytest
from PIL import Image

from lipbench.data import DatasetInfo
from lipbench.errors import UserError
from lipbench.outcome import Outcome
from lipbench.planning.plan import Plan, PlannedRun
from lipbench.planning.spec import from_json
from lipbench.planning.suite import Intervals
from lipbench.protocols import PROTOCOLS, find
from lipbench.records import DamageWarning
from lipbench.reporting import (
    Exhibit,
    Figure,
    Omitted,
    Shown,
    Table,
    compose,
    exhibits,
    pens,
    render,
)
from lipbench.reporting import folder as report_folder
from lipbench.reporting.exhibit import PARTS
from lipbench.results import Results, published, read
from lipbench.runs.run_folder import Status
from lipbench.runs.suite_folder import SuiteFolder
from lipbench.scoring import ScoreRecord

HOSTILE = r"50% of a_b & <i>$x$</i> | {y} #1 \ ~ ^ ± †"


class OneTable(Exhibit):
    """Show a table of everything that needs an escape."""

    title = "A <b>table</b>"
    order = 1

    def show(self, results):
        yield Table(
            "numbers",
            f"Caption: {HOSTILE}",
            ("Method", "β₁"),
            ((HOSTILE, Shown("1.50", "†", "1–2", best=True)), ("none", Shown("diverged"))),
            pd.DataFrame({"method": [HOSTILE, "none"], "value": [1.5, float("inf")]}),
            (f"Note: {HOSTILE}",),
        )


class OneFigure(Exhibit):
    """Show a line."""

    title = "A figure"
    order = 2

    def show(self, results):
        from matplotlib.figure import Figure as Drawing

        drawing = Drawing(figsize=(2, 1))
        drawing.add_subplot().plot([1, 2])
        yield Figure("line", 'A "line" & more', drawing)
        yield Omitted("there is no second line")


class WithNumbers(Exhibit):
    """Show a figure that has numbers of its own."""

    title = "Numbers"
    order = 4

    def show(self, results):
        from matplotlib.figure import Figure as Drawing

        numbers = pd.DataFrame({"method": ["SN"], "sigma": [1.5]})
        yield Figure("dots", "Dots", Drawing(figsize=(2, 1)), raw=numbers)


class Broken(Exhibit):
    """Hold a programming error."""

    title = "Broken"
    order = 3

    def show(self, results):
        raise ZeroDivisionError("a bug")


def made(**changes):
    """Return a study of two runs, one of them diverged."""
    runs = pd.DataFrame(
        {
            "run_id": ["a", "b"],
            "method": ["SN", "WN"],
            "methods": ["spectral_norm", "weight_norm"],
            "params": ["{}", "{}"],
            "setting": ["A", "A"],
            "lr": [2e-4, 2e-4],
            "beta1": [0.5, 0.5],
            "beta2": [0.999, 0.999],
            "n_dis": [1, 1],
            "optimizer": ["adam", "adam"],
            "lr_g": [2e-4, 2e-4],
            "alpha": [float("nan"), float("nan")],
            "momentum": [float("nan"), float("nan")],
            "seed": [0, 0],
            "outcome": ["completed", "diverged"],
            "protocol": ["digits@2", "digits@2"],
            "dataset": ["digits", "digits"],
            "image_size": [16, 16],
            "architecture": ["standard_cnn", "standard_cnn"],
            "width": [0.25, 0.25],
            "initialisation": ["normal_0.02", "normal_0.02"],
            "loss": ["non_saturating", "non_saturating"],
            "planned_updates": [2000, 2000],
            "batch_size": [32, 32],
            "generator_batch_size": [32, 32],
            "augmentation": ["none", "none"],
            "precision": ["float32", "float32"],
            "ema_decay": [float("nan"), float("nan")],
        }
    )
    values = {
        "suite": "trial",
        "description": "",
        "runs": runs,
        "left_out": 0,
        "curves": pd.DataFrame(columns=["run_id", "update", "name", "value"]),
        "samples": {},
        "methods": ("SN", "WN"),
        "settings": ("A",),
        "protocol": PROTOCOLS["digits"],
        "published": published(),
    }
    return Results(**{**values, **changes})


class Page(html.parser.HTMLParser):
    """Collect what a page refers to and what it says; its tags must match."""

    def __init__(self, text):
        super().__init__()
        self.references, self.tags, self.words, self.open = [], [], [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        if tag not in ("meta", "link", "img", "br", "input"):
            self.open.append(tag)
        urls = ("src", "href", "srcset", "data", "action")
        self.references += [value for name, value in attributes if name in urls]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.words.append(data)


def page(folder):
    return Page((folder / "index.html").read_text(encoding="utf-8"))


def test_a_report_has_its_files_and_returns_its_page(tmp_path):
    index = render(made(), tmp_path / "report", [OneTable(), OneFigure()])

    assert index == tmp_path / "report" / "index.html"
    files = {str(p.relative_to(index.parent)) for p in index.parent.rglob("*") if p.is_file()}
    assert files == {
        ".report.json",
        "index.html",
        "robustness.csv",
        "runs.csv",
        "runs.parquet",
        "tables/numbers.csv",
        "tables/numbers.md",
        "paper/main.tex",
        "paper/methods.tex",
        "paper/references.bib",
        "paper/tables/numbers.tex",
        "paper/figures/line.pdf",
        "paper/figures/line.tex",
        "figures/line.png",
        "figures/line.pdf",
        "figures/line.svg",
    }
    assert [p.name for p in tmp_path.iterdir()] == ["report"]


def test_the_page_refers_to_nothing_outside_itself(tmp_path):
    render(made(), tmp_path / "report", [OneTable(), OneFigure()])

    text = (tmp_path / "report/index.html").read_text(encoding="utf-8")
    assert all(r.startswith(("#", "data:")) for r in Page(text).references)
    styled = re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)
    assert not re.search(r"""@import|url\((?!#|['"]?data:)""", styled)


def test_the_page_says_what_ran_and_shows_every_text_as_it_is(tmp_path):
    render(made(left_out=1200), tmp_path / "report", [OneTable(), OneFigure()])

    words = " ".join(page(tmp_path / "report").words)
    assert "2 runs: 1 completed, 1 diverged." in words
    assert "1,200 other runs in the folder are not in the current plan" in words
    assert f"Caption: {HOSTILE}" in words
    assert "A <b>table</b>" in words
    assert "A figure: there is no second line." in words
    assert "i" not in page(tmp_path / "report").tags


def test_tables_and_figures_are_numbered_apart(tmp_path):
    render(made(), tmp_path / "report", [OneFigure(), OneTable()])

    words = page(tmp_path / "report").words
    assert [w for w in words if re.fullmatch(r"(Table|Figure) \d+\.", w)] == [
        "Figure 1.",
        "Table 1.",
    ]


def test_csv_gives_back_the_numbers():
    files = compose(made(), [OneTable()])

    raw = pd.read_csv(io.BytesIO(files["tables/numbers.csv"]))
    assert raw["method"].tolist() == [HOSTILE, "none"]
    assert raw["value"].tolist() == [1.5, float("inf")]
    runs = pd.read_csv(io.BytesIO(files["runs.csv"]))
    pd.testing.assert_frame_equal(runs, made().runs, check_dtype=False)


def test_latex_is_booktabs_and_escaped():
    text = compose(made(), [OneTable()])["paper/tables/numbers.tex"].decode()

    escaped = (
        r"50\% of a\_b \& $<$i$>$\$x\$$<$/i$>$ $|$ \{y\} \#1 \textbackslash{} "
        r"\textasciitilde{} \textasciicircum{} $\pm$ \textsuperscript{$\dagger$}"
    )
    assert rf"\caption{{Caption: {escaped}}}" in text
    stacked = (
        r"\begin{tabular}[t]{@{}r@{}}\textbf{1.50\textsuperscript{$\dagger$}}"
        r"\\[-3pt]{\tiny 1--2}\end{tabular}"
    )
    assert rf"    {escaped} & {stacked} \\" in text.replace(r"\allowbreak{}", "")
    assert [r for r in (r"\toprule", r"\midrule", r"\bottomrule") if text.count(r) == 1] == [
        r"\toprule",
        r"\midrule",
        r"\bottomrule",
    ]
    assert r"Method & $\beta$\textsubscript{1} \\" in text
    assert r"\begin{tabular}{>{\raggedright\arraybackslash}p{16em}r}" in text


def test_markdown_shows_every_text_as_it_is():
    lines = compose(made(), [OneTable()])["tables/numbers.md"].decode().splitlines()

    rows = [line for line in lines if line.startswith("|")]
    assert rows[1] == "| :-- | --: |"
    assert r"a\_b \& \<i\>\$x\$\</i\> \| \{y\}" in rows[2]
    assert rows[2].endswith("| **1.50†** (1–2) |")
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {3}


def test_the_same_study_gives_the_same_bytes():
    first, second = (compose(made(), [OneTable(), OneFigure()]) for _ in range(2))

    assert first == second
    assert b"CreationDate" not in first["figures/line.pdf"]


def test_a_bug_in_an_exhibit_crashes_and_leaves_the_earlier_report(tmp_path):
    render(made(), tmp_path / "report", [OneTable()])
    earlier = (tmp_path / "report/index.html").read_bytes()

    with pytest.raises(ZeroDivisionError):
        render(made(), tmp_path / "report", [OneTable(), Broken()])

    assert (tmp_path / "report/index.html").read_bytes() == earlier
    assert [p.name for p in tmp_path.iterdir()] == ["report"]


def test_a_new_report_replaces_the_earlier_one_whole(tmp_path):
    render(made(), tmp_path / "report", [OneTable()])
    render(made(), tmp_path / "report", [OneFigure()])

    assert not (tmp_path / "report/tables").exists()
    assert [p.name for p in tmp_path.iterdir()] == ["report"]


LISTING = b'{"files": {"index.html": "", ".report.json": ""}}'
KILLED = """
import os, sys
from pathlib import Path
from lipbench.reporting import folder as report_folder
rename, at = Path.rename, int(sys.argv[2])
calls = []

def killed(self, target):
    calls.append(target)
    if len(calls) == at:
        os.kill(os.getpid(), 9)
    return rename(self, target)

Path.rename = killed
listing = b'{"files": {"index.html": "", ".report.json": ""}}'
report_folder.replace(Path(sys.argv[1]), {"index.html": b"new"}, listing)
"""


@pytest.mark.parametrize("at", [1, 2])
def test_what_a_killed_report_left_is_gone_and_the_earlier_report_is_there_again(tmp_path, at):
    report = tmp_path / "report"
    report_folder.replace(report, {"index.html": b"earlier"}, LISTING)
    (report / "mine.txt").write_text("mine")
    subprocess.run([sys.executable, "-c", KILLED, str(report), str(at)], check=False)
    assert len(list(tmp_path.iterdir())) == (2 if at == 1 else 1)

    with pytest.raises(UserError):
        report_folder.replace(report, {"mine.txt": b"in the way"}, LISTING)
    assert [path.name for path in tmp_path.iterdir()] == ["report"]
    assert (report / "index.html").read_bytes() == b"earlier"

    report_folder.replace(report, {"index.html": b"new"}, LISTING)
    assert [path.name for path in tmp_path.iterdir()] == ["report"]
    assert (report / "mine.txt").read_text() == "mine"


def test_the_files_of_others_stay_in_a_report(tmp_path):
    report = tmp_path / "report"
    render(made(), report, [OneTable()])
    (report / "tables/my notes.md").write_text("mine")
    (report / "talk").mkdir()
    (report / "talk/slides.pdf").write_text("mine")
    (report / "talk/empty").mkdir()
    (report / "talk/data").symlink_to("/nowhere")

    render(made(), report, [OneFigure()])

    files = {str(p.relative_to(report)) for p in report.rglob("*")}
    assert files == {
        ".report.json",
        "index.html",
        "robustness.csv",
        "runs.csv",
        "runs.parquet",
        "figures",
        "figures/line.png",
        "figures/line.pdf",
        "figures/line.svg",
        "paper",
        "paper/figures",
        "paper/figures/line.pdf",
        "paper/figures/line.tex",
        "paper/main.tex",
        "paper/methods.tex",
        "paper/references.bib",
        "tables",
        "tables/my notes.md",
        "talk",
        "talk/slides.pdf",
        "talk/empty",
        "talk/data",
    }
    assert (report / "talk/slides.pdf").read_text() == "mine"
    assert [p.name for p in tmp_path.iterdir()] == ["report"]


@pytest.mark.parametrize("name", ["figures/line.png", "figures", "figures/line.pdf/mine"])
def test_a_file_of_another_in_the_way_is_named_before_anything_is_lost(tmp_path, name):
    report = tmp_path / "report"
    render(made(), report, [OneTable()])
    earlier = (report / "index.html").read_bytes()
    (report / name).parent.mkdir(parents=True, exist_ok=True)
    (report / name).write_text("mine")

    with pytest.raises(UserError, match=rf"which no report wrote: {name}; move them"):
        render(made(), report, [OneFigure()])

    assert (report / name).read_text() == "mine"
    assert (report / "index.html").read_bytes() == earlier


@pytest.mark.parametrize("listing", [None, b"", b"null", b'{"files": 7}', b"\xff"])
def test_a_report_without_a_list_owns_the_names_that_reports_write(tmp_path, listing):
    report = tmp_path / "report"
    render(made(), report, [OneTable()])
    (report / ".report.json").unlink()
    if listing is not None:
        (report / ".report.json").write_bytes(listing)
    (report / "thesis.tex").write_text("mine")

    render(made(), report, [OneFigure()])

    assert (report / "thesis.tex").read_text() == "mine"
    assert not (report / "tables").exists()


def test_a_file_in_the_place_of_a_report_is_not_replaced(tmp_path):
    (tmp_path / "report").write_text("mine")

    with pytest.raises(UserError, match="report is no folder; name another one"):
        render(made(), tmp_path / "report", [OneTable()])

    assert (tmp_path / "report").read_text() == "mine"


def test_a_page_of_another_is_no_report(tmp_path):
    (tmp_path / "index.html").write_text("<p>my site</p>")

    with pytest.raises(UserError, match="holds something else than a report"):
        render(made(), tmp_path, [OneTable()])


def test_a_full_disk_leaves_the_earlier_report(tmp_path):
    render(made(), tmp_path / "report", [OneTable()])
    earlier = (tmp_path / "report/index.html").read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, hard))  # as if 2 kB were left
    try:
        with pytest.raises(
            UserError, match=r"cannot write the report to .*report: File too large"
        ):
            render(made(), tmp_path / "report", [OneTable(), OneFigure()])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert (tmp_path / "report/index.html").read_bytes() == earlier
    assert [p.name for p in tmp_path.iterdir()] == ["report"]


def test_a_folder_that_cannot_be_made_is_the_users_error(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(UserError, match=r"cannot write the report to .*file/report"):
        render(made(), tmp_path / "file" / "report", [OneTable()])


def test_a_folder_with_other_things_is_not_replaced(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")

    with pytest.raises(UserError, match="holds something else than a report"):
        render(made(), tmp_path, [OneTable()])

    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_two_results_cannot_write_one_file():
    with pytest.raises(ValueError, match="second result writes"):
        compose(made(), [OneTable(), OneTable()])


def test_a_study_never_mixes_protocols_or_runs_of_one_place():
    runs = made().runs
    with pytest.raises(ValueError, match="miyato2018@2"):
        made(runs=runs.assign(protocol=["digits@2", "miyato2018@2"]))
    with pytest.raises(ValueError, match="two runs in one place"):
        made(runs=runs.assign(method="SN"))


def test_each_of_ten_methods_has_a_pen_of_its_own():
    drawn = pens(tuple(f"m{i}" for i in range(10)))

    assert len(set(drawn.values())) == 10


def test_installed_exhibits_are_found_in_order():
    found = exhibits()

    assert {"Robustness", "BestSetting", "Bars", "Samples"} <= {type(e).__name__ for e in found}
    assert found == sorted(found, key=lambda e: (PARTS.index(e.part), e.order, e.title))


def test_an_exhibit_of_ones_own_is_a_file(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(
        "from lipbench.reporting import Exhibit, Omitted\n"
        "class Mine(Exhibit):\n"
        "    title = 'Mine'\n"
        "    order = 0\n"
        "    def show(self, study):\n"
        "        yield Omitted('it is mine')\n"
    )

    assert "Mine" in [exhibit.title for exhibit in exhibits([file])]


def test_a_figures_numbers_are_a_csv_file_beside_it():
    files = compose(made(), [OneFigure(), WithNumbers()])

    csv = [name for name in files if name.startswith("figures/") and name.endswith(".csv")]
    assert csv == ["figures/dots.csv"]
    assert files["figures/dots.csv"] == b"method,sigma\nSN,1.5\n"


SPEC = {
    "methods": [{"name": "spectral_norm", "params": {"power_iterations": 1}}],
    "setting": {"lr": 2e-4, "beta1": 0.5, "beta2": 0.999, "n_dis": 1},
    "architecture": "standard_cnn",
    "width": 0.25,
    "initialisation": "normal_0.02",
    "loss": "non_saturating",
    "dataset": {"name": "digits", "fingerprint": "0", "image_size": 16, "channels": 1},
    "budget": {
        "generator_updates": 20,
        "batch_size": 64,
        "generator_batch_size": 64,
        "schedule": "constant",
    },
    "precision": "float32",
    "ema_decay": None,
    "protocol": "digits@2",
    "score_every": None,
    "schema": 1,
}


def scored(update, scores, checkpoint="last", **parts):
    """Return a score's row of a run folder."""
    record = ScoreRecord(update, checkpoint, "digits@2", scores, 1.0, collapsed=False, **parts)
    return record.to_json()


@pytest.fixture
def results(tmp_path):
    """Return a folder of results: seed 0 completed, seed 1 is queued, seed 2 left the plan."""
    specs = [from_json({**SPEC, "seed": seed}) for seed in range(3)]
    runs = tuple(PlannedRun(spec, "SN", "C") for spec in specs)
    info = DatasetInfo("digits", "0", (1, 16, 16), 1198, 599, tuple("0123456789"))
    suite = SuiteFolder(tmp_path / "trial")
    plan = Plan("trial", "A trial.", runs[:2], info, {}, PROTOCOLS["digits"], Intervals())
    suite.save_plan(plan, "sqlite://")
    for run in (runs[0], runs[2]):
        folder = suite.new_folder(run)
        folder.open(run.spec, {})
        folder.append("metrics", {"update": 10, "loss_d": 1.0})
        scores = {"fd_digits": 20.0, "cs_digits": 8.0, "modes_covered_digits": 9.0}
        for checkpoint, update, value in (("selection", 10, 1.0), ("best", 10, 5.0)):
            folder.append("scores", scored(update, {"fd_digits": value}, checkpoint))
        folder.append("scores", scored(20, scores, errors={"fd_digits": 0.5}))
        for update in (10, 20):
            folder.save_sample(update, Image.new("L", (128, 64)))
        folder.set_status(Status(Outcome.COMPLETED, None, 20))
    return suite


def test_a_study_is_of_the_runs_in_the_plan(results):
    found = read(results.path)

    assert found.runs[["seed", "outcome"]].values.tolist() == [[0, "completed"], [1, "queued"]]
    assert found.left_out == 1
    assert (found.suite, found.methods, found.settings) == ("trial", ("SN",), ("C",))
    first = found.runs["run_id"][0]
    assert found.samples[first].name == "00000020.png"
    assert found.runs["fd_digits"][0] == 20.0


def test_a_study_reads_the_audits_of_the_plans_runs_oldest_first(results):
    for folder in results.folders().values():
        for update, lower_bound in ((20, 1.0), (10, 2.0), (20, 3.0)):
            folder.append("audits", {"update": update, "lower_bound": lower_bound})

    found = read(results.path)

    first = found.runs["run_id"][0]
    assert found.audits == {
        first: [{"update": 10, "lower_bound": 2.0}, {"update": 20, "lower_bound": 3.0}]
    }


def test_a_study_reads_what_the_methods_cost(results):
    assert read(results.path).cost is None

    (results.path / "cost.json").write_text('{"rounds": 3, "rows": []}')
    assert read(results.path).cost == {"rounds": 3, "rows": []}

    (results.path / "cost.json").write_text('{"rounds": 3')
    with pytest.warns(DamageWarning, match=r"cost.json is damaged"):
        assert read(results.path).cost is None


def test_a_study_names_each_machine_once(results):
    (folder,) = [f for f in results.folders().values() if "-s0-" in f.path.name]
    cpu = {"device": "cpu", "processor": "EPYC", "threads": 1}
    for session in (cpu, cpu | {"threads": 2}, cpu, {"device": "H100", "threads": 8}):
        folder.open(folder.spec(), session)

    assert read(results.path).machines == ("EPYC (1 thread)", "EPYC (2 threads)", "H100")


def test_a_folder_of_results_renders(results):
    index = render(read(results.path), results.path / "report")

    csv = pd.read_csv(index.parent / "tables/robustness.csv")
    assert csv.values.tolist() == [["SN", 20.0, 1, 2]]
    assert "1 other run in the folder is not in the current plan" in " ".join(
        page(index.parent).words
    )


def test_a_sweep_that_has_not_begun_renders(results):
    shutil.rmtree(results.path / "runs")

    index = render(read(results.path), results.path / "report")

    assert "2 runs: 2 queued." in " ".join(page(index.parent).words)


def test_last_and_best_and_the_gap_between_are_columns(results):
    run = read(results.path).runs.iloc[0]

    assert (run["fd_digits"], run["fd_digits_best"], run["fd_digits_gap"]) == (20.0, 5.0, 15.0)
    assert (run["best_update"], run["fd_digits_se"]) == (10, 0.5)


def test_scores_that_choose_a_checkpoint_are_curves_and_no_results(results):
    curves = read(results.path).curves

    assert set(curves["name"]) == {"loss_d", "fd_digits_selection"}


def test_a_report_keeps_to_the_record_that_the_plan_was_scored_by(results):
    path = results.path / "plan.json"
    stored = json.loads(path.read_text())
    stored["protocol"]["n_fake"] = 777
    path.write_text(json.dumps(stored))

    assert read(results.path).protocol.n_fake == 777


def test_runs_scored_again_are_reported_under_that_protocol_alone(results):
    mine = find({"name": "mine", "based_on": "digits"})
    with pytest.raises(UserError, match=r"no run .* scored by mine@.*lipbench eval"):
        read(results.path, mine)
    (first, *_) = [f for f in results.folders().values() if "-s0-" in f.path.name]
    first.append("evals", scored(20, {"fd_digits": 3.0}) | {"protocol": mine.id})

    found = read(results.path, mine)

    assert found.protocol == mine
    assert found.runs["fd_digits"].dropna().tolist() == [3.0]
    assert read(results.path).runs["fd_digits"][0] == 20.0


def test_importing_the_engine_of_reports_imports_no_torch_and_no_matplotlib():
    code = "import sys, lipbench.reporting; print({'torch', 'matplotlib'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "set()\n"

"""The command line, run as a user does: in a process of its own."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import torch

from lipbench.cli import main
from lipbench.results import frame
from lipbench.runs.run_folder import RunFolder
from lipbench.runs.suite_folder import SuiteFolder

Command = Callable[..., subprocess.CompletedProcess[str]]

PLUGIN = '''
"""Halve the real images' share of D's loss: a method from outside the repository."""
from __future__ import annotations
from torch import Tensor
from lipbench.discriminators import Discriminator
from lipbench.method import Batch, Method, NonNegative

class Drift(Method):
    """Penalize D's squared output on real images (Karras et al. 2018)."""
    label = "drift"
    coefficient: NonNegative = 1e-3

    def penalty(self, discriminator: Discriminator, batch: Batch) -> Tensor:
        return self.coefficient * discriminator(batch.real).square().mean()
'''


@pytest.fixture(autouse=True)
def _ready(tmp_path: Path, store: Callable[[Path], None], request: pytest.FixtureRequest) -> None:
    """Put an empty MLflow store where a command of its own process would make one."""
    if request.node.get_closest_marker("slow") and "whole_job" not in request.node.name:
        for runs_dir in ("runs", "whole", "killed", "stopped"):
            store(tmp_path / runs_dir)


@pytest.fixture
def here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Command:
    """Return a function that runs a command in this process, which has torch imported already."""

    def here(*arguments: object) -> subprocess.CompletedProcess[str]:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["lipbench", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main.main()
        out, err = capfd.readouterr()
        return subprocess.CompletedProcess(sys.argv, ended.value.code or 0, out, err)

    return here


def start(
    *arguments: object, cwd: Path, ignored: signal.Signals | None = None
) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "lipbench", *map(str, arguments)]
    pipe = subprocess.PIPE
    before = ignored and signal.signal(ignored, signal.SIG_IGN)
    try:
        return subprocess.Popen(
            command, cwd=cwd, stdout=pipe, stderr=pipe, text=True, start_new_session=True
        )
    finally:
        if ignored:
            signal.signal(ignored, before)


@pytest.fixture
def lipbench(tmp_path: Path) -> Command:
    """Return a function that runs a lipbench command in an empty folder."""

    def lipbench(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "lipbench", *map(str, arguments)]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    return lipbench


def test_help_is_quick_and_names_every_command(lipbench):
    start = time.perf_counter()
    done = lipbench("--help")
    assert time.perf_counter() - start < 2  # 0.3 s on a quiet machine: benchmarks/startup.py
    for command in ("run", "plan", "status", "report", "methods", "check", "new", "sync",
                    "suites", "protocols", "losses"):  # fmt: skip
        assert f" {command} " in done.stdout
    for group in ("Run", "Look at results", "Score and measure again", "What there is, and your"):
        assert f"─ {group} " in done.stdout


@pytest.mark.parametrize("command", ["--help", "methods"])
def test_what_needs_no_torch_does_not_import_it(command, tmp_path):
    code = (
        "import sys; from lipbench.cli import main as cli\n"
        f"sys.argv = ['lipbench', {command!r}]\n"
        "try: cli.main()\n"
        "except SystemExit: pass\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, cwd=tmp_path)


def test_methods_lists_built_in_ones_and_a_users_own(here, tmp_path):
    (tmp_path / "drift.py").write_text(PLUGIN)
    done = here("methods", "--plugin", "drift.py")
    lines = [line.split()[:3] for line in done.stdout.splitlines()]
    assert ["spectral_norm", "SN", "built-in"] in lines
    assert ["drift", "drift", "file"] in lines


def test_methods_shows_a_card_with_the_papers_bibtex(here):
    done = here("methods", "spectral_norm")
    for part in ("spectral_norm (SN), built-in", "power_iterations: int >= 1, default 1",
                 "claims           sigma_kernel of each layer <= 1", "@inproceedings{miyato2018,",
                 "allow: [two_reparametrizations]"):  # fmt: skip
        assert part in done.stdout
    card = json.loads(here("methods", "spectral_norm", "--json").stdout)
    assert card["hooks"] == ["wrap"]
    assert card["papers"][0]["key"] == "miyato2018"


def test_check_prints_a_card_and_passes_a_good_method(here, tmp_path):
    (tmp_path / "drift.py").write_text(PLUGIN)
    done = here("check", "--plugin", "drift.py", "--set", "coefficient=0.5")
    assert done.returncode == 0, done.stdout
    assert done.stdout.startswith("drift (drift)\n  pass  it leaves the process as it found it ")
    assert "x the time of an update of none" in done.stdout


def test_check_fails_a_method_that_does_nothing_and_says_where(here, tmp_path):
    lazy = PLUGIN.replace("self.coefficient * ", "0 * ")
    (tmp_path / "drift.py").write_text(lazy)
    done = here("check", "--plugin", "drift.py", "--json")
    assert done.returncode == 1
    (card,) = json.loads(done.stdout)
    assert card["method"] == "drift"
    failed = [line for line in card["cases"] if not line["passed"]]
    assert [line["case"] for line in failed] == ["it changes the training"]
    assert "alters neither D" in failed[0]["measured"]


@pytest.mark.parametrize("command", [("check",), ("run", "quickstart", "--set", "methods=[mine]")])
@pytest.mark.parametrize(
    ("hook", "message"),
    [("penalise", "Drift.penalise is no hook"), ("_penalty", "Drift overrides no hook")],
)
def test_a_method_that_would_train_as_none_is_refused_wherever_it_is_named(
    here, tmp_path, command, hook, message
):
    (tmp_path / "mine.py").write_text(PLUGIN.replace("def penalty", f"def {hook}"))
    done = here(*command, "--plugin", "mine.py")
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert f"mine.py:8: cannot be imported: TypeError: {message}" in done.stderr
    assert done.stderr.count("\n") <= 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["check"],
            "error: name something to check, a method for example, or give --plugin or --all",
        ),
        (["check", "spectral_nrom"], "no method called 'spectral_nrom'; did you mean"),
        (["check", "r1", "--set", "gama=1"], "no hyperparameter called 'gama'; did you mean"),
        (["check", "r1", "--set", "gamma=-1"], "gamma: got -1; input should be greater than"),
        (["check", "r1", "--set", "gamma"], "error: --set gamma: write FIELD=VALUE"),
        (["methods", "spectral_nrom"], "no method called 'spectral_nrom'; did you mean"),
        (["check", "group_norm", "--set", "groups=7"], "7 groups do not divide"),
        (["check", "r1 + spectral_norm"], "error: methods are examined one by one"),
        (["plan", "quickstart", "--plugin", "broken.py"], "broken.py:1: cannot be imported"),
        (["methods", "--plugin", "broken.py"], "broken.py:1: cannot be imported"),
    ],
)
def test_a_mistake_about_methods_is_one_line_and_exit_code_2(here, arguments, message, tmp_path):
    (tmp_path / "broken.py").write_text("import nothing_of_the_kind\n")
    done = here(*arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "quickstrat"], "error: no suite called 'quickstrat'; did you mean 'quickstart'?"),
        (["plan", "tiny.yaml", "--set", "seeds=x"], "error: --set seeds=x: seeds: got 'x'"),
        (["run", "tiny.yaml", "--plugin", "absent.py"], "absent.py: not a plugin"),
        (["run", "tiny.yaml", "--device", "cuda:7"], "error: device cuda:7 is not here"),
        (["run", "tiny.yaml", "--device", "tpu"], "error: no device called 'tpu'"),
        (["run", "tiny.yaml", "--only", "method=x"], "error: --only: no method called 'x'; there"),
        (["report", "nowhere"], "error: nowhere is not a suite's results"),
        (["status", "nowhere"], "error: nowhere is not a suite's results"),
        (["eval", "nowhere"], "error: nowhere is neither a run's folder nor a suite's results"),
        (["audit", "nowhere"], "error: nowhere is neither a run's folder nor a suite's results"),
        (["sample", "nowhere"], "error: nowhere is neither a run's folder nor a suite's results"),
        (["eval", "x", "--protocol", "ofline"], "error: "),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(here, write, arguments, message, tmp_path):
    write()
    done = here(*arguments)
    assert done.returncode == 2, done
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "runs").exists()


def test_a_folder_that_cannot_be_written_is_one_line_and_exit_code_2(here, write, tmp_path):
    write()
    (tmp_path / "runs").write_text("in the way")
    done = here("run", "tiny.yaml")
    assert done.returncode == 2
    assert done.stderr == "error: cannot write runs/tiny: Not a directory\n"


def test_a_plan_tells_what_would_run(here, write):
    write(("[C]", "miyato2018"))
    text = here("plan", "tiny.yaml").stdout
    assert "12 (of 12)" in text
    assert "SN: spectral_norm(power_iterations=1, gamma=False)" in text
    assert "F: lr 0.001, beta1 0.9, beta2 0.999, n_dis 5" in text
    assert "unknown: no such run was made on this machine yet" in text
    specs = json.loads(here("plan", "tiny.yaml", "--json", "--only", "setting=F").stdout)
    assert [entry["spec"]["setting"]["lr"] for entry in specs] == [1e-3, 1e-3]


def test_the_whole_job_runs_resumes_reports_and_is_mirrored(here, write, tmp_path):
    path = write(("[none, spectral_norm]", "[spectral_norm, drift]"))
    (tmp_path / "methods").mkdir()
    (tmp_path / "methods" / "drift.py").write_text(PLUGIN)
    first = here("run", "tiny.yaml", "--workers", 2, "--only", "method=drift")
    assert first.returncode == 0, first.stderr
    assert "[1/1]  completed  drift  C  seed 0  fd_digits" in first.stdout
    second = here("run", "tiny.yaml", "--workers", 1)
    assert "[1/1]  completed  SN" in second.stdout
    third = here("run", path)
    assert "2 runs (2 completed); 0 to do" in third.stdout
    for printed in (third.stdout, here("status", "runs/tiny").stdout):
        assert "FD (digits), lower is better, 1 seed:\nmethod  C\nSN " in printed
        assert "queued" not in printed

    runs = frame.load_runs(tmp_path / "runs" / "tiny")
    assert runs["outcome"].tolist() == ["completed"] * 2
    state = json.loads(here("status", "runs/tiny", "--json").stdout)
    assert [run["outcome"] for run in state["runs"]] == ["completed"] * 2

    audits = here("audit", "runs/tiny", "--images", 16)
    assert "upper bound" in audits.stdout, audits.stderr
    (tmp_path / "mine.yaml").write_text("{name: mine, based_on: digits, n_fake: 300}")
    evaluated = here("eval", "runs/tiny", "--protocol", "mine.yaml")
    assert "under mine@" in evaluated.stdout, evaluated.stderr
    mine = here("report", "runs/tiny", "--protocol", "mine.yaml")
    assert mine.stdout.startswith("report: runs/tiny/report-mine@"), mine.stderr
    drawn = here("sample", f"runs/tiny/runs/{runs['run_id'][0]}", "--count", 9)
    assert drawn.stdout == "9 images of update 6: samples.png\n", drawn.stderr

    report = here("report", "runs/tiny")
    assert report.stdout == "report: runs/tiny/report/index.html\n"
    assert "drift" in (tmp_path / "runs" / "tiny" / "report" / "index.html").read_text()

    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{tmp_path / 'runs' / 'mlflow.db'}")
    (experiment,) = [e for e in client.search_experiments() if e.name == "tiny"]
    mirrored = {r.info.run_name: r for r in client.search_runs([experiment.experiment_id])}
    cells = [f"{row.method}, {row.setting}" for row in runs.itertuples()]
    assert set(mirrored) == {*cells, *[f"seed 0: {cell}" for cell in cells], "report"}
    run = mirrored[f"seed 0: {cells[0]}"]
    assert run.info.status == "FINISHED"
    assert run.data.params["spectral_norm.power_iterations"] == "1"
    assert run.data.params["setting.lr"] == "0.0002"
    assert run.data.tags["outcome"] == "completed"
    assert run.data.metrics["score/fd_digits"] == pytest.approx(runs["fd_digits"][0])
    history = client.get_metric_history(run.info.run_id, "train/loss_d")
    assert [point.step for point in history] == [2, 4, 6]

    again = here("sync", "runs/tiny")
    assert again.stdout.startswith("2 runs are in sqlite://")
    assert len(client.get_metric_history(run.info.run_id, "train/loss_d")) == 3
    assert len(client.search_runs([experiment.experiment_id])) == len(mirrored)


LONG = ("generator_updates: 6", "generator_updates: 60")


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 90
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def assert_equal_bits(folder: RunFolder, other: RunFolder) -> None:
    for name in ("metrics.jsonl", f"samples/{folder.samples()[-1].name}"):
        assert (folder.path / name).read_bytes() == (other.path / name).read_bytes()
    states = [f.load_checkpoint()["training"] for f in (folder, other)]
    for network in ("generator", "discriminator"):
        for name, weight in states[0][network].items():
            assert torch.equal(weight, states[1][network][name]), name


def assert_same(whole: Path, resumed: Path) -> None:
    for hash_, folder in SuiteFolder(whole).folders().items():
        assert_equal_bits(folder, SuiteFolder(resumed).folders()[hash_])
    frames = [
        frame.load_runs(path)[["run_id", "outcome", "fd_digits"]] for path in (whole, resumed)
    ]
    pd.testing.assert_frame_equal(*frames)


def test_what_is_damaged_or_misplaced_is_one_line_and_the_others_go_on(
    here, write, plan_of, tasks_of, do, tmp_path
):
    first, second = tasks_of(plan_of(write()))
    do(first)
    do(second)
    checkpoint = first.folder / "checkpoint.pt"
    content = checkpoint.read_bytes()
    checkpoint.write_bytes(content[:5000] + bytes([content[5000] ^ 1]) + content[5001:])
    audited = here("audit", "runs/tiny", "--images", 8, "--json")
    assert audited.returncode == 1
    (line,) = audited.stderr.splitlines()
    assert line.startswith(f"{first.run.id}: ")
    assert "checkpoint.pt is damaged" in line
    assert [row["run_id"] for row in json.loads(audited.stdout)] == [second.run.id]

    shutil.rmtree(first.folder)
    shutil.copytree(second.folder, first.folder)
    status = here("status", "runs/tiny")
    assert status.returncode == 0
    (line,) = status.stderr.splitlines()
    assert line.startswith(f"runs/tiny/runs/{first.run.id}: its spec.json is of the run spectral_")
    assert "1 queued, 1 completed" in status.stdout
    sampled = here("sample", f"runs/tiny/runs/{first.run.id}")
    assert sampled.returncode == 2
    assert sampled.stderr.count("\n") == 1
    assert "it does not count" in sampled.stderr


@pytest.mark.slow
def test_a_sweep_killed_at_random_and_resumed_has_equal_bits(lipbench, write, tmp_path, soak):
    write(LONG, ("checkpoint: 3", "checkpoint: 7"))
    assert lipbench("run", "tiny.yaml", "--runs-dir", "whole").returncode == 0
    folder = SuiteFolder(tmp_path / "killed" / "tiny")

    def rows() -> int:
        return sum(len(run.rows("metrics")) for run in folder.folders().values())

    kills = 3 * soak
    points = sorted(random.Random(soak).randrange(1, 50) for _ in range(kills))
    for point in points:
        process = start("run", "tiny.yaml", "--runs-dir", "killed", "--workers", 1, cwd=tmp_path)
        wait_for(lambda point=point: rows() >= point, process)
        time.sleep(random.Random(point).random() / 20)
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        for pid in [process.pid, *map(int, children)]:
            os.kill(pid, signal.SIGKILL)
        process.communicate()
    done = lipbench("run", "tiny.yaml", "--runs-dir", "killed")
    assert done.returncode == 0, done.stderr
    assert_same(tmp_path / "whole" / "tiny", tmp_path / "killed" / "tiny")
    print(f"{kills} kills")


@pytest.mark.slow
@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_all_saves_what_runs_and_the_same_command_resumes(
    lipbench, write, tmp_path, kind
):
    """As Ctrl-C, or a batch system, sends it: to the whole process group."""
    write(LONG)
    assert lipbench("run", "tiny.yaml", "--runs-dir", "whole").returncode == 0
    folder = SuiteFolder(tmp_path / "stopped" / "tiny")
    process = start("run", "tiny.yaml", "--runs-dir", "stopped", "--workers", 1, cwd=tmp_path)
    wait_for(lambda: any(run.rows("metrics") for run in folder.folders().values()), process)
    os.killpg(process.pid, kind)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, (out, err)
    assert "stopping" in out
    assert "Traceback" not in err
    state = json.loads(lipbench("status", "stopped/tiny", "--json").stdout)
    assert sorted(run["outcome"] for run in state["runs"]) == ["interrupted", "queued"]
    done = lipbench("run", "tiny.yaml", "--runs-dir", "stopped")
    assert done.returncode == 0
    assert_same(tmp_path / "whole" / "tiny", tmp_path / "stopped" / "tiny")


@pytest.mark.slow
def test_a_signal_while_workers_start_loses_nothing(lipbench, write, tmp_path):
    write(LONG)
    process = start("run", "tiny.yaml", "--workers", 2, cwd=tmp_path)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    wait_for(lambda: len(children.read_text().split()) >= 3, process)  # with a resource tracker
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, (out, err)
    assert "Traceback" not in err
    assert lipbench("run", "tiny.yaml").returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize("kind", [signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGXCPU])
def test_every_signal_that_ends_a_job_saves_what_runs_at_the_update_it_has_reached(
    write, tmp_path, kind
):
    write(LONG, ("checkpoint: 3", "checkpoint: 1000"), ("metrics: 2", "metrics: 1"))
    process = start("run", "tiny.yaml", "--workers", 1, cwd=tmp_path)
    suite = SuiteFolder(tmp_path / "runs" / "tiny")
    wait_for(lambda: any(run.rows("metrics") for run in suite.folders().values()), process)
    for _ in range(2):  # as a terminal that closes sends SIGHUP
        os.killpg(process.pid, kind)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, (out, err)
    assert err == ""
    (run,) = suite.folders().values()
    assert run.status().outcome == "interrupted"
    update = run.load_checkpoint()["training"]["update"]
    assert update == run.status().update == run.rows("metrics")[-1]["update"]


@pytest.mark.slow
def test_nohup_keeps_a_sweep_from_its_terminals_end(write, tmp_path):
    write(LONG, ("[none, spectral_norm]", "[none]"))
    process = start("run", "tiny.yaml", "--workers", 1, cwd=tmp_path, ignored=signal.SIGHUP)
    suite = SuiteFolder(tmp_path / "runs" / "tiny")
    wait_for(lambda: any(run.rows("metrics") for run in suite.folders().values()), process)
    os.killpg(process.pid, signal.SIGHUP)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, (out, err)


@pytest.mark.slow
def test_a_sweep_whose_reader_has_gone_is_saved_and_stops(write, tmp_path):
    """As `lipbench run | head`: the second line finds the pipe closed."""
    write(("[none, spectral_norm]", "[none, spectral_norm, weight_norm]"))
    process = start("run", "tiny.yaml", "--workers", 1, cwd=tmp_path)
    assert "3 to do" in process.stdout.readline()
    process.stdout.close()
    assert process.wait(timeout=60) == 130
    assert process.stderr.read() == ""
    process.stderr.close()
    folders = SuiteFolder(tmp_path / "runs" / "tiny").folders()
    outcomes = [run.status().outcome for run in folders.values()]
    assert outcomes[0] == "completed"
    assert len(outcomes) < 3
    assert "running" not in outcomes


@pytest.mark.slow
def test_a_signal_before_any_run_ends_the_command_with_a_line(write, tmp_path):
    waits = "import pathlib, time\npathlib.Path('here').touch()\ntime.sleep(60)\n"
    (tmp_path / "waits.py").write_text(waits)
    write()
    process = start("run", "tiny.yaml", "--plugin", "waits.py", cwd=tmp_path)
    wait_for((tmp_path / "here").exists, process)
    process.send_signal(signal.SIGUSR1)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, "", "stopped by SIGUSR1\n")


@pytest.mark.slow
def test_a_run_finds_the_process_as_if_it_were_alone(lipbench, write, tmp_path):
    """After a method that changes what all code shares, and one that ends the process."""
    leaks = """import os
        torch.set_num_threads(2)
        os.chdir("/")
        os.environ["LEAK"] = "1"
        torch.nn.functional.leaky_relu = lambda x, *rest: x.relu()
        return self"""
    importing = PLUGIN.replace("import annotations", "import annotations\nimport torch")
    (tmp_path / "leaks.py").write_text(importing.replace("return self", leaks))
    exits = PLUGIN.replace("return self", "import os; os._exit(4)").replace('"drift"', '"exits"')
    (tmp_path / "exits.py").write_text(exits)
    write(("[none, spectral_norm]", "[none]"))
    assert lipbench("run", "tiny.yaml", "--runs-dir", "alone").returncode == 0
    write(("[none, spectral_norm]", "[leaks, exits, none]"))
    files = ("--plugin", "leaks.py", "--plugin", "exits.py")
    done = lipbench("run", "tiny.yaml", *files, "--workers", 1, "--runs-dir", "after")
    assert "the worker process ended itself (exit code 4)" in done.stdout
    runs = SuiteFolder(tmp_path / "after" / "tiny").folders()
    ((hash_, alone),) = SuiteFolder(tmp_path / "alone" / "tiny").folders().items()
    assert_equal_bits(alone, runs[hash_])
    (leaking,) = (run for run in runs.values() if run.spec().methods[0].name == "leaks")
    assert leaking.status().outcome == "completed"
    (remark,) = leaking.sessions()[-1]["remarks"]
    assert "threads: 1, now 2; the current folder: " in remark
    assert "environment variables: LEAK; torch.nn.functional.leaky_relu is replaced" in remark
    assert f"{leaking.path.name}: {remark}" in done.stdout
    assert "remarks" not in runs[hash_].sessions()[-1]


DIES = PLUGIN.replace("return self", "import os; os.kill(os.getpid(), {}); return self")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "kills", "outcome", "cause"),
    [
        (9, [4, 4, 4], "failed", "killed by SIGKILL, and not because memory had run out"),
        (9, [4, 5, 5], "out_of_memory", "killed by SIGKILL: the kernel ended it when memory had"),
        (9, [None] * 3, "failed", "killed by SIGKILL; whether memory had run out is not recorded"),
        (11, [4, 5, 5], "failed", "killed by SIGSEGV (Segmentation fault)"),
    ],
)
def test_a_worker_that_dies_is_a_failed_run_and_the_others_go_on(
    here, write, tmp_path, monkeypatch, kind, kills, outcome, cause
):
    counts = iter(kills)
    monkeypatch.setattr("lipbench.machine.oom_kills", lambda: next(counts))
    (tmp_path / "dies.py").write_text(DIES.format(kind))
    write(("[none, spectral_norm]", "[dies, none]"))
    done = here("run", "tiny.yaml", "--plugin", "dies.py", "--workers", 1)
    assert done.returncode == 1
    assert f"{outcome}  drift" in done.stdout
    assert f"the worker process was {cause}" in done.stdout
    assert "completed  none" in done.stdout
    runs = frame.load_runs(tmp_path / "runs" / "tiny").set_index("method")
    assert runs["outcome"].to_dict() == {"drift": outcome, "none": "completed"}


def test_what_a_plugin_prints_is_not_in_a_commands_json(here, write, tmp_path):
    (tmp_path / "loud.py").write_text(f"{PLUGIN}\nprint('importing')\n")
    write(("[none, spectral_norm]", "[loud]"))
    for command in (["plan", "tiny.yaml"], ["methods"], ["methods", "loud"]):
        done = here(*command, "--plugin", "loud.py", "--json")
        json.loads(done.stdout)
        for name in [name for name in sys.modules if name.endswith("_loud")]:
            del sys.modules[name]  # as in a later process
        assert done.stderr == "importing\n"


def test_what_a_plugin_changes_when_it_is_imported_does_not_change_the_command(
    here, write, tmp_path
):
    text = f"{PLUGIN}\nimport os, torch\nos.chdir('/')\ntorch.set_default_dtype(torch.float64)\n"
    (tmp_path / "moves.py").write_text(text)
    write(("[none, spectral_norm]", "[moves]"))
    done = here("plan", "tiny.yaml", "--plugin", "moves.py")
    assert "runs/tiny: 1 queued" in done.stdout, done
    assert torch.get_default_dtype() == torch.float32
    assert Path.cwd() == tmp_path


def test_mlflow_being_away_costs_nothing_but_a_message(here, write, tmp_path):
    write(("[none, spectral_norm]", "[none]"))
    done = here("run", "tiny.yaml", "--tracking-uri", "sqlite:////dev/null/mlflow.db")
    assert done.returncode == 0, done.stderr
    assert "`lipbench sync runs/tiny` sends it again" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    (run,) = SuiteFolder(tmp_path / "runs" / "tiny").folders().values()
    assert run.status().outcome == "completed"


def test_results_can_be_read_from_python_while_a_sweep_runs(write, plan_of, tasks_of, tmp_path):
    import lipbench

    tasks_of(plan_of(write()))
    runs = lipbench.load_runs(tmp_path / "runs" / "tiny")
    assert runs["outcome"].tolist() == ["queued", "queued"]


def test_one_run_is_counted_in_the_singular(here, write, tmp_path):
    file = tmp_path / "breaks.py"
    file.write_text(PLUGIN.replace("discriminator(batch.real)", "undefined(batch.real)"))
    suite = write(("[none, spectral_norm]", "[breaks]"))
    ended = here("run", suite, "--plugin", file, "--workers", "1")
    assert ended.stdout.startswith("tiny: 1 run (1 queued); 1 to do in")
    assert "1 run failed: `lipbench status" in ended.stderr


def test_a_sample_has_one_checkpoint_and_its_help_offers_no_other(here):
    said = here("sample", "missing", "--checkpoint", "both")
    assert said.returncode == 2
    assert "'both'" in said.stderr
    assert "'last', 'best'" in " ".join(said.stderr.replace("│", " ").split())


def test_check_shows_where_an_error_outside_of_the_methods_file_arose(here, tmp_path):
    file = tmp_path / "outside.py"
    mean = "self.coefficient * discriminator(batch.real).square().mean()"
    file.write_text(PLUGIN.replace(mean, "batch.real.new_ones(2, 3)"))
    hidden = here("check", "--plugin", file)
    assert hidden.returncode == 1
    assert "outside of the plugin's file; --verbose: the traceback" in hidden.stdout
    assert "Traceback" not in hidden.stdout
    shown = here("check", "--plugin", file, "--verbose")
    assert "Traceback (most recent call last)" in shown.stdout
    assert "loop.py" in shown.stdout

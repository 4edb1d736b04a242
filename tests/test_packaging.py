"""lipbench as others get it: a wheel used from any folder, and methods from another package."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

ACME = '''
"""A method from another package."""
from __future__ import annotations
from lipbench.discriminators import Discriminator
from lipbench.method import Method

class Shrink(Method):
    """Shrink D's weights a little after each update."""
    label = "shrink"
    factor: float = 0.999

    def project(self, discriminator: Discriminator, step: int) -> None:
        for layer in discriminator.layers():
            layer.weight.mul_(self.factor)
'''

SUITE = """
dataset: digits
architecture: {width: 0.125}
methods: [shrink]
settings: [C]
budget: {generator_updates: 2, batch_size: 8, generator_batch_size: 8}
protocol: digits
"""


def lipbench(*arguments: object, path: Path, cwd: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "lipbench", *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(path)},
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_a_wheel_works_from_any_folder_with_methods_reports_and_suites_inside(tmp_path):
    source, site = tmp_path / "source", tmp_path / "site"
    source.mkdir()
    for name in ("lipbench", "methods", "reports", "suites"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    wheel = [*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", str(tmp_path), str(source)]
    subprocess.run(wheel, check=True, capture_output=True)
    (built,) = tmp_path.glob("lipbench-*.whl")
    subprocess.run(
        [*pip, "install", "--no-deps", "--no-index", "--target", str(site), str(built)],
        check=True,
        capture_output=True,
    )
    code = (
        "import lipbench, lipbench_methods, lipbench_reports\n"
        "from lipbench import reporting, results\n"
        "from lipbench.planning import suite\n"
        "from lipbench.plugins import Registry\n"
        "from lipbench.scoring import digits\n"
        "print(lipbench.__file__, suite.find('quickstart'))\n"
        "print(len(reporting.exhibits()), len(results.published()))\n"
        "print(*[p.path for p in Registry('methods').plugins.values()])\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(site)},
        cwd="/",
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    paths = [word for word in told if "/" in word]
    assert len(paths) > 10
    assert all(word.startswith(str(site)) for word in paths), told
    assert "plan" in lipbench("--help", path=site, cwd=Path("/"))
    shown = lipbench("plan", "quickstart", path=site, cwd=tmp_path)
    assert "45 (of 45)" in shown


@pytest.mark.slow
def test_a_method_of_an_installed_package_joins_by_its_entry_point(tmp_path):
    site = tmp_path / "site"
    (site / "acme_methods").mkdir(parents=True)
    (site / "acme_methods" / "__init__.py").touch()
    (site / "acme_methods" / "shrink.py").write_text(ACME)
    metadata = site / "acme-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[lipbench.methods]\nacme = acme_methods\n")
    listed = [
        line.split()[:3] for line in lipbench("methods", path=site, cwd=tmp_path).splitlines()
    ]
    assert ["shrink", "shrink", "acme"] in listed
    (tmp_path / "suite.yaml").write_text(SUITE)
    assert "completed  shrink" in lipbench("run", "suite.yaml", path=site, cwd=tmp_path)

"""What the manifest says of where runs come from: versions, revision, command, machine."""

from __future__ import annotations

import platform
import socket
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from lipbench import machine
from lipbench.urls import without_password


def provenance() -> dict[str, Any]:
    """Return what is the same for all runs that a command starts: versions, revision, machine."""
    packages = ("lipbench", "torch", "torchvision", "torch-fidelity", "numpy", "scikit-learn")
    return {
        "versions": {
            "python": platform.python_version(),
            **{name: metadata.version(name) for name in packages},
        },
        "revision": _git_revision(),
        "command": [without_password(argument) for argument in sys.argv],
        "host": socket.gethostname(),
        "platform": platform.platform(),
        "processor": machine.processor(),
    }


def _git_revision() -> str | None:
    """Return the commit of lipbench's own checkout, marked where files differ from it."""
    here = Path(__file__)

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(here.parent), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        git("ls-files", "--error-unmatch", here.name)  # else it is a repository around ours
        return git("describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")
    except (OSError, subprocess.CalledProcessError):
        return None

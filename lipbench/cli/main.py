"""The `lipbench` command: which commands there are, and how each ends.

Imports that cost time (torch, pandas, MLflow) stand in the commands that need them.
"""

from __future__ import annotations

import contextlib
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import typer

from lipbench import signals
from lipbench.cli import again, catalogue, check, cost, look, printing, run, tune
from lipbench.cli.options import VersionOption
from lipbench.cli.printing import say
from lipbench.errors import STORAGE_ERRORS, UserError

# The groups of `--help`, in its order.
_COMMANDS: dict[str, tuple[Callable[..., None], ...]] = {
    "Run": (run.run, tune.tune, run.plan),
    "Look at results": (look.status, look.report, look.sync),
    "Score and measure again": (again.eval_, again.audit, again.sample, cost.cost),
    "What there is, and your own plugins": (
        catalogue.methods, catalogue.suites, catalogue.protocols, catalogue.losses,
        catalogue.datasets, catalogue.architectures, catalogue.measures, check.check, check.new,
    ),
}  # fmt: skip

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Compare the ways of controlling a GAN discriminator's Lipschitz constant.",
    epilog="Start with: lipbench run quickstart, then: lipbench report runs/quickstart",
)
for _group, _commands in _COMMANDS.items():
    for _command in _commands:
        _name = _command.__name__.strip("_").replace("_", "-")
        app.command(_name, rich_help_panel=_group)(_command)


@app.callback()
def _app(version: VersionOption = False) -> None:
    pass


def main() -> None:
    """Run the command line; a user's mistake is one or two lines and exit code 2."""
    try:
        with signals.raised(), _shown_damage():
            app()
    except UserError as error:
        say(f"error: {error}", error=True)
        sys.exit(2)
    except signals.Stopped as stopped:
        if not stopped.by_keyboard:
            say(f"stopped by {stopped}", error=True)
        sys.exit(signals.STOPPED)
    except OSError as error:
        if error.errno not in STORAGE_ERRORS:
            raise
        say(f"error: cannot write {error.filename}: {error.strerror}", error=True)
        sys.exit(2)
    finally:
        printing.flush()


@contextlib.contextmanager
def _shown_damage() -> Iterator[None]:
    """Print what was left out of damaged results in a line each, once."""
    shown: set[str] = set()
    with warnings.catch_warnings():
        usual = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *where: Any) -> None:
            if category.__name__ != "DamageWarning":  # its module is not imported by every command
                usual(message, category, *where)
            elif str(message) not in shown:
                shown.add(str(message))
                say(str(message), error=True)

        warnings.showwarning = show  # type: ignore[assignment]
        yield

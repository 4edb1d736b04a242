"""Find plugin files and turn them into classes: a file's name is the plugin's name.

Built-in plugins come through the same door as anybody's: an entry point names a package, and
each of its files that does not start with an underscore is one plugin.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import hashlib
import importlib
import importlib.metadata
import importlib.util
import os
import sys
import traceback
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import NoReturn, cast

from lipbench import paths
from lipbench.errors import Mark, UserError, unknown
from lipbench.words import a

# What no plugin of a kind can be called: a suite's methods entry has these keys beside a method.
RESERVED = {"methods": ("label", "loss", "setting")}

# The kinds that runs are made of, and the class that each kind's plugins extend.
CONTRACTS = {
    "methods": ("lipbench.method", "Method"),
    "losses": ("lipbench.loss", "Loss"),
    "datasets": ("lipbench.dataset", "Source"),
    "architectures": ("lipbench.architecture", "Architecture"),
    "measures": ("lipbench.measure", "Measure"),
}

# The kinds that runs are not made of: what takes their files.
_READERS = {"reports": ("lipbench.reporting", "`lipbench report`")}

_SINGULAR = {
    "methods": "method",
    "losses": "loss",
    "datasets": "dataset",
    "architectures": "architecture",
    "measures": "measure",
    "reports": "report",
}
_SOURCE_HASH = "__lipbench_source_hash__"


@dataclass(frozen=True)
class Plugin:
    """A plugin file: its name, its path, where it comes from, and how it is imported."""

    name: str
    path: Path
    origin: str  # "built-in", a distribution's name, or "file"
    module: str

    def load(self, base: type) -> type:
        """Import the file and return the one subclass of `base` that it defines.

        Raises UserError where the import fails, the file defines none or several, or the class
        is refused by its base's `refuse_traps`.
        """
        module = self._import()
        found = [
            value
            for value in vars(module).values()
            if isinstance(value, type)
            and issubclass(value, base)
            and value.__module__ == self.module
        ]
        if len(found) != 1:
            names = ", ".join(cls.__name__ for cls in found) or f"no {base.__name__}"
            raise UserError(
                f"defines {names}; a plugin file defines one subclass of {base.__name__}",
                self._where_defined(found[1].__name__) if found else Mark(str(self.path)),
            )
        try:
            _refuse_traps(cast(Hashable, found[0]))
        except TypeError as error:
            raise UserError(str(error), self._where_defined(found[0].__name__)) from error
        return found[0]

    @property
    def is_imported(self) -> bool:
        """Return whether the file has been imported by this process."""
        return self.module in sys.modules

    @property
    def source_hash(self) -> str:
        """Return a sha256 of the code, which comments, docstrings and layout do not change.

        Files of its folder that it imports relatively count too. Once the file is imported, this
        is the hash of what was imported, whatever the file says by now.
        """
        imported = vars(sys.modules[self.module]) if self.module in sys.modules else {}
        return str(imported.get(_SOURCE_HASH) or _source_hash(self.path))

    @cached_property
    def summary(self) -> tuple[str, str]:
        """Return the label and the docstring's first line, read without importing the file."""
        try:
            tree = ast.parse(self.path.read_text(encoding="utf-8"))
        except SyntaxError as error:
            raise UserError(
                f"not valid Python: {error.msg}", Mark(str(self.path), error.lineno)
            ) from error
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and (label := _assigned(node, "label")):
                return label, (ast.get_docstring(node) or "").partition("\n")[0]
        return "", (ast.get_docstring(tree) or "").partition("\n")[0]

    @cached_property
    def title(self) -> str:
        """Return what a paper calls it: its class's `title`, or else its name."""
        return self.written("title") or self.name

    def written(self, name: str) -> str:
        """Return a text that its class assigns to a name, read without importing the file."""
        with contextlib.suppress(SyntaxError, ValueError, OSError):
            for node in ast.parse(self.path.read_text(encoding="utf-8")).body:
                if isinstance(node, ast.ClassDef) and (text := _assigned(node, name)):
                    return text
        return ""

    @cached_property
    def papers(self) -> tuple[str, ...]:
        """Return the papers that a method's file writes out, read without importing the file.

        Empty where the file is not Python, or computes them.
        """
        with contextlib.suppress(SyntaxError, ValueError):
            for node in ast.parse(self.path.read_text(encoding="utf-8")).body:
                written = _value(node, "papers") if isinstance(node, ast.ClassDef) else None
                if written is not None:
                    return tuple(map(str, ast.literal_eval(written)))
        return ()

    def _import(self) -> ModuleType:
        if self.module in sys.modules:
            return sys.modules[self.module]
        try:
            source_hash = _source_hash(self.path)
            with _exits_raise():
                module = self._executed()
        except (Exception, SystemExit, KeyboardInterrupt) as error:
            sys.modules.pop(self.module, None)
            raise UserError(
                f"cannot be imported: {type(error).__name__}: {error}", self._where(error)
            ) from error
        setattr(module, _SOURCE_HASH, source_hash)
        return module

    def _executed(self) -> ModuleType:
        if self.origin != "file":
            return importlib.import_module(self.module)
        spec = importlib.util.spec_from_file_location(self.module, self.path)
        assert spec is not None, self.path
        assert spec.loader is not None, self.path
        module = importlib.util.module_from_spec(spec)
        sys.modules[self.module] = module  # dataclasses look their module up there
        spec.loader.exec_module(module)
        return module

    def _where_defined(self, name: str) -> Mark:
        """Return the line of a class of this file."""
        for node in ast.parse(self.path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and node.name == name:
                return Mark(str(self.path), node.lineno)
        return Mark(str(self.path))

    def _where(self, error: BaseException) -> Mark:
        """Return the last line of this file that an error passed through."""
        frames = [
            f for f in traceback.extract_tb(error.__traceback__) if f.filename == str(self.path)
        ]
        if isinstance(error, SyntaxError) and error.filename == str(self.path):
            return Mark(str(self.path), error.lineno)
        return Mark(str(self.path), frames[-1].lineno if frames else None)


@functools.cache
def _refuse_traps(cls: Hashable) -> None:
    """Let a class's contract refuse it, once: with a TypeError."""
    if refuse := getattr(cls, "refuse_traps", None):
        refuse()


@contextlib.contextmanager
def _exits_raise() -> Iterator[None]:
    """Let `os._exit` raise SystemExit in this process: it would end it without a word."""
    real, process = os._exit, os.getpid()

    def exit_(status: int) -> NoReturn:
        if os.getpid() != process:  # a fork's own end
            real(status)
        raise SystemExit(status)

    os._exit = exit_
    try:
        yield
    finally:
        os._exit = real


def _source_hash(path: Path) -> str:
    """Return the hash of a file's code and of the siblings that it imports, and theirs."""
    digest = hashlib.sha256()
    seen, found = {path}, [path]
    while found:
        file = found.pop()
        tree = ast.parse(file.read_text(encoding="utf-8"), filename=str(file))
        for node in ast.walk(tree):
            body = getattr(node, "body", None)
            if isinstance(body, list) and body and _is_docstring(body[0]):
                body[0] = ast.Pass()
            if isinstance(node, ast.ImportFrom) and node.level == 1 and node.module:
                sibling = path.with_name(f"{node.module}.py")
                if sibling.is_file() and sibling not in seen:
                    seen.add(sibling)
                    found.append(sibling)
        # Not ast.dump: its text differs between Python versions.
        digest.update(ast.unparse(ast.fix_missing_locations(tree)).encode())
    return digest.hexdigest()


def _is_docstring(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _assigned(node: ast.ClassDef, name: str) -> str | None:
    match _value(node, name):
        case ast.Constant(value=str(value)):
            return value
    return None


def _value(node: ast.ClassDef, name: str) -> ast.expr | None:
    """Return the expression that a class's body assigns to a name."""
    for statement in node.body:
        match statement:
            case (
                ast.Assign(targets=[ast.Name(id=target)], value=ast.expr() as value)
                | ast.AnnAssign(target=ast.Name(id=target), value=ast.expr() as value)
            ) if target == name:
                return value
    return None


class Registry:
    """The plugins of one kind, such as "methods" or "reports", by name."""

    def __init__(self, kind: str, files: Iterable[Path] = ()) -> None:
        """Find installed plugins, and take a user's own files as well.

        Raises UserError for a file that does not exist, or a name that is taken or reserved.
        """
        self.kind = kind
        self.plugins: dict[str, Plugin] = {}
        for plugin in [*_installed(f"lipbench.{kind}"), *map(self._own, files)]:
            if plugin.name in RESERVED.get(kind, ()):
                raise UserError(
                    f"the name {plugin.name!r} is a key of a suite's {kind}; rename the file",
                    Mark(str(plugin.path)),
                )
            other = self.plugins.get(plugin.name)
            if other and other.path.resolve() == plugin.path.resolve():
                continue  # a suite's folder can be a checkout of lipbench
            if other:
                raise UserError(
                    f"the name {plugin.name!r} is taken by {other.path} ({other.origin}); "
                    "rename the file",
                    Mark(str(plugin.path)),
                )
            self.plugins[plugin.name] = plugin

    def _own(self, file: Path) -> Plugin:
        plugin = _from_file(file)
        kinds = _kinds_of(plugin.path)
        if kinds and self.kind not in kinds:
            other, wanted = a(_SINGULAR[min(kinds)]), a(self.singular)
            raise UserError(f"it defines {other}, not {wanted}", Mark(str(plugin.path)))
        return plugin

    @property
    def sources(self) -> str:
        """Return the key under which a run's manifest has the hashes of these plugins' code."""
        return f"{self.singular}_sources"

    @property
    def singular(self) -> str:
        """Return what one of these plugins is called."""
        return _SINGULAR[self.kind]

    def __getitem__(self, name: str) -> Plugin:
        """Return a plugin; raise UserError, with the nearest name, where there is none."""
        if name not in self.plugins:
            raise UserError(self.unknown(name))
        return self.plugins[name]

    def unknown(self, name: str) -> str:
        """Return the sentence on a name that there is not; a file of that name may be here."""
        told, file = unknown(self.singular, name, self.plugins), Path(f"{name}.py")
        if name.isidentifier() and file.is_file() and self.kind in _kinds_of(file):
            return (
                f"no {self.singular} called {name!r}; --plugin {file} takes the file that is here"
            )
        return told

    def by_name(self) -> list[Plugin]:
        """Return the plugins in alphabetical order."""
        return sorted(self.plugins.values(), key=lambda plugin: plugin.name)

    def own(self) -> list[Plugin]:
        """Return the user's own plugins, those that are not installed."""
        return [plugin for plugin in self.plugins.values() if plugin.origin == "file"]

    def files(self) -> list[Path]:
        """Return the user's own files: another process needs them to find the same plugins."""
        return [plugin.path for plugin in self.own()]


class Plugins:
    """What runs are made of: the plugins of every kind, installed ones and a user's own files."""

    def __init__(self, files: Iterable[Path] = ()) -> None:
        """Take files of any kind: what a file defines tells. Raises UserError as `Registry`."""
        own: dict[str, list[Path]] = {kind: [] for kind in CONTRACTS}
        for file in files:
            kind = kind_of(file)
            if kind in _READERS:
                taker = _READERS[kind][1]
                raise UserError(
                    f"it defines {a(_SINGULAR[kind])}; {taker} takes it, with --plugin",
                    Mark(str(paths.expanded(file).resolve())),
                )
            own[kind].append(file)
        self.kinds = tuple(Registry(kind, files) for kind, files in own.items())
        (
            self.methods,
            self.losses,
            self.datasets,
            self.architectures,
            self.measures,
        ) = self.kinds

    def files(self) -> list[Path]:
        """Return the user's own files of every kind."""
        return [path for registry in self.kinds for path in registry.files()]


def beside(folder: Path, *kinds: str) -> list[Path]:
    """Return the plugin files of a suite's folder: those in folders named after the kinds.

    Of some kinds, or of all. Raises UserError for a file of another kind than its folder.
    """
    folders = [folder / kind for kind in kinds or CONTRACTS]
    found = [file for each in folders for file in sorted(each.glob("[!_]*.py"))]
    for file in found:
        if (kind := kind_of(file)) != file.parent.name:
            raise UserError(
                f"it defines {a(_SINGULAR[kind])} and stands in {file.parent.name}/; move it to "
                f"{kind}/",
                Mark(str(file)),
            )
    return found


def kind_of(file: Path) -> str:
    """Return which kind of plugin a file defines, read without importing it.

    A method, where nothing tells: its loading says what is wrong. Raises UserError for a file
    that defines plugins of two kinds.
    """
    kinds = _kinds_of(file)
    if len(kinds) > 1:
        first, second, *_ = (a(_SINGULAR[kind]) for kind in sorted(kinds))
        raise UserError(
            f"it defines {first} and {second}; a plugin file defines one",
            Mark(str(paths.expanded(file).resolve())),
        )
    return kinds.pop() if kinds else "methods"


def _kinds_of(file: Path, above: tuple[Path, ...] = ()) -> set[str]:
    """Return the kinds of plugins that a file defines, as far as the text of it tells.

    That is told by what its classes extend: something of a contract's module or of built-in
    plugins, or of a file beside it. `above` are the files that led here.
    """
    file = paths.expanded(file)
    try:
        tree = ast.parse(file.read_text(encoding="utf-8"))
    except (OSError, SyntaxError, ValueError):
        return set()
    origins: dict[str, str] = {}  # a sibling's begin with a dot
    for node in tree.body:
        match node:
            case ast.ImportFrom():
                module = "." * node.level + (f"{node.module}." if node.module else "")
                origins |= {
                    alias.asname or alias.name: module + alias.name for alias in node.names
                }
            case ast.Import():
                origins |= {alias.asname: alias.name for alias in node.names if alias.asname}
    bases = [
        ast.unparse(base).partition(".")
        for node in tree.body
        if isinstance(node, ast.ClassDef)
        for base in node.bases
    ]
    found: set[str] = set()
    for base in (origins.get(first, first) + dot + rest for first, dot, rest in bases):
        for kind, (contract, _) in {**CONTRACTS, **_READERS}.items():
            if base.startswith((f"{contract}.", f"lipbench.{kind}.", f"lipbench_{kind}.")):
                found.add(kind)
        if base.startswith("."):
            sibling = file.with_name(f"{base.split('.')[1]}.py")
            if sibling.is_file() and sibling not in (file, *above):
                found |= _kinds_of(sibling, (*above, file))
    return found


def kind_called(singular: str) -> str:
    """Return the kind whose plugins are each called so: "losses" of "loss"."""
    return next(kind for kind, name in _SINGULAR.items() if name == singular)


def package_folders(group: str) -> list[tuple[str, str, Path]]:
    """Return (origin, package, folder) of the packages that an entry-point group announces."""
    found = []
    for entry in sorted(importlib.metadata.entry_points(group=group), key=lambda e: e.value):
        spec = importlib.util.find_spec(entry.value)
        if spec is None or not spec.submodule_search_locations:
            raise UserError(f"entry point {entry.name} of {group}: no package {entry.value!r}")
        name = entry.dist.name if entry.dist else entry.name
        origin = "built-in" if name == "lipbench" else name
        found.append((origin, entry.value, Path(spec.submodule_search_locations[0])))
    return found


def _installed(group: str) -> list[Plugin]:
    return [
        Plugin(path.stem, path, origin, f"{package}.{path.stem}")
        for origin, package, folder in package_folders(group)
        for path in sorted(folder.glob("*.py"))
        if not path.name.startswith("_")
    ]


def _from_file(path: Path) -> Plugin:
    path = paths.expanded(path).resolve()
    if path.suffix != ".py" or not path.is_file():
        raise UserError("not a plugin: no such Python file", Mark(str(path)))
    if not path.stem.isidentifier():
        raise UserError(
            "its name is the plugin's: letters, digits and underscores", Mark(str(path))
        )
    return of_file(path)


def of_file(path: Path) -> Plugin:
    """Return a user's own file as a plugin, whether or not there is one by now."""
    digest = hashlib.sha256(str(path).encode()).hexdigest()[:8]
    return Plugin(path.stem, path, "file", f"lipbench_file_{digest}_{path.stem}")

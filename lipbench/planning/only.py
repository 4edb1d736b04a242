"""Which runs of a plan `--only` names: by method, setting and seed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from lipbench.errors import Mark, UserError, shortened, unknown
from lipbench.planning.plan import Plan, PlannedRun

_OPTION = Mark("--only")
_KINDS = ("method", "setting", "seed")

Names = Mapping[str, set[str]]  # by kind


def chosen(plan: Plan, text: str) -> list[PlannedRun]:
    """Return the runs that `method=SN,setting=A,setting=F,seed=0` names, in the plan's order.

    A method has its label and its plugins' names. Where no name is spelled as given, capitals do
    not count. Several values of one kind are alternatives. A value without a kind (`SN`) belongs
    to the kind that has such a name.

    Raises UserError for a name that the plan does not have, for a value without a kind that names
    a method and a setting, and where no run has all that was given.
    """
    names = [_names(run) for run in plan.runs]
    known = {kind: {name for of in names for name in of[kind]} for kind in _KINDS}
    wanted: dict[str, set[str]] = {}
    for part in _parts(text, known):
        kind, spellings = _identified(part, known)
        wanted.setdefault(kind, set()).update(spellings)
    kept = [
        run
        for run, of in zip(plan.runs, names, strict=True)
        if all(of[kind] & values for kind, values in wanted.items())
    ]
    if not kept:
        given = " and ".join(f"{kind}={'|'.join(sorted(wanted[kind]))}" for kind in wanted)
        raise UserError(f"no run of the suite has {_cut(given)}", _OPTION)
    return kept


def _names(run: PlannedRun) -> Names:
    """Return the names of a run, of each kind."""
    plugins = " + ".join(method.name for method in run.spec.methods)
    return {
        "method": {run.method, plugins},
        "setting": {run.setting},
        "seed": {str(run.spec.seed)},
    }


def _parts(text: str, known: Names) -> Iterator[str]:
    """Yield what stands between commas; a comma within a label of the plan separates nothing."""
    pieces = text.split(",")
    longest = 1 + max(name.count(",") for names in known.values() for name in names)
    while pieces:
        for end in range(min(longest, len(pieces)), 0, -1):
            part = ",".join(pieces[:end]).strip()
            if end == 1 or _matches(part, known):
                del pieces[:end]
                break
        if part:
            yield part


def _matches(part: str, known: Names) -> dict[str, set[str]]:
    """Return the kinds that a part can be of, with the plan's spellings of its name."""
    kind, name = _split(part)
    spellings = {k: _spellings(name, known[k]) for k in ([kind] if kind else _KINDS)}
    return {k: found for k, found in spellings.items() if found}


def _split(part: str) -> tuple[str | None, str]:
    """Return a part's kind, or None, and its name; a setting's label can have a = within."""
    key, equals, value = part.partition("=")
    kind = key.strip().casefold()
    return (kind, value.strip()) if equals and kind in _KINDS else (None, part)


def _spellings(name: str, known: set[str]) -> set[str]:
    """Return the name itself if it is known, or else those that differ in capitals only."""
    return {name} & known or {other for other in known if _folded(other) == _folded(name)}


def _folded(name: str) -> str:
    return re.sub(r"\s*\+\s*", "+", name).casefold()


def _identified(part: str, known: Names) -> tuple[str, set[str]]:
    """Return the one kind that a part is of, and the plan's spellings of its name.

    Raises UserError where there is none, or several.
    """
    matches = _matches(part, known)
    if len(matches) == 1:
        return next(iter(matches.items()))
    kind, name = _split(part)
    if matches:
        kinds = " and ".join(f"a {kind}" for kind in matches)
        forms = " or ".join(f"{kind}={name}" for kind in matches)
        raise UserError(f"{_cut(name)} names {kinds}; write {forms}", _OPTION)
    key, equals, _ = name.partition("=")
    if equals and kind is None:
        raise UserError(unknown("key", key.strip(), _KINDS), _OPTION)
    for other, found in _matches(name, known).items():
        raise UserError(f"no {kind} is called {name}: write {other}={min(found)}", _OPTION)
    likely = (kind,) if kind else ("method", "setting")
    names = {name for kind in likely for name in known[kind]}
    raise UserError(unknown(" or ".join(likely), name, names), _OPTION)


def _cut(text: str) -> str:
    """Return a short text as it is, another as its repr, cut."""
    return text if len(text) <= 80 and text.isprintable() else shortened(text)

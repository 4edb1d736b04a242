"""What was compared, on which data, with which networks and settings."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator

from lipbench.bibliography import Paper
from lipbench.reporting import booktabs, citations, terms
from lipbench.reporting.booktabs import Entry, Sheet
from lipbench.reporting.citations import Citations, Named
from lipbench.reporting.latex import breakable
from lipbench.reporting.prose.phrases import INLINE, plain, small, some, term, where
from lipbench.results.results import Results
from lipbench.results.settings import COLUMNS, optimizers, used
from lipbench.words import counted, listed

_N_DIS = r"$n_\mathrm{dis}$"


def methods(results: Results, cite: Citations, papers: Named) -> Iterator[str]:
    """Yield which methods were compared, with their hyperparameters and papers."""
    count = len(results.methods)
    if not count:
        return
    if count > INLINE:
        yield (
            f"We compared {count} methods; Table~\\ref{{tab:paper-methods}} lists them with "
            "their hyperparameters."
        )
        return
    told = []
    for label in results.methods:
        names, values = _configured(results, label)
        given = f" ({breakable(values)})" if values else ""
        told.append(f"{breakable(label)}{cite(*_papers(names, papers))}{given}")
    compared = "We trained with one method" if count == 1 else f"We compared {count} methods"
    yield f"{compared}: {listed(told)}."


def methods_table(results: Results, cite: Citations, papers: Named) -> Sheet | None:
    """Return the table of the methods where a sentence does not hold them."""
    if len(results.methods) <= INLINE:
        return None
    rows = []
    for label in results.methods:
        names, values = _configured(results, label)
        cited = cite(*_papers(names, papers)).removeprefix("~")
        width = 1.7 * (cited.count(",") + 1)
        plugins = " + ".join(names)
        rows.append((*map(booktabs.text, (label, plugins, values)), Entry(cited, width)))
    head = ("Method", "Plugin", "Hyperparameters", "Papers")
    caption = "The methods, and the plugins of lipbench that they are."
    titles = tuple(map(booktabs.text, head))
    return Sheet("paper-methods", caption, "llll", titles, tuple(rows))


def settings_table(results: Results) -> Sheet | None:
    """Return the table of Adam's settings where a sentence does not hold them."""
    known = _settings(results)
    if len(known) <= INLINE and all(len(values) <= 1 for values in known.values()):
        return None
    rows = [
        tuple(map(booktabs.text, (setting, _whom(results, labels), *map(plain, values))))
        for setting, found in known.items()
        for values, labels in found.items()
    ]
    columns = used(results.runs)
    titles = tuple(map(booktabs.title, ("Setting", "Methods", *columns.values())))
    caption = (
        f"The settings of {listed(optimizers(results.runs))}. D updates: those of the "
        "discriminator for each one of the generator."
    )
    layout = "ll" + "r" * len(columns)
    return Sheet("paper-settings", caption, layout, titles, tuple(rows))


def data(results: Results, cite: Citations) -> Iterator[str]:
    """Yield which images were used, how many, and how they were split."""
    told = where(results, "dataset", lambda name: _dataset(name, results, cite))
    info = results.provenance.dataset
    sizes = where(results, "image_size", lambda size: rf"{size:g}~$\times$~{size:g} pixels")
    if info is None:
        yield f"The data were {told}{f', of {sizes}' if sizes else ''}."
        return
    if info.is_of_images:
        colours = {1: "gray", 3: "colour"}.get(info.channels, f"{info.channels}-channel")
        form = f"{colours}, of {sizes}"
    else:
        form = f"of {counted(math.prod(info.shape), 'value')} each"
    kind, classes = info.samples.removesuffix("s"), ""
    if len(info.classes) > 1:
        classes = f" in {len(info.classes)} classes"
    yield (
        f"The data were {told}: {counted(info.n_train, f'training {kind}')} and "
        f"{counted(info.n_test, f'test {kind}')}{classes}, {form}."
    )
    if splits := citations.of_dataset(info.name, results.provenance.plugins)[2]:
        yield breakable(splits)
    else:
        yield f"The sha256 of their content begins with {info.fingerprint[:12]}."
    if info.notes:
        yield f"Of the data set: {breakable('; '.join(info.notes))}."


def networks(results: Results, cite: Citations) -> Iterator[str]:
    """Yield the architecture, its width and how its weights began."""
    called = where(results, "architecture", lambda name: _architecture(name, results, cite))
    width = where(results, "width", lambda width: f"{width:g}")
    scaled = "" if width == "1" else f", with its numbers of channels multiplied by {width}"
    yield f"Generator and discriminator were those of {called}{scaled}."
    drawn = where(results, "initialisation", lambda name: term(terms.INITIALISATIONS, name, cite))
    yield (
        f"Weights were drawn from {drawn}, and biases were zero; a method with an initial law of "
        "its own derives it from these draws."
    )


def _architecture(name: str, results: Results, cite: Citations) -> str:
    title, papers = citations.of_architecture(name, results.provenance.plugins)
    return f"{breakable(title)}{cite(*papers)}"


def training(results: Results, cite: Citations) -> Iterator[str]:
    """Yield the loss, the optimizer with its settings, and the budget."""
    loss = where(results, "loss", lambda written: _loss(written, results, cite))
    yield f"The networks were trained with {loss}."
    updates = where(
        results, "planned_updates", lambda count: counted(count, "update") + " of the generator"
    )
    told = [_cited(name, cite) for name in optimizers(results.runs)]
    yield f"The optimizer of both was {listed(told, 'or')}{_schedule(results)}, for {updates}."
    info = results.provenance.dataset
    kinds = info.samples if info else "images"
    ours = where(
        results, "batch_size", lambda count: f"{count:,g} real and as many generated {kinds}"
    )
    theirs = where(
        results,
        "generator_batch_size",
        lambda count: counted(count, f"generated {kinds.removesuffix('s')}"),
    )
    yield f"A batch of the discriminator had {ours}, one of the generator had {theirs}."
    yield from _told_settings(results)
    if precision := where(results, "precision", breakable):
        yield f"The networks computed in {precision} during training."
    if (results.runs["augmentation"] != "none").any():
        done = where(results, "augmentation", str)
        yield f"Real images were augmented in training, not for scores: by {done}."
    averaged = results.runs["ema_decay"].notna()
    if averaged.any():
        decays = where(results, "ema_decay", lambda decay: f"{decay:g}")
        which = "" if averaged.all() else "In some of the runs, "
        yield (
            f"{which}{'the' if which else 'The'} generator that was scored is a moving average of "
            f"the trained one, with decay {decays}."
        )


def _cited(optimizer: str, cite: Citations) -> str:
    return f"{optimizer}{cite(*terms.ADAM)}" if optimizer == "Adam" else optimizer


def _schedule(results: Results) -> str:
    budgets = [spec.get("budget", {}) for spec in results.specs.values()]
    schedules = list(dict.fromkeys(str(b["schedule"]) for b in budgets if "schedule" in b))
    if not schedules:
        return ""
    article = "an" if schedules[0][0] in "aeiou" else "a"
    varied = " (it varied between runs)" if len(schedules) > 1 else ""
    return f" with {article} {breakable(listed(schedules, 'or'))} learning rate{varied}"


_SIGNS = {
    "beta1": r"$\beta_1", "beta2": r"$\beta_2", "alpha": r"$\alpha", "n_dis": _N_DIS[:-1],
}  # fmt: skip


def _written(name: str, value: object) -> str:
    """Return a value of a setting as it stands in a sentence."""
    if name in _SIGNS:
        return f"{_SIGNS[name]} = {value:g}$"
    shown = small(float(value)) if name.startswith("lr") else breakable(str(value))  # type: ignore[arg-type]
    return shown if name == "optimizer" else f"{COLUMNS[name].lower()} {shown}"


def _told_settings(results: Results) -> Iterator[str]:
    known = _settings(results)
    if settings_table(results) is not None:
        count = counted(len(known), "setting")
        yield f"Table~\\ref{{tab:paper-settings}} has the values of the {count}."
        return
    told = [
        f"{breakable(setting)} ({', '.join(map(_written, used(results.runs), values))})"
        for setting, found in known.items()
        for values in found
    ]
    yield (
        f"The setting{' was' if len(told) == 1 else 's were'} {listed(told)}, where {_N_DIS} is "
        "the number of updates of the discriminator for each one of the generator."
    )


def _settings(results: Results) -> dict[str, dict[tuple[float, ...], list[str]]]:
    """Return, of each setting, its values with the methods that have them."""
    found: dict[str, dict[tuple[float, ...], list[str]]] = {s: {} for s in results.settings}
    rows = results.runs[["setting", "method", *used(results.runs)]].drop_duplicates()
    for setting, method, *values in rows.itertuples(index=False):
        found.setdefault(setting, {}).setdefault(tuple(values), []).append(method)
    return found


def _whom(results: Results, labels: list[str]) -> str:
    return "all" if set(labels) == set(results.methods) else some(labels)


def _configured(results: Results, label: str) -> tuple[list[str], str]:
    """Return the plugins of a method, and the values of its hyperparameters as a text.

    A hyperparameter that is off (None) is left out; of one that varies, all values are listed.
    """
    own = results.runs[results.runs["method"] == label]
    names = list(dict.fromkeys(name for text in own["methods"] for name in text.split(" + ")))
    names = names or _of_trials(results, label)
    values: dict[tuple[str, str], dict[str, None]] = {}
    for text in own["params"].unique():
        for name, params in json.loads(text).items():
            for key, value in params.items():
                values.setdefault((name, key), {})[plain(value)] = None
    told = [
        f"{f'{name}.' if len(names) > 1 else ''}{key} = {' or '.join(seen)}"
        for (name, key), seen in values.items()
        if list(seen) != ["none"]
    ]
    return names, ", ".join(told)


def _of_trials(results: Results, label: str) -> list[str]:
    """Return the plugins of a method of which a study has trials only."""
    if results.trials.empty:
        return []
    ids = results.trials.loc[results.trials["method"] == label, "run_id"]
    specs = [results.specs[run_id] for run_id in ids if run_id in results.specs]
    return list(dict.fromkeys(method["name"] for spec in specs for method in spec["methods"]))


def _papers(names: Iterable[str], papers: Named) -> list[Paper]:
    return [paper for name in names for paper in papers.get(name, [])]


def _loss(written: str, results: Results, cite: Citations) -> str:
    """Return a loss as the frame writes it, `wasserstein (drift=0.001)`, in words."""
    name, _, params = written.partition(" (")
    given = f" ({breakable(params.removesuffix(')').replace('=', ' = '))})" if params else ""
    words, papers = citations.of_loss(name, results.provenance.plugins)
    return breakable(words) + cite(*papers) + given


def _dataset(name: str, results: Results, cite: Citations) -> str:
    words, papers, _ = citations.of_dataset(name, results.provenance.plugins)
    return breakable(words) + cite(*papers)

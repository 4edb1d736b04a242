"""Say what was run, as the Methods section of a paper: sentences in LaTeX, made of facts only.

Each function returns the sentences of one paragraph. What varies between runs is said to vary.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import pandas as pd

from lipbench.bibliography import Paper
from lipbench.protocols import SCORES
from lipbench.reporting import booktabs, terms
from lipbench.reporting.booktabs import Entry, Sheet
from lipbench.reporting.citations import Citations
from lipbench.reporting.latex import breakable, escaped
from lipbench.reporting.terms import Term
from lipbench.results.cells import floor
from lipbench.results.results import OUTCOMES, Results
from lipbench.stats.intervals import DRAWS, LEVEL
from lipbench.stats.tidy import FEWEST_SEEDS
from lipbench.words import counted, listed

INLINE = 8  # methods, or settings, that a sentence lists; a table has more
_ENDED = {  # outcomes, as one run and as several
    "completed": ("completed", "completed"),
    "pruned": ("was pruned", "were pruned"),
    "diverged": ("diverged", "diverged"),
    "failed": ("failed", "failed"),
    "out_of_memory": ("ran out of memory", "ran out of memory"),
    "running": ("has not ended yet", "have not ended yet"),
    "interrupted": ("was interrupted", "were interrupted"),
    "damaged": ("left results that cannot be read", "left results that cannot be read"),
    "queued": ("has not begun", "have not begun"),
}
_SETTING = ("lr", "beta1", "beta2", "n_dis")


def paragraphs(
    results: Results, cite: Citations, papers: dict[str, list[Paper]]
) -> Iterator[tuple[str, list[str]]]:
    """Yield the title and the sentences of each paragraph that has any.

    `papers` are those of the methods' plugins, by name.
    """
    has_runs = not results.runs.empty
    parts: list[tuple[str, Callable[[], Iterator[str]], bool]] = [
        ("Methods", lambda: methods(results, cite, papers), True),
        ("Search", lambda: search(results, cite), results.tuning is not None),
        ("Data", lambda: data(results, cite), has_runs),
        ("Networks", lambda: networks(results, cite), has_runs),
        ("Training", lambda: training(results, cite), has_runs),
        ("Runs", lambda: runs(results), has_runs),
        ("Evaluation", lambda: evaluation(results, cite), True),
        ("Uncertainty", lambda: uncertainty(results), has_runs),
        ("Computation", lambda: computation(results, cite), True),
    ]
    for title, sentences, applies in parts:
        found = list(sentences()) if applies else []
        if found:
            yield title, found


def methods(results: Results, cite: Citations, papers: dict[str, list[Paper]]) -> Iterator[str]:
    """Yield which methods were compared, with their hyperparameters and papers."""
    count = len(results.methods)
    if count > INLINE:
        yield (
            f"We compared {count} methods; Table~\\ref{{tab:paper-methods}} lists them with "
            "their hyperparameters."
        )
        return
    told = []
    for label in results.methods:
        names, values = _configured(results, label)
        given = f" ({escaped(values)})" if values else ""
        told.append(f"{escaped(label)}{cite(*_papers(names, papers))}{given}")
    verb = "We trained with one method" if count == 1 else f"We compared {count} methods"
    yield f"{verb}: {listed(told)}."


def methods_table(results: Results, cite: Citations, papers: dict[str, list[Paper]]) -> Sheet:
    """Return the table of all methods."""
    rows = []
    for label in results.methods:
        names, values = _configured(results, label)
        cited = cite(*_papers(names, papers)).removeprefix("~")
        width = 1.7 * (cited.count(",") + 1) if cited else 0.0
        plugins = " + ".join(names)
        rows.append(
            (
                booktabs.text(label),
                booktabs.text(plugins),
                booktabs.text(values),
                Entry(cited, width),
            )
        )
    head = ("Method", "Plugin", "Hyperparameters", "Papers")
    caption = "The methods, by the names of their lipbench plugins."
    titles = tuple(map(booktabs.text, head))
    return Sheet("paper-methods", caption, "llll", titles, tuple(rows))


def settings_table(results: Results) -> Sheet | None:
    """Return the table of Adam's settings where a sentence does not hold them."""
    known = _settings(results)
    if len(known) <= INLINE and all(len(values) == 1 for values in known.values()):
        return None
    rows = [
        tuple(map(booktabs.text, (setting, _some(labels), *map(_plain, values))))
        for setting, found in known.items()
        for values, labels in found.items()
    ]
    head = ("Setting", "Methods", "Learning rate", "β₁", "β₂", "Updates of D")
    caption = (
        "The settings of Adam, and the updates of the discriminator for each one of the generator."
    )
    titles = tuple(map(booktabs.title, head))
    return Sheet("paper-settings", caption, "llrrrr", titles, tuple(rows))


def search(results: Results, cite: Citations) -> Iterator[str]:
    """Yield how a study searched."""
    tuning = results.tuning
    assert tuning is not None
    repeats = f", repeated with {counted(len(tuning.seeds), 'seed')}" * (len(tuning.seeds) > 1)
    yield (
        f"The hyperparameters of each method were searched with Optuna's{cite(*terms.OPTUNA)} "
        f"{_called(tuning.sampler, tuning.sampler_options)}, with a budget of "
        f"{escaped(tuning.amount_text)} for each search{repeats}."
    )
    own = list(tuning.search.values())
    shared = [p for p in own[0] if all(p in others for others in own)] if own else []
    if shared:
        yield f"All methods had these ranges: {escaped('; '.join(map(str, shared)))}."
    for label, parameters in tuning.search.items():
        if rest := [str(parameter) for parameter in parameters if parameter not in shared]:
            yield f"{escaped(label)} had {escaped('; '.join(rest))}."
    objectives = [
        f"{escaped(o.title)} ({'higher' if o.higher_is_better else 'lower'} is better, "
        f"{o.if_diverged:,g} where training diverged)"
        for o in tuning.objectives
    ]
    one = len(objectives) == 1
    yield f"The objective{' was' if one else 's were'} {listed(objectives)}."
    if tuning.prunes:
        pruner = _called(tuning.pruner, tuning.pruner_options)
        yield f"{pruner} ended unpromising trials early."
    if len(results.trials):
        yield _ended(results.trials, "trial")
    if tuning.configurations:
        best = (
            "The best configuration"
            if tuning.configurations == 1
            else (f"The best {tuning.configurations} configurations")
        )
        yield (
            f"{best} of each search {'was' if tuning.configurations == 1 else 'were'} trained "
            f"again with {_seeds(tuning.confirm_seeds)}; the scores below are of these runs."
        )
    for note in tuning.notes:
        yield breakable(note)


def data(results: Results, cite: Citations) -> Iterator[str]:
    """Yield which images were used, how many, and how they were split."""
    told = _where(results, "dataset", lambda name: _term(terms.DATASETS, name, cite))
    sizes = _where(results, "image_size", lambda size: rf"{size:g}~$\times$~{size:g} pixels")
    info = results.provenance.dataset
    if info is None or results.runs["dataset"].nunique() > 1:
        yield f"The images were those of {told}, at {sizes}."
        return
    channels = {1: "gray", 3: "colour"}.get(info.channels, f"{info.channels}-channel")
    classes = f", in {len(info.classes)} classes" if len(info.classes) > 1 else ""
    yield (
        f"The data were {told}: {counted(info.n_train, 'training image')} and "
        f"{counted(info.n_test, 'test image')}{classes}, {channels}, at {sizes}."
    )
    if info.name in terms.SPLITS:
        yield escaped(terms.SPLITS[info.name]).replace(" x ", r"~$\times$~")
    else:
        yield f"The content of the images has the fingerprint {info.fingerprint[:12]}."
    if info.notes:
        yield f"Of the data set: {breakable('; '.join(info.notes))}."


def networks(results: Results, cite: Citations) -> Iterator[str]:
    """Yield the architecture, its width and how its weights began."""
    architecture = _where(
        results, "architecture", lambda name: _term(terms.ARCHITECTURES, name, cite)
    )
    width = _where(results, "width", lambda width: f"{width:g}")
    scaled = "" if width == "1" else f", with the numbers of its channels multiplied by {width}"
    yield f"Generator and discriminator were {architecture}{scaled}."
    drawn = _where(
        results, "initialisation", lambda name: _term(terms.INITIALISATIONS, name, cite)
    )
    yield (
        f"Weights were drawn from {drawn}, and biases were zero; a method with an initial law of "
        "its own derives it from these draws."
    )


def training(results: Results, cite: Citations) -> Iterator[str]:
    """Yield the loss, the optimizer with its settings, and the budget."""
    yield f"The networks were trained with {_where(results, 'loss', lambda x: _loss(x, cite))}."
    updates = _where(results, "planned_updates", lambda count: f"{count:,g}")
    batch = _where(results, "batch_size", lambda count: f"{count:,g}")
    fakes = _where(results, "generator_batch_size", lambda count: f"{count:,g}")
    budgets = [spec.get("budget", {}) for spec in results.specs.values()]
    schedules = list(dict.fromkeys(str(b["schedule"]) for b in budgets if "schedule" in b))
    schedule = f", with a {escaped(schedules[0])} learning rate" * (len(schedules) == 1)
    if len(schedules) > 1:
        schedule = f"; the schedule of the learning rate varied ({escaped(listed(schedules))})"
    yield (
        f"The optimizer of both was Adam{cite(*terms.ADAM)}, for {updates} updates of the "
        f"generator{schedule}."
    )
    yield (
        f"A batch had {batch} real and as many generated images for the discriminator, and "
        f"{fakes} generated images for the generator."
    )
    yield from _adam(results)
    precision = _where(results, "precision", escaped)
    if precision:
        yield f"Training computed in {precision}."
    averaged = results.runs["ema_decay"].notna()
    if averaged.any():
        decays = _where(results, "ema_decay", lambda decay: f"{decay:g}")
        some = "" if averaged.all() else " of some runs"
        yield (
            f"The generator that was scored{some} is a moving average of the trained one, with "
            f"decay {decays}."
        )


def runs(results: Results) -> Iterator[str]:
    """Yield how many runs there are, with which seeds, and how they ended."""
    unique = results.runs.drop_duplicates("run_id")
    seeds = sorted(set(results.runs["seed"]))
    cells = results.runs.groupby(["method", "setting"])["seed"].nunique()
    full = len(results.methods) * len(results.settings) * len(seeds)
    count = counted(len(unique), "run")
    if len(results.runs) == full and len(results.settings) > 0 and results.tuning is None:
        places = (
            "its setting"
            if len(results.settings) == 1
            else (f"each of {len(results.settings)} settings")
        )
        who = "The method" if len(results.methods) == 1 else "Each method"
        yield f"{who} was trained at {places} with {_seeds(seeds)}: {count}."
    else:
        few, many = int(cells.min()), int(cells.max())
        each = counted(few, "seed") if few == many else f"{few} to {counted(many, 'seed')}"
        yield (
            f"There were {count}: {counted(len(cells), 'combination')} of a method and a setting, "
            f"with {each} each ({_seeds(seeds, 'of')})."
            if len(unique) != 1
            else f"There was 1 run, with {_seeds(seeds)}."
        )
    if len(results.runs) > len(unique):
        yield "A run that stands at two settings of equal values was made once."
    yield "Runs with one seed share the draws of initial weights, of batches and of latents."
    yield _ended(unique, "run")
    outcomes = set(unique["outcome"])
    if "diverged" in outcomes:
        yield (
            "A run diverged where a loss or a generated image was not finite; it counts as worse "
            "than any score."
        )
    if outcomes - {"completed", "diverged", "pruned"}:
        yield "A run without a result is missing: it counts neither for nor against its method."
    collapsed = int(unique["collapsed"].fillna(False).astype(bool).sum())
    if collapsed:
        ratio = f"{100 * results.protocol.collapse_ratio:g}"
        some = "1 completed run" if collapsed == 1 else f"{collapsed} completed runs"
        yield (
            f"{some} collapsed: the features of the images vary less than {ratio}\\% as much as "
            "those of real images. A collapsed run is never called the best."
        )


def evaluation(results: Results, cite: Citations) -> Iterator[str]:
    """Yield what scores there are, how they are computed, and which one ranks."""
    protocol = results.protocol
    told = [
        f"{escaped(SCORES[name].title)}{cite(*terms.MEASURES.get(SCORES[name].measure, ()))}"
        for name in protocol.scores
    ]
    yield f"Generators were scored by {listed(told)}."
    features = cite(*terms.of_features(protocol))
    follows = cite(*terms.of_protocol(protocol))
    record = breakable(protocol.sentence().removeprefix(protocol.id).removesuffix("."))
    network = f", on features of {_network(protocol)}{features}" if features else ""
    yield f"The protocol{network} was {breakable(protocol.id)}{follows}{_spaced(record)}."
    primary = SCORES[protocol.primary]
    better = "higher" if primary.higher_is_better else "lower"
    yield (
        f"Methods are ranked by {escaped(primary.title)} ({better} is better) of the generator at "
        "the end of training, not of the best checkpoint."
    )
    real = floor(results, protocol.primary)
    if real is not None:
        decimals = max(primary.decimals, 1)
        yield (f"Real images in the place of the generated ones score {real:,.{decimals}f}.")
    if results.audits:
        updates = sorted({int(row["update"]) for rows in results.audits.values() for row in rows})
        at = (
            listed([f"{update:,}" for update in updates])
            if len(updates) <= INLINE
            else (f"{updates[0]:,} to {updates[-1]:,}")
        )
        noun = "update" if len(updates) == 1 else "updates"
        yield (
            f"Lipschitz bounds and singular values of the discriminator were measured in "
            f"{counted(len(results.audits), 'run')}, after {at} {noun} of the generator."
        )


def uncertainty(results: Results) -> Iterator[str]:
    """Yield what intervals and comparisons stand on."""
    fewest = int(results.runs.groupby(["method", "setting"])["seed"].nunique().min())
    if fewest < FEWEST_SEEDS:
        seeds = "one seed" if fewest == 1 else f"{fewest} seeds"
        yield (
            f"There is no interval and no test where a method has fewer than {FEWEST_SEEDS} seeds "
            f"at a setting (the fewest are {seeds}): a difference between methods cannot be told "
            "from one between seeds there."
            if fewest > 1
            else "Where a method has one seed at a setting, there is no interval and no test: a "
            "difference between methods cannot be told from one between seeds."
        )
    if int(results.runs.groupby(["method", "setting"])["seed"].nunique().max()) < FEWEST_SEEDS:
        return
    level = f"{100 * LEVEL:g}\\%"
    yield (
        f"An interval, where one is given, has the level {level}: it is the statistic plus and "
        f"minus Student's $t$ times the standard error of {DRAWS:,} bootstrap samples, which draw "
        "seeds with replacement within each setting."
    )
    yield (
        "At a setting, a method is called better than another where the paired $t$-test over "
        f"seeds, with Holm's correction, rejects equal means at {level} (means of logarithms for "
        "distances)."
    )


def computation(results: Results, cite: Citations) -> Iterator[str]:
    """Yield with what software and on which machines runs were made, and how long they took."""
    known = results.provenance
    revision = ""
    if results.revisions:
        noun = "revision" if len(results.revisions) == 1 else "revisions"
        revision = f" ({noun} {listed([_revision(r) for r in results.revisions])})"
    software = []
    for package in sorted(known.versions, key=lambda name: name != "lipbench"):
        term = terms.PACKAGES.get(package, Term(package))
        versions = escaped(listed(known.versions[package]))
        cited = cite(*term.papers)
        ours = revision if package == "lipbench" else ""
        software.append(f"{escaped(term.words)} {versions}{cited}{ours}")
    machines = f" on {listed([escaped(m) for m in results.machines])}" if results.machines else ""
    if software:
        yield f"Runs were made{machines} with {listed(software)}."
        if any(len(versions) > 1 for versions in known.versions.values()):
            yield "Where several versions are named, they made different runs or parts of runs."
    elif machines:
        yield f"Runs were made{machines}."
    yield from _seconds(results.runs.drop_duplicates("run_id"))


def _seconds(unique: pd.DataFrame) -> Iterator[str]:
    parts = {"training": 0.0, "scoring": 0.0, "auditing": 0.0}
    counts = 0
    for part in parts:
        column = f"seconds_{part}"
        if column in unique:
            numbers = pd.to_numeric(unique[column])
            parts[part] = float(numbers.sum())
            counts = max(counts, int(numbers.notna().sum()))
    total = sum(parts.values())
    if total <= 0:
        return
    longest = [f"{_duration(seconds)} of {part}" for part, seconds in parts.items() if seconds]
    those = "All runs" if counts == len(unique) else f"{counts:,} of the runs"
    yield (
        f"{those} together took {listed(longest)}."
        if counts != 1 or len(unique) != 1
        else (f"The run took {listed(longest)}.")
    )


def _duration(seconds: float) -> str:
    for unit, size in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= 2 * size:
            return (
                f"{seconds / size:.2g}~{unit}s"
                if seconds < 10 * size
                else (f"{seconds / size:,.0f}~{unit}s")
            )
    return f"{seconds:.2g}~seconds" if seconds < 100 else f"{seconds:.0f}~seconds"


def _revision(revision: str) -> str:
    """Return a commit's first 12 digits, and whether files differed from it."""
    commit, _, dirty = revision.partition("-")
    return escaped(commit[:12] + (f", {dirty}" if dirty else ""))


def _configured(results: Results, label: str) -> tuple[list[str], str]:
    """Return the plugins of a method, and the values of its hyperparameters as a text.

    A hyperparameter that is off (None) is left out; of one that varies, all values are listed.
    """
    own = results.runs[results.runs["method"] == label]
    names = list(dict.fromkeys(name for text in own["methods"] for name in text.split(" + ")))
    values: dict[tuple[str, str], dict[str, None]] = {}
    for text in own["params"].unique():
        for name, params in json.loads(text).items():
            for key, value in params.items():
                values.setdefault((name, key), {})[_plain(value)] = None
    several = len(names) > 1
    told = [
        f"{f'{name}.' if several else ''}{key} = {' or '.join(seen)}"
        for (name, key), seen in values.items()
        if list(seen) != ["none"]
    ]
    return names, ", ".join(told)


def _papers(names: Iterable[str], papers: dict[str, list[Paper]]) -> list[Paper]:
    return [paper for name in names for paper in papers.get(name, [])]


def _settings(results: Results) -> dict[str, dict[tuple[float, ...], list[str]]]:
    """Return, of each setting, its values with the methods that have them."""
    found: dict[str, dict[tuple[float, ...], list[str]]] = {s: {} for s in results.settings}
    rows = results.runs[["setting", "method", *_SETTING]].drop_duplicates()
    for setting, method, *values in rows.itertuples(index=False):
        found.setdefault(setting, {}).setdefault(tuple(values), []).append(method)
    return found


def _adam(results: Results) -> Iterator[str]:
    known = _settings(results)
    if settings_table(results) is not None:
        yield (
            f"Table~\\ref{{tab:paper-settings}} has the values of the "
            f"{counted(len(known), 'setting')} of Adam."
        )
        return
    told = []
    for setting, found in known.items():
        for lr, beta1, beta2, n_dis in found:
            told.append(
                f"{escaped(setting)} (learning rate {_tex(lr)}, $\\beta_1 = {beta1:g}$, "
                f"$\\beta_2 = {beta2:g}$, $n_\\mathrm{{dis}} = {n_dis:g}$)"
            )
    one = len(told) == 1
    yield (
        f"The setting{' was' if one else 's were'} {listed(told)}, where $n_\\mathrm{{dis}}$ is "
        "the number of updates of the discriminator for each one of the generator."
    )


def _where(results: Results, column: str, form: Callable[[Any], str]) -> str:
    """Return a column's value; of several, for which methods or at which settings each holds."""
    known = results.runs[["method", "setting", column]].dropna(subset=[column])
    values = list(dict.fromkeys(known[column]))
    if len(values) <= 1:
        return "".join(map(form, values))
    for place, word, every in (
        ("method", "for", results.methods),
        ("setting", "at", results.settings),
    ):
        of = known.groupby(place, sort=False)[column].agg(lambda seen: list(dict.fromkeys(seen)))
        if of.map(len).max() == 1:
            groups = {v: [label for label in every if of.get(label) == [v]] for v in values}
            ranked = sorted(values, key=lambda value: len(groups[value]))
            told = [f"{form(v)} {word} {_some(groups[v], escape=True)}" for v in ranked[:-1]]
            last = groups[ranked[-1]]
            rest = f"the other {place}s" if len(last) > 3 else _some(last, escape=True)
            return listed([*told, f"{form(ranked[-1])} {word} {rest}"])
    return f"{listed([form(value) for value in values], 'or')} (it varied between runs)"


def _some(labels: Sequence[str], escape: bool = False) -> str:
    """Return labels as a list, of which a long one is cut."""
    shown = [escaped(label) for label in labels] if escape else list(labels)
    if len(shown) <= INLINE:
        return listed(shown)
    return f"{', '.join(shown[:INLINE])} and {len(shown) - INLINE} more"


def _term(known: dict[str, Term], name: str, cite: Citations) -> str:
    term = known.get(name, Term(str(name)))
    return escaped(term.words) + cite(*term.papers)


def _loss(written: str, cite: Citations) -> str:
    """Return a loss as the frame writes it, `wasserstein (drift=0.001)`, in words."""
    name, _, params = written.partition(" (")
    given = f" ({escaped(params.removesuffix(')').replace('=', ' = '))})" if params else ""
    return _term(terms.LOSSES, name, cite) + given


def _network(protocol: Any) -> str:
    from lipbench.scores import SPACES

    spaces = dict.fromkeys(SCORES[score].space for score in protocol.scores)
    return listed([escaped(SPACES[space].title) for space in spaces if space != "pixels"])


def _spaced(record: str) -> str:
    return f" {record.lstrip()}"


def _ended(table: pd.DataFrame, noun: str) -> str:
    """Return how runs or trials ended."""
    counts = table["outcome"].value_counts()
    names = [*OUTCOMES, *sorted(set(counts.index) - set(OUTCOMES))]
    told = [(name, int(counts[name])) for name in names if name in counts]
    if len(told) == 1:
        name, count = told[0]
        which = f"The {noun}" if count == 1 else f"All {count:,} {noun}s"
        return f"{which} {_verb(name, count)}."
    parts = [f"{count:,} {_verb(name, count)}" for name, count in told]
    return f"Of {counted(len(table), noun)}, {listed(parts)}."


def _verb(outcome: str, count: int) -> str:
    forms = _ENDED.get(outcome, (f"ended as {escaped(outcome)}",) * 2)
    return forms[0 if count == 1 else 1]


def _seeds(seeds: Sequence[int], word: str = "") -> str:
    """Return `3 seeds (0, 1 and 2)`; of many consecutive ones the first and the last."""
    ordered = sorted(int(seed) for seed in seeds)
    if len(ordered) == 1:
        return f"{word} seed {ordered[0]}".strip()
    consecutive = ordered == list(range(ordered[0], ordered[-1] + 1))
    which = (
        f"{ordered[0]} to {ordered[-1]}"
        if consecutive and len(ordered) > 5
        else listed([str(seed) for seed in ordered])
    )
    return f"{word} seeds {which}".strip() if word else f"{len(ordered)} seeds ({which})"


def _called(name: str, options: Any) -> str:
    given = ", ".join(f"{key} = {_plain(value)}" for key, value in options.items())
    return escaped(f"{name} ({given})" if given else name)


def _plain(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return f"{value:g}" if math.isfinite(value) else str(value)


def _tex(value: float) -> str:
    """Return a small number as LaTeX: `$2 \\times 10^{-4}$`."""
    mantissa, _, exponent = f"{value:e}".partition("e")
    if value == 0 or abs(value) >= 0.01:
        return f"{value:g}"
    factor = "" if float(mantissa) == 1 else rf"{float(mantissa):g} \times "
    return rf"${factor}10^{{{int(exponent)}}}$"

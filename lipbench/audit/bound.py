"""An upper bound of a network's Lipschitz constant, by propagation through its graph."""

from __future__ import annotations

import inspect
import math
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn

from lipbench.audit.facts import Factor, Layer
from lipbench.audit.layers import has_hooks, is_affine, kind, runs_as, sigma_operator
from lipbench.audit.rules import BOUND_RULES, BoundRule, Step, UnboundedError, declared, layer
from lipbench.rest import has_compute

_DESCRIPTIONS = ("shape", "dtype", "device", "ndim", "layout")  # what is the same of any image
_DESCRIBING = ("size", "dim", "numel", "ndimension", "is_floating_point")

_IN_PLACE: dict[Any, Any] = {
    operator.iadd: operator.add,
    operator.isub: operator.sub,
    operator.imul: operator.mul,
    operator.itruediv: operator.truediv,
    **{f"{name}_": name for name in ("add", "sub", "mul", "div", "relu", "tanh", "clamp")},
}

# Of the images that a graph is run on: two are run by themselves too. Not one, which `squeeze()`
# would take for no batch; and where they are, they have others before and after them, not as
# many, so that neither a shift, a reversal nor a sum over the batch passes for each image's own.
_BATCH = 8
_PAIR = slice(1, 3)

NormOf = Callable[[str, nn.Module, torch.Size], float]


class _MixedError(UnboundedError):
    """What an operation gives is not each image's own."""


@dataclass(frozen=True)
class UpperBound:
    """A proven constant of a network, or the reasons why there is none, and how it came about."""

    constant: float | None
    reasons: list[str]
    factors: list[Factor]


def upper_bound(network: nn.Module, image: Tensor, layers: list[Layer]) -> UpperBound:
    """Return what is proven of a network at rest in float64, whose layers have been measured.

    The image (1, C, H, W) is only for its shape and device. Each step's constant is with respect
    to the network's input, Euclidean and per image: a product along a chain, a sum where branches
    are added. See `rules.BOUND_RULES`.
    """
    known = {(fact.name, tuple(fact.input_shape)): fact.sigma_operator for fact in layers}

    def norm(name: str, module: nn.Module, shape: torch.Size) -> float:
        key = (name, tuple(shape))
        if key not in known:  # used again, on another size
            known[key] = sigma_operator(module, shape)
        return known[key]

    return _bound(network, image, norm)


def kernel_product(network: nn.Module, image: Tensor, layers: list[Layer]) -> float | None:
    """Return the same with kernels' singular values in place of the layers' norms: no bound."""
    sigmas = {fact.name: fact.sigma_kernel for fact in layers}

    def norm(name: str, module: nn.Module, shape: torch.Size) -> float:
        sigma = sigmas.get(name)
        if sigma is None:
            raise UnboundedError("computes otherwise than with a kernel")
        return sigma

    return _bound(network, image, norm).constant


def rule_of(module: nn.Module) -> BoundRule | None:
    """Return the rule of a module: what it states itself, that of an affine layer, the table's.

    A module states its constant by an attribute `lipschitz: float`, of all that it does with one
    image, Euclidean: for layers that a theorem is about. A subclass of a class in the table, or
    of one that states its constant, has its rule only where it has its forward, and no hooks that
    could change what it does; those of an affine layer are measured with it.
    """
    if _states_its_constant(module):
        return declared
    if is_affine(module):
        return layer
    if has_hooks(module):
        return None
    bases = kind(module).__mro__
    known = (base for base in bases if base in BOUND_RULES and runs_as(module, base))
    return next(map(BOUND_RULES.__getitem__, known), None)


def _states_its_constant(module: nn.Module) -> bool:
    if not isinstance(getattr(module, "lipschitz", None), (int, float)):
        return False
    if any(has_hooks(part) for part in module.modules()):
        return False
    of_class = [base for base in kind(module).__mro__ if "lipschitz" in vars(base)]
    return runs_as(module, kind(module) if "lipschitz" in vars(module) else of_class[0])


class _Tracer(fx.Tracer):
    """Trace a network with modules that have rules as leaves, and a `Network` by its `compute`.

    Its forward opens an autocast context, which cannot be traced and is idle in eval mode; within
    another network, `in_float64` has put `compute` in the place of `forward`.
    """

    def __init__(self, root: nn.Module) -> None:
        super().__init__()
        self.traced_func_name = "compute" if has_compute(root) else "forward"

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        of_torch = kind(m).__module__.startswith("torch.nn") and not isinstance(m, nn.Sequential)
        return rule_of(m) is not None or of_torch


class _Recorder(fx.Interpreter):
    """Run a graph and keep each node's value and arguments."""

    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module, garbage_collect_values=False)
        self.called: dict[fx.Node, tuple[tuple[Any, ...], dict[str, Any]]] = {}
        self.versions: list[tuple[Tensor, int]] = []

    def run_node(self, n: fx.Node) -> Any:
        self.called[n] = self.fetch_args_kwargs_from_env(n)
        value = super().run_node(n)
        if isinstance(value, Tensor):
            self.versions.append((value, value._version))
        return value

    def overwrote(self) -> bool:
        """Return whether a value was changed in place, after its constant is taken."""
        return any(value._version != version for value, version in self.versions)


def _graph(network: nn.Module) -> fx.GraphModule:
    """Return a network's graph, with functions in place of operations in place.

    Where a value is used again after such an operation, that is another graph: to be compared
    with the network.
    """
    tracer = _Tracer(network)
    takes = list(inspect.signature(getattr(network, tracer.traced_func_name)).parameters.values())
    others = {p.name: p.default for p in takes[1:] if p.default is not p.empty}
    graph = tracer.trace(network, concrete_args=others or None)
    for node in graph.nodes:
        if node.op in ("call_function", "call_method"):
            node.target = _IN_PLACE.get(node.target, node.target)
        if node.kwargs.get("inplace"):
            node.update_kwarg("inplace", False)
    return fx.GraphModule(network, graph)


@torch.no_grad()
def _runs(network: nn.Module, images: Tensor) -> tuple[fx.GraphModule, _Recorder, _Recorder]:
    """Return a network's graph, run on two of the images and on all.

    Raises UnboundedError where the graph is not what the network computes.
    """
    try:
        module = _graph(network)
        alone, together = _Recorder(module), _Recorder(module)
        alone.run(images[_PAIR])
        found, expected = together.run(images), network(images)
    # Anything can be raised by code that is run on stand-ins for tensors: all of it means that
    # there is no graph to reason about, which is a finding.
    except Exception as error:
        told = str(error).strip().partition("\n")[0].partition(". ")[0]
        raise UnboundedError(f"its graph cannot be traced: {told}") from error
    if together.overwrote() or not agree(found.to(expected.dtype), expected, 1e-4):
        raise UnboundedError("it changes values in place, or does what its graph has not")
    return module, alone, together


def _bound(network: nn.Module, image: Tensor, norm: NormOf) -> UpperBound:
    draw = torch.Generator().manual_seed(0)
    images = torch.rand(_BATCH, *image.shape[1:], generator=draw, dtype=torch.float64) * 2 - 1
    images = images.to(image.device)
    try:
        module, alone, together = _runs(network, images)
    except UnboundedError as none:
        return UpperBound(None, [str(none)], [])
    return _Propagation(module, alone, together, norm).result()


class _Propagation:
    """The walk through a graph: `constants` holds what depends on the image, None if unbounded."""

    def __init__(
        self, module: fx.GraphModule, alone: _Recorder, together: _Recorder, norm: NormOf
    ) -> None:
        self.module = module
        self.alone = alone
        self.together = together
        self.norm = norm
        self.constants: dict[fx.Node, float | None] = {}
        self.factors: list[Factor] = []
        self.reasons: list[str] = []
        self.mixed: set[fx.Node] = set()

    def result(self) -> UpperBound:
        """Return the bound at the output."""
        nodes = list(self.module.graph.nodes)
        self.constants[nodes[0]] = 1.0  # the image itself
        for node in nodes[1:-1]:
            if any(source in self.constants for source in node.all_input_nodes):
                self._visit(node)
        outputs = [self.constants[node] for node in nodes[-1].all_input_nodes
                   if node in self.constants]  # fmt: skip
        constant = outputs[0] if outputs else 0.0  # what does not depend on the image has 0
        reasons = list(dict.fromkeys(self.reasons)) if constant is None else []
        return UpperBound(constant, reasons, self.factors)

    def _visit(self, node: fx.Node) -> None:
        if _describes(node):
            return  # not in `constants`: it does not depend on the image
        name, what = self._named(node)
        own: float | None = None
        constant: float | None = None
        try:
            _require_own_images(self.alone.env[node], self.together.env[node])
            own, constant, reason = self._apply(node)
        except _MixedError as mixed:
            reason = str(mixed)
            if not any(source in self.mixed for source in node.all_input_nodes):
                self.reasons.append(f"{name} ({what}): {reason}")
            self.mixed.add(node)  # what follows is mixed too, for no reason of its own
        except UnboundedError as none:
            reason = str(none)
            self.reasons.append(f"{name} ({what}): {reason}")
        # A rule reads a call in the forms that it knows; that it cannot is a finding as well.
        except Exception as error:
            told = str(error).strip().partition("\n")[0]
            reason = f"its rule fails: {type(error).__name__}: {told}"
            self.reasons.append(f"{name} ({what}): {reason}")
        self.constants[node] = constant
        self.factors.append(Factor(name, what, own, constant, reason))

    def _apply(self, node: fx.Node) -> tuple[float | None, float | None, str]:
        """Return a step's own constant, the one up to it, and why. Raises UnboundedError."""
        rule, sources = self._rule(node), _sources(node, self.constants)
        before = [self.constants[source] for source in sources]
        proven = tuple(constant for constant in before if constant is not None)
        whole = len(proven) == len(before)
        if not whole and len(before) > 1:
            return None, None, "a branch has no constant"
        scale = max(proven) if whole else 0.0
        # Rules are linear in the constants, so a step's own constant is one without the scale.
        constants = proven if scale > 0 else (1.0,) * len(before)
        found, reason = rule(self._step(node, sources, constants))
        if not math.isfinite(found):
            raise UnboundedError("its constant is not finite")
        if scale > 0:
            return found / scale, found, reason
        return found, 0.0 if whole else None, reason

    def _rule(self, node: fx.Node) -> BoundRule:
        rule = BOUND_RULES.get(node.target)
        if node.op == "call_module":
            rule = rule_of(self.module.get_submodule(str(node.target)))
        if rule is None:
            raise UnboundedError("no rule for this operation")
        return rule

    def _step(self, node: fx.Node, sources: list[fx.Node], constants: tuple[float, ...]) -> Step:
        args, kwargs = self.alone.called[node]
        env = self.alone.env
        of_module = node.op == "call_module"
        module = self.module.get_submodule(str(node.target)) if of_module else None
        inputs = tuple(env[source] for source in sources)
        norm = None
        if module is not None and rule_of(module) is layer:
            norm = self.norm(str(node.target), module, inputs[0].shape[1:])

        def apply(value: Tensor) -> Any:
            def put(source: fx.Node) -> Any:
                return value if source in self.constants else env[source]

            new_args = fx.node.map_arg(node.args, put)
            new_kwargs = fx.node.map_arg(node.kwargs, put)
            return getattr(self.alone, node.op)(node.target, new_args, new_kwargs)

        return Step(args, kwargs, inputs, constants, env[node], apply, module, norm)

    def _named(self, node: fx.Node) -> tuple[str, str]:
        """Return a node's name and what it is, in the words of who wrote the network."""
        if node.op == "call_module":
            module = self.module.get_submodule(str(node.target))
            return str(node.target), kind(module).__name__
        target = node.target
        within = list(node.meta.get("nn_module_stack", {}).values())
        path = f"{within[-1][0]}.{node.name}" if within else node.name
        return path, target if isinstance(target, str) else getattr(target, "__name__", "?")


def _sources(node: fx.Node, of_image: dict[fx.Node, float | None]) -> list[fx.Node]:
    """Return the arguments that depend on the image, as often as they are given."""
    found: list[fx.Node] = []

    def note(source: fx.Node) -> fx.Node:
        if source in of_image:
            found.append(source)
        return source

    fx.node.map_arg((node.args, node.kwargs), note)
    return found


def _describes(node: fx.Node) -> bool:
    """Return whether a node is a fact of a tensor that is the same for any image."""
    if node.op == "call_function" and node.target is getattr:
        return node.args[1] in _DESCRIPTIONS
    return node.op == "call_method" and node.target in _DESCRIBING


def _require_own_images(alone: Any, together: Any) -> None:
    """Raise UnboundedError where the images of a pair give something else than among others."""
    if isinstance(alone, (tuple, list)) and isinstance(together, (tuple, list)):
        if len(alone) != len(together):
            raise _MixedError("its parts are not the images of the batch, one each")
        for a, b in zip(alone, together, strict=True):
            _require_own_images(a, b)
        return
    if not isinstance(alone, Tensor) or not isinstance(together, Tensor):
        raise UnboundedError("a number is read from the image")
    if not alone.is_floating_point():
        raise UnboundedError("its values are not real numbers, so it is no continuous function")
    if min(alone.dim(), together.dim()) == 0 or len(together) != _BATCH:
        raise _MixedError("its rows are not the images of the batch, one each")
    if together[_PAIR].shape != alone.shape:
        raise _MixedError("its rows are not the images of the batch, one each")
    if not agree(together[_PAIR], alone):
        raise _MixedError("the images of a batch see each other")


def agree(one: Tensor, other: Tensor, within: float = 1e-6) -> bool:
    """Return whether values are the same, within so much of how far they are spread.

    And rounding, which is relative to their size: values near each other may be far from 0.
    """
    if not one.numel():
        return True
    spread = (other.max() - other.min()).item()
    rounding = 4096 * torch.finfo(other.dtype).eps * other.abs().max().item()
    return bool(((one - other).abs() <= within * spread + rounding).all())

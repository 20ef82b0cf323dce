"""Where the layers of a network are called, found in its traced program.

A marked layer says at its output "this is y = layer(x) with these parameters". The marks are
primitives, so that they stay in the program of one example, and their batching rules note every
`vmap` that a call lies in: over positions, at which the same parameters act, or over the parameters
themselves, which are layers side by side. `calls_of` reads from the program whether the calls are
all that a layer's parameters are used for, and `evaluate` runs it with something else at the marks.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr, Literal, Primitive
from jax.extend.core.primitives import jit_p
from jax.interpreters import ad, batching
from jaxtyping import Array, PyTree

output_p = Primitive("layer_output")  # (y, x, *leaves) -> y
leaves_p = Primitive("layer_leaves")  # leaves -> leaves
leaves_p.multiple_results = True
MARKS = (output_p, leaves_p)


class Call(NamedTuple):
    """One call: output and input (*mapped, ...), and which of the mapped axes are of layers."""

    output: jax.ShapeDtypeStruct
    inputs: jax.ShapeDtypeStruct
    stacked: tuple[bool, ...]

    @property
    def layers(self) -> int:
        """How many layers lie side by side."""
        sizes = self.output.shape[: len(self.stacked)]
        return math.prod(n for n, stacked in zip(sizes, self.stacked, strict=True) if stacked)


class Marked(eqx.Module):
    """A layer whose calls are marked; anything else that is asked of it, the layer answers.

    To `isinstance` it is of the layer's class, so that a model that asks for it stays the same.
    """

    layer: Any
    place: int = eqx.field(static=True)

    def __call__(self, x: Any, *, key: Any = None) -> Array:
        del key
        layer, x = self.layer, jnp.asarray(x)
        params, rest = eqx.partition(layer, eqx.is_inexact_array)
        leaves, treedef = jax.tree.flatten(params)
        leaves = leaves_p.bind(*leaves, place=self.place, usable=True)
        y = eqx.combine(jax.tree.unflatten(treedef, leaves), rest)(x)
        return output_p.bind(y, x, *leaves, place=self.place, stacked=(), usable=True)

    @property
    def __class__(self) -> type:
        return type(self.layer)

    def __getattr__(self, name: str) -> Any:
        if name in ("layer", "place"):
            raise AttributeError(name)
        return getattr(self.layer, name)


def evaluate(
    program: ClosedJaxpr, args: Sequence[Any], handle: Callable[[Any, list[Any]], Any]
) -> list[Any]:
    """The results of a program, with `handle(equation, operands)` in place of every mark.

    Calls of `jit` that have marks in them are opened; those in other inner programs stay.
    """
    jaxpr = program.jaxpr
    values = dict(zip(jaxpr.constvars, program.consts, strict=True))
    values |= dict(zip(jaxpr.invars, args, strict=True))

    def read(atom: Any) -> Any:
        return atom.val if isinstance(atom, Literal) else values[atom]

    for equation in jaxpr.eqns:
        operands = [read(atom) for atom in equation.invars]
        if equation.primitive in MARKS:
            found = handle(equation, operands)
        elif equation.primitive is jit_p and _has_marks(equation.params["jaxpr"].jaxpr):
            found = evaluate(equation.params["jaxpr"], operands, handle)
        else:
            params = equation.primitive.get_bind_params(equation.params)
            with equation.ctx.manager:
                found = equation.primitive.bind(*operands, **params)
        results = found if equation.primitive.multiple_results else [found]
        values |= dict(zip(equation.outvars, results, strict=True))
    return [read(atom) for atom in jaxpr.outvars]


def traced(function: Callable[..., Any], *shapes: PyTree) -> ClosedJaxpr:
    """The program of a function, with no mark inside a `jit`."""
    program = jax.make_jaxpr(function)(*shapes)
    flat = [jax.ShapeDtypeStruct(v.aval.shape, v.aval.dtype) for v in program.jaxpr.invars]
    if not any(e.primitive is jit_p and _has_marks(e) for e in program.jaxpr.eqns):
        return program
    return jax.make_jaxpr(lambda *args: evaluate(program, args, _again))(*flat)


def calls_of(program: ClosedJaxpr, place: int, leaves: Sequence[int]) -> tuple[Call, ...]:
    """The calls of a layer whose parameters are those inputs of the program.

    Empty where its parameters enter anything but marked calls at the top of the program, or where a
    call was differentiated: their derivative then is not the sum of products over the calls.
    """
    jaxpr = program.jaxpr
    own = [jaxpr.invars[i] for i in leaves]
    given, calls = [], []
    for equation in jaxpr.eqns:
        if equation.primitive in MARKS and equation.params["place"] == place:
            (given if equation.primitive is leaves_p else calls).append(equation)
        elif any(v is w for v in equation.invars for w in own):
            return ()
    marked = all(same(e.invars, own) and e.params["usable"] for e in given)
    passed = [e.outvars for e in given]
    fits = len(given) == len(calls) and all(
        e.params["usable"] and any(same(e.invars[2:], leaves) for leaves in passed) for e in calls
    )
    if not marked or not fits or any(v is w for v in jaxpr.outvars for w in own):
        return ()
    return tuple(_call(equation) for equation in calls)


def same(some: Sequence[Any], others: Sequence[Any]) -> bool:
    """Whether two rows of variables are the same ones."""
    return len(some) == len(others) and all(v is w for v, w in zip(some, others, strict=True))


def _call(equation: Any) -> Call:
    y, x = (jax.ShapeDtypeStruct(v.aval.shape, v.aval.dtype) for v in equation.invars[:2])
    return Call(y, x, equation.params["stacked"])


def _again(equation: Any, operands: list[Any]) -> Any:
    return equation.primitive.bind(*operands, **equation.params)


def _has_marks(jaxpr_or_equation: Any) -> bool:
    """Whether a program, or one inside an equation, has a mark anywhere."""
    if hasattr(jaxpr_or_equation, "eqns"):
        return any(e.primitive in MARKS or _has_marks(e) for e in jaxpr_or_equation.eqns)
    inner = jaxpr_or_equation.params.get("jaxpr")
    return inner is not None and _has_marks(getattr(inner, "jaxpr", inner))


def _output_shape(y: Any, *others: Any, **params: Any) -> Any:
    del others, params
    return y


def _leaves_shape(*leaves: Any, **params: Any) -> Any:
    del params
    return list(leaves)


def _batch_output(
    operands: Sequence[Array], axes: Sequence[Any], *, stacked: Any, usable: bool, place: int
) -> tuple[Array, int]:
    """One more mapped axis, the outermost so far: of layers where their parameters have it."""
    given = list(zip(operands, axes, strict=True))
    size = next(x.shape[axis] for x, axis in given if axis is not None)
    y, x = (batching.bdim_at_front(v, axis, size) for v, axis in given[:2])
    mapped = [axis is not None for axis in axes[2:]]
    leaves = [v if axis is None else batching.bdim_at_front(v, axis, size) for v, axis in given[2:]]
    usable = usable and all(m == mapped[0] for m in mapped)
    params = {"place": place, "stacked": (mapped[0], *stacked), "usable": usable}
    return output_p.bind(y, x, *leaves, **params), 0


def _batch_leaves(
    operands: Sequence[Array], axes: Sequence[Any], **params: Any
) -> tuple[Sequence[Array], Sequence[Any]]:
    return leaves_p.bind(*operands, **params), axes


def _push_output(primals: Any, tangents: Any, **params: Any) -> tuple[Array, Any]:
    return output_p.bind(*primals, **{**params, "usable": False}), tangents[0]


def _push_leaves(primals: Any, tangents: Any, **params: Any) -> tuple[Any, Any]:
    return leaves_p.bind(*primals, **{**params, "usable": False}), tangents


output_p.def_abstract_eval(_output_shape)
leaves_p.def_abstract_eval(_leaves_shape)
batching.primitive_batchers[output_p] = _batch_output
batching.primitive_batchers[leaves_p] = _batch_leaves
ad.primitive_jvps[output_p] = _push_output
ad.primitive_jvps[leaves_p] = _push_leaves

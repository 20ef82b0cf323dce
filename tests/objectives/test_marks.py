"""A marked layer is, to the model that calls it, the layer."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from pinn_ngd.objectives import coverage
from pinn_ngd.objectives.marks import Marked, calls_of, evaluate, output_p, traced


class Asking(eqx.Module):
    """A network that puts tanh after its dense layers, and asks which these are."""

    layers: list

    def __call__(self, x):
        for layer in self.layers:
            x = jnp.tanh(layer(x)) if isinstance(layer, eqx.nn.Linear) else x
        return x


def test_a_model_that_asks_for_the_class_of_its_layers_has_both_captured():
    keys = jax.random.split(jax.random.key(0))
    model = Asking([eqx.nn.Linear(3, 3, key=k) for k in keys])
    report = coverage(model, jnp.ones(3))
    assert {p.block for p in report.parameters} == {"kronecker"}
    marked = Asking([Marked(layer, i) for i, layer in enumerate(model.layers)])
    x = jnp.linspace(-1, 1, 3)
    program = traced(marked, jax.eval_shape(lambda: x))
    (found,) = evaluate(program, [x], without_marks)
    np.testing.assert_allclose(found, model(x), rtol=1e-14)


def without_marks(equation, operands):
    return operands[0] if equation.primitive is output_p else operands


def test_a_marked_layer_stays_a_tree_of_its_own():
    layer = eqx.nn.Linear(3, 2, key=jax.random.key(0))
    marked = Marked(layer, 5)
    assert isinstance(marked, eqx.nn.Linear)
    assert isinstance(marked, eqx.Module)
    assert type(jax.tree.map(lambda x: x, marked)) is Marked
    assert eqx.tree_equal(jax.tree.map(lambda x: x, marked).layer, layer)
    assert marked.out_features == 2


def test_the_calls_of_a_layer_that_is_used_otherwise_are_empty():
    layer = eqx.nn.Linear(2, 2, use_bias=False, key=jax.random.key(0))

    def run(weight, x, times):
        marked = Marked(eqx.tree_at(lambda m: m.weight, layer, weight), 0)
        return marked(x) if times == 1 else marked(x) + marked.weight @ x

    shapes = jax.eval_shape(lambda: (layer.weight, jnp.ones(2)))
    assert len(calls_of(traced(lambda w, x: run(w, x, 1), *shapes), 0, (0,))) == 1
    assert calls_of(traced(lambda w, x: run(w, x, 2), *shapes), 0, (0,)) == ()

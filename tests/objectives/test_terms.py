"""What a user may write as a term, and the sentence for everything else."""

# ruff: noqa: ARG005  (a table of functions of one signature)

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinn_ngd import (
    Box,
    Energy,
    EnergyObjective,
    GaussLegendre,
    Interval,
    Points,
    Quadrature,
    Residual,
    ResidualObjective,
    gradient,
    laplacian,
)
from pinn_ngd.models import MLP, HardDirichlet, Normalized
from pinn_ngd.objectives.smoothness import missing_derivatives

SQUARE = Box((0.0, 0.0), (1.0, 1.0))
RULE = GaussLegendre(SQUARE, 3)


class Plane(eqx.Module):
    """u(x) = (a x_0, b x_1), cheap and vector-valued."""

    slopes: jax.Array

    def __call__(self, x):
        return self.slopes * x


U = Plane(jnp.array([2.0, 3.0]))


def checked(fn, *rest, model=U, rule=RULE, **keywords):
    """The objective of one term after its check."""
    objective = ResidualObjective([Residual(fn, rule, *rest, **{"name": "pde", **keywords})])
    objective.check(model, objective.batch())
    return objective


def loss(*args, **keywords):
    model = keywords.get("model", U)
    objective = checked(*args, **keywords)
    return float(objective.loss(model, objective.batch()))


def _columns(x):
    n, d = x.shape
    return x.reshape(n * d)


REFUSED = {
    "None": (lambda u, x: None, "'pde' returns None: end the function with `return`"),
    "dict in a dict": (lambda u, x: {"a": {"b": u(x)[0]}}, "'pde' returns a dict"),
    "dict in a list": (lambda u, x: [{}], "'pde' returns a dict"),
    "empty list": (lambda u, x: [], "'pde' returns nothing"),
    "text": (lambda u, x: "u", "'pde' returns a str"),
    "column": (lambda u, x: u(x)[:, None], r"shape \(2, 1\) at one point.*`jnp.ravel`"),
    "matrix in a list": (lambda u, x: [u(x)[:, None]], r"shape \(2, 1\)"),
    "truth values": (lambda u, x: u(x) > 0, "'pde' returns truth values"),
    "integers": (lambda u, x: 0, "'pde' returns integers"),
    "integers in a list": (lambda u, x: [0, 1], "'pde' returns integers"),
    "batched index": (lambda u, x: u(x[:, 0]), r"ONE point x of shape \(2,\), so write x\[0\]"),
    "batched slice": (lambda u, x: x[:, 0:1], r"ONE point x of shape \(2,\)"),
    "a second axis": (lambda u, x: jnp.sum(u(x), axis=1), r"axis 1 .*ONE point x of shape \(2,\)"),
    "points in columns": (lambda u, x: u(_columns(x)), r"unpack.*ONE point x of shape \(2,\)"),
    "stacked columns": (lambda u, x: u(jnp.concatenate([x, x], axis=1)), "ONE point"),
    "out of range": (lambda u, x: u(x)[0] + x[3], r"the entry 3 of an array of shape \(2,\)"),
    "negative": (lambda u, x: u(x)[0] + x[-3], r"the entry -3 of an array of shape \(2,\)"),
    "array of indices": (lambda u, x: x[jnp.array([0, 2])] + u(x), "the entry 2 of an array"),
    "in a derivative": (lambda u, x: gradient(lambda y: y[2] * u(y)[0])(x), "the entry 2"),
    "in a compiled part": (lambda u, x: u(x)[0] * jax.jit(lambda y: y[2])(x), "the entry 2"),
    "in the values": (lambda u, x: u(x)[2], "the entry 2"),
    "swapped": (lambda x, u: u(x), "the model comes first"),
    "swapped in a product": (lambda x, u: x[0] * u(x), "swapped .*the model comes first"),
    "swapped in a sum": (lambda x, u: jnp.sin(x) + u(x), "swapped .*the model comes first"),
    "swapped in a derivative": (lambda x, u: gradient(u)(x), "the model comes first"),
    "a branch": (lambda u, x: u(x) if x[0] > 0 else x, "write `jnp.where` for `if`"),
    "math": (lambda u, x: u(x) * math.sin(x[0]), "jnp for math"),
    "NumPy": (lambda u, x: np.sin(x[0]) * u(x), "write jnp for np"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_residual_is_refused_by_name(name):
    fn, message = REFUSED[name]
    with pytest.raises(ValueError, match=message) as found:
        checked(fn)
    assert ("arguments swapped" in str(found.value)) == name.startswith("swapped")


ACCEPTED = {
    "list": (lambda u, x: [u(x)[0], u(x)[1]], lambda u, x: u(x)),
    "tuple": (lambda u, x: (u(x)[0], u(x)[1]), lambda u, x: u(x)),
    "parts of all kinds": (lambda u, x: [u(x), u(x)[0], 1], lambda u, x: [*u(x), u(x)[0], 1.0]),
    "one component": (lambda u, x: u(x)[:1], lambda u, x: u(x)[0]),
    "a number": (lambda u, x: 2.0, lambda u, x: 2.0 + 0 * x[0]),
    "indices in range": (
        lambda u, x: u(x)[-2] * x[1] + x[jnp.array([-1])][0],
        lambda u, x: u(x)[0] * x[1] + x[1],
    ),
    "default arguments": (lambda u, x, k=2.0: k * u(x), lambda u, x: 2.0 * u(x)),
    "any arguments": (lambda *args: args[0](args[1]), lambda u, x: u(x)),
}  # fmt: skip


@pytest.mark.parametrize("name", ACCEPTED)
def test_what_users_of_other_packages_write_is_accepted(name):
    fn, plain = ACCEPTED[name]
    assert loss(fn) == pytest.approx(loss(plain), rel=1e-14)


def test_other_errors_of_a_users_code_keep_their_type_and_get_a_note():
    def wrong(u, x):  # noqa: ARG001
        raise RuntimeError("my own")

    with pytest.raises(RuntimeError, match="my own") as caught:
        checked(wrong)
    assert any("the term 'pde'" in note for note in caught.value.__notes__)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Residual(lambda u: u, RULE), r"takes the arguments \(u\), but it is called as"),
        (lambda: Residual(lambda u, x, n: u, RULE), r"\(u, x, n\), but it is called as `fn\(u, x"),
        (lambda: Energy(lambda f: f, RULE), "`density` of 'energy' takes the arguments"),
        (lambda: Energy(lambda x, f: f[0], RULE, lambda u: u), "`features` of 'energy' takes"),
        (lambda: Residual(lambda u, x: u(x), RULE, "pde"), "pass a name by its keyword"),
        (lambda: Residual(lambda u, x: u(x), RULE, [1.0, 0.0]), "must be positive"),
        (lambda: Residual(lambda u, x: u(x), RULE, np.nan), "must be positive"),
        (lambda: Residual(lambda u, x: u(x), RULE, None), "is a NoneType; it must be a positive"),
        (lambda: Energy(lambda x, f: f[0], RULE, weight=-1.0), "must be positive"),
        (lambda: Residual(lambda u, x: u(x), "rule"), "`rule` of a term is 'rule'"),
        (lambda: checked(lambda u, x: u(x), [1.0, 2.0, 3.0]), r"`weight` of shape \(3,\)"),
        (lambda: checked(lambda u, x: u(x), lambda x: x[0] - 0.5), "not below zero"),
        (lambda: checked(lambda u, x: u(x), lambda x: 1 / (x[0] - x[0])), "must be finite"),
        (
            lambda: checked(lambda u, x: u(x), model=MLP((3, 2), key=jax.random.key(0))),
            r"cannot be called at a point x of shape \(2,\) of the term 'pde' .*: give it 2 inputs",
        ),
        (
            lambda: checked(lambda u, x: u(x), model=Plane(jnp.ones(2, jnp.float32)), rule=RULE),
            r"`model\.slopes` is float32, but the points are float64",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_other_mistakes_in_a_term_are_explained(build, message):
    with pytest.raises(ValueError, match=message), jax.numpy_dtype_promotion("standard"):
        build()


def test_what_is_no_function_is_refused():
    with pytest.raises(TypeError, match="must be a function"):
        Residual.__check_init__(eqx.tree_at(lambda r: r.fn, Residual(lambda u, x: 0.0, RULE), 3))


def test_weights_of_components_and_of_points():
    """u = (2 x, 3 y) on the square: the integral of u_i^2 is 4/3 and 3, that of x u_1^2 is 1."""
    assert loss(lambda u, x: u(x), [3.0, 2.0]) == pytest.approx(0.5 * (4.0 + 6.0), rel=1e-13)
    assert loss(lambda u, x: u(x)[0], lambda x: x[0]) == pytest.approx(0.5, rel=1e-13)
    both = loss(lambda u, x: u(x), lambda x: jnp.stack([x[0], 2.0 + 0 * x[0]]))
    assert both == pytest.approx(0.5 * (1.0 + 6.0), rel=1e-13)
    assert loss(lambda u, x: u(x), jnp.asarray(2.0)) == pytest.approx(loss(lambda u, x: u(x), 2.0))


def test_rows_know_the_weights():
    objective = checked(lambda u, x: u(x), lambda x: jnp.stack([x[0], 2.0 + x[1]]))
    batch = objective.batch()
    system = objective.system(U, batch)
    back = system.operator.T.mv(system.target).slopes
    wanted = jax.grad(lambda m: objective.loss(m, batch))(U).slopes
    np.testing.assert_allclose(back, wanted, rtol=1e-13)
    free = objective.system(U, batch, matrix_free=True).operator.as_matrix()
    np.testing.assert_allclose(free, system.operator.as_matrix(), rtol=1e-13)


def test_the_weight_of_an_energy_may_be_a_function():
    """1/2 int x |grad u|^2 of u = 2 x + 3 y is 13/4."""
    energy = Energy(lambda _, f: 0.5 * jnp.sum(f[1:] ** 2), RULE, weight=lambda x: x[0])
    objective = EnergyObjective([energy])
    u = lambda x: 2 * x[0] + 3 * x[1]  # noqa: E731
    assert float(objective.energy(u, objective.batch())) == pytest.approx(13 / 4, rel=1e-13)
    with pytest.raises(ValueError, match="`density` of the term 'energy' returns"):
        EnergyObjective([Energy(lambda _, f: f, RULE)]).loss(u, objective.batch())


def test_points_of_ones_own():
    points = np.array([[0.0, 1.0], [1.0, 0.5]])
    mean = loss(lambda u, x: u(x)[0], rule=points)
    assert mean == pytest.approx(0.5 * (0.0 + 4.0) / 2, rel=1e-14)
    weighted = loss(lambda u, x: u(x)[0], rule=Quadrature(jnp.asarray(points), jnp.ones(2)))
    assert weighted == pytest.approx(2 * mean, rel=1e-14)


LINEAR = Plane(jnp.array([2.0]))


def test_values_of_all_points_in_a_closure_are_told_from_one_a_point():
    """Broadcast against every point they would fit a constant, without a word."""
    points, measured = np.linspace(0.0, 1.0, 9)[:, None], jnp.sin(jnp.linspace(0.0, 1.0, 9))
    with pytest.warns(UserWarning, match=r"9 components at each of its 9 points.*fn\(u, x, value"):
        checked(lambda u, x: u(x)[0] - measured, model=LINEAR, rule=points)
    checked(lambda u, x: u(x)[0] - measured, model=LINEAR, rule=points[:8])  # nine equations
    given = Points(points, values=measured)
    checked(lambda u, x, value: u(x)[0] - value, model=LINEAR, rule=given)


LINE = GaussLegendre(Interval(0.0, 1.0), 5)


def network(activation):
    return eqx.nn.MLP(1, "scalar", 5, 1, activation, key=jax.random.key(0))


def zeroed(model):
    return jax.tree.map(lambda leaf: 0 * leaf if eqx.is_array(leaf) else leaf, model)


def missing(fn, model):
    objective = ResidualObjective([Residual(fn, LINE, name="pde")])
    return list(missing_derivatives(objective, model, objective.batch()))


class Wrapped(eqx.Module):
    """A network within a formula: times and plus something of the point, or squared."""

    net: eqx.Module
    formula: object = eqx.field(static=True)

    def __call__(self, x):
        return self.formula(self.net(x), x)


def bump(x):
    return x[0] * (1 - x[0])


def rough(x):
    """A kink that no parameter moves: a distance may have some."""
    return bump(x) * (1 + jnp.abs(x[0] - 0.3))


WRAPPERS = {
    "hard values": lambda net: HardDirichlet(net, lambda x: x[0] ** 2, bump),
    "one hard value": lambda net: HardDirichlet(net, 1.0, lambda x: x[0]),
    "rough distance": lambda net: HardDirichlet(net, 0.0, rough),
    "units": lambda net: Normalized(net, domain=Interval(0.0, 1.0), values=(-2.0, 3.0)),
    "hard values in units": lambda net: Normalized(HardDirichlet(net, 0.0, bump)),
    "square": lambda net: Wrapped(net, lambda y, x: y**2 + y),
    "exponential": lambda net: Wrapped(net, lambda y, x: jnp.exp(y)),
    "complex": lambda net: Wrapped(net, lambda y, x: jax.lax.complex(y * bump(x), y)),
    "vector": lambda net: Wrapped(net, lambda y, x: jnp.stack([x[0] ** 2, y * bump(x)])),
    "smooth part": lambda net: Wrapped(net, lambda y, x: y + jnp.sin(x[0])),
}
STIFF = MLP((1, 12, 12, 1), key=jax.random.key(2), init="siren")


QUICK = ("hard values", "units", "vector")


@pytest.mark.parametrize(
    "wrapper", [w if w in QUICK else pytest.param(w, marks=pytest.mark.slow) for w in WRAPPERS]
)
def test_a_wrapped_activation_without_second_derivatives_is_found(wrapper):
    """And a smooth one is not, however it is wrapped."""
    wrap, second = WRAPPERS[wrapper], lambda u, x: laplacian(u)(x)
    assert missing(second, wrap(network(jax.nn.relu))) == [("pde", "second")]
    if wrapper in ("rough distance", "complex"):
        assert missing(second, wrap(network(jnp.tanh))) == []


@pytest.mark.slow
def test_smooth_activations_are_not_suspected():
    second = lambda u, x: laplacian(u)(x)  # noqa: E731
    assert missing(second, HardDirichlet(network(jax.nn.softplus), 0.0, bump)) == []
    assert missing(second, STIFF) == []
    first = lambda u, x: gradient(u)(x)[0]  # noqa: E731
    assert missing(first, HardDirichlet(network(jax.nn.relu), 0.0, bump)) == []
    third = lambda u, x: jax.grad(lambda y: laplacian(u)(y))(x)[0]  # noqa: E731
    assert missing(third, HardDirichlet(network(jax.nn.elu), 0.0, bump)) == [("pde", "third")]


def test_an_activation_without_second_derivatives_is_found():
    assert missing(lambda u, x: laplacian(u)(x) + 1.0, network(jax.nn.relu)) == [("pde", "second")]
    assert missing(lambda u, x: gradient(u)(x)[0] - u(x), network(jnp.sign)) == [("pde", "first")]


@pytest.mark.parametrize(
    ("fn", "model"),
    [
        (lambda u, x: laplacian(u)(x), network(jnp.tanh)),
        (lambda u, x: gradient(u)(x)[0], network(jax.nn.relu)),
        (lambda u, x: u(x) - x[0], network(jax.nn.relu)),
        (lambda u, x: laplacian(u)(x), zeroed(network(jnp.tanh))),
        (lambda u, x: u.layers[0].bias[0] * laplacian(u)(x), network(jnp.tanh)),
        (lambda u, x: u[0] * x[0], [jnp.ones(())]),
    ],
)  # fmt: skip
def test_nothing_is_missed_where_nothing_is_missing(fn, model):
    assert missing(fn, model) == []


def test_a_network_of_the_package_misses_nothing():
    model = MLP((1, 4, 1), key=jax.random.key(0))
    assert missing(lambda u, x: laplacian(u)(x), model) == []

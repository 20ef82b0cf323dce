"""Networks beyond the plain one: what they promise at every parameter, and a training."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from pinn_ngd import Box, GaussLegendre, Interval, Residual, ResidualObjective, SpaceTime, laplacian
from pinn_ngd.models import (
    MLP,
    Embedded,
    FourierFeatures,
    Frozen,
    ModifiedMLP,
    NeumannFeatures,
    PeriodicFeatures,
    PirateNet,
    Separable,
    Stages,
    knows_its_domain,
)

KEY = jax.random.key(3)
CYLINDER = SpaceTime(Interval(0.0, 2.0), Interval(-1.0, 3.0))
SQUARE = Box((-1.0, 0.0), (2.0, 0.5))


def periodic():
    features = PeriodicFeatures(CYLINDER, (1,), harmonics=2)
    return Embedded(features, MLP((features.size, 6, 6, 1), key=KEY))


def even():
    features = NeumannFeatures(SQUARE, (0,))
    return Embedded(features, MLP((features.size, 6, 6, 1), key=KEY))


def fourier():
    features = FourierFeatures(SQUARE, 5, key=KEY, scales=(1.0, 3.0))
    return Embedded(features, MLP((features.size, 6, 1), key=KEY, init="glorot"))


def pirate():
    return PirateNet(FourierFeatures(SQUARE, 3, key=KEY), 6, key=KEY, blocks=2)


MODELS = {
    "fourier": fourier,
    "even": even,
    "modified": lambda: ModifiedMLP((2, 7, 7, 1), key=KEY, domain=SQUARE),
    "pirate": pirate,
    "separable": lambda: Separable(SQUARE, (5,), 4, key=KEY),
    "siren": lambda: MLP((2, 7, 7, 1), key=KEY, domain=SQUARE, activation="sin", init="siren"),
    "stages": lambda: Stages(MLP((2, 4, 1), key=KEY), [(1e-3, MLP((2, 5, 1), key=KEY))]),
}


def moved(model):
    """The model at other parameters."""
    params, static = eqx.partition(model, eqx.is_inexact_array)
    flat, unravel = ravel_pytree(params)
    return eqx.combine(unravel(flat + 0.3 * jnp.sin(jnp.arange(flat.size))), static)


@pytest.mark.parametrize("name", MODELS)
def test_models_are_smooth_scalars_of_a_point(name):
    model = moved(MODELS[name]())
    x = jnp.asarray([0.3, 0.2])
    value, curvature = eqx.filter_jit(lambda m: (m(x), laplacian(m)(x)))(model)
    assert value.shape == curvature.shape == ()
    assert np.isfinite([value, curvature]).all()
    assert value.dtype == jnp.float64


@pytest.mark.parametrize("name", MODELS)
def test_every_parameter_counts(name):
    """At a general place in parameter space no parameter is without effect on u(x)."""
    params, static = eqx.partition(moved(MODELS[name]()), eqx.is_inexact_array)
    points = GaussLegendre(SQUARE, 4).quadrature().points

    def total(q):
        return jnp.sum(jnp.sin(jax.vmap(eqx.combine(q, static))(points) + points[:, 0]))

    gradient = ravel_pytree(eqx.filter_jit(jax.grad(total))(params))[0]
    assert jnp.all(gradient != 0)


def test_periodic_networks_are_periodic_with_their_derivatives():
    model, period = moved(periodic()), jnp.asarray([0.0, 4.0])
    x = jnp.asarray([0.7, -0.4])
    np.testing.assert_allclose(model(x + period), model(x), rtol=1e-12)
    slopes = jax.jacfwd(model)
    np.testing.assert_allclose(slopes(x + period), slopes(x), rtol=1e-11)
    assert abs(model(x + 0.5 * period) - model(x)) > 1e-3


def test_even_networks_have_no_normal_derivative_on_the_faces():
    slope = jax.grad(moved(even()))
    for x in ([-1.0, 0.2], [2.0, 0.4]):
        gradient = slope(jnp.asarray(x))
        np.testing.assert_allclose(gradient[0], 0.0, atol=1e-14)
        assert abs(float(gradient[1])) > 1e-3


def test_fourier_features_are_shared_out_to_their_scales():
    features = FourierFeatures(SQUARE, 400, key=KEY, scales=(1.0, 10.0))
    spread = np.std(np.asarray(features.frequencies).reshape(2, -1), axis=1)
    np.testing.assert_allclose(spread, [1.0, 10.0], rtol=0.1)
    x = jnp.asarray([0.5, 0.125])
    angle = 2 * np.pi * np.asarray(features.frequencies[0]) @ [0.5, 0.25]
    np.testing.assert_allclose(features(x)[0], np.cos(angle), rtol=1e-12)
    np.testing.assert_allclose(features(x)[400], np.sin(angle), rtol=1e-12)


def test_a_pirate_net_starts_linear_in_its_features():
    net = pirate()
    x = jnp.asarray([0.1, 0.3])
    np.testing.assert_allclose(net(x), net.last(net.features(x))[0], rtol=1e-14)


def test_a_separable_network_is_a_sum_of_products():
    net = MODELS["separable"]()
    value = np.sum(net.factors[0](jnp.asarray([0.4])) * net.factors[1](jnp.asarray([0.1])))
    np.testing.assert_allclose(net(jnp.asarray([0.4, 0.1])), value, rtol=1e-14)
    small = [Box((0.0, 0.0), (1.0, 1.0)), Box((0.0,) * 3, (1.0,) * 3)]
    assert [len(Separable(box, (3,), 2, key=KEY).factors) for box in small] == [2, 3]


def test_layers_of_a_siren_see_nearly_one_distribution():
    """Uniform phases have variance 1/2, normal inputs of variance 2 v then (1 - e^(-4 v)) / 2."""
    net = MLP((1, 400, 400, 400, 1), key=KEY, activation="sin", init="siren")
    x = jnp.linspace(0.0, 1.0, 50)[:, None]
    h, spreads = x, []
    for layer in net.layers[:-1]:
        h = jnp.sin(jax.vmap(layer)(h))
        spreads.append(float(jnp.std(h)))
    variances = [0.5]
    for _ in range(2):
        variances.append(0.5 * (1 - np.exp(-4 * variances[-1])))
    np.testing.assert_allclose(spreads, np.sqrt(variances), rtol=0.03)


@pytest.mark.slow
def test_a_second_stage_takes_the_solution_to_more_digits():
    """-u'' = pi^2 sin(pi x): a frozen stage with an error of 1e-3 and one that makes up for it."""
    import pinn_ngd

    line = Interval(0.0, 1.0)
    terms = [
        Residual(
            lambda u, x: laplacian(u)(x) + jnp.pi**2 * jnp.sin(jnp.pi * x[0]),
            GaussLegendre(line, 12),
        ),
        Residual(lambda u, x: u(x), GaussLegendre(line.boundary(), 1), 100.0, "ends"),
    ]

    def rough(x):
        return jnp.sin(jnp.pi * x[0]) + 1e-3 * jnp.cos(2.0 * x[0])

    model = Stages(rough, [(1e-3, MLP((1, 8, 1), key=KEY))])
    result = pinn_ngd.train(ResidualObjective(terms), model, "engd-tr", steps=25, key=0, grow=False)
    x = jnp.linspace(0.0, 1.0, 31)[:, None]
    error = jax.vmap(result.model)(x) - jnp.sin(jnp.pi * x[:, 0])
    assert jnp.max(jnp.abs(error)) < 1e-7


def test_a_frozen_stage_has_no_parameters():
    both = Stages(Frozen(MLP((2, 4, 1), key=KEY)), [(0.1, MLP((2, 3, 1), key=KEY))])
    params = eqx.filter(both, eqx.is_inexact_array)
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == 3 * 3 + 4


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: PeriodicFeatures(CYLINDER, (2,)), "not among the 2 of the domain"),
        (lambda: NeumannFeatures(SQUARE, ()), "name those with a zero normal derivative"),
        (lambda: PeriodicFeatures(CYLINDER, (1,), harmonics=0), "take one or more"),
        (lambda: FourierFeatures(SQUARE, 1, key=KEY, scales=(1.0, 2.0)), "one feature for each"),
        (lambda: FourierFeatures(SQUARE, 2, key=KEY, scales=-1.0), "positive scales"),
        (lambda: ModifiedMLP((2, 5, 6, 1), key=KEY), "two or more of one width"),
        (lambda: PirateNet(lambda x: x, 4, key=KEY, blocks=0), "one or more"),
        (lambda: Stages(lambda x: x[0], [(0.0, lambda x: x[0])]), "size of an error is positive"),
    ],
)  # fmt: skip
def test_bad_arguments_name_their_cure(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_networks_in_units_of_their_own_are_known_wherever_these_stand():
    far = Box((0.0, 0.0), (1000.0, 1000.0))
    modified = ModifiedMLP((2, 7, 7, 1), key=KEY, domain=far)
    unit = ModifiedMLP((2, 7, 7, 1), key=KEY)
    np.testing.assert_allclose(
        modified(jnp.asarray([300.0, 200.0])), unit(jnp.asarray([0.3, 0.2])), rtol=1e-12
    )
    assert knows_its_domain(modified)
    assert knows_its_domain(Stages(periodic(), []))
    assert not knows_its_domain(MLP((2, 3, 1), key=KEY))

"""Stokes flows in closed form against others, and the one that is shipped."""

import jax
import jax.numpy as jnp
import numpy as np

from pinn_ngd.evaluation import StokesFlow, shipped_reference


def polynomial(f, h, center=0j, radius=1.0):
    none = jnp.zeros(0, complex)
    f, h = (jnp.asarray(c, complex) for c in (f, h))
    return StokesFlow(none, none, f, h, center, radius, 0.0)


def test_a_flow_between_plates():
    """f = z^2 / 4 and h = -z^2 / 4 make u = y^2, v = 0 and p = 2 x."""
    flow = polynomial([0, 0, 0.25], [0, 0, -0.25])
    np.testing.assert_allclose(flow(jnp.asarray([0.3, 0.7])), [0.49, 0.0, 0.6], atol=1e-15)
    moved = polynomial([0, 0, 1.0], [0, 0, -1.0], center=1 + 2j, radius=2.0)
    np.testing.assert_allclose(moved(jnp.asarray([1.3, 2.7])), [0.49, 0.0, 0.6], atol=1e-15)


def test_the_equations_hold_whatever_the_coefficients():
    rng = np.random.default_rng(0)
    f, h = (jnp.asarray(rng.normal(size=5) + 1j * rng.normal(size=5)) for _ in range(2))
    poles, lengths = jnp.asarray([1.5 + 1.5j, -1.2 + 0j]), jnp.asarray([0.5 + 0j, 0.3])
    flow = StokesFlow(poles, lengths, f, h, 0.1 + 0.2j, 0.7, 0.0)

    def residual(x):
        slope, second = jax.jacfwd(flow)(x), jax.jacfwd(jax.jacfwd(flow))(x)
        forces = slope[2] - jnp.trace(second[:2], axis1=1, axis2=2)
        return jnp.append(forces, slope[0, 0] + slope[1, 1])

    points = jnp.asarray(rng.uniform(0, 1, (5, 2)))
    np.testing.assert_allclose(jax.jit(jax.vmap(residual))(points), 0.0, atol=1e-12)


def test_the_flow_in_the_cavity_keeps_to_its_walls_and_is_symmetric():
    flow = shipped_reference("stokes-cavity")
    assert isinstance(flow, StokesFlow)
    assert flow.accuracy < 1e-9
    t = jnp.asarray([0.0, 1e-3, 0.1, 0.25, 0.5, 0.8, 1.0])
    zero, one = jnp.zeros_like(t), jnp.ones_like(t)
    walls = [(t, zero), (t, one), (zero, t), (one, t)]
    along = jax.jit(jax.vmap(flow))
    velocities = [along(jnp.stack(wall, axis=1))[:, :2] for wall in walls]
    lid = np.zeros((len(t), 2))
    lid[:, 0] = 16 * t**2 * (1 - t) ** 2
    for number, velocity in enumerate(velocities):
        np.testing.assert_allclose(velocity, lid * (number == 1), atol=1e-10)
    inside = jnp.asarray([[0.2, 0.3], [0.4, 0.9]])
    mirrored = along(jnp.asarray([1.0, 0.0]) + inside * jnp.asarray([-1.0, 1.0]))
    np.testing.assert_allclose(mirrored, along(inside) * jnp.asarray([1.0, -1.0, -1.0]), atol=1e-9)

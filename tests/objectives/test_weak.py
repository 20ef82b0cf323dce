import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinn_ngd import (
    Box,
    FiniteElements,
    GaussLegendre,
    Interval,
    Mesh,
    Points,
    Residual,
    ResidualObjective,
    WeakResidual,
    disk,
    gradient,
)
from pinn_ngd.models import MLP
from pinn_ngd.objectives import balanced, term_sizes
from pinn_ngd.optimizers import SubsampledTrustRegion
from pinn_ngd.validation import HeldOut
from pinn_ngd.validation.held_out import masses_of
from pinn_ngd.validation.mesh import enriched, refined, rules_of, starting_mesh
from tests.geometry.meshes.helpers import cube

LINE = Interval(0.0, 1.0)
SQUARE = Box((0.0, 0.0), (1.0, 1.0))


def laplace(u, x):
    """-div grad u, in weak form."""
    return 0.0, gradient(u)(x)


def loss(term, u):
    objective = ResidualObjective([term])
    return float(eqx.filter_jit(objective.loss)(u, objective.batch()))


@pytest.mark.parametrize(
    ("elements", "u", "norm"),
    [
        (FiniteElements(LINE, 3, 2), lambda x: x[0] * (1 - x[0]), 1 / 3),
        (FiniteElements(SQUARE, 2, 2), lambda x: jnp.prod(4 * x * (1 - x)), 256 / 45),
        (FiniteElements(disk(), 1, 8), lambda x: 1 - x[0] ** 2 - x[1] ** 2, 2 * np.pi),
    ],
)  # fmt: skip
def test_dual_norm_of_the_laplacian_is_the_norm_of_the_gradient(elements, u, norm):
    np.testing.assert_allclose(2 * loss(WeakResidual(laplace, elements), u), norm, rtol=1e-9)


def square_mesh(n, shift=0.0):
    """Triangles on the unit square, whose sides x = 0 and x = 1 have names."""
    sides = {"left": lambda x: x[0] < 1e-9, "right": lambda x: x[0] > 1 - 1e-9}
    return Mesh(*cube(2, n, shift=shift), boundaries=sides)


def bubble(x):
    return jnp.prod(x * (1 - x))


def test_triangles_and_a_box_see_a_polynomial_of_their_degree_alike():
    """On the same square, of degree 4 on triangles and 2 in each variable on boxes: the norm of the
    gradient of a function that both spaces hold, 1 / 45."""
    for elements in (
        FiniteElements(square_mesh(2, shift=0.3), 1, 4),
        FiniteElements(SQUARE, 2, 2),
    ):
        found = 2 * loss(WeakResidual(laplace, elements), bubble)
        np.testing.assert_allclose(found, 1 / 45, rtol=1e-10)


@pytest.mark.parametrize("degree", [1, 2])
def test_hats_see_an_error_up_to_the_order_of_their_approximation(degree):
    """|grad g|^2 less the dual norm of -Laplace g is |grad (g - P g)|^2 = O(h^(2 degree)), P the
    projection onto the test functions."""
    missed = []
    for n in (4, 8):
        elements = FiniteElements(square_mesh(n), 1, degree, points=6)
        missed.append(1 / 45 - 2 * loss(WeakResidual(laplace, elements), bubble))
    assert min(missed) > 0
    order = np.log2(missed[0] / missed[1])
    np.testing.assert_allclose(order, 2 * degree, atol=0.25)


def test_residual_of_the_exact_solution_is_the_error_of_the_gauss_rule():
    """Values of u belong to two sides, where test functions vanish, and its fluxes to the others.
    n points along an axis are exact to degree 2 n - 2 on triangles, so that the dual norm falls
    like h^(2 n - 1)."""

    def u(x):
        return jnp.sin(2 * x[0]) * jnp.exp(x[1])

    def equation(v, x):
        return -3 * u(x), gradient(v)(x)  # -Laplace u = 4 u - u

    def flux(_, x, normal):
        return -u(x) * normal[1]  # less du/dn at the sides y = 0 and y = 1

    n, sizes = 2, []
    for cells in (3, 6):
        mesh = square_mesh(cells)
        ends = mesh.boundary().where(lambda x: x[1] < 1e-9 or x[1] > 1 - 1e-9)
        elements = FiniteElements(
            mesh, zero_on=["left", "right"], points=n, surfaces=[GaussLegendre(ends, n)]
        )
        sizes.append(np.sqrt(2 * loss(WeakResidual(equation, elements, on_surfaces=flux), u)))
    without = WeakResidual(equation, elements, on_surfaces=lambda _, x: 0.0 * x[0])
    assert np.sqrt(2 * loss(without, u)) > 0.1
    assert sizes[1] < 1e-3
    np.testing.assert_allclose(np.log2(sizes[0] / sizes[1]), 2 * n - 1, atol=0.25)


def test_points_grow_by_degree_on_a_mesh(net):
    weak = WeakResidual(
        lambda u, x: (u(x)[0] - 1.0, gradient(u)(x)[0]),
        FiniteElements(square_mesh(2), zero_on="left"),
    )
    ends = Residual(lambda u, x: u(x), GaussLegendre(square_mesh(2).boundary("left"), 2))
    objective = ResidualObjective([weak, ends])
    mesh, held = starting_mesh(objective), HeldOut(objective)
    assert held.batch[0].tests.count == 20 > objective.batch()[0].tests.count == 6
    found = refined(objective, mesh, [rule.points for rule in held.batch], held(net).masses)
    assert rules_of(objective, found)[0].quadrature().tests.count == 20


def test_dual_norm_with_the_coefficient_is_the_energy_norm_of_the_error():
    """a = 1 + x, u - u* = x (1 - x), and R(v) = integral of a (u - u*)' v'."""

    def a(x):
        return 1 + x[0]

    elements = FiniteElements(LINE, 3, 2, coefficient=a)
    term = WeakResidual(lambda u, x: (0.0, a(x) * gradient(u)(x)), elements)
    np.testing.assert_allclose(2 * loss(term, lambda x: x[0] * (1 - x[0])), 0.5, rtol=1e-12)


def test_norm_depends_on_the_span_and_not_on_unit_test_functions():
    """Of a function in the span the dual norm is exact, however many hats there are. Hats divided
    by their norms see the same function smaller and smaller."""

    def tent(x):
        return 0.5 - jnp.abs(x[0] - 0.5)

    for cells in (4, 16):
        elements = FiniteElements(LINE, cells)
        rule = elements.quadrature()
        np.testing.assert_allclose(2 * loss(WeakResidual(laplace, elements), tent), 1, rtol=1e-12)
        values = jax.vmap(lambda x: jnp.stack([0.0 * x[0], jax.grad(tent)(x)[0]]))(rule.points)
        functional = rule.tests.functional(rule.weights, values[:, :, None])[:, 0]
        norms = np.linalg.norm(rule.tests.factor, axis=1)
        np.testing.assert_allclose(np.sum((functional / norms) ** 2), 2 / cells, rtol=1e-12)


def test_last_digits_survive_hundreds_of_functions():
    """The rounding of R is not multiplied by the condition number of the Gram matrix."""
    elements = FiniteElements(LINE, 100, 4)
    term = WeakResidual(
        lambda u, x: (-(jnp.pi**2) * jnp.sin(jnp.pi * x[0]), gradient(u)(x)), elements
    )
    assert elements.quadrature().tests.count == 399
    assert np.sqrt(2 * loss(term, lambda x: jnp.sin(jnp.pi * x[0]))) < 1e-13


def mixed(chunk_size=512):
    """A nonlinear system of two equations with a flux, and a pointwise term."""
    face = SQUARE.boundary().faces[1]
    elements = FiniteElements(
        SQUARE, 2, 2, zero_on=SQUARE.boundary().faces[0], surfaces=[GaussLegendre(face, 3)]
    )

    def equations(u, x):
        (a, b), slopes = u(x), gradient(u)(x)
        return a**3 - 1.0, slopes[0] * (1 + b**2), a * b, slopes[1]

    weak = WeakResidual(
        equations, elements, 2.0, on_surfaces=lambda u, x, normal: u(x) * normal[0] - 1
    )
    ends = Residual(lambda u, x: u(x), GaussLegendre(SQUARE.boundary(), 130), name="ends")
    return ResidualObjective([weak, ends], chunk_size=chunk_size)


@pytest.fixture(scope="module")
def net():
    return MLP((2, 4, 2), key=jax.random.key(0))


@pytest.mark.slow
def test_rows_are_the_derivative_of_the_block_and_products_agree(net):
    objective = mixed(chunk_size=40)
    batch = objective.batch()
    system = eqx.filter_jit(objective.system)(net, batch)
    params, unravel = jax.flatten_util.ravel_pytree(net)

    def weak(q):
        return jnp.ravel(objective.residuals(unravel(q), batch)[0])

    expected = jax.jit(jax.jacrev(weak))(params)
    rows = system.operator.matrix[: len(expected)]
    np.testing.assert_allclose(rows, expected, atol=1e-11)

    @eqx.filter_jit
    def products(matrix_free):
        found = objective.system(net, batch, matrix_free=matrix_free)
        forward = found.operator.mv(jax.tree.map(jnp.ones_like, eqx.filter(net, eqx.is_array)))
        return forward, found.operator.transpose().mv(found.target)

    pairs = zip(*(jax.tree.leaves(products(free)) for free in (True, False)), strict=True)
    for a, b in pairs:
        np.testing.assert_allclose(a, b, atol=1e-10)


def test_losses_of_points_add_up_to_the_loss_in_chunks_too(net):
    """520 points on the boundary take two chunks, and the functions belong to the first one."""
    objective = mixed()
    batch = objective.batch()
    masses = masses_of(objective, net, batch)
    assert [len(m) for m in masses] == [rule.weights.size for rule in batch]
    np.testing.assert_allclose(
        sum(m.sum() for m in masses), eqx.filter_jit(objective.loss)(net, batch), rtol=1e-12
    )


def test_source_at_a_point_is_a_kink_in_the_solution():
    """-u'' = delta at 1/2."""
    elements = FiniteElements(LINE, 4, 2, surfaces=[Points([0.5], [1.0])])
    term = WeakResidual(laplace, elements, on_surfaces=lambda _, x: -1.0 + 0.0 * x[0])
    assert loss(term, lambda x: 0.25 - jnp.abs(x[0] - 0.5) / 2) < 1e-28
    assert loss(term, lambda x: 0.0 * x[0]) > 0.1


def test_source_on_a_line_in_the_plane():
    """-Laplace u = delta(x - 1/2) sin(pi y), with the jump of the derivative on the line."""
    line = Box((0.0, 0.0), (0.5, 1.0)).boundary().faces[1]
    elements = FiniteElements(SQUARE, (2, 1), 12, surfaces=[GaussLegendre(line, 16)])
    term = WeakResidual(laplace, elements, on_surfaces=lambda _, x: -jnp.sin(jnp.pi * x[1]))

    def u(x):
        width = 0.5 - jnp.abs(x[0] - 0.5)
        size = 2 * jnp.pi * jnp.cosh(jnp.pi / 2)
        return jnp.sinh(jnp.pi * width) / size * jnp.sin(jnp.pi * x[1])

    assert np.sqrt(loss(term, u)) < 1e-13


def test_natural_conditions_are_integrals_over_the_boundary():
    """-Laplace u = 0 in the disk, du/dn + u = 3 cos(theta) for u = 3 x / 2."""
    circle = disk().boundary()
    elements = FiniteElements(disk(), 1, 6, zero_on=None, surfaces=[GaussLegendre(circle, 12)])
    term = WeakResidual(laplace, elements, on_surfaces=lambda u, x, normal: u(x) - 3 * normal[0])
    assert np.sqrt(loss(term, lambda x: 1.5 * x[0])) < 1e-9
    assert loss(term, lambda x: x[0]) > 1e-2


def test_complex_equation_is_two_real_ones():
    elements = FiniteElements(LINE, 3, 2)
    term = WeakResidual(lambda u, x: (0.0, jax.jacfwd(u)(x)), elements)

    def u(x):
        v = x[0] * (1 - x[0])
        return jax.lax.complex(3 * v, 4 * v)

    found = loss(term, u)
    np.testing.assert_allclose(2 * found, 25 / 3, rtol=1e-12)


def test_points_grow_by_degree_where_cells_cannot_be_cut(net):
    objective = mixed()
    mesh = starting_mesh(objective)
    more = rules_of(objective, enriched(objective, mesh))[0].quadrature()
    assert more.tests.count > objective.batch()[0].tests.count
    held = HeldOut(objective)
    found = refined(objective, mesh, [rule.points for rule in held.batch], held(net).masses)
    assert rules_of(objective, found)[0].quadrature().tests is not None


def test_terms_are_balanced(net):
    sizes = term_sizes(balanced(mixed(), net), net)
    low, high = min(sizes.values()), max(sizes.values())
    assert 0.5 < low / high <= 1


@pytest.mark.parametrize(
    ("term", "message"),
    [
        (lambda: WeakResidual(laplace, GaussLegendre(LINE, 4)), "has no test functions"),
        (lambda: WeakResidual(laplace, FiniteElements(LINE, 4), -1.0), "one positive number"),
        (
            lambda: WeakResidual(laplace, FiniteElements(LINE, 4), on_surfaces=laplace),
            "1 functions `on_surfaces`, but its test functions have 0",
        ),
        (
            lambda: WeakResidual(lambda u, x: gradient(u)(x), FiniteElements(LINE, 4)),
            "returns 1 numbers at a point",
        ),
        (lambda: WeakResidual(lambda u: u, FiniteElements(LINE, 4)), "takes the arguments"),
        (
            lambda: WeakResidual(
                laplace,
                FiniteElements(LINE, 4, surfaces=[np.asarray([[0.5]])]),
                on_surfaces=lambda u, x: jnp.ones(3) * u(x),
            ),
            "another number of components",
        ),
    ],
)
def test_bad_input_is_explained(term, message):
    model = MLP((1, 3, 1), key=jax.random.key(0))

    def build():
        objective = ResidualObjective([term()])
        objective.check(model, objective.batch())
        objective.evaluate(model, objective.batch())

    with pytest.raises(ValueError, match=message):
        build()


def test_a_surface_that_no_test_function_sees_is_refused():
    ends = GaussLegendre(LINE.boundary(), 1)
    with pytest.raises(ValueError, match="all test functions vanish on one of the `surfaces`"):
        FiniteElements(LINE, 4, 2, surfaces=[ends]).quadrature()
    assert FiniteElements(LINE, 4, 2, zero_on=None, surfaces=[ends]).quadrature().tests.surfaces


def test_terms_with_test_functions_stay_whole():
    objective = ResidualObjective([WeakResidual(laplace, FiniteElements(LINE, 3, 2))])
    held = HeldOut(objective)
    part = held.thinned(2)
    assert part.batch[0].weights.size == held.batch[0].weights.size
    model = MLP((1, 4, 1), key=jax.random.key(0))
    with pytest.raises(ValueError, match="is tested with functions on all of its points"):
        SubsampledTrustRegion(rows=4).init(model, objective, objective.batch())

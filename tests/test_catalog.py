"""The names that the command line lists without importing them are those that there are."""

import pytest

from pinn_ngd import _catalog, _listing, list_problems, load_problem, metrics, optimizers
from pinn_ngd.linalg import solver_names
from tests.optimizers.test_matrix import MODEL, OBJECTIVES

KINDS = {
    "residuals of a PDE, and energies": ("residual", "energy"),
    "residuals of a PDE": ("residual",),
    "states, or a network on a grid": ("state", "misfit"),
    "exponential families": (),  # models of their own: tests/optimizers/presets/test_dually_flat.py
    "classification, in minibatches": ("classification",),
    "variational Gaussian processes": (),  # in tests/applications/gp
    "anything, by its gradient": tuple(OBJECTIVES),
}
EXAMPLES = {
    "poisson-2d": "stationary equations",
    "l-shape": "stationary equations",
    "stokes-cavity": "stationary equations",
    "multiscale-weak": "stationary equations",
    "heat-1d": "equations in space and time",
    "beam": "equations in space and time",
    "kdv": "equations in space and time",
    "poisson-parametric": "equations for all values of a parameter",
    "heat-inverse": "unknown coefficients from data",
    "darcy-field-inverse": "unknown coefficients from data",
    "schrodinger-eigen": "eigenvalues",
    "l-shape-eigen": "eigenvalues",
    "ritz-1d": "least energies",
    "fwi-layered": "densities, waves and other states",
    "finetune-span": "fine-tuning of an encoder",
    "die": "exponential families",
    "mlr": "exponential families",
    "classify-digits": "classification",
    "banana-gp": "Gaussian processes",
}


def test_names_and_descriptions_are_those_of_the_registries():
    listed = {name: text for lines in _catalog.OPTIMIZERS.values() for name, text in lines.items()}
    assert listed == optimizers.names()
    assert metrics.names() == _catalog.METRICS
    assert solver_names() == _catalog.SOLVERS


@pytest.mark.parametrize("group", _catalog.OPTIMIZERS)
def test_optimizers_train_what_their_group_says(group):
    for name in _catalog.OPTIMIZERS[group]:
        for kind in KINDS[group]:
            optimizers.get(name).check(MODEL, OBJECTIVES[kind])


def test_problems_are_grouped_by_what_they_name():
    texts = {
        name: _listing.file_of(_listing.problems_folder(), name).read_text()
        for name in list_problems()
    }
    groups = _catalog.by_kind(list_problems(), texts)
    assert sum(map(len, groups.values())) == len(list_problems())
    assert _catalog.OTHERS not in groups
    kinds = {name: kind for kind, lines in groups.items() for name in lines}
    assert {name: kinds[name] for name in EXAMPLES} == EXAMPLES
    for name in ("ritz-1d", "poisson-2d"):
        assert type(load_problem(name).objective).__name__ in texts[name]


def test_a_file_that_names_no_objective_is_among_the_others():
    assert _catalog.by_kind({"a": "b"}, {"a": "x = 1"}) == {_catalog.OTHERS: {"a": "b"}}

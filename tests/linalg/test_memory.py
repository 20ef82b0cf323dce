import os

import pytest

from pinn_ngd.linalg import choose_form, memory, memory_estimate


def test_shape_decides_the_form():
    assert choose_form(10, 100, budget_bytes=1e9) == "dual"
    assert choose_form(100, 10, budget_bytes=1e9) == "primal"
    assert choose_form(10, 10, budget_bytes=1e9) == "primal"


@pytest.mark.parametrize(("rows", "parameters", "form"), [(300, 20, "primal"), (20, 300, "dual")])
def test_budget_is_the_estimate(rows, parameters, form):
    needed = memory_estimate(rows, parameters, itemsize=4)[form]
    assert needed == 4 * (2 * 6000 + 3 * 20**2)
    assert choose_form(rows, parameters, itemsize=4, budget_bytes=needed) == form
    assert choose_form(rows, parameters, itemsize=4, budget_bytes=needed - 1) == "matrix-free"
    assert memory_estimate(rows, parameters)["matrix-free"] < needed


def test_default_budget_is_half_of_the_available_memory(monkeypatch):
    pages = {"SC_AVPHYS_PAGES": 1000, "SC_PAGE_SIZE": 16}
    monkeypatch.setattr(os, "sysconf", pages.__getitem__)
    assert memory.available_memory() == 16000
    assert choose_form(30, 5, budget_bytes=None) == "primal"
    assert choose_form(100, 5) == "matrix-free"


def test_memory_of_systems_that_do_not_tell(monkeypatch):
    def unknown(name):
        raise ValueError(name)

    monkeypatch.setattr(os, "sysconf", unknown)
    assert memory.available_memory() == 4 * 2**30

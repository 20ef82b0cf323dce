"""Every example runs, and reaches the accuracy that it is there to show."""

import importlib.util
import pathlib

import pytest

EXAMPLES = pathlib.Path(__file__).parents[1] / "examples"


def _main(name):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main


def test_examples_are_short():
    assert all(len(f.read_text().splitlines()) < 80 for f in EXAMPLES.glob("*.py"))


@pytest.mark.slow
def test_01_poisson():
    assert _main("01_poisson")(seconds=6.0) < 1e-6


@pytest.mark.slow
def test_02_heat():
    errors = _main("02_heat")(steps=60)
    assert errors["chord"] < 1e-3
    assert errors["chord"] < errors["plain"]


@pytest.mark.slow
def test_03_your_own_pde():
    assert _main("03_your_own_pde")(steps=40, points=14, width=14) < 1e-6


@pytest.mark.slow
def test_10_gaussian_mixture():
    errors = _main("10_gaussian_mixture")(steps=200)
    assert errors["l2"] < 1e-12
    assert errors["fisher-rao"] < 1e-12
    assert errors["wasserstein"] < 1e-3 < errors["euclidean"]


def test_11_implicit_state():
    height, place = _main("11_implicit_state")()
    assert abs(height - 80) < 1e-8
    assert abs(place - 0.3) < 1e-10


@pytest.mark.slow
def test_12_full_waveform_inversion():
    found = _main("12_full_waveform_inversion")(cells=21, shots=2)
    assert found["natural gradient"][0] < 0.5 * found["gradient descent"][0]


@pytest.mark.slow
def test_20_spu_linear_solve(tmp_path):
    errors = _main("20_spu_linear_solve")(size=40, picture=str(tmp_path / "errors"))
    assert errors["exact law"] < 1e-4
    assert errors["Euler-Maruyama"] < 1e-4
    assert errors["exact law"] < errors["noise, average"] < errors["noise, end"] < 0.05
    assert (tmp_path / "errors.png").exists()

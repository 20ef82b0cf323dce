"""Pictures of exact natural gradients: they are made, and show the laws that their page states."""

import json
import pathlib

import numpy as np
import pytest

from figures import exact_rate_width
from figures.recipes import make
from tests.pictures import is_drawn

FIGURES = pathlib.Path(__file__).parents[2] / "figures"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["exact-rate", "exact-rate-width"])
def test_pictures_are_made(name, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    make([name], out=tmp_path, quick=True, tell=lambda _: None)
    assert is_drawn(tmp_path / f"{name}.png")


def test_shipped_numbers_are_those_of_the_theory():
    """The drift of the mean factor falls with the width, by layer too; descent and K-FAC are where
    they are predicted; the exact method does not see how collinear the inputs are."""
    found = json.loads((FIGURES / "exact-rate-width.json").read_text())["results"]
    for ways in found["widths"].values():
        off = exact_rate_width.slopes_off({int(m): seeds for m, seeds in ways.items()})
        medians = [np.median(off[m]) for m in exact_rate_width.WIDTHS]
        assert np.all(np.diff(medians) < 0)
        assert medians[-1] < 0.01
    wide = found["descent"]["16384"]
    np.testing.assert_allclose(wide["last rate"], wide["predicted rate"], rtol=1e-3)
    plateau = found["below full rank"]
    np.testing.assert_allclose(plateau["measured"], plateau["least squares"], rtol=1e-10)
    for rows in found["K-FAC"].values():
        for row in rows:
            np.testing.assert_allclose(row["exact"], 1 - exact_rate_width.RATE, rtol=1e-6)
            measured, predicted = (list(row[key].values()) for key in ("measured", "predicted"))
            np.testing.assert_allclose(measured, predicted, rtol=1e-7)
    slowest = [row["measured"]["1e-12"] for row in found["K-FAC"]["16 examples in 20 dimensions"]]
    assert np.all(np.diff(slowest) > 0)

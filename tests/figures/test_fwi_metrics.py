"""Full waveform inversion by metric: the picture is made, and the page has its numbers."""

import itertools
import json
import pathlib

import pytest

from figures import fwi_metrics
from figures.recipes import make
from tests.pictures import is_drawn

ROOT = pathlib.Path(__file__).parents[2]


def shipped():
    return json.loads((ROOT / "figures" / "fwi-metrics.json").read_text())["results"]


def test_the_page_has_the_table_of_the_picture():
    page = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    assert fwi_metrics.table(shipped()) in page


def test_misfits_never_rise_where_each_step_is_judged():
    """The searches take steps that lower the misfit; only L-BFGS looks at slopes, too."""
    for label, found in shipped().items():
        misfits = found["path"]["misfits"]
        assert found["misfit"] == misfits[-1]
        if label != fwi_metrics.LBFGS:
            assert all(b <= a for a, b in itertools.pairwise(misfits))


@pytest.mark.slow
def test_the_picture_is_made(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    make(("fwi-metrics",), out=tmp_path, quick=True, tell=lambda _: None)
    assert is_drawn(tmp_path / "fwi-metrics.png")
    found = json.loads((tmp_path / "fwi-metrics.json").read_text())["results"]
    assert found[fwi_metrics.DESCENT]["misfit"] < found[fwi_metrics.DESCENT]["path"]["misfits"][0]

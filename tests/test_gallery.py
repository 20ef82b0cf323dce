"""The pictures of the thermodynamic solver, all of them, in their smallest form."""

import json

import pytest

from pinn_ngd import gallery
from pinn_ngd.gallery.learning import learning
from pinn_ngd.gallery.manifest import FIGURES, make

PICTURES = {
    "tngd-time": ("seconds", "steps"),
    "tngd-delay": ("seconds", "steps"),
    "tngd-noise": ("seconds", "steps"),
    "tngd-training": ("seconds", "epochs"),
    "tngd-bits": (),
    "spu-algebra": (),
    "spu-damping": (),
    "spu-rounding": (),
    "step-times": (),
}
TABLES = ("tngd-baselines", "tngd-posterior")


@pytest.mark.slow
def test_thermodynamic_pictures_are_made(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)  # the data of the real one comes with an extra
    monkeypatch.setitem(FIGURES, "tngd-training", learning("classify-digits", ("sgd", "adam"), 1))
    out = tmp_path / "figures"
    make([*PICTURES, *TABLES], out=out, quick=True, tell=lambda _: None)
    for name, kinds in PICTURES.items():
        for stem in [f"{name}-{kind}" for kind in kinds] or [name]:
            assert (out / f"{stem}.png").stat().st_size > 5000
            assert (out / f"{stem}.pdf").is_file()
            record = json.loads((out / f"{stem}.json").read_text())
            assert record["command"].startswith(f"pinn-ngd figures {name} --quick")
            assert record["seconds"] > 0
    for name in TABLES:
        assert (out / f"{name}.md").read_text().count("\n") > 3
        assert (out / f"{name}.json").is_file()


def test_learning_needs_epochs(tmp_path):
    job = gallery.job.Job("x", tmp_path, quick=True)
    with pytest.raises(ValueError, match="it has no epochs"):
        learning("poisson-2d", ("adam",), 1)(job)

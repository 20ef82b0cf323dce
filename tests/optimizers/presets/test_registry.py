"""Names, settings and citations."""

from typing import Annotated

import lineax as lx
import pytest

from pinn_ngd import optimizers


def test_every_name_builds_has_a_description_and_a_citation():
    for name, description in optimizers.names().items():
        assert isinstance(optimizers.get(name), optimizers.AbstractOptimizer)
        assert description.endswith(".")
        assert "@" in optimizers.citation(name)


def test_default_is_listed_first():
    assert next(iter(optimizers.names())) == "engd-tr"


def test_unknown_names_and_settings_name_the_known_ones():
    with pytest.raises(ValueError, match="known are engd-tr, engd"):
        optimizers.get("sgdd")
    with pytest.raises(ValueError, match="it has metric, solver, form"):
        optimizers.get("engd-tr", dampingg=1.0)
    with pytest.raises(ValueError, match="must be one of chord"):
        optimizers.get("engd-tr", acceleration="warp")
    with pytest.raises(ValueError, match=r"unknown optimizer .*Did you mean 'sgd'"):
        optimizers.citation("sgdd")


def test_settings_of_a_training_are_marked_where_they_are_made(registries):
    del registries

    def theirs(*, rate: float = 0.1, warmup: Annotated[int, optimizers.SHARED] = 0):
        """Descent of somebody else."""
        del rate, warmup
        return optimizers.TrustRegion()

    optimizers.register("theirs", theirs)
    optimizers.register("theirs-averaged", theirs, averaged=True)
    assert optimizers.shared_settings("theirs") == {"warmup"}
    assert optimizers.shared_settings("theirs-averaged") == {"warmup", "average"}
    assert optimizers.shared_settings("tngd") == {"schedule", "decay_steps", "average"}
    assert optimizers.shared_settings("adam") == optimizers.shared_settings("sgd")
    assert optimizers.shared_settings("engd-tr") == set()


def test_a_record_of_settings_is_registered_with_what_it_says_of_itself(registries):
    del registries

    class Theirs(optimizers.AbstractPreset):
        """A trust region of somebody else."""

        bibtex = "@misc{theirs}"
        averaged = True
        acceptance: float = 0.2

        def build(self):
            return optimizers.TrustRegion(acceptance=self.acceptance)

    optimizers.register("theirs", Theirs)
    assert optimizers.citation("theirs") == "@misc{theirs}"
    assert optimizers.settings("theirs") == {"acceptance": 0.2, "average": 0.0}
    assert optimizers.get("theirs", acceptance=0.3).acceptance == 0.3
    with pytest.raises(ValueError, match="`acceptance` is 'x'"):
        optimizers.get("theirs", acceptance="x")


def test_an_optimizer_says_what_it_uses():
    assert optimizers.uses_metric("wngd")
    assert optimizers.uses_solver("engd-w")
    assert not optimizers.uses_metric("adam")
    assert not optimizers.uses_solver("scipy-lm")


def test_objects_are_taken_where_names_are():
    assert isinstance(optimizers.get("engd-w", solver=lx.LU()).solver, lx.LU)

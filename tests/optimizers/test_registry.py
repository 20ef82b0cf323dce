"""Names, settings and citations."""

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

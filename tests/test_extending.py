"""The examples of docs/extending.md run as they stand, one after the other, and are short."""

import pathlib
import re

import pytest

from pinn_ngd import linalg, metrics, optimizers

PAGE = pathlib.Path(__file__).parents[1] / "docs" / "extending.md"
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.slow
def test_every_example_trains_and_gives_a_name(registries):
    del registries
    scope: dict = {}
    for block in BLOCKS:
        assert block.count("\n") <= 30
        exec(compile(block, str(PAGE), "exec"), scope)
        result = scope["result"]
        assert result.status != "failed"
        assert result.loss < 1e-2
    assert optimizers.names()["gauss-newton"].startswith("Gauss-Newton steps")
    assert optimizers.settings("gauss-newton") == {"damping": 1e-3}
    assert metrics.settings("weighted") == {"strength": 1.0}
    assert "lu" in linalg.solver_names()
    with pytest.raises(ValueError, match="`damping` is 'x'"):
        optimizers.get("gauss-newton", damping="x")
    with pytest.raises(ValueError, match="'gauss-newton' has no setting rate; it has damping"):
        optimizers.get("gauss-newton", rate=1.0)


def test_a_file_that_is_executed_again_registers_again(registries):
    del registries
    code = "def mine():\n    return TrustRegion()\nregister('mine', mine)"
    scope = {"TrustRegion": optimizers.TrustRegion, "register": optimizers.register}
    for _ in range(2):
        exec(code, {**scope, "__name__": "their_problem"})
    with pytest.raises(ValueError, match="'mine' is taken by another optimizer"):
        exec(code, {**scope, "__name__": "another_problem"})
    make = optimizers.registry.PRESETS["mine"].make
    assert isinstance(make(), optimizers.TrustRegion)

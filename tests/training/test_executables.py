from pathlib import Path

import jax

from pinn_ngd.training.executables import forget_executables


def test_many_runs_forget_what_they_compiled(monkeypatch):
    cleared = []
    monkeypatch.setattr(jax, "clear_caches", lambda: cleared.append(1))
    forget_executables(limit=10**9)
    assert not cleared
    forget_executables(limit=0)
    assert bool(cleared) == Path("/proc/self/maps").is_file()

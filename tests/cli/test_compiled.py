"""What the command line keeps of its compilations, and where."""

import os

import jax
import pytest

from pinn_ngd.cli import compiled
from pinn_ngd.cli.compiled import keep_compiled, prune

SETTINGS = ("jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs")


def folder_of_cache():
    return getattr(jax.config, SETTINGS[0])


@pytest.fixture(autouse=True)
def restored(monkeypatch):
    """No test changes the configuration of the others, or looks at the user's environment."""
    before = {name: getattr(jax.config, name) for name in SETTINGS}
    for name in (compiled.SWITCH, "JAX_COMPILATION_CACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    jax.config.update("jax_compilation_cache_dir", None)
    yield
    for name, value in before.items():
        jax.config.update(name, value)


def test_the_cache_lies_where_the_user_says(tmp_path, monkeypatch):
    monkeypatch.setenv(compiled.SWITCH, str(tmp_path))
    keep_compiled()
    folder = folder_of_cache()
    assert folder.startswith(str(tmp_path / f"jax-{jax.__version__}-"))
    assert os.path.isdir(folder)


def test_or_in_the_cache_folder_of_the_system(tmp_path, monkeypatch):
    monkeypatch.setattr(compiled, "_cache_home", lambda: tmp_path)
    keep_compiled()
    assert folder_of_cache().startswith(str(tmp_path / "pinn_ngd"))


@pytest.mark.parametrize("name", [compiled.SWITCH, "JAX_COMPILATION_CACHE_DIR"])
def test_it_can_be_off_or_the_users_own(name, monkeypatch):
    monkeypatch.setenv(name, "off")
    keep_compiled()
    assert folder_of_cache() is None


def test_a_folder_that_cannot_be_made_is_no_failure(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(compiled.SWITCH, str(tmp_path / "file" / "below"))
    keep_compiled()
    assert folder_of_cache() is None


def test_the_oldest_files_go_when_there_are_too_many(tmp_path):
    for age in range(10):
        file = tmp_path / f"entry-{age}"
        file.write_bytes(bytes(100))
        os.utime(file, (1e9 - age, 1e9 - age))
    prune(tmp_path, 1000)
    assert len(list(tmp_path.iterdir())) == 10
    prune(tmp_path, 999)
    assert sorted(file.name for file in tmp_path.iterdir()) == [f"entry-{a}" for a in range(4)]

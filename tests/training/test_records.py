"""Which numbers of a history line are scores of the problem, and how they are shown."""

from pinn_ngd.training.progress import describe
from pinn_ngd.training.records import component_errors, scores_in

LINE = {
    "step": 3, "seconds": 1.0, "loss": 0.5, "accepted": True, "damping": 0.0, "points": 9,
    "forward_solves": 4, "loss_interior": 0.5, "held_out_interior": 0.6, "held_out_loss": 0.6,
    "relative_l2": 0.1, "estimated_relative_h1": 0.2, "drag": 1.25, "test_accuracy": 0.75,
}  # fmt: skip


def test_scores_are_what_nobody_else_writes():
    assert scores_in(LINE) == {"drag": 1.25, "test_accuracy": 0.75}


def test_scores_may_be_called_like_numbers_of_terms():
    own = {"held_out_accuracy": 0.8, "loss_of_power": 3.0}
    assert scores_in({**LINE, **own}) == {"drag": 1.25, "test_accuracy": 0.75, **own}


def test_errors_of_components_are_no_scores():
    line = {**LINE, "relative_l2_u": 0.1, "relative_l2_p": 0.3}
    assert component_errors(line) == {"u": 0.1, "p": 0.3}
    assert component_errors(LINE) == {}
    assert scores_in(line) == scores_in(LINE)


def test_a_progress_line_shows_scores_of_any_name():
    text = describe(LINE, {"relative_l2": 0.1, **scores_in(LINE)})
    assert "relative_l2 1.00e-01" in text
    assert text.endswith("test_accuracy 0.7500  drag 1.25")

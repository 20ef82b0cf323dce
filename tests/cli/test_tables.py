"""What the summary of a run says."""

import io

from rich.console import Console

from pinn_ngd.cli.tables import summary_of

RESULT = {
    "problem": "flow", "optimizer": "engd-tr", "seed": 0, "status": "budget", "message": "over",
    "relative_l2": 1.25e-3, "loss": 1e-6,
}  # fmt: skip


def text_of(result):
    screen = io.StringIO()
    Console(width=100, file=screen).print(summary_of(result))
    return screen.getvalue()


def test_errors_of_components_stand_below_the_whole_one():
    lines = text_of({**RESULT, "relative_l2_u": 2e-4, "relative_l2_p": 3e-3}).splitlines()
    (whole,) = [i for i, line in enumerate(lines) if "1.250e-03" in line]
    label, text = lines[whole + 1].strip().split("   ", 1)
    assert (label, text.strip()) == ("relative L2 error, by component", "u 2.0e-04, p 3.0e-03")


def test_a_scalar_solution_has_no_line_of_components():
    assert "component" not in text_of(RESULT)

"""Pictures: what is drawn, labeled and written."""

import jax.numpy as jnp
import matplotlib
import numpy as np
import pytest
from jax import lax

from pinn_ngd import Box, Interval, SpaceTime, annulus
from pinn_ngd.experiments import plotting
from pinn_ngd.experiments.plotting.comparison import band, spread
from pinn_ngd.experiments.plotting.style import decades, legend_columns, strokes

UNIT = Interval(0.0, 1.0)


def _history(slope, steps=20, seconds=1.0):
    return [
        {
            "step": k,
            "seconds": seconds * k / steps,
            "loss": 10.0 ** (-2 * k),
            "relative_l2": 10.0 ** (slope * k),
            "damping": 10.0**-k,
            "accepted": k != 3,
        }
        for k in range(1, steps + 1)
    ]


def _labels(figure):
    return [(ax.get_xlabel(), ax.get_ylabel()) for ax in figure.axes]


def _texts(figure):
    return [text.get_text() for ax in figure.axes for text in ax.texts]


def exact(x):
    return jnp.sum(jnp.sin(jnp.pi * x))


def model(x):
    return exact(x) + jnp.asarray(1e-9, x.dtype) * x[0]


def test_error_panel_shows_the_error_in_its_own_unit():
    figure = plotting.plot_solution(model, exact, Box((0.0, 0.0), (1.0, 1.0)))
    panels = [ax for ax in figure.axes if ax.get_title()]
    assert [bool(ax.images) for ax in panels] == [True] * 3
    assert "10^{-9}" in panels[2].get_title()
    np.testing.assert_allclose(panels[2].images[0].get_array().max(), 1.0, rtol=1e-5)
    low, high = panels[2].images[0].get_clim()
    assert low == -high  # zero error is the neutral color
    assert panels[0].images[0].get_clim() == panels[1].images[0].get_clim()
    assert len(figure.axes) == 6  # a color bar for each


@pytest.mark.slow
def test_curved_domains_are_drawn_to_their_edge_and_white_outside():
    figure = plotting.plot_solution(model, exact, annulus())
    panels = [ax for ax in figure.axes if ax.get_title()]
    for ax in panels:
        assert len(ax.collections) == 1
        assert len(ax.lines) == 8  # the arcs of both circles
    drawn = panels[2].collections[0].get_array()
    assert "10^{-10}" in panels[2].get_title()  # 1e-9 x at the outermost point of a grid
    np.testing.assert_allclose(np.max(np.abs(drawn)), 10.0, rtol=1e-2)
    (image,) = plotting.plot_solution(lambda x: x[0], None, annulus((0, 0, 0))).axes[0].images
    hole = np.ma.filled(image.get_array(), np.nan)
    assert np.isnan(hole[80, 80])
    assert np.isfinite(hole[80, 20])


def test_the_estimated_error_stands_beside_the_error():
    square = Box((0.0, 0.0), (1.0, 1.0))

    def estimate(x):
        return jnp.asarray(2e-9, x.dtype) * x[0]

    figure = plotting.plot_solution(model, exact, square, estimated_error=estimate)
    panels = [ax for ax in figure.axes if ax.get_title()]
    assert "estimated error" in panels[3].get_title()
    np.testing.assert_allclose(panels[3].images[0].get_array().max(), 2.0, rtol=1e-5)
    figure = plotting.plot_solution(model, None, UNIT, estimated_error=estimate)
    assert "estimated error" in figure.axes[1].get_ylabel()


def test_history_shows_held_out_losses_by_term_and_where_points_were_added():
    history = _history(-1.0)
    for line in history:
        line |= {"held_out_loss": 2 * line["loss"], "points": 10 if line["step"] < 8 else 15}
        line |= {f"{kind}_{term}": line["loss"] for kind in ("loss", "held_out") for term in "ab"}
    history[-1]["estimated_relative_l2"] = 1e-9
    figure = plotting.plot_history(history)
    names = {text.get_text() for text in figure.legends[0].get_texts()}
    assert {"loss", "held-out loss", "estimated error"} <= names
    losses, terms, damping = figure.axes
    assert [text.get_text() for text in terms.get_legend().get_texts()] == ["a", "b"]
    assert damping.get_ylabel() == "damping"
    lines = [line for line in losses.lines if line.get_linestyle() == ":"]
    assert [line.get_xdata()[0] for line in lines] == [8]


def test_time_runs_to_the_right():
    domain = SpaceTime(Interval(0.0, 2.0), UNIT)
    figure = plotting.plot_solution(lambda x: x[0], None, domain)
    ax = figure.axes[0]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("$t$", "$x$")
    values = np.asarray(ax.images[0].get_array())
    np.testing.assert_allclose(values[0], np.linspace(0.0, 2.0, values.shape[1]), atol=1e-12)
    np.testing.assert_allclose(values[:, 5], values[0, 5])


def test_high_dimensions_show_the_central_plane():
    domain = Box((0.0,) * 4, (1.0, 1.0, 1.0, 3.0))
    figure = plotting.plot_solution(lambda x: x[2] + 10 * x[3], None, domain)
    np.testing.assert_allclose(np.asarray(figure.axes[0].images[0].get_array()), 15.5)
    note = figure.get_suptitle()
    assert "$x_{3}$ = 0.5" in note
    assert "$x_{4}$ = 1.5" in note


def test_curves_in_one_dimension():
    figure = plotting.plot_solution(model, exact, UNIT)
    assert _labels(figure)[0] == ("$x$", "solution")
    assert "error" in _labels(figure)[1][1]
    error = figure.axes[1].lines[-1].get_ydata()
    np.testing.assert_allclose(error[-1], 1.0, rtol=1e-5)  # in units of 1e-9


def test_component_of_a_vector_solution():
    figure = plotting.plot_solution(lambda x: jnp.stack([x[0], 3 * x[0]]), None, UNIT, component=1)
    np.testing.assert_allclose(figure.axes[0].lines[0].get_ydata()[-1], 3.0)


def test_history_marks_the_rejected_step():
    figure = plotting.plot_history(_history(-1))
    labels = figure.axes[0].get_legend_handles_labels()[1]
    assert labels == ["loss", "relative $L^2$ error", "rejected"]
    assert _labels(figure) == [("", ""), ("step", "damping")]
    for ax in figure.axes:
        assert list(ax.lines[-1].get_xdata()) == [3]


def test_history_without_damping_or_rejections_has_one_panel():
    history = [{**line, "damping": 0.0, "accepted": True} for line in _history(-1)]
    figure = plotting.plot_history(history)
    assert len(figure.axes) == 1
    assert figure.axes[0].get_legend_handles_labels()[1] == ["loss", "relative $L^2$ error"]


def test_history_of_an_energy_is_shown_above_its_lowest():
    history = [{"step": k, "loss": -1.0 + 2.0**-k, "accepted": True} for k in range(1, 6)]
    line = plotting.plot_history(history).axes[0].lines[0]
    assert line.get_label() == "loss $-$ lowest"
    np.testing.assert_allclose(line.get_ydata()[0], 2.0**-1 - 2.0**-5)


def test_band_is_median_and_extremes_over_seeds():
    result = band([_history(-1), _history(-1.5), _history(-2)], "step")
    assert result is not None
    np.testing.assert_allclose(result.median[-1], 1e-30, rtol=1e-6)
    np.testing.assert_allclose(result.high[-1], 1e-20, rtol=1e-6)
    np.testing.assert_allclose(result.low[-1], 1e-40, rtol=1e-6)


def test_a_run_that_ended_early_keeps_its_error():
    result = band([_history(-1, seconds=1.0), _history(-1, steps=5, seconds=0.5)], "seconds")
    assert result is not None
    np.testing.assert_allclose(result.x[-1], 1.0)
    np.testing.assert_allclose(result.high[-1], 1e-5, rtol=1e-6)


def test_band_skips_runs_without_an_error():
    assert band([[{"step": 1, "loss": 1.0}]], "step") is None
    lonely = band([_history(-1), []], "step")
    assert lonely is not None
    np.testing.assert_allclose(lonely.median[-1], 1e-20, rtol=1e-6)


@pytest.mark.parametrize("x", ["seconds", "step"])
def test_comparison_names_every_optimizer(x):
    runs = {"engd-tr": [_history(-1), _history(-2)], "adam": [_history(-0.1)]}
    figure = plotting.plot_comparison(runs, x)
    assert _texts(figure) == ["engd-tr", "adam"]  # from the lowest error up
    ax = figure.axes[0]
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    assert x.rstrip("s") in ax.get_xlabel()
    assert "L^2" in ax.get_ylabel()


def test_comparison_refuses_what_it_cannot_draw():
    with pytest.raises(ValueError, match="`x` is 'hours'"):
        plotting.plot_comparison({"adam": [_history(-1)]}, "hours")
    with pytest.raises(ValueError, match="nothing to draw"):
        plotting.plot_comparison({"adam": [[]]})


def test_labels_move_apart_and_keep_their_order():
    moved = spread(np.asarray([0.1, 0.11, 0.12, 0.9]), 0.1)
    assert np.all(np.diff(moved) >= 0.1 - 1e-12)
    np.testing.assert_allclose(moved[:3].mean(), 0.11)
    np.testing.assert_allclose(moved[3], 0.9)
    assert spread(np.asarray([0.99, 1.0]), 0.1).max() <= 1.0 + 1e-12


def test_saved_files_and_untouched_settings(tmp_path):
    before = dict(matplotlib.rcParams)
    figure = plotting.plot_history(_history(-1))
    png, pdf = plotting.save(figure, tmp_path / "new" / "picture")
    assert png.read_bytes()[:4] == b"\x89PNG"
    assert pdf.read_bytes()[:4] == b"%PDF"
    image = matplotlib.image.imread(png)
    assert image.shape[1] == round(200 * plotting.COLUMN_WIDTH)
    assert image.std() > 0.01  # something is drawn
    assert dict(matplotlib.rcParams) == before


def test_same_figure_same_bytes(tmp_path):
    first, second = (
        plotting.save(plotting.plot_history(_history(-1)), tmp_path / name) for name in "ab"
    )
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_a_spike_in_a_corner_does_not_whiten_the_rest():
    def spiked(x):
        return exact(x) + jnp.where(jnp.sum(x) < 0.01, 1.0, 1e-3 * x[0])

    figure = plotting.plot_solution(spiked, exact, Box((0.0, 0.0), (1.0, 1.0)))
    panel = next(ax for ax in figure.axes if "error" in ax.get_title())
    assert "10^{-4}" in panel.get_title()  # the unit of what is shown, not of the spike
    np.testing.assert_allclose(panel.images[0].get_clim()[1], 10.0, rtol=0.02)
    assert panel.images[0].colorbar.extend == "both"


@pytest.mark.parametrize("count", [3, 8, 13])
def test_no_two_curves_of_a_picture_look_alike(count):
    labels = ["gd", "engd-tr", *(f"wngd:{i}" for i in range(count))]
    figure = plotting.plot_comparison({label: [_history(-0.1)] for label in labels})
    curves = [line for line in figure.axes[0].lines if len(line.get_xdata()) > 2]
    looks = {(line.get_color(), line.get_linestyle()) for line in curves}
    assert len(looks) == len(curves) == len(labels)
    assert len({look[0] for look in looks}) == min(len(labels), 8)


def test_too_many_curves_are_refused():
    with pytest.raises(ValueError, match="33 curves are too many"):
        strokes(map(str, range(33)))


@pytest.mark.parametrize(
    ("low", "high", "labeled"),
    [
        (1.0, 1e6, None),
        (3.0, 90.0, [5, 10, 20, 50]),
        (1.0, 4.5, [1, 2]),
        (2.2, 4.8, [3, 4]),
        (1.01, 1.04, None),
        (1e-12, 3e-11, None),
    ],
)
def test_every_log_axis_has_two_labeled_ticks(low, high, labeled):
    curve = {"a": (np.array([low, high]), np.array([low, high]))}
    ax = plotting.plot_curves([plotting.Curves(curve, "x", "y")]).axes[0]
    ax.set(xlim=(low, high), ylim=(low, high))
    decades(ax.xaxis)
    ticks = [tick for tick in ax.xaxis.get_majorticklocs() if low <= tick <= high]
    assert len(ticks) >= 2
    assert all(ax.xaxis.get_major_formatter()(tick, i) for i, tick in enumerate(ticks))
    assert labeled is None or ticks == pytest.approx(labeled)


def test_thin_domains_are_readable():
    figure = plotting.plot_solution(lambda x: x[0], None, Box((0.0, 0.0), (10.0, 0.01)))
    assert figure.axes[0].get_box_aspect() == 0.5
    assert figure.get_size_inches()[1] > 1.0
    assert plotting.plot_solution(lambda x: x[0], None, Box((0.0, 0.0), (2.0, 1.0))).axes[
        0
    ].get_box_aspect() == pytest.approx(0.5)


def test_all_components_are_drawn():
    def pair(x):
        return jnp.stack([x[0], 3 * x[0]])

    lines = plotting.plot_solution(pair, pair, UNIT).axes
    assert [ax.lines[-1].get_ydata()[-1] for ax in lines[::2]] == pytest.approx([1.0, 3.0])
    assert [line.get_label() for line in lines[2].lines] == [
        "exact $u^\\ast_{2}$",
        "network $u_{2}$",
    ]
    square = plotting.plot_solution(pair, None, Box((0.0, 0.0), (1.0, 1.0)))
    shown = [ax for ax in square.axes if ax.images]
    assert [ax.get_title() for ax in shown] == ["network $u_{1}$", "network $u_{2}$"]
    assert shown[1].images[0].get_array().max() == pytest.approx(3.0)


def test_components_are_called_by_their_names():
    def three(x):
        return jnp.stack([x[0], 2 * x[0], 3 * x[0]])

    names = ("p", "sigma_xy", "heat_flux")
    rows = plotting.plot_solution(three, three, UNIT, components=names).axes[::2]
    assert [ax.lines[-1].get_label() for ax in rows] == [
        "network $p$",
        "network $\\sigma_{xy}$",
        "network $\\mathrm{heat\\_flux}$",
    ]
    assert rows[1].lines[0].get_label() == "exact $\\sigma^\\ast_{xy}$"
    with pytest.raises(ValueError, match="`components` are 2 names, and the solution has 3"):
        plotting.plot_solution(three, None, UNIT, components=("u", "v"))


def test_history_has_a_thin_line_for_the_error_of_every_component():
    history = [{**line, "relative_l2_p": 3 * line["relative_l2"]} for line in _history(-1)]
    figure = plotting.plot_history(history)
    lines = {line.get_label(): line for line in figure.axes[0].lines}
    np.testing.assert_allclose(lines["error of p"].get_ydata()[0], 0.3)
    assert len(figure.axes) == 2  # losses and damping: no panel of scores


def test_a_complex_solution_has_two_parts():
    def wave(x):
        return lax.complex(jnp.cos(x[0]), jnp.sin(x[0]))

    axes = plotting.plot_solution(wave, exact, UNIT).axes
    assert axes[2].lines[-1].get_label() == "network $\\mathrm{Im}\\,u$"
    np.testing.assert_allclose(axes[2].lines[-1].get_ydata()[-1], np.sin(1.0))
    np.testing.assert_allclose(axes[2].lines[0].get_ydata(), 0.0)


def test_what_is_no_u_is_not_called_u():
    figure = plotting.plot_solution(model, exact, UNIT, symbol="")
    texts = [line.get_label() for line in figure.axes[0].lines]
    assert [*texts, figure.axes[1].get_ylabel()[:5]] == ["exact", "network", "error"]


def test_steps_are_whole_numbers():
    ticks = plotting.plot_history(_history(-1)[:3]).axes[-1].get_xticks()
    assert all(tick == int(tick) for tick in ticks)


def test_a_constant_damping_just_below_a_power_of_ten_is_drawn(tmp_path):
    history = [{**_history(-1)[0], "damping": 9.999999999999999e-06}]
    assert len(plotting.save(plotting.plot_history(history), tmp_path / "history")) == 2


def test_a_legend_is_not_wider_than_the_figure():
    labels = ["tngd", *(f"tngd:temperature=1e-0{i}" for i in range(3)), "adam:rate=0.001", "sgd"]
    assert legend_columns(labels, 7.0) == 3
    assert legend_columns(["a", "b", "c"], 7.0) == 3
    assert legend_columns(["x" * 500], 3.4) == 1
    curves = {label: ([1, 10], [1, 10]) for label in labels}
    figure = plotting.plot_curves([plotting.Curves(curves, "x", "y")] * 2)
    figure.draw_without_rendering()
    (legend,) = figure.legends
    box, whole = legend.get_window_extent(), figure.bbox
    assert whole.x0 <= box.x0
    assert box.x1 <= whole.x1

"""A window of time as the whole time: the same objective, seen through a change of time.

A long evolution is easier in pieces. On the window a <= t <= b of the time interval t0 <= t <= T a
network v lives on the whole interval, and u(t, x) = v(t0 + (t - a) (T - t0) / (b - a), x). So every
window has the terms, the weights and the network of the problem itself.
"""

import dataclasses
import inspect
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Inexact, PyTree

from ..geometry.domains import Interval, SpaceTime
from .residual import Residual, ResidualObjective


class Window(eqx.Module):
    """The affine map between the times of a window, a <= t <= b, and the whole time interval."""

    start: Float[Array, ""]
    rate: Float[Array, ""]  # (b - a) / (T - t0)
    origin: Float[Array, ""]  # t0

    def __init__(self, start: float, stop: float, time: Interval):
        dtype = jnp.result_type(float)
        self.start, self.origin = jnp.asarray(start, dtype), jnp.asarray(time.a, dtype)
        self.rate = jnp.asarray((stop - start) / time.measure, dtype)

    def inside(self, x: Float[Array, " d"]) -> Float[Array, " d"]:
        """The point of the window that a point of the whole interval stands for."""
        return x.at[0].set(self.start + (x[0] - self.origin) * self.rate)

    def outside(self, x: Float[Array, " d"]) -> Float[Array, " d"]:
        """The point of the whole interval that stands for a point of the window."""
        return x.at[0].set(self.origin + (x[0] - self.start) / self.rate)


class InWindow(eqx.Module):
    """A network of the whole interval as a function on a window."""

    model: PyTree
    window: Window

    def __call__(self, x: Float[Array, " d"]) -> Inexact[Array, "*k"]:
        return self.model(self.window.outside(x))


class ByWindow(eqx.Module):
    """One function of all times: in each window that of `parts`, functions on the windows.

    `starts` are the beginnings of the windows; a time between two windows belongs to the later.
    All parts are evaluated at every point and one is taken.
    """

    parts: tuple[Callable, ...]
    starts: tuple[float, ...] = eqx.field(static=True)

    def __call__(self, x: Float[Array, " d"]) -> Inexact[Array, "*k"]:
        later = jnp.asarray(np.asarray(self.starts[1:]), x.dtype)
        number = jnp.sum(x[0] >= later)
        return jnp.stack([part(x) for part in self.parts])[number]


def by_window(functions: Sequence[Callable], edges: Sequence[float], time: Interval) -> ByWindow:
    """One function of all times, of functions in the own time of each window.

    Where there are fewer functions than windows the last one goes on.
    """
    windows = [Window(a, b, time) for a, b in pairwise(edges)]
    parts = [InWindow(f, window) for f, window in zip(functions, windows, strict=False)]
    return ByWindow(tuple(parts), tuple(edges[: len(parts)]))


def edges_of(objective: Any, windows: Any) -> tuple[float, ...]:
    """The times at which windows begin and end, of their number (int) or of themselves.

    Raises ValueError as `check_windows` does.
    """
    if np.ndim(windows) == 0:
        if int(windows) != windows or windows < 1:
            raise ValueError(
                f"`windows` is {windows}: give one or more, or the times of their ends."
            )
        time = time_of(objective)
        windows = (*(time.a + time.measure * k / windows for k in range(int(windows))), time.b)
    edges = tuple(float(t) for t in windows)
    check_windows(objective, edges)
    return edges


class _InTime(eqx.Module):
    """A residual on a window; at its start, minus the same of the window before."""

    fn: Callable[..., Any]
    window: Window
    before: PyTree

    @property
    def __signature__(self) -> inspect.Signature:
        """The arguments that the user's function asks for."""
        return inspect.signature(self.fn)

    def __call__(self, u: Callable, x: Array, **extras: Array) -> Any:
        here = self.window.inside(x)
        values = self.fn(InWindow(u, self.window), here, **extras)
        if self.before is None:
            return values
        earlier = self.fn(self.before, here, **extras)
        return jax.tree.map(lambda now, then: jnp.asarray(now) - then, values, earlier)


class _WeightInTime(eqx.Module):
    """A weight function of the point, on a window."""

    weight: Callable[[Array], Any]
    window: Window

    def __call__(self, x: Array) -> Any:
        return self.weight(self.window.inside(x))


def in_window(
    objective: ResidualObjective, window: Window, before: Callable | None
) -> ResidualObjective:
    """The objective on a window, for networks of the whole interval.

    `before` is the solution up to the start of the window: there the initial terms fn(u, x) become
    fn(u, x) - fn(before, x), so that whatever they prescribe, a value or a derivative in time, is
    that of the solution before. None stands for the first window, which keeps them.
    """
    time = time_of(objective)

    def moved(term: Any) -> Residual:
        handed_on = before if is_initial(term, time) else None
        weight = _weight_in(window, term.weight)
        return dataclasses.replace(term, fn=_InTime(term.fn, window, handed_on), weight=weight)

    return dataclasses.replace(objective, terms=tuple(moved(term) for term in objective.terms))


def _weight_in(window: Window, weight: Any) -> Any:
    """A weight of any kind, on a window."""
    if isinstance(weight, Mapping):
        return {name: _weight_in(window, one) for name, one in weight.items()}
    return _WeightInTime(weight, window) if callable(weight) else weight


def window_of(objective: ResidualObjective) -> Window:
    """The window that an objective was posed on."""
    first: Any = objective.terms[0]
    return first.fn.window


def with_before(
    objective: ResidualObjective, change: Callable[[Callable], Callable]
) -> ResidualObjective:
    """An objective on a window, with the solution before it changed."""

    def changed(term: Any) -> Residual:
        fn: Any = term.fn
        if fn.before is None:
            return term
        return dataclasses.replace(term, fn=dataclasses.replace(fn, before=change(fn.before)))

    return dataclasses.replace(objective, terms=tuple(changed(term) for term in objective.terms))


def time_of(objective: Any) -> Interval:
    """The time interval of an objective; ValueError where no term lives on a space-time domain."""
    regions = [getattr(rule, "region", None) for rule in getattr(objective, "rules", ())]
    found = [region.time for region in regions if isinstance(region, SpaceTime)]
    if not found:
        raise ValueError(
            "no term has points in a `SpaceTime` domain, so there is no time to cut into windows: "
            "give one a rule such as `GaussLegendre(SpaceTime(Interval(0, 1), space), 16)`."
        )
    return found[0]


def is_initial(term: Any, time: Interval) -> bool:
    """Whether all points of a term lie at the start of the time interval."""
    return bool(np.all(_times(term) == time.a))


def check_windows(objective: Any, edges: tuple[float, ...]) -> None:
    """Raises ValueError for windows that do not cover the time interval of an objective in order,
    and for objectives that cannot be cut into windows."""
    if not isinstance(objective, ResidualObjective):
        raise ValueError(
            f"windows of time need a ResidualObjective; this is a {type(objective).__name__}."
        )
    for term in objective.terms:
        if not isinstance(term, Residual):
            raise ValueError(
                f"the term '{term.name}' is a {type(term).__name__}, and windows of time take "
                "terms of class Residual only: solve the problem at once, without `windows`."
            )
    time = time_of(objective)
    _check_edges(edges, time)
    if not any(is_initial(term, time) for term in objective.terms):
        raise ValueError(
            "no term lives at the start of the time interval, where a window takes over from the "
            "one before: give the initial value by a term on `domain.initial()`, not by the model."
        )
    for term in objective.terms:
        if not is_initial(term, time):
            _check_term(term, time)


def _check_edges(edges: tuple[float, ...], time: Interval) -> None:
    rises = all(a < b for a, b in pairwise(edges))
    if len(edges) < 2 or not rises:
        raise ValueError(
            f"`windows` = {edges} are no windows: give a number of them, or the times at which "
            "they begin and end, in rising order."
        )
    if (edges[0], edges[-1]) != (time.a, time.b):
        raise ValueError(
            f"`windows` cover {edges[0]:g} to {edges[-1]:g}, but the problem lasts from {time.a:g} "
            f"to {time.b:g}: let the first window begin and the last one end there."
        )


def _check_term(term: Any, time: Interval) -> None:
    """ValueError where the points of a term have a time of their own."""
    if np.all(_times(term) == time.b):
        raise ValueError(
            f"the term '{term.name}' lives at the end of the time interval, which windows before "
            "the last never see: solve the problem at once, without `windows`."
        )
    if term.rule.held_out() is None:
        raise ValueError(
            f"the term '{term.name}' is on points of its own, which belong to one window only: "
            "give it a quadrature rule, or solve the problem at once, without `windows`."
        )


def _times(term: Any) -> np.ndarray:
    return np.asarray(term.rule.quadrature(jax.random.key(0)).points)[:, 0]

"""Sets by their signed distance: unions, intersections and differences, with random points."""

from .shape import Shape as Shape

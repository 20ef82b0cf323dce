"""Meshes: domains of many cells, with points, weights and normals in arrays."""

from .files import read_mesh as read_mesh
from .mesh import Mesh as Mesh

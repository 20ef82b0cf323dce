"""Curved domains: unions of smooth images of reference boxes, with points, weights and normals."""

from .patch import Patch as Patch
from .polygon import polygon as polygon
from .polygon import simplex as simplex
from .region import Patches as Patches
from .shapes import annulus as annulus
from .shapes import ball as ball
from .shapes import box_with_hole as box_with_hole
from .shapes import curve as curve
from .shapes import disk as disk
from .shapes import ellipse as ellipse
from .shapes import l_shape as l_shape
from .shapes import sector as sector
from .shapes import sphere as sphere
from .shapes import triangle as triangle

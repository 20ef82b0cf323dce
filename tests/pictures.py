"""What a picture file shows."""

from pathlib import Path

import matplotlib.image
import numpy as np


def is_drawn(path: Path) -> bool:
    """Whether a picture has colored ink on it, or much of it: not blank, and no lone frame.

    A PDF has to begin and to end as one.
    """
    if path.suffix == ".pdf":
        content = path.read_bytes()
        return content.startswith(b"%PDF") and b"%%EOF" in content[-32:]
    pixels = np.asarray(matplotlib.image.imread(path))[..., :3].reshape(-1, 3)
    colored = np.ptp(pixels, axis=1) > 0.1  # neither white nor black nor gray
    ink = np.mean(np.min(pixels, axis=1) < 0.9)  # a frame with its ticks is one percent
    return bool(colored.sum() > 50 or ink > 0.02)

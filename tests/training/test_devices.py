"""Several devices and processes do what one device does, to rounding."""

import numpy as np
import pytest

from tests.several import found


def agree(one, other):
    for name in one.keys() - {"triangle", "basis", "upper", "gram"}:
        assert one[name][-1] < one[name][0]
        np.testing.assert_allclose(other[name], one[name], rtol=1e-8, err_msg=name)


def agree_on_factors(one, other):
    uppers = [
        np.sign(np.diag(part["triangle"]))[:, None] * part["triangle"] for part in (one, other)
    ]
    np.testing.assert_allclose(*uppers, atol=1e-13, rtol=0)
    np.testing.assert_allclose(one["gram"], other["gram"], atol=1e-14, rtol=0)
    product = other["basis"] @ other["upper"]
    np.testing.assert_allclose(product, one["basis"] @ one["upper"], atol=1e-14, rtol=0)
    np.testing.assert_allclose(other["basis"].T @ other["basis"], np.eye(12), atol=1e-13, rtol=0)


def test_two_devices_do_what_one_does(tmp_path):
    everywhere, one = found(tmp_path, "factors", "trained", devices=2)
    agree_on_factors(one, everywhere)
    agree(one, everywhere)
    # TSQR keeps what the Gram matrix has lost in rounding.
    assert np.linalg.svd(everywhere["triangle"])[1][-1] == pytest.approx(1e-12, rel=1e-3)
    assert abs(np.linalg.eigvalsh(everywhere["gram"])[0]) > 1e-20

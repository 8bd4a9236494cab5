"""The packed product against NumPy's."""

from __future__ import annotations

import numpy as np
import pytest

from dsconv_lib.compiled import product


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("relu", [None, True])
@pytest.mark.parametrize(
    "depth", [1, 255, product.DEPTH, 300, 2 * product.DEPTH, 3 * product.DEPTH + 5]
)
def test_it_is_a_product_with_bias_and_relu(dtype: type, relu: bool | None, depth: int) -> None:
    rng = np.random.default_rng(0)
    width = product.panel_width(dtype)
    for pixels in (1, 6, 7, 14, 23, 50):
        for columns in (width, width + 1, 2 * width, 3 * width - 1):
            x, matrix, bias = (
                rng.standard_normal(shape).astype(dtype)
                for shape in ((pixels, depth), (depth, columns), columns)
            )
            y = np.full((pixels, columns), np.nan, dtype)
            product.multiply(x, product.pack(matrix), bias, y, relu)
            expected = x.astype(np.float64) @ matrix + bias
            if relu:
                expected = np.maximum(expected, 0)
            digits = 1e-5 if dtype == np.float32 else 1e-13
            np.testing.assert_allclose(y, expected, rtol=digits, atol=digits * np.sqrt(depth) * 3)


def test_relu_keeps_what_is_no_number() -> None:
    x, matrix = np.full((2, 3), np.nan, np.float32), np.ones((3, 32), np.float32)
    y = np.zeros((2, 32), np.float32)
    product.multiply(x, product.pack(matrix), np.zeros(32, np.float32), y, True)
    assert np.isnan(y).all()

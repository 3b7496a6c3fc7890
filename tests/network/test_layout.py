"""The layout of parameters: packing, padding and units."""

from itertools import pairwise

import numpy as np
import pytest

from fastbp.kernels.machine import registers
from fastbp.network.architecture import Network
from support.steps import F32, F64, WIDTHS, network, over_dtypes, random_theta


@over_dtypes
def test_unpack_is_the_inverse_of_pack(dtype):
    shape = network(dtype)
    theta, coefs, intercepts = random_theta(shape, np.random.default_rng(0))
    unpacked_coefs, unpacked_intercepts = shape.layout.unpack(theta)
    for found, given in zip(unpacked_coefs + unpacked_intercepts, coefs + intercepts, strict=True):
        np.testing.assert_array_equal(found, given.astype(dtype))


@over_dtypes
def test_pack_takes_arrays_of_any_layout_and_dtype(dtype, tmp_path):
    shape = network(dtype)
    _, coefs, intercepts = random_theta(shape, np.random.default_rng(0))
    coefs, intercepts = ([part.astype(F32) for part in parts] for parts in (coefs, intercepts))
    expected = shape.layout.pack(coefs, intercepts)
    coefs[0] = np.asfortranarray(coefs[0])
    coefs[1] = np.repeat(coefs[1], 2, axis=1)[:, ::2]
    coefs[2] = coefs[2].tolist()
    intercepts[0].flags.writeable = False
    intercepts[1] = intercepts[1].astype(">f8")
    np.save(tmp_path / "intercepts.npy", intercepts[2].astype(dtype))
    intercepts[2] = np.load(tmp_path / "intercepts.npy", mmap_mode="r")
    np.testing.assert_array_equal(shape.layout.pack(coefs, intercepts), expected)


@over_dtypes
@pytest.mark.parametrize("width", [1, 23, 48, 100])
def test_padded_columns_are_zeros_and_are_not_unpacked(dtype, width):
    shape, rng = Network((3, width), ("identity",), "squared_error", dtype), np.random.default_rng(0)
    coef, intercept = rng.normal(size=(3, width)).astype(dtype), rng.normal(size=width).astype(dtype)
    theta = shape.layout.pack([coef], [intercept])
    padded = shape.layout.pack([np.ones((3, width))], [np.ones(width)]) == 0
    assert padded.sum() == 4 * (shape.layout.padded[1] - width)
    assert (theta[padded] == 0).all()
    theta[padded] = np.nan
    for found, expected in zip(shape.layout.unpack(theta), ([coef], [intercept]), strict=True):
        np.testing.assert_array_equal(found, expected)


@over_dtypes
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_unflatten_is_the_inverse_of_flatten_in_the_order_of_scikit_learn(dtype, fit_intercept):
    shape = network(dtype, fit_intercept=fit_intercept)
    theta, coefs, intercepts = random_theta(shape, np.random.default_rng(1))
    flat = shape.layout.flatten(theta)
    parts = coefs + (intercepts if fit_intercept else [])
    np.testing.assert_array_equal(flat, np.concatenate([part.ravel() for part in parts]).astype(dtype))
    np.testing.assert_array_equal(shape.layout.unflatten(flat), theta)


@over_dtypes
@pytest.mark.parametrize("widths", [WIDTHS, (3, 150, 1)])
def test_units_cover_every_parameter_once(dtype, widths):
    shape = Network(widths, ("tanh",) * (len(widths) - 1), "squared_error", dtype)
    narrow = any(map(shape.layout.is_narrow, range(len(widths))))
    assert narrow == (widths[-1] == 1 and 4 * dtype.itemsize <= registers.VECTOR_BYTES)
    covered = np.zeros(shape.layout.size, int)
    for unit in shape.layout.units:
        covered[unit.offset : unit.offset + unit.n_rows * unit.n_columns] += 1
    ones = [np.ones((n, m)) for n, m in pairwise(widths)]
    parameters = shape.layout.pack(ones, [coef[0] for coef in ones]) == 1
    assert parameters.sum() == shape.layout.n_parameters
    assert (covered[parameters] == 1).all()
    assert covered.max() == 1


def test_weights_of_another_shape_are_refused_before_they_are_copied():
    small, large = (Network((3, width, 1), ("relu", "logistic"), "log_loss", F64) for width in (4, 300))
    coefs, intercepts = large.layout.unpack(np.zeros(large.layout.size))
    with pytest.raises(
        ValueError, match=r"from layer 0 to 1 have shapes \(3, 300\) and \(300,\), not \(3, 4\) and \(4,\)"
    ):
        small.layout.pack(coefs, intercepts)

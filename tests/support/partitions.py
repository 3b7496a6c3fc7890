"""Fits on partitions of 60 examples: the options, the partitions, and the comparison with one machine."""

import dask.array as da
from numpy.testing import assert_allclose

OPTIONS = {"hidden_layer_sizes": (8,), "alpha": 0.1, "batch_size": 25, "max_iter": 5, "random_state": 0}


def partitioned(values, rows=(7, 13, 40)):
    return da.from_array(values, chunks=(rows, *values.shape[1:]))


def assert_same_model(found, expected, tolerance=1e-8):
    assert found.n_iter_ == expected.n_iter_
    assert found.t_ == expected.t_
    for name in ("loss_curve_", "validation_scores_", "validation_loss_curve_"):
        if getattr(expected, name) is not None:
            assert_allclose(getattr(found, name), getattr(expected, name), rtol=tolerance, err_msg=name)
    for ours, theirs in zip(found.coefs_ + found.intercepts_, expected.coefs_ + expected.intercepts_, strict=True):
        assert ours.dtype == theirs.dtype
        assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)

"""For tests of searches with halving: a comparison of two searches, and waiting for a condition."""

import time

from numpy.testing import assert_equal


def assert_same_search(found, expected):
    """Compare all results of two searches, except for times."""
    assert set(found.cv_results_) == set(expected.cv_results_)
    for name in expected.cv_results_:
        if not name.endswith("_time"):
            assert_equal(list(found.cv_results_[name]), list(expected.cv_results_[name]), name)
    for name in ("rungs_", "n_epochs_", "n_splits_", "best_params_", "best_index_", "best_score_", "multimetric_"):
        assert getattr(found, name) == getattr(expected, name), name


def eventually(condition):
    """Whether the condition is met within some seconds."""
    for _ in range(100):
        if condition():
            return True
        time.sleep(0.1)
    return False

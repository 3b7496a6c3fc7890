"""scikit-learn's checks of estimators, on both estimators for tables."""

from unittest import SkipTest

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from support.tabular import KINDS, small

# Checks that have nothing to check here. Any other skipped check fails.
NOT_APPLICABLE = ("check_array_api_input",)  # scikit-learn leaves it out unless SCIPY_ARRAY_API is set
HELD_OUT = {"check_sample_weight_equivalence_on_dense_data": "other rows are held out"}


@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks([small(kind) for kind in KINDS], expected_failed_checks=lambda estimator: HELD_OUT)
def test_scikit_learn_check(estimator, check):
    try:
        check(estimator)
    except SkipTest as skipped:
        if check.func.__name__ not in NOT_APPLICABLE:
            pytest.fail(f"skipped: {skipped}")
        raise

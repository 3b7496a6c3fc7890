"""scikit-learn's checks of estimators, on both ensembles."""

from unittest import SkipTest

import pytest
from sklearn.ensemble import BaggingClassifier, BaggingRegressor
from sklearn.utils.estimator_checks import estimator_checks_generator, parametrize_with_checks

from fastbp import BackpropClassifier, BackpropEnsembleClassifier, BackpropEnsembleRegressor, BackpropRegressor

# NOT_APPLICABLE: scikit-learn's checks that have nothing to check here. Any other skipped check fails.
NOT_APPLICABLE = {
    "check_array_api_input": "scikit-learn leaves it out unless SCIPY_ARRAY_API is set",
    "check_classifiers_multilabel_output_format_decision_function": "there is no decision_function",
    "check_classifier_data_not_an_array": "needs pandas",
    "check_regressor_data_not_an_array": "needs pandas",
    "check_sample_weights_pandas_series": "needs pandas",
}
SMALL = {"hidden_layer_sizes": (20,), "solver": "lbfgs", "max_iter": 50}
EARLY = {"hidden_layer_sizes": (20,), "early_stopping": True, "learning_rate_init": 0.02, "max_iter": 100}


# The validation set is drawn from the rows. So a row of weight 2 is not the same as the row twice.
SPLITTING = {
    f"check_sample_weight_equivalence_on_{form}_data": "other rows are held out" for form in ("dense", "sparse")
}


def splits(estimator):
    return estimator.selection == "greedy" or estimator.estimator.early_stopping


@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks(
    [
        BackpropEnsembleClassifier(BackpropClassifier(**SMALL), 3),
        BackpropEnsembleClassifier(BackpropClassifier(**SMALL), 3, selection="greedy", validation_fraction=0.3),
        BackpropEnsembleClassifier(
            BackpropClassifier(**EARLY),
            2,
            param_distributions={"alpha": [1e-4, 1e-2]},
            validation_fraction=0.3,
            n_jobs=2,
        ),
        BackpropEnsembleRegressor(BackpropRegressor(**SMALL), 3),
        BackpropEnsembleRegressor(
            BackpropRegressor(**EARLY), 2, selection="greedy", scoring="r2", validation_fraction=0.3, n_jobs=2
        ),
    ],
    expected_failed_checks=lambda estimator: SPLITTING if splits(estimator) else {},
)
def test_scikit_learn_check(estimator, check):
    try:
        check(estimator)
    except SkipTest as skipped:
        if check.func.__name__ not in NOT_APPLICABLE:
            pytest.fail(f"skipped: {skipped}")
        raise


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [(BackpropEnsembleClassifier, BaggingClassifier), (BackpropEnsembleRegressor, BaggingRegressor)],
)
def test_as_many_scikit_learn_checks_as_for_bagging(ours, theirs):
    def names(estimator):
        return {check.func.__name__ for _, check in estimator_checks_generator(estimator())}

    assert names(ours) >= names(theirs)

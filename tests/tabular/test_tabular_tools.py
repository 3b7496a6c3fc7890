"""The estimators for tables among the tools of scikit-learn and joblib: searches, inspections, workers."""

import joblib
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.inspection import partial_dependence, permutation_importance
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from fastbp import TabularClassifier, TabularRegressor
from support.tables import classes_of, fit_and_threads, numbers_of, table

X = table()
TARGETS = {TabularClassifier: classes_of(X), TabularRegressor: numbers_of(X)}
both = pytest.mark.parametrize("kind", TARGETS)


def small(kind, **parameters):
    return kind(2, random_state=0, **parameters)


# ---------------------------------------------------------------- searches


@both
def test_a_grid_search_finds_the_best_number_of_networks(kind):
    y = TARGETS[kind]
    search = GridSearchCV(small(kind), {"n_networks": [1, 2]}, cv=2).fit(X, y)
    assert sum(map(len, search.best_estimator_.networks_)) == search.best_params_["n_networks"]
    by_hand = [cross_val_score(kind(n, random_state=0), X, y, cv=2).mean() for n in (1, 2)]
    assert_array_equal(search.cv_results_["mean_test_score"], by_hand)
    assert_array_equal(search.predict(X), search.best_estimator_.predict(X))


@both
def test_cross_val_predict_predicts_each_row_by_a_model_of_the_other_rows(kind):
    y = TARGETS[kind]
    method = "predict_proba" if kind is TabularClassifier else "predict"
    folds = [(np.arange(120, 240), np.arange(120)), (np.arange(120), np.arange(120, 240))]
    found = cross_val_predict(small(kind), X, y, cv=folds, method=method)
    for train, test in folds:
        model = small(kind).fit(X.iloc[train], np.asarray(y)[train])
        assert_array_equal(found[test], getattr(model, method)(X.iloc[test]))


@both
def test_at_the_end_of_a_pipeline_the_table_keeps_its_columns(kind):
    y = TARGETS[kind]
    pipeline = make_pipeline(FunctionTransformer(lambda frame: frame.assign(double=2 * frame["rooms"])), small(kind))
    assert "double" in pipeline.fit(X, y)[-1].column_kinds_
    assert_array_equal(
        pipeline.predict(X), small(kind).fit(X.assign(double=2 * X["rooms"]), y).predict(pipeline[0].transform(X))
    )


# ---------------------------------------------------------------- inspections


@both
def test_the_importance_of_a_column_is_that_of_the_original_column_also_of_text(kind):
    model = small(kind).fit(X, TARGETS[kind])
    importance = permutation_importance(model, X, TARGETS[kind], n_repeats=2, random_state=0).importances_mean
    by_name = dict(zip(X, importance, strict=True))
    assert by_name["nothing"] == 0  # it is left out
    assert min(by_name["rooms"], by_name["colour"]) > 0
    frame = X.copy()
    frame["colour"] = np.random.default_rng(0).permutation(frame["colour"])
    assert model.score(frame, TARGETS[kind]) < model.score(X, TARGETS[kind])


@both
def test_the_partial_dependence_on_a_number_and_on_a_category(kind):
    model = small(kind).fit(X, TARGETS[kind])
    frame = X.fillna({"colour": "none"}).astype({"rooms": float})  # scikit-learn refuses integers
    of_number = partial_dependence(model, frame, ["rooms"], grid_resolution=4, kind="average")
    of_category = partial_dependence(model, frame, ["colour"], categorical_features=["colour"], kind="both")
    assert list(of_category["grid_values"][0]) == ["green", "none", "red"]
    for found, name in ((of_number, "rooms"), (of_category, "colour")):
        for value, average in zip(found["grid_values"][0], found["average"][0], strict=True):
            given = frame.assign(**{name: value})
            expected = model.predict_proba(given)[:, 1] if kind is TabularClassifier else model.predict(given)
            assert_allclose(average, expected.mean(), rtol=1e-10)
    assert of_number["average"][0][-1] > of_number["average"][0][0]


# ---------------------------------------------------------------- joblib's workers


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_in_a_worker_of_joblib_a_fit_has_one_thread_and_the_same_bits(backend):
    expected, _ = fit_and_threads(1)
    with joblib.parallel_backend(backend, n_jobs=2):
        found = joblib.Parallel()(joblib.delayed(fit_and_threads)() for _ in range(3))
    assert found == 3 * [(expected, 1)]


@pytest.mark.parametrize("n_jobs", [2, 3])
def test_n_jobs_is_the_number_of_threads_and_changes_no_bit(n_jobs):
    expected, alone = fit_and_threads(1)
    assert alone == 1
    found, threads = fit_and_threads(n_jobs)
    assert found == expected
    assert threads <= n_jobs
    with joblib.parallel_backend("threading", n_jobs=2):  # a number that the user gives is honoured
        assert joblib.Parallel()([joblib.delayed(fit_and_threads)(n_jobs)])[0][0] == expected

"""scikit-learn's tools around our estimators.

Two threads, two processes and two Dask workers give the bits of a serial run. Around scikit-learn's own MLP the tools
give the same numbers, to rounding.
"""

import functools
from collections.abc import Callable, Iterator
from typing import Any

import joblib
import numpy as np
import pytest
from joblib.externals.loky import get_reusable_executor
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import is_classifier
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_iris
from sklearn.ensemble import (
    BaggingClassifier,
    BaggingRegressor,
    StackingClassifier,
    StackingRegressor,
)
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.inspection import DecisionBoundaryDisplay, permutation_importance
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    RandomizedSearchCV,
    cross_val_predict,
    cross_validate,
    learning_curve,
)
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier, MultiOutputRegressor
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from fastbp import BackpropClassifier, BackpropRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

PAIRS = {BackpropClassifier: MLPClassifier, BackpropRegressor: MLPRegressor}
Numbers = dict[str, Any]


def problem(model: Any) -> tuple[np.ndarray, np.ndarray]:
    X, y = load_iris(return_X_y=True)
    X, y = X[::2], y[::2]
    return (X, y) if is_classifier(model) else (X[:, :3], X[:, 3])


def small(class_: type, **params) -> Any:
    defaults = {"hidden_layer_sizes": (4,), "learning_rate_init": 0.05, "max_iter": 4, "random_state": 0}
    return class_(**{**defaults, **params})


def scaled(class_: type, **params) -> Any:
    return make_pipeline(StandardScaler(), small(class_, **params))


def predictions(model: Any, X: np.ndarray) -> Numbers:
    return {
        method: getattr(model, method)(X)
        for method in ("predict", "predict_proba", "predict_log_proba")
        if hasattr(model, method)
    }


def output(model: Any, X: np.ndarray) -> np.ndarray:
    return model.predict_proba(X) if is_classifier(model) else model.predict(X)


def fitted(model: Any) -> Numbers:
    X, y = problem(model)
    return predictions(model.fit(X, y), X)


def searched(search: Any) -> Numbers:
    numbers = fitted(search)
    timeless = {name: values for name, values in search.cv_results_.items() if "time" not in name}
    return {**numbers, **timeless, "best": search.best_params_, "score": search.best_score_}


def grid_search(class_: type) -> Numbers:
    name = class_.__name__.lower()
    grid = {f"{name}__alpha": [1e-4, 1.0], f"{name}__activation": ["tanh", "relu"]}
    return searched(GridSearchCV(scaled(class_), grid, cv=2, return_train_score=True))


def randomized_search(class_: type) -> Numbers:
    space = {"alpha": np.logspace(-4, 0, 20), "solver": ["sgd", "adam"], "hidden_layer_sizes": [(3,), (4, 3)]}
    return searched(RandomizedSearchCV(small(class_), space, n_iter=4, cv=2, random_state=0))


def halving_search(class_: type) -> Numbers:
    search = HalvingGridSearchCV(
        small(class_), {"alpha": [0.0, 1e-3, 1e-2, 1.0]}, resource="max_iter", max_resources=8, cv=2, random_state=0
    )
    return searched(search)


def cross_validated(class_: type) -> Numbers:
    model = scaled(class_, early_stopping=True, validation_fraction=0.2)
    X, y = problem(model)
    results = cross_validate(model, X, y, cv=3, return_estimator=True, return_train_score=True)
    coefs = [fold[-1].coefs_[0] for fold in results["estimator"]]
    return {"coefs": coefs, "test": results["test_score"], "train": results["train_score"]}


def cross_predicted(class_: type) -> Numbers:
    model = scaled(class_)
    X, y = problem(model)
    methods = ["predict", "predict_proba"] if is_classifier(model) else ["predict"]
    return {method: cross_val_predict(model, X, y, cv=3, method=method) for method in methods}


def learning(class_: type) -> Numbers:
    model = scaled(class_)
    X, y = problem(model)
    curves: Numbers = {}
    for increments in (False, True):
        # Incremental learning calls partial_fit, which a pipeline does not have.
        estimator = small(class_) if increments else model
        sizes, train, test = learning_curve(
            estimator, X, y, train_sizes=[0.5, 1.0], cv=2, shuffle=True, random_state=0,
            exploit_incremental_learning=increments,
        )  # fmt: skip
        curves |= {f"sizes {increments}": sizes, f"train {increments}": train, f"test {increments}": test}
    return curves


def permuted(class_: type) -> Numbers:
    model = scaled(class_)
    X, y = problem(model)
    return dict(permutation_importance(model.fit(X, y), X, y, n_repeats=3, random_state=0))


def in_columns(class_: type) -> Numbers:
    columns = ColumnTransformer([("scale", StandardScaler(), [0, 1]), ("bound", MinMaxScaler(), [2])])
    return fitted(make_pipeline(columns, small(class_)))


def stacked(class_: type) -> Numbers:
    if class_ in (BackpropClassifier, MLPClassifier):
        other, stack = DecisionTreeClassifier(max_depth=2, random_state=0), StackingClassifier
    else:
        other, stack = DecisionTreeRegressor(max_depth=2, random_state=0), StackingRegressor
    return fitted(stack([("mlp", scaled(class_)), ("tree", other)], final_estimator=small(class_), cv=2))


def bagged(class_: type) -> Numbers:
    classifies = class_ in (BackpropClassifier, MLPClassifier)
    bag = (BaggingClassifier if classifies else BaggingRegressor)(
        scaled(class_), n_estimators=4, max_features=2, random_state=0
    )
    X, y = problem(bag)
    together = output(bag.fit(X, y), X)
    members = [
        output(member, X[:, columns]) for member, columns in zip(bag.estimators_, bag.estimators_features_, strict=True)
    ]
    # Only to rounding, because scikit-learn adds up the members of each job first.
    assert_allclose(together, np.mean(members, axis=0), rtol=1e-12)
    return {"columns": bag.estimators_features_, "members": members}


def calibrated(class_: type) -> Numbers:
    return fitted(CalibratedClassifierCV(scaled(class_), cv=2))


def one_against_rest(class_: type) -> Numbers:
    return fitted(OneVsRestClassifier(scaled(class_)))


def several_outputs(class_: type) -> Numbers:
    X, y = problem(small(class_))
    if class_ in (BackpropClassifier, MLPClassifier):
        model = MultiOutputClassifier(scaled(class_)).fit(X, np.column_stack([y == 0, y != 1]).astype(int))
        first, second = model.predict_proba(X)
        return {"predict": model.predict(X), "first": first, "second": second}
    return predictions(MultiOutputRegressor(scaled(class_)).fit(X, np.column_stack([y, -y])), X)


def drawn(class_: type) -> Numbers:
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    from matplotlib import pyplot

    search = GridSearchCV(scaled(class_), {f"{class_.__name__.lower()}__alpha": [0.0, 0.1]}, cv=2)
    X, y = problem(search)
    search.fit(X[:, :2], y)
    numbers: Numbers = {}
    for method in ("predict", "predict_proba"):
        shown = DecisionBoundaryDisplay.from_estimator(
            search, X[:, :2], response_method=method, class_of_interest=None if method == "predict" else 1,
            grid_resolution=5,
        )  # fmt: skip
        assert shown.ax_.collections
        numbers[method] = shown.response
        pyplot.close(shown.figure_)
    return numbers


FOR_BOTH: list[Callable[[type], Numbers]] = [
    grid_search,
    randomized_search,
    halving_search,
    cross_validated,
    cross_predicted,
    learning,
    permuted,
    in_columns,
    stacked,
    bagged,
    several_outputs,
]
FOR_CLASSIFIERS = [calibrated, one_against_rest, drawn]

uses = pytest.mark.parametrize(
    ("use", "class_"),
    [
        pytest.param(use, class_, id=f"{use.__name__} {class_.__name__}")
        for class_, more in ((BackpropClassifier, FOR_CLASSIFIERS), (BackpropRegressor, []))
        for use in FOR_BOTH + more
    ],
)


@functools.cache
def serial(use: Callable[[type], Numbers], class_: type) -> Numbers:
    return use(class_)


@pytest.fixture(scope="module", autouse=True)
def _no_processes_are_left() -> Iterator[None]:
    yield
    get_reusable_executor().shutdown(wait=True)


def two_jobs(backend: str, **settings: int) -> Any:
    if hasattr(joblib, "parallel_config"):
        return joblib.parallel_config(backend, n_jobs=2, **settings)
    return joblib.parallel_backend(backend, n_jobs=2)  # joblib before 1.3 has no settings


@uses
# Processes get arrays of more than 1000 bytes as read-only memory maps, as they would get large ones.
@pytest.mark.parametrize(
    "backend", [{"backend": "threading"}, {"backend": "loky", "max_nbytes": 1000}], ids=["threads", "processes"]
)
def test_two_jobs_give_the_bits_of_one(use, class_, backend):
    check_that_the_bits_are_those_of_one_job(use, class_, **backend)


def check_that_the_bits_are_those_of_one_job(use: Callable[[type], Numbers], class_: type, **backend: Any) -> None:
    expected = serial(use, class_)
    with two_jobs(**backend):
        numbers = use(class_)
    assert numbers.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_equal(numbers[name], values, err_msg=name)


@uses
@pytest.mark.usefixtures("dask_client")
def test_two_dask_workers_give_the_bits_of_one_process(use, class_):
    if use is in_columns:
        pytest.importorskip("joblib", "1.3")  # before 1.3, a large Bunch of scikit-learn arrives as a dict
    check_that_the_bits_are_those_of_one_job(use, class_, backend="dask")


@uses
def test_the_numbers_are_those_around_scikit_learns_own_mlp(use, class_):
    numbers = serial(use, class_)
    expected = use(PAIRS[class_])
    for name, values in expected.items():
        ours = numbers[name.replace(PAIRS[class_].__name__.lower(), class_.__name__.lower())]
        if np.asarray(values).dtype.kind == "f":
            assert_allclose(np.asarray(ours, float), values, rtol=1e-7, atol=1e-9, err_msg=name)
        elif np.asarray(values).dtype.kind in "iub":
            assert_array_equal(ours, values, err_msg=name)

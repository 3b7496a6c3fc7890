"""Any parameter, X, y and weights either work and equal the reference, or are refused in clear words.

For data, the words are those of scikit-learn's MLP. For a parameter, they have its name, its value and what would be
right.
"""

import contextlib
import io
import re
import warnings
from collections.abc import Callable
from numbers import Real
from typing import Any

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import sparse
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import validate_data

from fastbp import BackpropClassifier, BackpropRegressor
from support import reference
from support.fits import PAIRS, both, outcome, small

pytestmark = pytest.mark.filterwarnings("ignore")  # scikit-learn's arithmetic warns of overflows

SOLVERS = ["adam", "sgd", "lbfgs", "gd"]
DIVERGED = "Solver produced non-finite parameter weights"
OVERFLOWED = "outputs are not finite"


def examples(n: int) -> Callable:
    """The same examples in every run. They have no deadline, because the first one may compile."""
    return hypothesis.settings(
        max_examples=n,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=[hypothesis.HealthCheck.too_slow, hypothesis.HealthCheck.filter_too_much],
    )


def quietly(act: Callable[[], Any]) -> Any:
    with contextlib.redirect_stdout(io.StringIO()):
        return act()


def assert_predicts_as_the_reference(model: Any, X: Any) -> None:
    """Predictions on X, an array of numbers, are finite and follow from coefs_ and intercepts_, computed in float64."""
    X = np.asarray(X.toarray() if sparse.issparse(X) else X, np.float64)
    activation = model.activation if isinstance(model.activation, str) else [str(name) for name in model.activation]
    coefs, intercepts = ([part.astype(np.float64) for part in parts] for parts in (model.coefs_, model.intercepts_))
    *_, outputs = reference.forward(X, coefs, intercepts, activation=activation, out_activation=model.out_activation_)
    close = {"rtol": 1e-3, "atol": 1e-4} if model.coefs_[0].dtype == np.float32 else {"rtol": 1e-8, "atol": 1e-10}
    if isinstance(model, BackpropRegressor):
        prediction = model.predict(X)
        assert np.isfinite(prediction).all()
        assert_allclose(prediction.reshape(outputs.shape), outputs, **close)
    elif outputs.shape[1] == 1:
        p = np.ones_like(outputs) if len(model.classes_) == 1 else np.hstack([1 - outputs, outputs])
        assert_allclose(model.predict_proba(X), p, **close)
    elif model._target_kind != "multiclass":
        assert_allclose(model.predict_proba(X), outputs, **close)
    else:
        winners = np.searchsorted(model.classes_, model.predict(X))
        assert_allclose(outputs[np.arange(len(X)), winners], outputs.max(axis=1), **close)


# ---------------------------------------------------------------- parameters

PARAMETERS = [(estimator, name) for estimator in PAIRS for name in estimator().get_params()]
INTERVALS = [
    pytest.param(estimator, name, constraint, id=f"{estimator.__name__} {name} {constraint}")
    for estimator, name in PARAMETERS
    for constraint in estimator._parameter_constraints[name]
    if isinstance(constraint, Interval)
]

numbers = st.one_of(
    st.integers(),
    st.floats(),
    st.sampled_from([0, 1, -1, 2, 0.5, -0.0, 1e308, 5e-324, 10**25, -(10**25), 2**63, 10**400, -(10**400)]),
    st.fractions(max_denominator=9),
    st.decimals(allow_nan=False, places=1, min_value=-3, max_value=3),
    st.complex_numbers(max_magnitude=9),
    st.sampled_from(
        [np.float16(0.5), np.float32(2), np.longdouble(0.5), np.int8(127), np.uint64(2**63), np.bool_(True)]
    ),
)
words = st.one_of(st.text(max_size=6), st.binary(max_size=3), st.sampled_from(["auto", "ADAM", "relu", "balanced"]))
scalars = st.one_of(numbers, words, st.none(), st.booleans())
anything = st.one_of(
    scalars,
    st.lists(st.one_of(scalars, st.lists(st.integers(0, 9), max_size=2)), max_size=3),
    st.tuples(scalars),
    st.dictionaries(st.integers(0, 2), st.floats(-1, 3), max_size=3),
    st.lists(st.integers(-1, 9), max_size=3).map(np.array),
    st.sampled_from(
        [np.array(1.0), np.array([[3]]), np.array(["tanh"]), range(1, 3), {1, 2}, iter([2]), object, len, slice(3)]
    ),
    st.sampled_from([np.random.default_rng(0), np.random.RandomState(0), np.ma.masked, [{0: 1.0}], {"a": 1}]),
)


def needs_much_memory(sizes: Any) -> bool:
    """Whether a layer of this size is too large to try, and too small to be refused."""
    layers = [size for size in np.asarray(sizes, dtype=object).ravel() if isinstance(size, (int, np.integer))]
    return any(100 < size < 2**60 for size in layers)


@both
def test_every_parameter_has_constraints(estimator):
    assert set(estimator().get_params()) == set(estimator._parameter_constraints)


@examples(1000)
@hypothesis.given(st.sampled_from(PARAMETERS), anything, st.sampled_from(SOLVERS))
def test_a_parameter_works_or_is_refused_with_its_name_its_value_and_what_is_right(parameter, value, solver):
    estimator, name = parameter
    hypothesis.assume(name != "hidden_layer_sizes" or not needs_much_memory(value))
    X, y = np.random.default_rng(0).normal(size=(12, 3)), np.arange(12) % 3
    # with these, every solver stops soon, whatever max_iter is
    params = {"hidden_layer_sizes": (3,), "solver": solver, "max_iter": 3, "tol": 10, "n_iter_no_change": 1}
    model = estimator(**{**params, "gtol": 1e3, "random_state": 0, name: value})
    try:
        quietly(lambda: model.fit(X, y))
        assert np.isfinite(model.loss_)
        assert_predicts_as_the_reference(model, X)
    except (ValueError, TypeError) as error:
        message = str(error)
        if isinstance(value, Real) and abs(value) > 1e3 and (message.startswith(DIVERGED) or OVERFLOWED in message):
            return  # the number is legal, but too large for training
        assert name in message
        assert str(value)[:20] in message or repr(value)[:20] in message
        assert re.search(r"must|legal are", message)


@pytest.mark.parametrize(("estimator", "name", "interval"), INTERVALS)
def test_values_outside_the_bounds_of_a_parameter_are_refused(estimator, name, interval):
    X, y = np.random.default_rng(0).normal(size=(12, 3)), np.arange(12) % 3
    steps = [bound for bound in (interval.left, interval.right) if bound is not None]
    for bound in [*steps, np.nan, np.inf, -np.inf]:
        for value in (bound, np.nextafter(bound, -np.inf), np.nextafter(bound, np.inf)):
            if interval.is_satisfied_by(value) or any(
                other.is_satisfied_by(value)
                for other in estimator._parameter_constraints[name]
                if hasattr(other, "is_satisfied_by")
            ):
                continue
            with pytest.raises(ValueError, match=rf"The '{name}' parameter of {estimator.__name__} must be .* Got "):
                small(estimator, **{name: value}).fit(X, y)


# ---------------------------------------------------------------- data

ODD_VALUES = [np.nan, np.inf, -np.inf, 1e300, -1e300, 3e38, 1e39, 5e-324, 1e-310, 1e-40, 1e-160, -0.0, 1e6, 65504.0]
NUMERIC = ["f2", "f4", "f8", "g", ">f2", ">f4", ">f8", "i1", "u1", "i8", ">i4", "?"]
OTHER = ["O", "U8", "S8", "c16", "M8[s]", "m8[s]"]


def read_only(values: np.ndarray) -> np.ndarray:
    values = values.copy()
    values.flags.writeable = False
    return values


def ragged(values: np.ndarray) -> list[Any]:
    rows = values.tolist()
    return [row[: i + 1] if isinstance(row, list) else row for i, row in enumerate(rows)]


LAYOUTS: dict[str, Callable[[np.ndarray], Any]] = {
    "C": np.ascontiguousarray,
    "Fortran": np.asfortranarray,
    "negative strides": lambda values: np.flip(np.flip(values).copy()),
    "zero strides along rows": lambda values: np.broadcast_to(values[:1], values.shape),
    "zero strides along columns": lambda values: np.broadcast_to(values[..., :1], values.shape),
    "every other row": lambda values: np.repeat(values, 2, axis=0)[::2],
    "read-only": read_only,
    "list": lambda values: values.tolist(),
    "tuple": tuple,
    "ragged": ragged,
    "masked": np.ma.masked_array,
    "csr_matrix": sparse.csr_matrix,
    "csr_array": sparse.csr_array,
    "csc_array": sparse.csc_array,
    "coo_array": sparse.coo_array,
    "dok_matrix": sparse.dok_matrix,
    "dictionary": lambda values: {"a": values},
}


@st.composite
def arrays(draw: Any, shape: tuple[int, ...], values: Callable[[np.random.Generator], np.ndarray] | None = None) -> Any:
    """Mostly an array of ordinary numbers, sometimes any object that can be made of one."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    array = np.array(values(rng) if values else np.round(rng.normal(size=shape), 1), dtype=float)
    for odd in draw(st.lists(st.sampled_from(ODD_VALUES), max_size=2)) if array.size else []:
        array.flat[rng.integers(array.size)] = odd
    with warnings.catch_warnings(), contextlib.suppress(TypeError, ValueError, OverflowError):
        warnings.simplefilter("ignore")
        array = array.astype(draw(st.sampled_from(["f8", "f4"] if draw(st.booleans()) else [*NUMERIC, *OTHER])))
    layout = "C" if draw(st.booleans()) else draw(st.sampled_from(list(LAYOUTS)))
    with contextlib.suppress(TypeError, ValueError, IndexError, AttributeError):
        return LAYOUTS[layout](array)
    return array


SHAPES = st.one_of(
    st.tuples(st.sampled_from([1, 2, 3, 12]), st.integers(1, 3)),
    st.tuples(st.sampled_from([0, 1, 12]), st.integers(0, 3)),
    st.sampled_from([(), (3,), (12,), (4, 3, 2), (1, 1, 1)]),
)


def length(X: Any) -> int:
    return X.shape[0] if getattr(X, "shape", ()) else len(X) if hasattr(X, "__len__") and not hasattr(X, "shape") else 1


def targets(estimator: type, n: int) -> np.ndarray:
    return np.arange(n) % 3 if estimator is BackpropClassifier else np.round(np.sin(np.arange(n)), 1)


def essence(message: str) -> str:
    """An error without the values and dtypes that it quotes, because scikit-learn converts some of them."""
    return re.sub(r"dtype\('.*?'\)", "DTYPE", re.split(r"array[=(]", message)[0])


# OWN_REFUSALS: only this package refuses these. scikit-learn goes on with NaN, with inf, or up the gradient.
OWN_REFUSALS = (
    DIVERGED,
    "Input X contains a value too large",
    "Input y contains a value too large",
    "Input y contains NaT",
    "Negative values in data passed to `sample_weight`",
    "sample_weight must have at least one positive value",
    "sample_weight must not all be below",
)
# OWN_WORDS: scikit-learn fails at these later, in other words.
NO_CONVERSION = "no supported conversion for types"  # SciPy's error for a conversion of sparse strings
OWN_WORDS = ("Unknown label type", "Multioutput target data is not supported", "y must be numbers", NO_CONVERSION)
# THEIR_STUMBLES: scikit-learn's errors in words of NumPy and SciPy, because these words differ between versions. Also
# its errors about one column of bytes or a sparse column, because this package takes such columns.
THEIR_STUMBLES = (
    "ufunc",
    "scipy.sparse does not support dtype",
    "Support for labels represented as bytes",
    "Sparse data was passed for y",
    NO_CONVERSION,
)


def assert_refused_as_by_scikit_learn(ours: str, theirs: Any) -> None:
    _, _, message = ours.partition(": ")
    if not message.startswith(OWN_REFUSALS):
        assert isinstance(theirs, str), ours
        assert message.startswith(OWN_WORDS) or essence(ours) == essence(theirs)


def is_short(values: Any) -> bool:
    dtype = getattr(values, "dtype", np.dtype(float))
    return dtype.kind == "f" and dtype.itemsize < 8


def assert_learns_as_scikit_learn(estimator: type, params: dict[str, Any], X: Any, y: Any, **weights: Any) -> None:
    """Both give the same weights, or refuse the data in the same words."""
    # scikit-learn adds weights up in their own dtype, and there the sum may overflow
    wide = {name: value.astype(float) if is_short(value) else value for name, value in weights.items()}
    (_, ours), (_, theirs) = (
        outcome(small(class_, **params), lambda model, given=given: model.fit(X, y, **given))
        for class_, given in ((estimator, weights), (PAIRS[estimator], wide))
    )
    if any(words in str(theirs) for words in THEIR_STUMBLES):
        assert not isinstance(ours, str) or ours.startswith(("ValueError", "TypeError", "UFuncTypeError"))
        return
    if isinstance(ours, str):
        assert_refused_as_by_scikit_learn(ours, theirs)
        return
    assert not isinstance(theirs, str), theirs
    single = ours.coefs_[0].dtype == np.float32
    assert ours.coefs_[0].dtype == theirs.coefs_[0].dtype
    for a, b in zip(ours.coefs_ + ours.intercepts_, theirs.coefs_ + theirs.intercepts_, strict=True):
        assert np.isfinite(a).all()
        if np.abs(b).max() < 1e6:  # if weights explode, so do rounding errors
            assert_allclose(a, b, rtol=1e-3 if single else 1e-7, atol=1e-4 if single else 1e-9)
    assert_predicts_as_the_reference(ours, np.round(np.random.default_rng(1).normal(size=(5, ours.n_features_in_)), 1))


def kinds(strategy: st.SearchStrategy, n: int) -> Callable:
    """A decorator: the test gets n examples of an estimator, a stochastic solver and a value of the strategy."""

    def decorate(test: Callable) -> Callable:
        given = hypothesis.given(st.sampled_from(list(PAIRS)), st.sampled_from(["adam", "sgd"]), strategy)
        return examples(n)(given(test))

    return decorate


@kinds(SHAPES.flatmap(arrays), 400)
def test_any_X_is_learned_as_by_scikit_learn_or_refused_in_its_words(estimator, solver, X):
    y = targets(estimator, length(X))
    assert_learns_as_scikit_learn(estimator, {"solver": solver}, X, y)


def labels(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(0, rng.integers(1, 4), 12)


def indicators(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(0, 2, (12, 3))


def several_numbers(rng: np.random.Generator) -> np.ndarray:
    return np.round(rng.normal(size=(12, 2)), 1)


TARGETS = st.one_of(
    arrays((12,), labels),
    arrays((12,), indicators),
    arrays((12,), several_numbers),
    st.sampled_from([(12,), (12,), (12, 1), (11,), (1,), (0,), (), (12, 0), (12, 2, 2)]).flatmap(arrays),
    st.none(),
)


@kinds(TARGETS, 400)
def test_any_y_is_learned_as_by_scikit_learn_or_refused_in_its_words(estimator, solver, y):
    # scikit-learn's arithmetic fails on sparse numbers
    hypothesis.assume(estimator is BackpropClassifier or not sparse.issparse(y))
    X = np.round(np.random.default_rng(0).normal(size=(12, 3)), 1)
    assert_learns_as_scikit_learn(estimator, {"solver": solver}, X, y)


WEIGHTS = st.one_of(
    arrays((12,), lambda rng: np.round(rng.random(12), 1)),
    arrays((12,), lambda rng: rng.integers(0, 2, 12)),
    st.sampled_from([(12,), (12, 1), (11,), ()]).flatmap(arrays),
    st.sampled_from([np.zeros(12), np.full(12, 1e-310), np.full(12, 1e300), 2.0, 0, "balanced", [1.0] * 12, {}]),
)


@kinds(WEIGHTS, 250)
def test_any_weights_are_used_as_by_scikit_learn_or_refused_in_its_words(estimator, solver, weights):
    X = np.round(np.random.default_rng(0).normal(size=(12, 3)), 1)
    # in one batch, because scikit-learn divides by 0 if all weights of a batch are 0
    assert_learns_as_scikit_learn(
        estimator, {"solver": solver, "batch_size": 12}, X, targets(estimator, 12), sample_weight=weights
    )


@pytest.fixture(scope="module")
def fitted() -> dict[type, tuple[Any, Any]]:
    X = np.round(np.random.default_rng(0).normal(size=(12, 3)), 1)
    return {
        ours: tuple(small(class_).fit(X, targets(ours, 12)) for class_ in (ours, theirs))
        for ours, theirs in PAIRS.items()
    }


def as_fit_reads(X: Any, model: Any) -> Any:
    return validate_data(model, X, accept_sparse="csr", dtype=(np.float64, np.float32), reset=False)


WIDE = st.one_of(st.tuples(st.sampled_from([0, 1, 5, 12]), st.just(3)), SHAPES)


@examples(400)
@hypothesis.given(st.sampled_from(list(PAIRS)), WIDE.flatmap(arrays))
def test_any_X_is_predicted_as_by_scikit_learn_or_refused_in_its_words(fitted, estimator, X):
    (_, ours), (_, theirs) = (outcome(model, lambda model: model.predict(X)) for model in fitted[estimator])
    if isinstance(theirs, str):
        # scikit-learn's fit turns strings and dates into numbers, its predict does not; this package's predict does
        _, theirs = outcome(fitted[estimator][1], lambda model: model.predict(as_fit_reads(X, model)))
    if isinstance(ours, str):
        assert_refused_as_by_scikit_learn(ours, theirs)
    else:
        assert not isinstance(theirs, str), theirs
        assert_allclose(ours, theirs, rtol=1e-3, atol=1e-4)
        assert_predicts_as_the_reference(fitted[estimator][0], X)

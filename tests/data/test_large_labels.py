"""Integer labels that float64 cannot tell apart, in int64 and in uint64."""

import numpy as np
import pytest

from fastbp import BackpropClassifier

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
RNG = np.random.default_rng(0)
X = RNG.normal(size=(200, 3))
CODES = (X[:, 0] > 0).astype(int) + (X[:, 0] > 1)
LABELS = np.array([2**53, 2**53 + 1, 2**53 + 2])
Y = LABELS[CODES]


def small(**parameters):
    return BackpropClassifier((8,), max_iter=30, random_state=0, **parameters)


@pytest.mark.parametrize(("first", "then"), [(np.int64, np.uint64), (np.uint64, np.int64)])
def test_later_labels_of_another_integer_type_are_the_same_labels(first, then):
    def calls(dtype):
        model = small(warm_start=True).fit(X, Y.astype(first))
        model.fit(X, Y.astype(dtype)).partial_fit(X, Y.astype(dtype))
        return model

    expected, found = calls(first), calls(then)
    assert found.classes_.dtype == first
    assert found.loss_curve_ == expected.loss_curve_
    assert (found.predict(X) == expected.predict(X)).all()


def test_a_validation_set_of_another_integer_type_has_the_same_labels():
    of = [small().fit(X, Y, X_val=X, y_val=Y.astype(dtype)).validation_scores_ for dtype in (np.int64, np.uint64)]
    assert of[0] == of[1]
    with pytest.raises(ValueError, match=str(2**53 + 3)):
        small().fit(X, Y, X_val=X, y_val=(Y + 1).astype(np.uint64))


def test_classes_and_class_weights_of_another_integer_type():
    weights = {int(label): weight for label, weight in zip(LABELS, (1.0, 2.0, 3.0), strict=True)}
    models = [
        small(class_weight=weights).partial_fit(X, Y.astype(dtype), classes=LABELS) for dtype in (np.int64, np.uint64)
    ]
    assert models[0].loss_ == models[1].loss_


def test_lists_that_mix_integer_types_keep_their_labels():
    mixed = [np.uint64(label) if label % 2 else np.int64(label) for label in Y]
    model = small().fit(X, mixed)
    assert model.classes_.tolist() == LABELS.tolist()
    assert (model.predict(X) == small().fit(X, Y).predict(X)).all()
    model = small().partial_fit(X, mixed, classes=[np.int64(2**53), np.uint64(2**53 + 1), np.uint64(2**53 + 2)])
    assert model.classes_.tolist() == LABELS.tolist()
    assert small().fit(X, [2**63 + int(code) for code in CODES]).classes_.tolist() == [2**63, 2**63 + 1, 2**63 + 2]
    with pytest.raises(ValueError, match="no integer type has all of them"):
        small().fit(X, [-1 if code else 2**63 for code in CODES])

"""The probabilities of TabularClassifier are those of its networks, and exact enough for scikit-learn's metrics."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.metrics import log_loss

from fastbp import TabularClassifier

X = np.random.default_rng(0).normal(size=(60, 2))


@pytest.mark.parametrize("edges", [[0.0], [-0.5, 0.5]])
def test_probabilities_are_the_average_and_sum_to_one_in_float64(edges):
    y = np.searchsorted(edges, X[:, 0])
    clf = TabularClassifier(n_networks=2, random_state=0).fit(X, y)
    pairs = zip(clf.encoders_, clf.networks_, strict=True)
    votes = [network.predict_proba(encoder.transform(X)) for encoder, networks in pairs for network in networks]
    assert_allclose(clf.predict_proba(X), np.mean(votes, axis=0), atol=1e-6)
    assert_allclose(clf.predict_proba(X).sum(axis=1), 1, rtol=1e-14)
    assert log_loss(y, clf.predict_proba(X)) < 1  # a warning of log_loss would be an error here

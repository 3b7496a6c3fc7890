"""Fixtures for the pictures: two networks, and a backend without a screen."""

import matplotlib as mpl
import pytest
from matplotlib import pyplot
from sklearn.datasets import load_digits

from fastbp import BackpropClassifier
from support.pictures import X, Y

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(autouse=True)
def no_screen():
    backend = mpl.get_backend()
    mpl.use("Agg")
    yield
    pyplot.close("all")
    mpl.use(backend)


@pytest.fixture(scope="module")
def iris():
    """Three classes, two hidden layers."""
    return BackpropClassifier(
        hidden_layer_sizes=(6, 5), activation="tanh", max_iter=20, random_state=0, early_stopping=True
    ).fit(X, Y)


@pytest.fixture(scope="module")
def digits():
    images, y = load_digits(n_class=4, return_X_y=True)
    return BackpropClassifier(hidden_layer_sizes=(20,), max_iter=5, random_state=0).fit(images, y)

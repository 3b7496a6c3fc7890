"""The drawn curves are those of the search."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV

from fastbp import BackpropClassifier
from fastbp.displays import HalvingDisplay
from fastbp.model_selection import HalvingSearchCV
from support.pictures import X, Y, legend

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

NET = BackpropClassifier(hidden_layer_sizes=(5,), max_iter=9, random_state=0, n_iter_no_change=9)
GRID = {"alpha": [1e-4, 1.0], "learning_rate_init": [1e-4, 0.0123456, 0.02]}


@pytest.fixture(scope="module")
def search():
    return HalvingSearchCV(NET, GRID, cv=3).fit(X, Y)


def test_each_candidate_has_the_line_of_its_scores(search):
    display = HalvingDisplay.from_estimator(search)
    assert len(display.lines_) == 6
    for c, line in enumerate(display.lines_):
        expected = search.cv_results_["curve_epochs"][c], search.cv_results_["curve_test_score"][c]
        assert_array_equal(line.get_data(), expected)
    assert (display.ax_.get_xscale(), display.ax_.get_xlabel()) == ("log", "epochs")
    assert [label.get_text() for label in display.ax_.get_xticklabels()] == ["3", "9"]


def test_the_best_candidate_stands_out(search):
    display = HalvingDisplay.from_estimator(search, color="red")
    assert display.best_line_ is display.lines_[search.best_index_]
    assert [line.get_color() for line in display.lines_ if line is not display.best_line_] == ["red"] * 5
    assert display.best_line_.get_color() == "C0"
    best = search.best_params_
    assert legend(display.ax_) == [f"alpha={best['alpha']:.3g}, learning_rate_init={best['learning_rate_init']:.3g}"]


def test_without_a_best_candidate_all_lines_are_alike():
    curves = [np.array([1.0, 3.0]), np.arange(1.0, 10.0)]
    display = HalvingDisplay(curves, curves).plot()
    assert display.best_line_ is None
    assert {line.get_color() for line in display.lines_} == {"0.7"}
    assert display.ax_.get_legend() is None


def test_only_a_fitted_halving_search_is_drawn():
    with pytest.raises(NotFittedError, match="HalvingSearchCV"):
        HalvingDisplay.from_estimator(HalvingSearchCV(NET, GRID))
    with pytest.raises(TypeError, match="estimator must be a HalvingSearchCV, got GridSearchCV"):
        HalvingDisplay.from_estimator(GridSearchCV(NET, GRID))

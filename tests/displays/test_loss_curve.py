"""The drawn loss curves are those of the fit."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from fastbp import BackpropClassifier, BackpropRegressor
from fastbp.displays import LossCurveDisplay
from support.pictures import X, Y, legend

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def test_loss_curves_are_those_of_the_fit(iris):
    display = LossCurveDisplay.from_estimator(iris)
    epochs = np.arange(1, iris.n_iter_ + 1)
    assert_array_equal(display.training_line_.get_data(), [epochs, iris.loss_curve_])
    assert_array_equal(display.validation_line_.get_data(), [epochs, iris.validation_loss_curve_])
    assert display.ax_.get_lines() == [display.training_line_, display.validation_line_, display.best_marker_]
    assert legend(display.ax_) == ["training", "validation", "kept weights"]
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel(), display.ax_.get_yscale()) == ("epoch", "loss", "linear")
    assert display.figure_ is display.ax_.figure


def test_the_marked_epoch_is_the_one_whose_weights_were_kept(iris):
    ((epoch,), (loss,)) = LossCurveDisplay.from_estimator(iris).best_marker_.get_data()
    assert epoch < iris.n_iter_
    stopped_there = BackpropClassifier(**iris.get_params()).set_params(max_iter=int(epoch)).fit(X, Y)
    assert_array_equal(stopped_there.coefs_[0], iris.coefs_[0])
    assert loss == iris.validation_loss_curve_[epoch - 1]


def test_no_epoch_is_marked_where_the_last_weights_were_kept():
    clf = BackpropClassifier(hidden_layer_sizes=(5,), max_iter=5, random_state=0).fit(X, Y, X_val=X, y_val=Y)
    display = LossCurveDisplay.from_estimator(clf)
    assert display.best_marker_ is None
    assert legend(display.ax_) == ["training", "validation"]


def test_without_a_validation_set_there_is_one_line():
    reg = BackpropRegressor(solver="lbfgs", hidden_layer_sizes=(5,), max_iter=5, random_state=0).fit(X, Y)
    display = LossCurveDisplay.from_estimator(reg)
    assert display.validation_line_ is None
    assert len(display.ax_.lines) == 1
    assert display.ax_.get_xlabel() == "iteration"


def test_several_estimators_share_an_axis_a_colour_each(iris):
    display = LossCurveDisplay.from_estimator(iris, name="a")
    other = LossCurveDisplay.from_estimator(iris, name="b", ax=display.ax_, log_scale=True)
    assert other.ax_ is display.ax_
    assert other.ax_.get_yscale() == "log"
    assert legend(other.ax_) == [
        f"{who}, {what}" for who in "ab" for what in ("training", "validation", "kept weights")
    ]
    for one in (display, other):
        lines = (one.training_line_, one.validation_line_, one.best_marker_)
        assert {line.get_color() for line in lines} == {one.training_line_.get_color()}
    assert display.training_line_.get_color() != other.training_line_.get_color()
    assert display.validation_line_.get_linestyle() == "--"


def test_options_of_lines_reach_both_and_plot_may_be_called_again(iris):
    display = LossCurveDisplay.from_estimator(iris, linewidth=3.5, color="green")
    assert {line.get_linewidth() for line in (display.training_line_, display.validation_line_)} == {3.5}
    assert {line.get_color() for line in display.ax_.lines} == {"green"}
    first = display.ax_
    assert display.plot().ax_ is not first


def test_the_validation_loss_belongs_to_the_last_epochs():
    """The first fit had no validation set, and the second one goes on from it."""
    clf = BackpropClassifier(hidden_layer_sizes=(5,), max_iter=3, random_state=0).fit(X, Y)
    clf.set_params(warm_start=True, early_stopping=True, max_iter=40, learning_rate_init=0.01).fit(X, Y)
    display = LossCurveDisplay.from_estimator(clf)
    n, n_validated = len(clf.loss_curve_), len(clf.validation_loss_curve_)
    assert n > n_validated
    assert_array_equal(display.training_line_.get_xdata(), np.arange(1, n + 1))
    assert_array_equal(display.validation_line_.get_xdata(), np.arange(n - n_validated + 1, n + 1))
    best = int(np.argmax(clf.validation_scores_))
    assert_array_equal(
        display.best_marker_.get_data(), [[n - n_validated + 1 + best], [clf.validation_loss_curve_[best]]]
    )


def test_the_marker_is_at_the_epoch_of_the_least_loss_if_the_loss_decided():
    clf = BackpropClassifier((5,), early_stopping=True, monitor="loss", max_iter=60, random_state=0).fit(X, Y)
    display = LossCurveDisplay.from_estimator(clf)
    best = int(np.argmin(clf.validation_loss_curve_))
    assert best != int(np.argmax(clf.validation_scores_))
    assert_array_equal(display.best_marker_.get_data(), [[best + 1], [clf.validation_loss_curve_[best]]])


@pytest.mark.parametrize(
    ("label", "shown"), [("mine", ["mine", "mine, validation", "mine, kept weights"]), ("_nolegend_", None)]
)
def test_a_label_names_the_training_loss_as_in_matplotlib(iris, label, shown):
    display = LossCurveDisplay.from_estimator(iris, label=label)
    assert display.training_line_.get_label() == label
    if shown is None:
        assert display.ax_.get_legend() is None
    else:
        assert legend(display.ax_) == shown


def test_options_may_have_matplotlibs_short_names(iris):
    display = LossCurveDisplay.from_estimator(iris, c="green", ls=":", lw=3)
    assert {line.get_color() for line in display.ax_.lines} == {"green"}
    for line in (display.training_line_, display.validation_line_):
        assert (line.get_linestyle(), line.get_linewidth()) == (":", 3)

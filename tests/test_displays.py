"""Pictures: what is drawn is what was fitted."""

import sys

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib import pyplot
from matplotlib.colors import to_rgba
from matplotlib.patches import Circle
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_digits, load_iris
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastbp import BackpropClassifier, BackpropRegressor
from fastbp.displays import DeltaNormDisplay, LossCurveDisplay, NetworkDisplay, delta_norms, network

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
X, Y = load_iris(return_X_y=True)
DRAWERS = {
    "loss": lambda clf: LossCurveDisplay.from_estimator(clf),
    "network": lambda clf: NetworkDisplay.from_estimator(clf),
    "delta": lambda clf: DeltaNormDisplay.from_estimator(clf, X, Y),
}


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


def texts(ax):
    return [text.get_text() for text in ax.texts]


def legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


# ---------------------------------------------------------------- loss curves


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


# ---------------------------------------------------------------- the network


def drawn_weights(display, l):
    """{(unit, unit of the next layer): (colour, width)} of the lines from layer l."""
    (collection,) = [c for c in display.weights_ if np.allclose(c.get_segments()[0][0][0], display.units_[l][0][0])]
    starts, ends = ({tuple(at): unit for unit, at in display.units_[k].items()} for k in (l, l + 1))
    return {
        (starts[tuple(start)], ends[tuple(end)]): (tuple(colour), width)
        for (start, end), colour, width in zip(
            collection.get_segments(), collection.get_colors(), collection.get_linewidths(), strict=True
        )
    }


def test_every_weight_is_a_line_whose_colour_is_its_sign_and_whose_width_is_its_size(iris):
    display = NetworkDisplay.from_estimator(iris)
    assert len(display.weights_) == 3
    for l, coef in enumerate(iris.coefs_):
        lines = drawn_weights(display, l)
        assert set(lines) == {(i, j) for i in range(coef.shape[0]) for j in range(coef.shape[1])}
        for at, (colour, width) in lines.items():
            sign = network.POSITIVE if coef[at] > 0 else network.NEGATIVE
            assert colour[:3] == to_rgba(sign)[:3]
            assert width == pytest.approx(NetworkDisplay.WIDEST * abs(coef[at]) / abs(coef).max())
    assert legend(display.ax_) == ["positive weight", "negative weight"]


def test_every_unit_is_a_circle_in_the_column_of_its_layer(iris):
    display = NetworkDisplay.from_estimator(iris)
    assert [list(units) for units in display.units_] == [list(range(n)) for n in (4, 6, 5, 3)]
    centres = {patch.center for patch in display.ax_.patches if isinstance(patch, Circle)}
    assert centres == {at for units in display.units_ for at in units.values()}
    columns = [{x for x, _ in units.values()} for units in display.units_]
    assert [len(column) for column in columns] == [1, 1, 1, 1]
    assert sorted(min(column) for column in columns) == [min(column) for column in columns]
    captions = texts(display.ax_)
    for caption in ("input\n4 units", "hidden 1\n6 units\ntanh", "hidden 2\n5 units\ntanh", "output\n3 units\nsoftmax"):
        assert caption in captions


def test_of_a_wide_layer_the_first_and_the_last_units_are_drawn_and_dots_between(digits):
    display = NetworkDisplay.from_estimator(digits, max_units=5)
    assert list(display.units_[0]) == [0, 1, 2, 62, 63]
    assert list(display.units_[1]) == [0, 1, 2, 18, 19]
    assert list(display.units_[2]) == [0, 1, 2, 3]
    assert texts(display.ax_).count("\u22ee") == 2
    heights = [y for _, y in display.units_[0].values()]
    assert_array_equal(np.diff(heights), [-1, -1, -2, -1])
    lines = drawn_weights(display, 1)
    largest = abs(digits.coefs_[1]).max()
    assert lines[19, 3][1] == pytest.approx(NetworkDisplay.WIDEST * abs(digits.coefs_[1][19, 3]) / largest)


def test_names_of_features_and_classes_stand_beside_their_units():
    frame = load_iris(as_frame=True)
    names = frame.target_names[frame.target]
    clf = BackpropClassifier(hidden_layer_sizes=(3,), max_iter=2, random_state=0).fit(frame.data, names)
    display = NetworkDisplay.from_estimator(clf)
    beside = {(text.get_position()[1], text.get_ha()): text.get_text() for text in display.ax_.texts}
    for unit, name in enumerate(frame.feature_names):
        assert beside[display.units_[0][unit][1], "right"] == name
    for unit, name in enumerate(frame.target_names):
        assert beside[display.units_[2][unit][1], "left"] == name
    renamed = NetworkDisplay.from_estimator(clf, feature_names=["a", "b", "c", "very " * 10])
    assert {"a", "b", "c", "very very very very ver\u2026"} <= set(texts(renamed.ax_))


def test_a_single_output_of_two_classes_has_the_name_of_the_second():
    two = Y < 2
    clf = BackpropClassifier(hidden_layer_sizes=(3,), max_iter=2, random_state=0).fit(X[two], Y[two])
    display = NetworkDisplay.from_estimator(clf)
    assert "1" in texts(display.ax_)
    assert "0" not in texts(display.ax_)
    assert "output\n1 unit\nlogistic" in texts(display.ax_)


def test_units_on_images_are_drawn_as_images_of_their_weights(digits):
    display = NetworkDisplay.from_estimator(digits, image_shape=(8, 8), max_units=6)
    assert list(display.ax_.images) == display.images_
    assert list(display.units_[1]) == [0, 1, 2, 17, 18, 19]
    limit = abs(digits.coefs_[0]).max()
    for image, (unit, (x, y)) in zip(display.images_, display.units_[1].items(), strict=True):
        assert_array_equal(image.get_array(), digits.coefs_[0][:, unit].reshape(8, 8))
        assert image.get_clim() == (-limit, limit)
        left, right, bottom, top = image.get_extent()
        assert_allclose([(left + right) / 2, (bottom + top) / 2], [x, y], atol=1e-12)
        assert image.origin == "upper"
    assert len(display.weights_) == 1
    assert "hidden 1\n20 units\nof 8 \u00d7 8 weights\nrelu" in texts(display.ax_)


def test_nothing_of_a_network_is_drawn_outside_the_figure_or_over_other_names(iris, digits):
    for display in (
        NetworkDisplay.from_estimator(iris, feature_names=["a very long name of a feature"] * 4),
        NetworkDisplay.from_estimator(digits),
        NetworkDisplay.from_estimator(digits, image_shape=(8, 8)),
    ):
        display.figure_.canvas.draw()
        boxes = [text.get_window_extent() for text in display.ax_.texts] + [
            display.ax_.get_legend().get_window_extent()
        ]
        assert not any(boxes[-1].overlaps(patch.get_window_extent()) for patch in display.ax_.patches)
        width, height = display.figure_.canvas.get_width_height()
        for k, box in enumerate(boxes):
            assert min(box.x0, box.y0) >= 0
            assert box.x1 <= width
            assert box.y1 <= height
            assert not any(box.overlaps(other) for other in boxes[k + 1 :])


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"max_units": 1}, "max_units must be at least 2, got 1"),
        ({"image_shape": (7, 8)}, r"image_shape .* features, 64; got \(7, 8\)"),
        ({"feature_names": ["a"]}, "feature_names must be 64 names, got 1"),
    ],
)
def test_a_bad_option_of_a_network_is_named(digits, options, what):
    with pytest.raises(ValueError, match=what):
        NetworkDisplay.from_estimator(digits, **options)


def test_images_need_a_hidden_layer():
    clf = BackpropClassifier(hidden_layer_sizes=(), max_iter=2, random_state=0).fit(X, Y)
    assert len(NetworkDisplay.from_estimator(clf).weights_) == 1
    with pytest.raises(ValueError, match="image_shape needs a hidden layer"):
        NetworkDisplay.from_estimator(clf, image_shape=(2, 2))


# ---------------------------------------------------------------- norms of delta


def norms_by_hand(clf, X, targets):
    """For tanh units and an output whose delta is a - y."""
    layers = clf.hidden_activations(X)
    output = clf.predict_proba(X) if hasattr(clf, "classes_") else clf.predict(X).reshape(len(X), -1)
    delta = output[:, -targets.shape[1] :] - targets
    norms = [np.linalg.norm(delta, axis=1)]
    for coef, a in zip(reversed(clf.coefs_[1:]), reversed(layers), strict=True):
        delta = delta @ coef.T * (1 - a**2)
        norms.insert(0, np.linalg.norm(delta, axis=1))
    return np.stack(norms, axis=1)


def test_norms_of_delta_are_those_of_the_recursion(iris, monkeypatch):
    monkeypatch.setattr(delta_norms, "ROWS_AT_ONCE", 64)
    display = DeltaNormDisplay.from_estimator(iris, X, Y)
    expected = norms_by_hand(iris, X, np.eye(3)[Y])
    assert_allclose(display.norms, expected, rtol=1e-9)
    assert_allclose(display.line_.get_data(), [[2, 3, 4], expected.mean(axis=0)], rtol=1e-9)
    band = display.band_.get_paths()[0].vertices
    for l, percentiles in zip((2, 3, 4), np.percentile(expected, [10, 90], axis=0).T, strict=True):
        assert_allclose(np.unique(band[band[:, 0] == l, 1]), percentiles, rtol=1e-9)
    assert display.ax_.get_yscale() == "log"
    assert display.ax_.get_legend() is None


def test_norms_of_delta_of_sparse_examples_and_every_kind_of_target(iris):
    dense = DeltaNormDisplay.from_estimator(iris, X, Y)
    assert_allclose(DeltaNormDisplay.from_estimator(iris, sparse.csr_array(X), Y).norms, dense.norms, rtol=1e-9)
    options = {"hidden_layer_sizes": (4,), "activation": "tanh", "max_iter": 3, "random_state": 0}
    labels = np.stack([Y == 0, Y > 0], axis=1).astype(int)
    for net, y, targets in (
        (BackpropClassifier(**options), np.array(["no", "yes"])[(Y > 0) * 1], labels[:, 1:]),
        (BackpropClassifier(**options), labels, labels),
        (BackpropRegressor(**options), X[:, 0], X[:, :1]),
        (BackpropRegressor(**options), X[:, :2], X[:, :2]),
    ):
        net.fit(X, y)
        assert_allclose(DeltaNormDisplay.from_estimator(net, X, y).norms, norms_by_hand(net, X, targets), rtol=1e-9)


def test_vanishing_deltas_of_deep_logistic_units_are_seen_beside_those_of_tanh():
    ax, slopes, scaled = None, {}, StandardScaler().fit_transform(X)
    for activation in ("logistic", "tanh"):
        clf = BackpropClassifier(hidden_layer_sizes=(16,) * 6, activation=activation, max_iter=1, random_state=0)
        display = DeltaNormDisplay.from_estimator(clf.fit(scaled, Y), scaled, Y, name=activation, ax=ax)
        ax, slopes[activation] = display.ax_, display.line_.get_ydata()[0] / display.line_.get_ydata()[-1]
    assert slopes["logistic"] < 1e-3 < 0.1 < slopes["tanh"]
    assert legend(ax) == ["logistic", "tanh"]


@pytest.mark.parametrize(
    ("y", "what"),
    [(Y + 1, r"y has classes \[3\] that the fit did not have"), (np.eye(3)[Y], r"y has shape \(150, 3\)")],
)
def test_norms_of_delta_of_an_unfitting_y_are_refused(iris, y, what):
    with pytest.raises(ValueError, match=f"^{what}"):
        DeltaNormDisplay.from_estimator(iris, X, y)


# ---------------------------------------------------------------- all of them


def test_the_network_is_found_in_a_pipeline_a_search_and_a_transformed_target():
    options = {"hidden_layer_sizes": (4,), "activation": "tanh", "max_iter": 3, "random_state": 0}
    scaled = StandardScaler().fit_transform(X)
    plain = BackpropClassifier(**options).fit(scaled, Y)
    piped = make_pipeline(StandardScaler(), BackpropClassifier(**options)).fit(X, Y)
    search = GridSearchCV(piped, {"backpropclassifier__alpha": [1e-4]}, cv=2).fit(X, Y)
    expected = DeltaNormDisplay.from_estimator(plain, scaled, Y).norms
    for estimator in (piped, search):
        assert_allclose(DeltaNormDisplay.from_estimator(estimator, X, Y).norms, expected, rtol=1e-9)
        assert LossCurveDisplay.from_estimator(estimator).training_loss == plain.loss_curve_
        assert_array_equal(NetworkDisplay.from_estimator(estimator).coefs[0], plain.coefs_[0])

    y = 100 * X[:, 0]
    inner = BackpropRegressor(**options).fit(scaled, StandardScaler().fit_transform(y[:, None])[:, 0])
    outer = make_pipeline(
        StandardScaler(),
        TransformedTargetRegressor(BackpropRegressor(**options), transformer=StandardScaler()),
    ).fit(X, y)
    assert LossCurveDisplay.from_estimator(outer).training_loss == inner.loss_curve_
    expected = DeltaNormDisplay.from_estimator(inner, scaled, (y - y.mean()) / y.std()).norms
    assert_allclose(DeltaNormDisplay.from_estimator(outer, X, y).norms, expected, rtol=1e-9)


@pytest.mark.parametrize("draw", DRAWERS.values(), ids=DRAWERS)
def test_without_matplotlib_the_error_names_the_extra(draw, iris, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"Display.plot needs matplotlib, .*: pip install \"fastbp\[plot\]\""):
        draw(iris)


@pytest.mark.parametrize("draw", DRAWERS.values(), ids=DRAWERS)
def test_an_estimator_that_is_not_fitted_or_no_network_is_refused(draw):
    for estimator in (BackpropClassifier(), make_pipeline(StandardScaler(), BackpropClassifier())):
        with pytest.raises(NotFittedError):
            draw(estimator)
    for estimator in (LogisticRegression(), make_pipeline(LogisticRegression())):
        with pytest.raises(TypeError, match=r"must be a BackpropClassifier .* got .*LogisticRegression"):
            draw(estimator)

"""The picture of a network: every weight is a line, every unit is a circle or an image."""

import numpy as np
import pytest
from matplotlib.colors import to_rgba
from matplotlib.patches import Circle
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_iris
from sklearn.feature_selection import SelectKBest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from fastbp import BackpropClassifier
from fastbp.displays import NetworkDisplay
from fastbp.displays.network import NEGATIVE, POSITIVE
from support.pictures import X, Y, legend, texts

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def drawn_weights(display, l):
    """{(unit, unit of the next layer): (colour, width)} of the lines from layer l."""
    x = next(iter(display.units_[l].values()))[0]
    (collection,) = [c for c in display.weights_ if np.allclose(c.get_segments()[0][0][0], x)]
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
            sign = POSITIVE if coef[at] > 0 else NEGATIVE
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


def strongest(coefs, l, most):
    """The units of layer l with the largest weights in or out, relative to the largest weight of each layer."""
    into = abs(coefs[l - 1]).max(axis=0) / abs(coefs[l - 1]).max() if l else 0
    out_of = abs(coefs[l]).max(axis=1) / abs(coefs[l]).max() if l < len(coefs) else 0
    return sorted(np.argsort(-np.maximum(into, out_of))[:most])


def test_of_a_wide_layer_the_units_with_the_strongest_weights_are_drawn_and_dots_below(digits):
    display = NetworkDisplay.from_estimator(digits, max_units=5)
    for l in (0, 1):
        assert list(display.units_[l]) == strongest(digits.coefs_, l, 5)
    assert list(display.units_[2]) == [0, 1, 2, 3]
    for l, coef in enumerate(digits.coefs_):
        i, j = np.unravel_index(abs(coef).argmax(), coef.shape)
        assert drawn_weights(display, l)[i, j][1] == pytest.approx(NetworkDisplay.WIDEST)
    assert texts(display.ax_).count("\u22ee") == 2
    assert "input\n64 units\n(the 5 strongest)" in texts(display.ax_)
    assert_array_equal(np.diff([y for _, y in display.units_[0].values()]), -1)
    at = {text.get_position(): text.get_text() for text in display.ax_.texts}
    assert all(at[centre] == str(unit) for l in (0, 1) for unit, centre in display.units_[l].items())
    assert not any(centre in at for centre in display.units_[2].values())


def test_the_legend_says_what_a_width_means(iris):
    title = NetworkDisplay.from_estimator(iris).ax_.get_legend().get_title().get_text()
    assert title == "width of a line: size of the weight,\nrelative to the largest of its layer"


def test_inputs_have_the_names_that_the_steps_of_a_pipeline_give_them():
    frame = load_iris(as_frame=True)
    columns = make_column_transformer((StandardScaler(), list(frame.data.columns[:2])), remainder="passthrough")
    clf = BackpropClassifier(hidden_layer_sizes=(3,), max_iter=2, random_state=0)
    pipe = make_pipeline(columns, clf).fit(frame.data, frame.target)
    display = NetworkDisplay.from_estimator(pipe)
    assert list(display.feature_names) == list(columns.fit(frame.data).get_feature_names_out())
    nested = make_pipeline(SelectKBest(k=2), make_pipeline(StandardScaler(), clf)).fit(frame.data, frame.target)
    assert list(NetworkDisplay.from_estimator(nested).feature_names) == ["petal length (cm)", "petal width (cm)"]


def test_inputs_have_no_names_if_a_step_gives_none():
    clf = BackpropClassifier(hidden_layer_sizes=(3,), max_iter=2, random_state=0)
    pipe = make_pipeline(FunctionTransformer(np.abs), clf).fit(X, Y)
    assert NetworkDisplay.from_estimator(pipe).feature_names is None


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
    assert list(display.units_[1]) == strongest(digits.coefs_, 1, 6)
    assert {str(unit) for unit in display.units_[1]} <= set(texts(display.ax_))
    limit = abs(digits.coefs_[0]).max()
    for image, (unit, (x, y)) in zip(display.images_, display.units_[1].items(), strict=True):
        assert_array_equal(image.get_array(), digits.coefs_[0][:, unit].reshape(8, 8))
        assert image.get_clim() == (-limit, limit)
        left, right, bottom, top = image.get_extent()
        assert_allclose([(left + right) / 2, (bottom + top) / 2], [x, y], atol=1e-12)
        assert image.origin == "upper"
    assert len(display.weights_) == 1
    assert "hidden 1\n20 units\n(the 6 strongest)\nof 8 \u00d7 8 weights\nrelu" in texts(display.ax_)


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

"""Draw the three displays on the handwritten digits: python benchmarks/pictures.py FILE."""

import sys
import warnings

from matplotlib import pyplot
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import scale

from fastbp import BackpropClassifier
from fastbp.displays import DeltaNormDisplay, LossCurveDisplay, NetworkDisplay


def main(path: str) -> None:
    """Draw the loss curves of two networks, the norms of delta of three deep networks, and another network."""
    warnings.simplefilter("ignore", ConvergenceWarning)
    images, y = load_digits(return_X_y=True)
    X = scale(images)
    figure, axes = pyplot.subplot_mosaic(
        [["loss", "network"], ["delta", "network"]], figsize=(11, 7), width_ratios=[1, 1.2], layout="constrained"
    )
    for activation in ("relu", "tanh"):
        clf = BackpropClassifier(activation=activation, early_stopping=True, max_iter=100, random_state=0).fit(X, y)
        LossCurveDisplay.from_estimator(clf, name=activation, log_scale=True, ax=axes["loss"])
    for activation in ("logistic", "tanh", "relu"):
        clf = BackpropClassifier(hidden_layer_sizes=(50,) * 8, activation=activation, max_iter=1, random_state=0)
        DeltaNormDisplay.from_estimator(clf.fit(X, y), X, y, name=activation, ax=axes["delta"])
    clf = BackpropClassifier(hidden_layer_sizes=(40, 10), alpha=1, max_iter=300, random_state=0).fit(images / 16, y)
    NetworkDisplay.from_estimator(clf, image_shape=(8, 8), max_units=10, ax=axes["network"])
    axes["loss"].set_title("LossCurveDisplay")
    axes["delta"].set_title("DeltaNormDisplay, networks of 10 layers")
    axes["network"].set_title("NetworkDisplay, units as images of their weights", y=1.16)
    figure.savefig(path, dpi=80)
    Image.open(path).quantize(128).save(path, optimize=True)  # a fraction of the size, without a visible difference


if __name__ == "__main__":
    main(sys.argv[1])

"""fastbp: multilayer perceptrons trained by backpropagation in compiled loops, behind scikit-learn's interface."""

from .classifier import BackpropClassifier
from .regressor import BackpropRegressor
from .version import __version__

__all__ = ["BackpropClassifier", "BackpropRegressor", "__version__"]

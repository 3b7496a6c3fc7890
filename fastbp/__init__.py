"""fastbp: multilayer perceptrons trained by backpropagation in compiled loops, behind scikit-learn's interface."""

from .classifier import BackpropClassifier
from .regressor import BackpropRegressor

__version__ = "0.1.0"
__all__ = ["BackpropClassifier", "BackpropRegressor", "__version__"]

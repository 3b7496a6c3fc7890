"""fastbp: multilayer perceptrons trained by backpropagation in compiled loops, behind scikit-learn's interface."""

from .estimators import BackpropClassifier

__version__ = "0.1.0"
__all__ = ["BackpropClassifier", "__version__"]

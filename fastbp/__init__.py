"""Multilayer perceptrons trained by backpropagation in compiled loops, behind scikit-learn's interface.

`BackpropClassifier` and `BackpropRegressor` take the place of scikit-learn's MLPClassifier and MLPRegressor. Beside
them:

`fastbp.textbook`
    The mathematics as plain functions: forward, deltas, loss and gradient, a check of the gradient.
`fastbp.dask`
    The same estimators for Dask arrays and dataframes, on many machines. Needs Dask: ``pip install "fastbp[dask]"``.
`fastbp.displays`
    Pictures of a fitted network. Needs matplotlib: ``pip install "fastbp[plot]"``.
`fastbp.onnx`
    Export to ONNX. Needs skl2onnx: ``pip install "fastbp[onnx]"``.
``python -m fastbp --help``
    The command line. To train and predict with it: ``pip install "fastbp[cli]"``.

The other modules and `fastbp.kernels` are internal.

Examples
--------
>>> from sklearn.datasets import load_iris
>>> from fastbp import BackpropClassifier
>>> X, y = load_iris(return_X_y=True)
>>> clf = BackpropClassifier(solver="lbfgs", hidden_layer_sizes=(5,), random_state=0).fit(X, y)
>>> clf.score(X, y) > 0.95
True
"""

from .estimators.classifier import BackpropClassifier
from .estimators.regressor import BackpropRegressor
from .version import __version__

# The path by which pickle, skops and the like store a type. It stays the same when modules move.
BackpropClassifier.__module__ = BackpropRegressor.__module__ = __name__

__all__ = ["BackpropClassifier", "BackpropRegressor", "__version__"]

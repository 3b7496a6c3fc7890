"""Multilayer perceptrons trained by backpropagation in compiled loops, behind scikit-learn's interface.

`TabularClassifier` and `TabularRegressor` predict from tables of numbers, text, categories and dates without any
preparation. They choose encodings and networks themselves, and average the best networks. `TableEncoder` is a
transformer that turns such a table into inputs of a network.

`BackpropClassifier` and `BackpropRegressor` replace scikit-learn's MLPClassifier and MLPRegressor.
`BackpropEnsembleClassifier` and `BackpropEnsembleRegressor` train several of them side by side, and average their
predictions. There are also:

`fastbp.model_selection`
    Searches that train their candidates side by side, and a search with halving, whose survivors go on training.
`fastbp.textbook`
    The mathematics as plain functions: forward pass, deltas, loss and gradient, and a check of the gradient.
`fastbp.dask`
    The same estimators for Dask arrays and dataframes on many machines. Needs Dask: ``pip install "fastbp[dask]"``.
`fastbp.displays`
    Pictures of a fitted network. Needs matplotlib: ``pip install "fastbp[plot]"``.
`fastbp.onnx`
    Export to ONNX. Needs skl2onnx: ``pip install "fastbp[onnx]"``.
``python -m fastbp --help``
    The command line. Its commands train, predict and evaluate need ``pip install "fastbp[cli]"``.

All other modules are internal. `__version__` is the version of the package.

Examples
--------
>>> from sklearn.datasets import load_iris
>>> from fastbp import BackpropClassifier
>>> X, y = load_iris(return_X_y=True)
>>> clf = BackpropClassifier(solver="lbfgs", hidden_layer_sizes=(5,), random_state=0).fit(X, y)
>>> clf.score(X, y) > 0.95
True
"""

import importlib
from typing import TYPE_CHECKING, Any

from .version import __version__

if TYPE_CHECKING:
    from .encoding.encoder import TableEncoder
    from .ensemble.classifier import BackpropEnsembleClassifier
    from .ensemble.regressor import BackpropEnsembleRegressor
    from .estimators.classifier import BackpropClassifier
    from .estimators.regressor import BackpropRegressor
    from .tabular.classifier import TabularClassifier
    from .tabular.regressor import TabularRegressor

__all__ = [
    "BackpropClassifier",
    "BackpropEnsembleClassifier",
    "BackpropEnsembleRegressor",
    "BackpropRegressor",
    "TableEncoder",
    "TabularClassifier",
    "TabularRegressor",
    "__version__",
]
# `__getattr__` imports these classes, so that `python -m fastbp --help` does not wait for Numba.
LAZY = {
    "BackpropClassifier": "estimators.classifier",
    "BackpropEnsembleClassifier": "ensemble.classifier",
    "BackpropEnsembleRegressor": "ensemble.regressor",
    "BackpropRegressor": "estimators.regressor",
    "TableEncoder": "encoding.encoder",
    "TabularClassifier": "tabular.classifier",
    "TabularRegressor": "tabular.regressor",
}


def __getattr__(name: str) -> Any:
    """Import a class when it is first used."""
    if name not in LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = getattr(importlib.import_module(f".{LAZY[name]}", __name__), name)
    return globals()[name]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

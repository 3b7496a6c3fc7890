"""Models of every solver, fitted on one CPU and used on another."""

import pathlib
import pickle

import numpy as np

from fastbp import BackpropClassifier

SOLVERS = {
    "adam": {"learning_rate_init": 0.01},
    "sgd": {"learning_rate_init": 0.1},
    "lbfgs": {},
    "gd": {"learning_rate_init": 0.5},
}


def data():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 13))
    return X, (X @ rng.normal(size=(13, 3)) + rng.normal(size=(300, 3))).argmax(axis=1)


def fit_all(folder):
    """Pickle a model of every solver into `folder`. Return the size of this process's tile."""
    from fastbp.kernels.machine import registers

    for solver, options in SOLVERS.items():
        clf = BackpropClassifier((50, 19), activation="tanh", solver=solver, max_iter=8, random_state=0, **options)
        pathlib.Path(folder, f"{solver}.pickle").write_bytes(pickle.dumps(clf.fit(*data())))
    return registers.VECTOR_BYTES, registers.ROWS


def use_all(folder):
    """{solver: numbers} of the models in `folder`: predictions, weights and losses, also after five partial fits."""
    X, y = data()
    found = {}
    for solver in SOLVERS:
        clf = pickle.loads(pathlib.Path(folder, f"{solver}.pickle").read_bytes())
        found[solver] = {"probabilities": clf.predict_proba(X), "weights": flat(clf), "losses": clf.loss_curve_}
        if solver in ("adam", "sgd"):
            for _ in range(5):
                clf.partial_fit(X, y)
            found[solver] |= {"weights after partial_fit": flat(clf), "losses after partial_fit": clf.loss_curve_}
    return {solver: {name: np.array(value).tolist() for name, value in of.items()} for solver, of in found.items()}


def flat(clf):
    return np.concatenate([array.ravel() for array in clf.coefs_ + clf.intercepts_])

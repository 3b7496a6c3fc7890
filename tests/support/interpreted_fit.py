"""A small fit whose kernels may be interpreted."""

import numpy as np

from fastbp import BackpropClassifier
from fastbp.kernels.compiling import interpreted


def fitted():
    """[whether kernels are interpreted, predictions of a small fit as Python's numbers]."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 5)), rng.integers(3, size=60)
    clf = BackpropClassifier((9, 30), batch_size=16, max_iter=5, n_iter_no_change=5, random_state=0).fit(X, y)
    return [interpreted.ENABLED, clf.predict_proba(X).tolist()]

"""What the README shows runs as it stands."""

import pathlib
import re
import warnings

import pytest
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import StandardScaler

import fastbp

README = (pathlib.Path(__file__).parent.parent / "README.md").read_text()
SNIPPETS = [re.sub(r"^ {3}", "", block, flags=re.M) for block in re.findall(r"```python\n(.*?)```", README, re.S)]
CONFIGURATIONS = [snippet for snippet in SNIPPETS if snippet.lstrip().startswith("clf =")]


def test_the_readme_has_its_snippets():
    assert len(SNIPPETS) == 13
    assert len(CONFIGURATIONS) == 5


def test_the_snippets_run_one_after_the_other():
    scope = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for snippet in SNIPPETS:
            exec(snippet.lstrip(), scope)


@pytest.mark.parametrize("number", range(len(CONFIGURATIONS)))
def test_each_published_description_learns_the_digits(number):
    X, y = load_digits(n_class=4, return_X_y=True)
    X = StandardScaler().fit_transform(X)
    scope = {"BackpropClassifier": fastbp.BackpropClassifier}
    exec(CONFIGURATIONS[number].lstrip(), scope)
    clf = scope["clf"].set_params(max_iter=60)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        clf.fit(X, y)
    assert clf.loss_curve_[-1] < 0.9 * clf.loss_curve_[0]
    assert clf.score(X, y) > 0.9

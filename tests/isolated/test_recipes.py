"""The documents' recipes, followed to the letter in a copy, give a new activation and a new loss that train."""

import json
import os
import re
import shutil
import subprocess
import sys

import pytest

from support.documents import ROOT, block

TIMEOUT = 900  # seconds; turns a hang into a failure

# REFERENCE: edits of the reference. The recipes leave them to the reader.
REFERENCE = """\
--- tests/support/reference.py
 DERIVATIVES: dict[str, Callable[[Array], Array]] = {
+    "softsign": lambda z: 1 / (1 + np.abs(z)) ** 2,
@@
 ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
+    "softsign": lambda z: z / (1 + np.abs(z)),
@@
 LEGAL_OUTPUTS: dict[str, tuple[str, ...]] = {
+    "pseudo_huber": HIDDEN_ACTIVATIONS,
@@
     residual = ACTIVATIONS[out_activation](z) - Y
     if loss == "absolute_error":
         return np.abs(residual).sum(axis=1)
+    if loss == "pseudo_huber":
+        return (np.sqrt(1 + residual**2) - 1).sum(axis=1)
@@
     derivative = DERIVATIVES[out_activation](z)
     if loss == "absolute_error":
         return np.sign(residual) * derivative
+    if loss == "pseudo_huber":
+        return residual / np.sqrt(1 + residual**2) * derivative
"""

PROGRAM = """
import json
import numpy as np
from sklearn.datasets import load_iris, make_regression
from sklearn.preprocessing import scale
from fastbp import BackpropClassifier, BackpropRegressor, textbook
from fastbp.onnx import register_onnx_converters

rng = np.random.default_rng(0)
X, Y = rng.normal(size=(12, 3)), rng.normal(size=(12, 2))
coefs, intercepts = [rng.normal(size=(3, 5)), rng.normal(size=(5, 2))], [rng.normal(size=5), rng.normal(size=2)]
differences = {
    f"{activation}, {loss}, {output}": textbook.check_gradient(
        X, Y, coefs, intercepts, activation=activation, loss=loss, out_activation=output
    )
    for activation, loss, output in [
        ("softsign", "squared_error", "identity"),
        ("tanh", "pseudo_huber", "identity"),
        ("softsign", "pseudo_huber", "softsign"),
    ]
}

flowers, species = load_iris(return_X_y=True)
flowers = scale(flowers)
clf = BackpropClassifier((20,), "softsign", solver="lbfgs", random_state=0).fit(flowers, species)

X, y = make_regression(200, 5, noise=0.1, random_state=0)
X, y = scale(X), scale(y)
spoilt = y.copy()
spoilt[:10] = 100.0  # they lead the squared error astray
r2 = {
    loss: BackpropRegressor(loss, (), solver="lbfgs", random_state=0).fit(X, spoilt).score(X[10:], y[10:])
    for loss in ("squared_error", "pseudo_huber")
}

import skl2onnx, onnxruntime
register_onnx_converters()
model = skl2onnx.to_onnx(clf, flowers[:1], options={"zipmap": False}).SerializeToString()
session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
exported = session.run(["probabilities"], {session.get_inputs()[0].name: flowers})[0]

print(json.dumps({
    "differences": differences,
    "accuracy": clf.score(flowers, species),
    "r2": r2,
    "exported": float(abs(exported - clf.predict_proba(flowers)).max()),
}))
"""


def follow(diff, folder):
    """Make the edits of a diff without line numbers. The lines that it shows of a file must be there once."""
    for path, hunks in re.findall(r"^--- (\S+)\n(.*?)(?=^--- |\Z)", diff, re.M | re.S):
        file = folder / path
        source = file.read_text()
        for hunk in re.split(r"^@@\n", hunks, flags=re.M):
            lines = hunk.splitlines(keepends=True)
            before = "".join(line[1:] for line in lines if line[0] in " -")
            after = "".join(line[1:] for line in lines if line[0] in " +")
            assert source.count(before) == 1, f"{path} does not have once:\n{before}"
            source = source.replace(before, after)
        file.write_text(source)


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """A copy of the sources with both recipes followed."""
    folder = tmp_path_factory.mktemp("copy")
    for name in ("fastbp", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", ".pytest_cache"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, folder)
    for diff in (block("activation-recipe", "diff"), block("loss-recipe", "diff"), REFERENCE):
        follow(diff, folder)
    return folder


def run(folder, *arguments):
    """The output of a Python that imports the copy."""
    environment = os.environ | {"PYTHONPATH": str(folder), "NUMBA_CACHE_DIR": str(folder / "cache")}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=TIMEOUT
    )
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


@pytest.mark.parametrize("name", ["activation-recipe", "loss-recipe"])
def test_a_recipe_is_some_ten_lines(name):
    assert 10 <= len(re.findall(r"^\+", block(name, "diff"), re.M)) <= 13


def test_the_recipes_give_an_activation_and_a_loss_with_right_gradients_that_learn_and_export(copy):
    found = json.loads(run(copy, "-W", "ignore", "-c", PROGRAM).splitlines()[-1])
    assert len(found["differences"]) == 3
    assert max(found["differences"].values()) < 1e-6
    assert found["accuracy"] > 0.97
    assert found["r2"]["pseudo_huber"] > 0.9 > found["r2"]["squared_error"]
    assert found["exported"] < 1e-10


def test_the_tests_find_the_new_names_in_the_reference(copy):
    chosen = "every_activation_with_every_loss_and_every_pair and (softsign or pseudo_huber)"
    printed = run(copy, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/textbook/test_textbook.py", "-k", chosen)
    passed = int(re.search(r"(\d+) passed", printed).group(1))
    assert passed >= 80

"""The text of help(): every public name has a docstring in numpydoc's form, and it agrees with the code."""

import builtins
import doctest
import importlib
import inspect
import pydoc
import re
import warnings

import matplotlib as mpl
import pandas as pd
import pytest
import sklearn.exceptions
from numpydoc.docscrape import ClassDoc, FunctionDoc
from numpydoc.validate import validate
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning

import fastbp
from fastbp.model_selection import HalvingSearchCV

MODULES = ["fastbp", "fastbp.textbook", "fastbp.dask", "fastbp.displays", "fastbp.model_selection", "fastbp.onnx"]
# OTHER_HABITS: numpydoc's checks that are not our habits. GL01, GL02: the place of quotes. SS05: a summary begins with
# a verb. ES01, SA01, EX01: sections that not everything needs. PR04: "As in `fit`" has no type. RT02, RT04: returned
# values have names, and a name may be a symbol. RT03: "self" has no description.
OTHER_HABITS = {"GL01", "GL02", "SS05", "ES01", "SA01", "EX01", "PR04", "RT02", "RT03", "RT04"}


def public_objects():
    """(dotted name, object) of the names in __all__, and of the methods that fastbp defines in these classes."""
    for module in MODULES:
        for name in importlib.import_module(module).__all__:
            thing = getattr(importlib.import_module(module), name)
            if isinstance(thing, str):
                continue
            yield f"{module}.{name}", thing
            for method in dir(thing) if inspect.isclass(thing) else ():
                defined = getattr(thing, method)
                if not method.startswith("_") and str(getattr(defined, "__module__", "")).startswith("fastbp"):
                    yield f"{module}.{name}.{method}", defined


OBJECTS = dict(public_objects())
NEVER_FAIL = "to_local"
CALLABLES = [name for name, thing in OBJECTS.items() if not (inspect.isclass(thing) or name.endswith(NEVER_FAIL))]
DISPLAYS = [name for name in OBJECTS if re.fullmatch(r"fastbp.displays.\w+", name)]


def test_the_public_names_are_found():
    for name in ("BackpropClassifier.fit", "BackpropRegressor.hidden_activations", "displays.NetworkDisplay.plot"):
        assert f"fastbp.{name}" in OBJECTS
    assert len(OBJECTS) >= 30


@pytest.mark.parametrize("name", OBJECTS)
def test_parameters_and_returns_are_those_of_the_signature(name):
    assert [error for error in validate(name)["errors"] if error[0] not in OTHER_HABITS] == []


@pytest.mark.parametrize("name", CALLABLES)
def test_the_errors_raised_are_named_and_exist(name):
    raised = [word for entry in FunctionDoc(OBJECTS[name])["Raises"] for word in entry.type.split(", ")]
    assert raised
    for error in raised:
        kind = getattr(builtins, error, None) or getattr(sklearn.exceptions, error)
        assert issubclass(kind, Exception)


@pytest.mark.parametrize(
    "estimator",
    [
        fastbp.BackpropClassifier(max_iter=1),
        fastbp.BackpropRegressor(max_iter=1),
        fastbp.BackpropEnsembleClassifier(fastbp.BackpropClassifier(max_iter=1), 2),
        fastbp.BackpropEnsembleRegressor(fastbp.BackpropRegressor(max_iter=1), 2),
    ],
)
def test_the_attributes_of_an_estimator_are_those_of_a_fitted_one(estimator):
    X, y = load_iris(return_X_y=True, as_frame=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        net = estimator.fit(pd.DataFrame(X), y)
    fitted = {name for name in vars(net) if name.endswith("_") and not name.startswith("_")}
    assert fitted == {entry.name for entry in ClassDoc(type(estimator))["Attributes"]}


def test_the_attributes_of_the_encoder_are_those_of_a_fitted_one():
    X, y = load_iris(return_X_y=True, as_frame=True)
    fitted = {name for name in vars(fastbp.TableEncoder().fit(X, y)) if name.endswith("_") and not name.startswith("_")}
    assert fitted == {entry.name for entry in ClassDoc(fastbp.TableEncoder)["Attributes"]}


@pytest.mark.parametrize("name", DISPLAYS)
def test_the_attributes_of_a_display_are_those_after_a_plot(name):
    mpl.use("Agg")
    X, y = load_iris(return_X_y=True)
    clf = fastbp.BackpropClassifier((2,), solver="lbfgs", max_iter=500, random_state=0).fit(X, y)
    if name.endswith("HalvingDisplay"):
        clf = HalvingSearchCV(fastbp.BackpropClassifier((2,), max_iter=1), {"alpha": [1.0]}, cv=2)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            clf.fit(X, y)
    arguments = (X, y) if "X" in inspect.signature(OBJECTS[name].from_estimator).parameters else ()
    drawn = vars(OBJECTS[name].from_estimator(clf, *arguments))
    mpl.pyplot.close("all")
    assert {attribute for attribute in drawn if attribute.endswith("_")} == {
        entry.name for entry in ClassDoc(OBJECTS[name])["Attributes"]
    }


@pytest.mark.parametrize("name", [*MODULES, *(name for name in OBJECTS if ">>>" in inspect.getdoc(OBJECTS[name]))])
def test_the_examples_run(name):
    if name.startswith("fastbp.onnx"):
        pytest.importorskip("onnxruntime")  # not every Python has it
    mpl.use("Agg")
    thing = OBJECTS.get(name) or importlib.import_module(name)
    (example,) = doctest.DocTestFinder(recurse=False).find(thing, name, globs={})
    runner = doctest.DocTestRunner()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of the packages that skl2onnx imports
        warnings.simplefilter("ignore", ConvergenceWarning)  # where lbfgs ends depends on the CPU's rounding
        assert runner.run(example).failed == 0


@pytest.mark.parametrize("name", MODULES)
def test_help_shows_the_public_names_and_no_internals(name):
    module = importlib.import_module(name)
    shown = pydoc.plain(pydoc.render_doc(module))
    assert shown.split("NAME\n", 1)[1].splitlines()[0] == f"    {name} - {module.__doc__.splitlines()[0]}"
    for public in {*module.__all__} - {"__version__"}:  # help() shows the version itself
        assert public in shown
    assert "_SupportsArray" not in shown  # help() must not spell out ArrayLike
    assert "TYPE_CHECKING" not in shown

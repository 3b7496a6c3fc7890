"""Export to ONNX: converters of the estimators for skl2onnx, alone and in pipelines. Needs the extra `onnx`.

The converters use only operators that onnxruntime has both in float32 and in float64.
"""

from ..encoding.encoder import TableEncoder
from ..ensemble.classifier import BackpropEnsembleClassifier
from ..ensemble.regressor import BackpropEnsembleRegressor
from ..estimators.classifier import BackpropClassifier
from ..estimators.regressor import BackpropRegressor
from ..extras import require
from ..tabular.classifier import TabularClassifier
from ..tabular.regressor import TabularRegressor
from . import networks, tables, tabular
from .feeding import initial_types, input_feed

__all__ = ["initial_types", "input_feed", "register_onnx_converters"]


def register_onnx_converters() -> None:
    """Let skl2onnx convert the estimators of fastbp, from now on in this process.

    A classifier has the outputs and options of scikit-learn's classifiers: `label`, and `probabilities` as a list of
    dicts or, with the option ``zipmap=False``, as a matrix. If the classifier has no `predict_proba`, `probabilities`
    has the outputs a^(L) of the network instead. For two classes with a single output, these are 1 - a^(L) and a^(L).
    A regressor has one output `variable` of shape (n_samples, n_outputs).

    *Networks and ensembles* take one input, a matrix. Arithmetic is float64 for float64 input, otherwise float32. In
    float64, onnxruntime supports neither dicts (ZipMap) nor scikit-learn's SimpleImputer. An ensemble is one model,
    with the outputs of its members' class. Members of weight 0 are left out.

    *TableEncoder, TabularClassifier and TabularRegressor* take one input of shape (n_samples, 1) per column, under the
    name of the column: numbers or booleans of any type, and strings or numbers for categories. `initial_types` lists
    such inputs, and `input_feed` makes them from a table. If all columns are numbers, one matrix is possible too. A
    missing number is NaN. A missing category is one of the strings 'None', 'nan', '<NA>' and 'NaT' (onnxruntime turns
    missing values of an array of objects into these), unless the string is itself a category of the fit.

    Numbers are encoded in float64 and networks compute in float32, as in fastbp. Outputs of TableEncoder have its
    dtype, and agree to 1e-6. `probabilities` of TabularClassifier are float32 and agree to 1e-5. Predictions of
    TabularRegressor agree to 1e-5 of the standard deviation of y, and are float64 if an input is float64. A float32
    input is a rounded number, so it may lie on the other side of an edge than its original. In a column with missing
    values, integers beyond 2^53 are rounded to float64. onnxruntime may take differences below 1e-45 for 0. An
    exported model does not check its inputs: it takes infinite numbers for very large ones. Columns of dates cannot be
    exported.

    Raises
    ------
    ImportError
        skl2onnx or onnx is not installed.

    Examples
    --------
    >>> import skl2onnx
    >>> from sklearn.datasets import load_iris
    >>> from fastbp import BackpropClassifier
    >>> from fastbp.onnx import register_onnx_converters
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = BackpropClassifier(solver="lbfgs", hidden_layer_sizes=(5,), random_state=0).fit(X, y)
    >>> register_onnx_converters()
    >>> model = skl2onnx.to_onnx(clf, X[:1], options={"zipmap": False})
    >>> [output.name for output in model.graph.output]
    ['label', 'probabilities']

    Tables:

    >>> import onnxruntime
    >>> import pandas as pd
    >>> from fastbp import TabularClassifier
    >>> from fastbp.onnx import initial_types, input_feed
    >>> X = pd.DataFrame({"city": 40 * ["Paris", "Rome", None], "age": range(20, 140)})
    >>> clf = TabularClassifier(2, random_state=0).fit(X, X["age"] > 60)
    >>> model = skl2onnx.to_onnx(clf, initial_types=initial_types(clf), options={"zipmap": False})
    >>> session = onnxruntime.InferenceSession(model.SerializeToString())
    >>> label, probabilities = session.run(None, input_feed(clf, X))
    >>> bool(abs(probabilities - clf.predict_proba(X)).max() < 1e-5)
    True
    """
    require("skl2onnx", "onnx", extra="onnx", by="register_onnx_converters")
    from skl2onnx import update_registered_converter

    options = {"zipmap": [True, False, "columns"], "output_class_labels": [False, True], "nocl": [True, False]}
    for classifier, part in (
        (BackpropClassifier, networks),
        (BackpropEnsembleClassifier, networks),
        (TabularClassifier, tabular),
    ):
        update_registered_converter(
            classifier,
            f"Fastbp{classifier.__name__}",
            part.classifier_shapes,
            part.convert_classifier,
            options=options,
        )
    for regressor in (BackpropRegressor, BackpropEnsembleRegressor):
        name = f"Fastbp{regressor.__name__}"
        update_registered_converter(regressor, name, networks.regressor_shapes, networks.convert_regressor)
    update_registered_converter(
        TabularRegressor,
        f"Fastbp{TabularRegressor.__name__}",
        tabular.regressor_shapes,
        tabular.convert_regressor,
        parser=tabular.parse_regressor,
    )
    update_registered_converter(
        TableEncoder,
        f"Fastbp{TableEncoder.__name__}",
        tables.encoder_shapes,
        tables.convert_encoder,
        parser=tables.parse_encoder,
    )

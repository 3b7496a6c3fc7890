"""Random edits of fitted attributes, of model files and of sparse matrices, and what may follow: an error, no crash.

Each function takes a seed and a number of cases, and returns how many cases ended how. An error that is not in ALLOWED
is raised, with the number of its case, and the same seed gives the same case again.
"""

import collections
import contextlib
import copy
import io
import json
import warnings
import zipfile
from pathlib import Path

import numpy as np
import scipy.sparse

ALLOWED = (ValueError, TypeError, AttributeError)
STRANGE = [
    *(None, True, -1, 0, 1, 2, 3, 255, 2**31, 2**62, 10**30, 1.5, np.nan, np.inf, float, object()),
    *("x", b"x", "relu", "softmax", "exp", "binary", "multiclass", "multilabel-indicator", "continuous", "log_loss"),
    *("adam", "sgd", [], {}, (), [1, 2], {"a": 1}, np.uint8(255), np.uint8(3), np.int8(-1), np.float16(2)),
    *(np.array(3), np.zeros(0), np.zeros((2, 3)), np.array(["a"]), np.array([None]), np.dtype(float)),
]
ARRAYS = [
    lambda a, rng: a[::-1],
    lambda a, rng: a[:-1],
    lambda a, rng: a[:1],
    lambda a, rng: a[..., None],
    lambda a, rng: a.T,
    lambda a, rng: a.ravel(),
    lambda a, rng: np.concatenate([a, a]),
    lambda a, rng: a.astype(rng.choice(["f4", "f8", ">f8", "f2", "i1", "u8", "O", "U3", "c16", "?"])),
    lambda a, rng: np.repeat(a, 2, axis=0)[::2],
    lambda a, rng: a if a.dtype == object else a * 10**9,  # a list 10^9 times would fill the memory
    lambda a, rng: a * np.nan,
    lambda a, rng: -a,
    lambda a, rng: np.broadcast_to(a[:1], a.shape),
    lambda a, rng: np.ma.array(a),
    lambda a, rng: a.tolist(),
]


def ended(cases):
    """How many of these cases ended how; a case is (its number, a function without arguments)."""
    warnings.simplefilter("ignore")
    counts = collections.Counter()
    for number, case in cases:
        try:
            case()
        except ALLOWED as error:
            counts[next(kind.__name__ for kind in ALLOWED if isinstance(error, kind))] += 1
        except Exception as error:
            raise AssertionError(f"case {number}: {type(error).__name__}: {error}") from error
        else:
            counts["worked"] += 1
    return dict(counts)


def edited(value, rng):
    """Another value instead of this one, or an edit of it."""
    try:
        if isinstance(value, np.ndarray) and value.ndim and rng.random() < 0.7:
            return ARRAYS[rng.integers(len(ARRAYS))](value, rng)
        if isinstance(value, list | tuple) and value and rng.random() < 0.7:
            parts, i = list(value), rng.integers(len(value))
            if rng.random() < 0.6:
                parts[i] = edited(parts[i], rng)
            elif rng.random() < 0.5:
                del parts[i]
            else:
                parts += parts[i : i + 1]
            return type(value)(parts)
        if type(value) is int and rng.random() < 0.7:
            return [value + 1, value - 1, 2 * value, float(value), np.int64(value), str(value), -value][rng.integers(7)]
    except (TypeError, ValueError, OverflowError):
        pass  # this edit is not possible for this value
    return STRANGE[rng.integers(len(STRANGE))]


# ---------------------------------------------------------------- fitted attributes


def _estimators():
    """(estimator, X, y, X of one row) of several kinds, fitted."""
    from fastbp import BackpropClassifier, BackpropRegressor

    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 5))
    many = X[:, :3].argmax(axis=1)
    once, stopping = {"max_iter": 2, "warm_start": True}, {"early_stopping": True, "max_iter": 3, "warm_start": True}
    labels = [X[:, 0] > 0, many, np.array(list("abc"))[many], (X[:, :3] > 0).astype(int)]
    found = [
        (BackpropClassifier((7, 4), solver=solver, **once), y) for y in labels for solver in ("adam", "sgd", "lbfgs")
    ]
    found += [
        (BackpropClassifier((7,), activation=["tanh"], **stopping), many),
        (BackpropRegressor(hidden_layer_sizes=(255,), **stopping), X[:, 0]),
        (BackpropRegressor(hidden_layer_sizes=(4,), **once), rng.normal(size=(60, 255))),
    ]
    return [(model.fit(X, y), X, y) for model, y in found]


def attributes(seed, n):
    """Estimators of which one attribute or two are edited, and then used."""
    warnings.simplefilter("ignore")
    models = _estimators()
    expected = [model.predict(X) for model, X, _ in models]

    def case(rng):
        i = rng.integers(len(models))
        model, X, y = models[i]
        model = copy.deepcopy(model)
        for _ in range(rng.integers(1, 3)):
            names = [name for name in vars(model) if name.endswith("_") or name.startswith("_")]
            name = rng.choice([*names, "activation", "loss", "n_jobs", "state"])
            state = model._optimizer_state
            if name != "state":
                setattr(model, name, edited(getattr(model, name), rng))
            elif hasattr(state, "moment_1"):
                field = rng.choice(list(vars(state)))
                setattr(state, field, edited(getattr(state, field), rng))
        errors = []
        for method in rng.permutation(["predict", "row", "predict_proba", "hidden", "fit", "partial_fit", "score"]):
            try:
                if method in ("fit", "partial_fit", "score"):
                    getattr(model, method)(X, y)
                elif method == "hidden":
                    model.hidden_activations(X)
                else:
                    getattr(model, method.replace("row", "predict"))(X[: 1 if method == "row" else None])
            except ALLOWED as error:
                errors.append(error)
        healthy, X, _ = models[i]
        assert np.array_equal(healthy.predict(X), expected[i])
        assert np.array_equal(healthy.predict(X[:1]), expected[i][:1])
        if errors:
            raise errors[0]

    return ended((k, lambda k=k: case(np.random.default_rng([seed, k]))) for k in range(n))


# ---------------------------------------------------------------- model files


def _edited_schema(schema, rng):
    """Edit a value somewhere in skops' schema."""
    places = []
    rest = [schema]
    while rest:
        value = rest.pop()
        items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for key, inner in items:
            places.append((value, key))
            rest.append(inner)
    for _ in range(rng.integers(1, 4)):
        container, key = places[rng.integers(len(places))]
        choice = rng.integers(4)
        if choice == 0 and isinstance(container, dict):
            container.pop(key, None)
        elif choice == 1:
            other, other_key = places[rng.integers(len(places))]
            with_other = other[other_key] if isinstance(other, dict) and other_key in other else None
            container[key] = copy.deepcopy(with_other)
        elif key == "content" and isinstance(container[key], str):
            container[key] = json.dumps(str(rng.integers(-3, 300)))
        else:
            container[key] = ["x", 0, -1, 10**30, None, [], {}, "ndarray", "ObjectNode", "numpy"][rng.integers(10)]


def edited_file(data, rng):
    """The bytes of a skops file, with an edit of its schema, of its arrays, or of its bytes."""
    choice = rng.integers(4)
    if choice == 0:
        raw = bytearray(data)
        for _ in range(rng.integers(1, 20)):
            raw[rng.integers(len(raw))] = rng.integers(256)
        return bytes(raw)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    arrays = [name for name in members if name.endswith(".npy")]
    if choice == 1:
        schema = json.loads(members["schema.json"])
        with contextlib.suppress(IndexError, KeyError, TypeError):  # an edit may remove the place of the next one
            _edited_schema(schema, rng)
        members["schema.json"] = json.dumps(schema).encode()
    elif choice == 2:
        name = arrays[rng.integers(len(arrays))]
        raw = bytearray(members[name])
        raw[rng.integers(len(raw))] = rng.integers(256)
        members[name] = bytes(raw)
    else:
        name = arrays[rng.integers(len(arrays))]
        array = np.load(io.BytesIO(members[name]), allow_pickle=False)
        found, stream = edited(array, rng), io.BytesIO()
        try:
            np.save(stream, np.asarray(found), allow_pickle=False)
        except ValueError:  # objects
            np.save(stream, np.zeros(rng.integers(9)))
        members[name] = stream.getvalue()
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


def files(seed, n, folder):
    """Edited files of models: each is refused by UserError, or it is a model that predicts or is refused at predict."""
    import pandas as pd

    from fastbp.cli.answers import answers_of_model
    from fastbp.cli.errors import UserError
    from fastbp.cli.main import main
    from fastbp.cli.model_files import Model

    warnings.simplefilter("ignore")
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(size=200), "b": rng.choice(["u", "v", "w"], 200, p=[0.6, 0.39, 0.01])})
    frame["many"] = [f"k{i}" for i in rng.integers(0, 60, 200)]
    frame["day"] = pd.date_range("2024-01-01", periods=200).strftime("%d.%m.%Y")
    frame["yes"], frame["size"] = np.where(frame["a"] > 0, "yes", "no"), frame["a"] ** 2
    frame.loc[::9, "a"] = np.nan
    folder = Path(folder)
    frame.to_csv(folder / "t.csv", index=False)
    for target in ("yes", "size"):
        arguments = ["--target", target, "--output", str(folder / target), "--networks", "1"]
        assert main(["train", str(folder / "t.csv"), *arguments]) == 0
    originals = [(folder / target).read_bytes() for target in ("yes", "size")]

    def case(rng):
        path = folder / "edited"
        path.write_bytes(edited_file(originals[rng.integers(2)], rng))
        try:
            found = answers_of_model(Model.load(str(path)), frame, "t.csv")
        except UserError as error:
            lines = str(error).splitlines()
            raise (ValueError if len(lines) == 1 else AssertionError)(str(error)) from error
        assert len(found.predict(np.arange(len(frame)))) == len(frame)

    return ended((k, lambda k=k: case(np.random.default_rng([seed, k]))) for k in range(n))


def stored_estimators(seed, n):
    """Edited skops files of single estimators; whatever skops loads is used."""
    import skops.io

    from fastbp.training import OptimizerState

    warnings.simplefilter("ignore")
    trusted = ["fastbp.BackpropClassifier", "fastbp.BackpropRegressor", "fastbp.training.OptimizerState", "numpy.dtype"]
    assert OptimizerState.__module__ == "fastbp.training"
    originals = [(skops.io.dumps(model), X, y) for model, X, y in _estimators()]

    def case(rng):
        data, X, y = originals[rng.integers(len(originals))]
        try:
            model = skops.io.loads(edited_file(data, rng), trusted=trusted)
        except Exception as error:  # skops raises many kinds of errors
            raise ValueError(str(error)) from error
        errors = []
        for method in rng.permutation(["predict", "partial_fit", "fit"]):
            try:
                getattr(model, method)(*((X,) if method == "predict" else (X, y)))
            except ALLOWED as error:
                errors.append(error)
        if errors:
            raise errors[0]

    return ended((k, lambda k=k: case(np.random.default_rng([seed, k]))) for k in range(n))


# ---------------------------------------------------------------- sparse matrices


def sparse_structures(seed, n):
    """Sparse matrices of which one array or two are edited, for a fit and a prediction."""
    from fastbp import BackpropClassifier

    warnings.simplefilter("ignore")
    y = np.arange(50) % 2
    models = {}
    for density in (0.1, 0.5):
        X = scipy.sparse.random(50, 20, density, "csr", random_state=np.random.default_rng(0))
        models[density] = X, BackpropClassifier((9,), max_iter=1, random_state=0).fit(X, y)
    formats = {"csr": 6, "csc": 2, "coo": 2, "bsr": 1, "lil": 1, "dia": 1, "dok": 1}
    parts = {"coo": ("row", "col", "data"), "lil": ("rows", "data"), "dia": ("offsets", "data"), "dok": ("_dict",)}
    names = [name for name, times in formats.items() for _ in range(times)]

    def edit_in_place(array, rng):
        i, top = rng.integers(array.size), 10 ** rng.integers(1, 9)
        array.flat[i] = [array.flat[i] + 1, array.flat[i] - 1, -1, top, array.flat[i - 1], 0][rng.integers(6)]

    def case(rng):
        X, model = models[rng.choice(list(models))]
        kind = rng.choice(names)
        Z = X.asformat(kind).copy()
        if rng.random() < 0.5 and kind == "csr":
            Z.has_canonical_format  # noqa: B018 SciPy keeps the answer
        for _ in range(rng.integers(1, 3)):
            name = rng.choice(parts.get(kind, ("indptr", "indices", "data")))
            part = getattr(Z, name)
            if isinstance(part, np.ndarray) and part.dtype.kind in "if" and part.size and rng.random() < 0.6:
                edit_in_place(part, rng)
            elif kind == "dok":
                part[int(rng.integers(-30, 60)), int(rng.integers(-30, 60))] = 1.0
            else:
                with contextlib.suppress(*ALLOWED, OverflowError):  # SciPy checks some
                    setattr(Z, name, edited(part, rng))
        errors = []
        for call in (model.predict, lambda Z: BackpropClassifier((9,), max_iter=1, random_state=0).fit(Z, y)):
            try:
                call(Z)
            except ALLOWED as error:
                errors.append(error)
        if errors:
            raise errors[0]

    return ended((k, lambda k=k: case(np.random.default_rng([seed, k]))) for k in range(n))

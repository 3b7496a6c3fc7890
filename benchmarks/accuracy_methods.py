"""The methods that accuracy.py compares: fastbp and its peers, each with its default parameters."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any, NamedTuple

from accuracy_tables import Table
from sklearn.compose import TransformedTargetRegressor, make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from fastbp import TabularClassifier, TabularRegressor

MOST_CATEGORIES = 255  # HistGradientBoosting takes no more of them in a column


class Method(NamedTuple):
    """A way to get predictions from a table."""

    package: str
    # (training part, seed, threads): an unfitted model
    model: Callable[[Table, int, int], Any]
    # (training part, test part): both dataframes in the form that the model takes
    inputs: Callable[[Table, Table], tuple[Any, Any]]

    @property
    def is_there(self) -> bool:
        return importlib.util.find_spec(self.package) is not None


# ---------------------------------------------------------------- inputs


def as_they_are(train: Table, test: Table) -> tuple[Any, Any]:
    return train.X, test.X


def with_categories(train: Table, test: Table) -> tuple[Any, Any]:
    """Categories as columns of dtype category. Those that the training part does not have become missing values."""
    import pandas

    frames = _text(train), _text(test)
    for column in train.categorical:
        dtype = pandas.CategoricalDtype(sorted(frames[0][column].dropna().unique()))
        for frame in frames:
            frame[column] = frame[column].where(frame[column].isin(dtype.categories)).astype(dtype)
    for frame in frames:
        frame.columns = [f"column_{i}" for i in range(frame.shape[1])]  # LightGBM refuses some characters in names
    return frames


def with_few_categories(train: Table, test: Table) -> tuple[Any, Any]:
    """As with_categories, but columns of too many categories are numbers, the positions in alphabetical order."""
    frames = with_categories(train, test)
    for column in frames[0].select_dtypes("category"):
        if len(frames[0][column].cat.categories) > MOST_CATEGORIES:
            for frame in frames:
                codes = frame[column].cat.codes
                frame[column] = codes.where(codes >= 0).astype(float)
    return frames


def with_categories_and_medians(train: Table, test: Table) -> tuple[Any, Any]:
    """As with_categories, and missing numbers become the median."""
    frames = with_categories(train, test)
    numbers = frames[0].select_dtypes("number").columns
    medians = frames[0][numbers].median()
    for frame in frames:
        frame[numbers] = frame[numbers].fillna(medians)
    return frames


def with_text(train: Table, test: Table) -> tuple[Any, Any]:
    """Categories as text. Missing values are a category of their own."""
    frames = _text(train), _text(test)
    for frame in frames:
        frame[train.categorical] = frame[train.categorical].fillna("missing")
    return frames


def _text(table: Table) -> Any:
    """A copy whose categories are text or missing."""
    frame = table.X.copy()
    for column in table.categorical:
        values = table.X[column].astype(object)
        frame[column] = values.where(values.isna(), values.astype(str))
    return frame


# ---------------------------------------------------------------- models


def fastbp(train: Table, seed: int, threads: int) -> Any:
    make = TabularClassifier if train.has_classes else TabularRegressor
    return make(random_state=seed, n_jobs=threads)


def mlp(train: Table, seed: int, threads: int) -> Any:
    """The usual pipeline around scikit-learn's MLP, with early stopping. accuracy.py limits the threads of BLAS."""
    numbers = [column for column in train.X if column not in train.categorical]
    encoder = make_column_transformer(
        (make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), numbers),
        (OneHotEncoder(handle_unknown="ignore"), train.categorical),
    )
    if train.has_classes:
        return make_pipeline(encoder, MLPClassifier(early_stopping=True, random_state=seed))
    network = MLPRegressor(early_stopping=True, random_state=seed)
    return make_pipeline(encoder, TransformedTargetRegressor(network, transformer=StandardScaler()))


def hist_gradient_boosting(train: Table, seed: int, threads: int) -> Any:
    """scikit-learn's gradient boosting. accuracy.py limits the threads of OpenMP."""
    make = HistGradientBoostingClassifier if train.has_classes else HistGradientBoostingRegressor
    return make(random_state=seed)


def lightgbm(train: Table, seed: int, threads: int) -> Any:
    from lightgbm import LGBMClassifier, LGBMRegressor

    make = LGBMClassifier if train.has_classes else LGBMRegressor
    return make(random_state=seed, n_jobs=threads, verbose=-1)


def catboost(train: Table, seed: int, threads: int) -> Any:
    from catboost import CatBoostClassifier, CatBoostRegressor

    make = CatBoostClassifier if train.has_classes else CatBoostRegressor
    return make(
        random_seed=seed,
        thread_count=threads,
        cat_features=train.categorical,
        verbose=False,
        allow_writing_files=False,
    )


def real_mlp(train: Table, seed: int, threads: int) -> Any:
    from pytabkit import RealMLP_TD_Classifier, RealMLP_TD_Regressor

    make = RealMLP_TD_Classifier if train.has_classes else RealMLP_TD_Regressor
    return make(random_state=seed, n_threads=threads, device="cpu", n_cv=1, n_refit=0)


FASTBP, CATBOOST, LIGHTGBM, HIST = "fastbp", "CatBoost", "LightGBM", "HistGradientBoosting"
METHODS = {
    FASTBP: Method("fastbp", fastbp, as_they_are),
    CATBOOST: Method("catboost", catboost, with_text),
    LIGHTGBM: Method("lightgbm", lightgbm, with_categories),
    HIST: Method("sklearn", hist_gradient_boosting, with_few_categories),
    "RealMLP": Method("pytabkit", real_mlp, with_categories_and_medians),
    "MLP": Method("sklearn", mlp, with_text),
}

"""Weights of examples and of classes, and the user's own validation set."""

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import ConvergenceWarning

from fastbp import BackpropClassifier, BackpropRegressor, TabularClassifier, TabularRegressor
from fastbp.tabular import recipe
from support.fits import output
from support.tabular import bits, both, networks, problem, small, table, target

WEIGHTS = np.arange(60) % 4


class TestSampleWeight:
    @pytest.mark.parametrize("library", ["pandas", "polars", "array", "list"])
    @both
    def test_of_zero_leaves_out_the_row_bit_for_bit(self, kind, library):
        X, y = problem(kind)
        kept, change = WEIGHTS > 0, {"pandas": lambda X: X, "polars": pl.from_pandas}.get(library)
        change = change or (lambda X: X.to_numpy(object) if library == "array" else X.to_numpy(object).tolist())
        strange = X.assign(size=np.where(kept, X["size"], np.inf), city=np.where(kept, X["city"], "Bern"))
        model = small(kind).fit(change(strange), y, WEIGHTS)
        expected = small(kind).fit(change(X[kept]), y[kept], WEIGHTS[kept])
        assert bits(model) == bits(expected)
        assert_array_equal(output(model, change(X)), output(expected, change(X)))

    @both
    def test_of_one_is_no_weight(self, kind):
        X, y = problem(kind)
        expected = bits(small(kind).fit(X, y))
        for weights in (np.ones(60), 1, pl.Series([1] * 60), pd.Series([True] * 60)):
            assert bits(small(kind).fit(X, y, weights)) == expected

    @both
    def test_decides(self, kind):
        X, y = table(), np.arange(60) % 2
        X["which"] = np.arange(60) // 2 % 2
        for heavy in (0, 1):
            model = small(kind).fit(X[["which"]], y, np.where(y == heavy, 1.0, 1e-3))
            assert (abs(model.predict(X[["which"]]) - heavy) < 0.2).all()

    @pytest.mark.parametrize("scale", [2.0**-1000, 2.0**1000])
    @both
    def test_may_have_any_scale(self, kind, scale):
        X, y = problem(kind)
        model = small(kind).fit(X, y, scale * (1 + WEIGHTS))
        assert_allclose(output(model, X), output(small(kind).fit(X, y, 1 + WEIGHTS), X), rtol=0.01, atol=0.01)

    @both
    def test_that_is_negligible_counts_as_zero(self, kind):
        X, y = problem(kind)
        model = small(kind).fit(X, y, np.where(WEIGHTS, 1.0, 1e-60))
        assert bits(model) == bits(small(kind).fit(X[WEIGHTS > 0], y[WEIGHTS > 0]))

    def test_of_an_outlier_may_be_tiny(self):
        X, y = problem(TabularRegressor)
        y = np.where(np.arange(60) == 3, 1e20, y)
        model = small(TabularRegressor, clip=False).fit(X, y, np.where(np.arange(60) == 3, 1e-22, 1.0))
        assert np.isfinite(model.predict(X)).all()

    @pytest.mark.parametrize(
        ("weights", "said"),
        [
            (-np.ones(60), "Negative values"),
            (np.zeros(60), "[Ss]ample.weight"),
            (np.full(60, np.nan), "sample_weight contains NaN"),
            (np.full(60, np.inf), "sample_weight contains infinity"),
            (np.ones(3), r"sample_weight.shape == \(3,\), expected \(60,\)"),
            (np.ones((60, 2)), "Sample weights must be 1D"),
            (["a"] * 60, "could not convert string to float"),
        ],
    )
    @both
    def test_that_is_wrong_is_an_error(self, kind, weights, said):
        X, y = problem(kind)
        with pytest.raises(ValueError, match=said):
            small(kind).fit(X, y, weights)
        with pytest.raises(ValueError, match=f"In the validation set X_val, y_val, sample_weight_val: .*{said}"):
            small(kind).fit(X, y, X_val=X, y_val=y, sample_weight_val=weights)


class TestClassWeight:
    @pytest.mark.parametrize("labels", [["no", "yes"], [False, True], [0, 1]])
    def test_of_a_dict_is_a_weight_of_its_examples(self, labels):
        X, _ = problem(TabularClassifier)
        second = np.random.default_rng(0).random(60) < 0.3
        y = np.array(labels)[second.astype(int)]
        model = small(TabularClassifier, class_weight={labels[1]: 50.0}).fit(X, y)
        plain = small(TabularClassifier).fit(X, y)
        assert model.predict_proba(X)[:, 1].mean() > 0.3 + plain.predict_proba(X)[:, 1].mean()

    def test_that_is_balanced_is_the_dict_of_the_inverse_frequencies(self):
        X, y = problem(TabularClassifier)
        y[:50] = "no"
        with pytest.warns(UserWarning, match="do not depend on X"):
            model = small(TabularClassifier, class_weight="balanced").fit(X.assign(size=1, rooms=1, city=1), y)
        assert_allclose(model.predict_proba(X), np.full((60, 2), 0.5))

    def test_of_zero_leaves_the_class_without_examples(self):
        X, y = problem(TabularClassifier)
        model = small(TabularClassifier, class_weight={"no": 0.0}).fit(X, y)
        assert model.classes_.tolist() == ["no", "yes"]
        assert (model.predict_proba(X)[:, 1] > small(TabularClassifier).fit(X, y).predict_proba(X)[:, 1]).mean() > 0.9
        few = np.where(np.arange(60) < 3, "yes", "no")
        assert np.isfinite(small(TabularClassifier, class_weight={"no": 0.0}).fit(X, few).predict_proba(X)).all()

    @pytest.mark.parametrize(
        ("class_weight", "said"),
        [
            ({"maybe": 1.0}, r"class_weight must have weights of classes of y only, got \['maybe'\]"),
            ({"no": -1.0}, r"class_weight must be finite and >= 0, got {'no': -1\.0}"),
            ({"no": np.nan}, "class_weight must be finite and >= 0"),
            ({"no": np.inf}, "class_weight must be finite and >= 0"),
            ({"no": "a"}, "class_weight must have numbers for classes among"),
            ({"no": 0, "yes": 0}, "class_weight must leave an example with a positive weight"),
            ("fair", "'class_weight' parameter of TabularClassifier"),
            ([1.0], "'class_weight' parameter of TabularClassifier"),
        ],
    )
    def test_that_is_wrong_is_an_error(self, class_weight, said):
        X, y = problem(TabularClassifier)
        with pytest.raises(ValueError, match=said):
            small(TabularClassifier, class_weight=class_weight).fit(X, y)
        with pytest.raises(ValueError, match=said):  # also if no network is trained
            small(TabularClassifier, class_weight=class_weight).fit(X.assign(size=0, rooms=0, city=0), y)


class TestValidationSet:
    @both
    def test_judges_and_all_rows_are_trained_on(self, kind):
        X, y = problem(kind)
        X_val = table(30, seed=1).assign(city="Bern")  # an encoder that saw it would have a category more
        y_val = target(kind, X_val)
        weights = np.arange(30) % 3
        model = small(kind).fit(X, y, 1 + WEIGHTS, X_val=X_val, y_val=y_val, sample_weight_val=weights)
        (network,), (encoder,) = networks(model), model.encoders_
        y_alone, y_val_alone = y, y_val
        if kind is TabularRegressor:
            unit = model._unit
            y_alone, y_val_alone = (
                ((each / unit["factor"] - unit["center"]) / unit["scale"]).astype(np.float32) for each in (y, y_val)
            )
        alone = (BackpropClassifier if kind is TabularClassifier else BackpropRegressor)(**network.get_params())
        assert alone.early_stopping
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            alone.fit(
                encoder.fit_transform(X, y), y_alone, 1 + WEIGHTS,
                X_val=encoder.transform(X_val), y_val=y_val_alone, sample_weight_val=weights,
            )  # fmt: skip
        for found, expected in zip(network.coefs_, alone.coefs_, strict=True):
            assert_array_equal(found, expected)
        drawn = model.candidates_[len(recipe.ENCODINGS) :]  # the scouts come before them
        losses = [loss for candidate in drawn for loss in candidate["losses"]]
        assert_allclose(min(losses), model._validation_loss(alone), rtol=1e-12)

    @both
    def test_rows_of_weight_zero_are_left_out(self, kind):
        X, y = problem(kind)
        weights = np.arange(30) % 2
        strange = X[:30].assign(size=np.where(weights, X["size"][:30], np.inf))
        model = small(kind).fit(X, y, X_val=strange, y_val=y[:30], sample_weight_val=weights)
        assert bits(model) == bits(small(kind).fit(X, y, X_val=X[1:30:2], y_val=y[1:30:2]))

    @both
    def test_may_come_from_another_library(self, kind):
        X, y = problem(kind)
        model = small(kind).fit(X, y, X_val=pl.from_pandas(X[["city", "size", "rooms"]]), y_val=y.tolist())
        assert bits(model) == bits(small(kind).fit(X, y, X_val=X, y_val=y))

    def test_may_lack_classes_and_have_labels_of_another_type(self):
        X, _ = problem(TabularClassifier)
        y = np.arange(60) % 3
        found = small(TabularClassifier).fit(X, y, X_val=X[y < 2], y_val=y[y < 2].astype(float))
        assert bits(found) == bits(small(TabularClassifier).fit(X, y, X_val=X[y < 2], y_val=y[y < 2]))

    def test_may_have_numbers_far_from_those_of_the_fit(self):
        X, y = problem(TabularRegressor)
        model = small(TabularRegressor).fit(X, y, X_val=X, y_val=1e60 * y)
        assert np.isfinite(model.predict(X)).all()

    @pytest.mark.parametrize(
        ("given", "said"),
        [
            (lambda X, y: {"X_val": X}, "X_val is provided, but y_val was not provided"),
            (lambda X, y: {"y_val": y}, "y_val is provided, but X_val was not provided"),
            (
                lambda X, y: {"sample_weight_val": WEIGHTS},
                "sample_weight_val is provided, but X_val and y_val were not",
            ),
            (lambda X, y: {"X_val": X[:1], "y_val": y[:1]}, "In the validation set .* X_val has 1 rows"),
            (
                lambda X, y: {"X_val": X[:9], "y_val": y[:9], "sample_weight_val": np.eye(9)[0]},
                "In the validation set .* X_val has 1 rows, and needs at least 2",
            ),
            (lambda X, y: {"X_val": X, "y_val": y[:9]}, "In the validation set .* inconsistent numbers of samples"),
            (lambda X, y: {"X_val": X[["size"]], "y_val": y}, "In the validation set .* columns are missing"),
            (lambda X, y: {"X_val": X.assign(size=np.inf), "y_val": y}, "In the validation set .* column 'size' must"),
            (lambda X, y: {"X_val": X, "y_val": [None] * 60}, "In the validation set .* y contains"),
        ],
    )
    @both
    def test_that_is_wrong_is_an_error(self, kind, given, said):
        X, y = problem(kind)
        with pytest.raises(ValueError, match=said):
            small(kind).fit(X, y, **given(X, y))

    def test_with_unknown_classes_is_an_error(self):
        X, y = problem(TabularClassifier)
        with pytest.raises(ValueError, match=r"In the validation set .* y_val has classes \['maybe'\] that the fit"):
            small(TabularClassifier).fit(X, y, X_val=X[:9], y_val=["maybe"] * 9)

    @pytest.mark.parametrize("loss", ["poisson", "gamma"])
    def test_with_numbers_that_the_loss_is_not_defined_for_is_an_error(self, loss):
        X, y = problem(TabularRegressor)
        with pytest.raises(ValueError, match=f"In the validation set .* loss='{loss}' needs y >=? 0, but the least y"):
            small(TabularRegressor, loss=loss).fit(X, np.exp(y), X_val=X, y_val=y)

    def test_of_another_number_of_outputs_is_an_error(self):
        X, y = problem(TabularRegressor)
        with pytest.raises(ValueError, match=r"In the validation set .* y_val has shape \(60, 2\)"):
            small(TabularRegressor).fit(X, y, X_val=X, y_val=np.column_stack([y, y]))

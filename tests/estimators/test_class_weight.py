"""class_weight: its meaning, and the values that it refuses."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.utils.class_weight import compute_sample_weight

from support.networks import SOLVERS, assert_same_bits, network, problem

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


class TestClassWeight:
    NAMES = np.array(["ham", "spam", "toast"])
    FACTORS = np.array([0.5, 2.0, 3.25])

    def unbalanced(self) -> tuple[np.ndarray, np.ndarray]:
        X, y = problem(n_samples=300)
        kept = np.random.default_rng(0).random(300) < np.array([0.1, 0.4, 0.9])[y]
        return X[kept], y[kept]

    @pytest.mark.parametrize("solver", SOLVERS)
    @pytest.mark.parametrize("weighted", [False, True])
    def test_is_the_sample_weight_of_each_class(self, weighted, solver):
        X, y = problem()
        weight = np.random.default_rng(1).uniform(0.5, 2, len(y)) if weighted else np.ones(len(y))
        class_weight = dict(zip(self.NAMES, self.FACTORS, strict=True))
        clf = network(batch_size=32, **SOLVERS[solver])
        by_class = clone(clf).set_params(class_weight=class_weight)
        by_class.fit(X, self.NAMES[y], sample_weight=weight if weighted else None)
        assert_same_bits(by_class, clone(clf).fit(X, self.NAMES[y], sample_weight=weight * self.FACTORS[y]))

    @pytest.mark.parametrize("kind", ["binary", "multiclass"])
    @pytest.mark.parametrize("loss", ["log_loss", "squared_error"])
    def test_balanced_is_n_by_the_number_of_classes_and_their_counts(self, loss, kind):
        X, y = self.unbalanced()
        y = np.minimum(y, 1) if kind == "binary" else y
        counts = np.bincount(y)
        balanced = network(class_weight="balanced", loss=loss).fit(X, y)
        assert_same_bits(balanced, network(loss=loss).fit(X, y, sample_weight=(len(y) / (len(counts) * counts))[y]))

    def test_balanced_finds_more_of_a_rare_class(self):
        X, y = self.unbalanced()
        y = np.minimum(y, 1)
        params = {"alpha": 1.0, "solver": "lbfgs", "hidden_layer_sizes": (), "max_iter": 200}
        plain, balanced = (network(class_weight=weight, **params).fit(X, y) for weight in (None, "balanced"))
        assert (balanced.predict(X) == 0).sum() > (plain.predict(X) == 0).sum()

    def test_balanced_weighs_a_validation_set_by_the_counts_of_y(self):
        X, y = self.unbalanced()
        counts = np.bincount(y)
        weight = len(y) / (len(counts) * counts)
        X_val, y_val = X[::3], y[::3]
        assert not np.allclose(np.bincount(y_val) / len(y_val), counts / len(y))
        balanced = network(class_weight="balanced").fit(X, y, X_val=X_val, y_val=y_val)
        given = {"X_val": X_val, "y_val": y_val, "sample_weight_val": weight[y_val]}
        by_hand = network().fit(X, y, sample_weight=weight[y], **given)
        assert_same_bits(balanced, by_hand)
        assert balanced.validation_scores_ == by_hand.validation_scores_
        assert balanced.validation_loss_curve_ == by_hand.validation_loss_curve_

    def test_balanced_of_a_multilabel_target_counts_each_output(self):
        X, y = problem()
        labels = np.column_stack([y == 0, y != 1]).astype(int)
        weight = compute_sample_weight("balanced", labels)
        assert_same_bits(
            network(class_weight="balanced").fit(X, labels), network().fit(X, labels, sample_weight=weight)
        )

    def test_of_a_multilabel_target_is_the_product_over_its_outputs(self):
        X, y = problem()
        labels = np.column_stack([y == 0, y != 1]).astype(int)
        clf = network(class_weight=[{0: 1.0, 1: 3.0}, {0: 2.0, 1: 0.5}]).fit(X, labels)
        weight = np.where(labels[:, 0], 3.0, 1.0) * np.where(labels[:, 1], 0.5, 2.0)
        assert_same_bits(clf, network().fit(X, labels, sample_weight=weight))

    def test_holds_for_the_part_that_early_stopping_sets_aside(self):
        X, y = problem()
        clf = network(early_stopping=True, validation_fraction=0.3)
        by_class = clone(clf).set_params(class_weight=dict(enumerate(self.FACTORS))).fit(X, y)
        by_row = clone(clf).fit(X, y, sample_weight=self.FACTORS[y])
        assert_same_bits(by_class, by_row)
        assert by_class.validation_scores_ == by_row.validation_scores_

    def test_holds_for_a_validation_set(self):
        X, y = problem()
        given = {"X_val": X[:50], "y_val": y[:50]}
        by_class = network(class_weight=dict(enumerate(self.FACTORS))).fit(X, y, **given)
        by_row = network().fit(X, y, sample_weight=self.FACTORS[y], sample_weight_val=self.FACTORS[y[:50]], **given)
        assert_same_bits(by_class, by_row)
        assert by_class.validation_scores_ == by_row.validation_scores_
        assert by_class.validation_loss_curve_ == by_row.validation_loss_curve_

    @pytest.mark.parametrize("solver", ["sgd", "adam"])
    def test_holds_in_partial_fit_which_may_lack_a_class(self, solver):
        X, y = problem()
        clf = network(**SOLVERS[solver])
        by_class = clone(clf).set_params(class_weight=dict(enumerate(self.FACTORS)))
        for rows in (y < 2, y > 0, y < 3):
            by_class.partial_fit(X[rows], y[rows], classes=[0, 1, 2])
            clf.partial_fit(X[rows], y[rows], sample_weight=self.FACTORS[y[rows]], classes=[0, 1, 2])
            assert_same_bits(by_class, clf)

    def test_balanced_is_refused_by_partial_fit(self):
        X, y = problem()
        with pytest.raises(ValueError, match=r"class_weight='balanced' is not supported by partial_fit.*as a dict"):
            network(class_weight="balanced").partial_fit(X, y, classes=[0, 1, 2])

    @pytest.mark.parametrize("factor", [-1.0, np.nan, np.inf])
    def test_factors_below_zero_or_not_finite_are_refused(self, factor):
        X, y = problem()
        with pytest.raises(ValueError, match=r"class_weight must be finite and >= 0, got \{1: (-1.0|nan|inf)\}"):
            network(class_weight={1: factor}).fit(X, y)

    @pytest.mark.parametrize("value", ["unbalanced", 2.0, [1.0, 2.0, 3.0], [{0: 2.0}]])
    def test_anything_but_a_dict_or_balanced_is_refused(self, value):
        X, y = problem()
        with pytest.raises((ValueError, TypeError), match="class_weight") as error:
            network(class_weight=value).fit(X, y)
        assert str(value) in str(error.value)

    @pytest.mark.parametrize("value", [{0: 1.0, 1: 2.0}, [1.0, 2.0], [{0: 1.0, 1: 2.0}]])
    def test_a_multilabel_target_takes_one_dict_per_output(self, value):
        X, y = problem()
        with pytest.raises(ValueError, match=r"class_weight") as error:
            network(class_weight=value).fit(X, np.column_stack([y == 0, y != 1]))
        assert f"a list of 2 dicts, one per output, or 'balanced', got {value}" in str(error.value)

    def test_a_class_that_y_lacks_is_refused(self):
        X, y = problem()
        with pytest.raises(ValueError, match="not in class_weight"):
            network(class_weight={0: 1.0, 3: 1.0}).fit(X, y)

"""benchmarks/accuracy_scores.py, which sums up what benchmarks/accuracy.py measured, on results made by hand."""

import importlib.util
import math

import numpy as np
import pytest

from support.documents import ROOT


@pytest.fixture(scope="module")
def accuracy_scores():
    spec = importlib.util.spec_from_file_location("accuracy_scores", ROOT / "benchmarks" / "accuracy_scores.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# The errors of seeds 3 and 4 by table and method. "classes" has log losses, and "numbers" has 1 - R2.
ERRORS = {
    "classes": {"ours": [0.30, 0.50], "near": [0.32, 0.48], "far": [0.60, 0.70]},
    "numbers": {"ours": [0.25, 0.35], "near": [0.20, 0.30], "far": [0.50, 0.60]},
}
CONSTANT = 0.8  # the log loss of the shares of the classes


@pytest.fixture
def scores(accuracy_scores):
    results = []
    for table, errors in ERRORS.items():
        for method, values in errors.items():
            for seed, value in zip((3, 4), values, strict=True):
                result = accuracy_scores.Result(table, seed, method, fit_seconds=2.0, predict_seconds=0.5)
                if table == "classes":
                    judged = {"log_loss": value, "constant_log_loss": CONSTANT, "accuracy": 1 - value / 2}
                else:
                    judged = {"r2": 1 - value}
                results.append(result._replace(**judged))
    return accuracy_scores.Scores(results)


def test_equal_mean_errors_share_a_rank(scores):
    # classes: ours and near have the mean 0.4, so both have the rank 1.5. numbers: near is first, ours second.
    assert scores.mean_ranks() == {"ours": 1.75, "near": 1.25, "far": 3.0}


def test_a_difference_within_its_standard_error_is_a_tie(scores):
    # classes: the differences are 0.02 and -0.02. numbers: -0.05 twice, so the standard error is 0.
    assert scores.sign("classes", "ours", "near") == 0
    assert scores.sign("numbers", "ours", "near") == -1
    assert scores.sign("numbers", "near", "ours") == 1
    assert scores.record("ours", ["near"]) == (0, 1, 1)
    assert scores.record("ours", ["far"]) == (2, 0, 0)


@pytest.mark.parametrize(("step", "sign"), [(0.031, 0), (0.029, 1)])
def test_the_standard_error_is_that_of_the_differences_of_the_seeds(accuracy_scores, step, sign):
    # The differences 0.03 + step and 0.03 - step have the mean 0.03 and the standard error step.
    results = []
    for seed, difference in ((0, 0.03 + step), (1, 0.03 - step)):
        for method, r2 in (("ours", 0.5), ("peer", 0.5 - difference)):
            results.append(accuracy_scores.Result("table", seed, method, 1.0, 1.0, r2=r2))
    assert accuracy_scores.Scores(results).sign("table", "ours", "peer") == sign


def test_a_table_is_won_against_several_peers_only_if_it_is_won_against_each(scores):
    assert scores.record("ours", ["near", "far"]) == (0, 1, 1)
    assert scores.record("near", ["ours", "far"]) == (1, 1, 0)


def test_the_worst_table_has_the_largest_distance_in_shares_of_a_constant_prediction(scores):
    # far is 0.25 behind on classes, of 0.8, and 0.3 behind on numbers, of 1.
    assert [gap.share for gap in scores.gaps("far")] == pytest.approx([0.25 / CONSTANT, 0.3])
    assert scores.worst("far").table == "classes"
    assert scores.worst("ours")[:2] == ("numbers", "near")
    assert scores.worst("ours").share == pytest.approx(0.05)


def test_errors_relative_to_the_best_method_are_averaged_over_tables(scores):
    assert scores.relative_error("ours") == pytest.approx((1 + 0.30 / 0.25) / 2)
    assert scores.relative_error("far") == pytest.approx((0.65 / 0.40 + 0.55 / 0.25) / 2)


def test_means_are_over_the_tables_that_have_a_score_and_seconds_over_all(scores):
    assert scores.mean("ours", "accuracy") == pytest.approx(0.8)
    assert scores.mean("ours", "calibration_error") is None
    assert scores.seconds("ours", "fit_seconds") == 8
    assert scores.seconds("ours", "fit_seconds", "predict_seconds") == 10


def test_the_standard_error_is_that_of_the_mean_and_zero_for_one_value(accuracy_scores):
    assert accuracy_scores.standard_error([1.0, 2.0, 4.0]) == pytest.approx(math.sqrt(7 / 3 / 3))
    assert accuracy_scores.standard_error([1.0]) == 0


def test_the_calibration_error_weighs_each_bin_by_its_rows(accuracy_scores):
    # Bins of width 1/15. Three rows have confidence 0.9: two are right. One row has confidence 0.6 and is right.
    probabilities = np.array([[0.9, 0.1], [0.1, 0.9], [0.9, 0.1], [0.4, 0.6]])
    error = accuracy_scores.calibration_error(probabilities, np.array([0, 1, 1, 1]))
    assert error == pytest.approx((3 * abs(2 / 3 - 0.9) + abs(1 - 0.6)) / 4)


def test_the_calibration_error_does_not_let_errors_of_a_bin_cancel_those_of_another(accuracy_scores):
    probabilities = np.array([[1.0, 0.0], [0.6, 0.4]])
    assert accuracy_scores.calibration_error(probabilities, np.array([1, 0])) == pytest.approx((1 + 0.4) / 2)
    assert accuracy_scores.calibration_error(probabilities[:1], np.array([0])) == 0

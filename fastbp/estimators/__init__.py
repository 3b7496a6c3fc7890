"""The estimators for data in memory, behind scikit-learn's interface.

`classifier` and `regressor` have the two estimators with their public methods. `base` has a fit from start to end. A
fit uses `parameters` (legal values), `class_weights`, `validation_set`, `fit` (a fit under way) and `callbacks`
(scikit-learn's). `predicting` has the predictions. `convert` converts from and to scikit-learn's own estimators.
"""

"""The estimators for data in memory, behind scikit-learn's interface.

`classifier` and `regressor` have the two estimators. `base` has a fit from start to end. A fit uses `parameters` (legal
values), `checking` (the checks of X and y), `intake` (from the user's data to examples), `class_weights`,
`validation_set`, `fit` (a fit under way), `run` (a fit that can wait between epochs), `callbacks` (scikit-learn's) and
`notice` (the line before a compilation). `predicting` has the predictions, and `quantiles` has the
score of a regressor. `convert` converts from and to scikit-learn's own estimators.
"""

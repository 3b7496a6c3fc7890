"""Estimators for tables with columns of any kind: ensembles of networks that a race chooses.

`classifier` and `regressor` have the two public classes, and `base` has a fit from start to end. `recipe` says which
encodings and networks are tried, and `race` trains the networks and chooses among them. `folds` divides the rows,
`labels` checks the labels of a classifier, `inputs` keeps the encoded table, and `progress` shows how far a race has
come. A candidate is an encoding and the parameters of a network.
"""

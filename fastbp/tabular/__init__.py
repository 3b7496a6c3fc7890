"""Tables of any columns in, predictions out: ensembles of networks that are chosen by a race.

`classifier` and `regressor` have the two public classes, and `base` has a fit from start to end. `recipe` says which
encodings and networks are tried, and `race` trains and chooses them. `folds` divides the rows, `inputs` keeps the
encodings of the table, and `progress` shows how far a race has come. A candidate is an encoding and the parameters of a
network.
"""

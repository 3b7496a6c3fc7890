"""Ensembles: networks that train side by side and predict together.

`classifier` and `regressor` have the two public classes, and `base` has a fit from start to end. A fit uses `data` (the
checks and the validation set), `members` (the draw of the members, and their training), `memory` (whether they fit into
the machine), `judging` (their votes on the validation set) and `selection` (their weights). `averaging` has the
predictions. The votes of a member are its probabilities or values, which the ensemble averages.
"""

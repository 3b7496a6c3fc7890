"""Searches for hyperparameters that train the candidates side by side.

`GridSearchCV` and `RandomizedSearchCV` are scikit-learn's, with the same results to the last digit. `HalvingSearchCV`
spends few epochs on bad candidates: the good ones go on training instead of starting again.
"""

from .halving import HalvingSearchCV
from .search import GridSearchCV, RandomizedSearchCV

__all__ = ["GridSearchCV", "HalvingSearchCV", "RandomizedSearchCV"]

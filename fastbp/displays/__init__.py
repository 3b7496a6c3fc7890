"""Pictures of a network (loss curves, units and weights, norms of deltas) and of a search with halving.

The displays follow scikit-learn's convention. The class method `from_estimator` computes and plots, and `plot` plots
again. Both set `ax_` and `figure_`, the axes and the figure of the picture. `from_estimator` takes a fitted estimator
of this package. The estimator may also be the last step of a Pipeline, the best estimator of a search, or the regressor
of a TransformedTargetRegressor. Drawing needs matplotlib: the extra `plot`.
"""

from .common import network_in as network_in
from .delta_norms import DeltaNormDisplay
from .halving import HalvingDisplay
from .loss_curve import LossCurveDisplay
from .network import NetworkDisplay

__all__ = ["DeltaNormDisplay", "HalvingDisplay", "LossCurveDisplay", "NetworkDisplay"]

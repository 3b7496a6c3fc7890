"""The type alias that all folders share."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]

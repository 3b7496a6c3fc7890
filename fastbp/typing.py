"""The type alias that several folders share."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]

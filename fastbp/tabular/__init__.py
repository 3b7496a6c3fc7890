"""Tables with columns of any kind as inputs of a network.

`frames` reads the columns of a table of any library, `columns` makes them arrays of one kind, `features` decides how
each is encoded, and `encoder` has the public class.
"""

from .categories import OneHotEncoder, TargetMeanEncoder
from .features import Feature
from .numbers import NumberEncoder

__all__ = ["Feature", "NumberEncoder", "OneHotEncoder", "TargetMeanEncoder"]

# Stored encoders name these classes by the path of this module.
for part in (Feature, NumberEncoder, OneHotEncoder, TargetMeanEncoder):
    part.__module__ = __name__

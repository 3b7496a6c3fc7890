"""Tables with columns of any kind as inputs of a network.

`encoder` has the public class. `frames` reads the columns of a table of any library, and `columns` makes each an array
of one kind. `features` decides how a column is encoded, with `text` (numbers and dates in text), `numbers`, `edges`,
`categories`, `dates` and `target`. `outputs` puts all encoded columns side by side. `readings` says how an encoder
reads a table, and which values it does not understand.
"""

from .categories import OneHotEncoder, TargetMeanEncoder
from .features import Feature
from .numbers import NumberEncoder

__all__ = ["Feature", "NumberEncoder", "OneHotEncoder", "TargetMeanEncoder"]

# Stored encoders name these classes by the path of this module.
for part in (Feature, NumberEncoder, OneHotEncoder, TargetMeanEncoder):
    part.__module__ = __name__

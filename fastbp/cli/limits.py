"""The limits by which the command line judges columns. `--help` prints them, so this module imports nothing slow."""

# `--task auto` chooses regression for whole numbers only if more than MOST_INTEGER_CLASSES of them are different.
MOST_INTEGER_CLASSES = 20
# A column is a column of numbers if at least the share ENOUGH of its values are numbers. Then its other values count as
# missing. A column of dates must also have this share of dates among its different values.
ENOUGH = 0.95
# The categories of a column that have fewer than FEWEST_OF_CATEGORY rows share one input of the network. If the column
# would otherwise give more than MOST_CATEGORIES inputs, its rarest other categories share this input too.
FEWEST_OF_CATEGORY, MOST_CATEGORIES = 5, 100

"""The limits by which the command line judges columns. `--help` prints them, so this module imports nothing."""

# `--task auto` is regression for a target of more than MOST_INTEGER_CLASSES different whole numbers.
MOST_INTEGER_CLASSES = 20
# A column holds numbers if at least the share ENOUGH of its values are numbers, and dates likewise. Its other values
# count as missing.
ENOUGH = 0.95
# Categories of fewer than FEWEST_OF_CATEGORY rows share one input of the network. Other rare categories share it too if
# the column would otherwise give more than MOST_CATEGORIES inputs.
FEWEST_OF_CATEGORY, MOST_CATEGORIES = 5, 100

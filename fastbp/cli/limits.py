"""The limits by which the command line judges columns. `--help` prints them, so this module imports nothing slow."""

# `--task auto` chooses regression for whole numbers only if more than MOST_INTEGER_CLASSES of them are different.
MOST_INTEGER_CLASSES = 20
# A column holds numbers if at least the share ENOUGH of its values are numbers, and dates if at least this share are
# dates. Its other values count as missing.
# For the columns that a model reads, `encoding.text` decides this, with the same share.
ENOUGH = 0.95

"""Helpers of the tests of pictures: flowers, and the texts in a picture."""

from sklearn.datasets import load_iris

X, Y = load_iris(return_X_y=True)


def texts(ax):
    return [text.get_text() for text in ax.texts]


def legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]

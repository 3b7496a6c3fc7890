"""fastbp.textbook, and the five published descriptions that it must reproduce, against tests/reference.py.

The classes are the rows of the README's table of sources; the functions after them hold for every network.
"""

import warnings
from itertools import pairwise, product

import mpmath
import numpy as np
import pytest
import reference
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from fastbp import BackpropClassifier, textbook

DTYPES = ["float64", "float32"]
RTOL = {"float64": 1e-10, "float32": 1e-4}
# Every depth from no hidden layer to three; no hidden width is a multiple of a vector. The two outputs after 67
# units are narrow (see Network.is_narrow).
SIZES = [(7, 3), (5, 17, 3), (33, 5, 67, 2), (17, 33, 9, 50, 5)]
PAIRS = [(loss, out) for loss, outs in reference.LEGAL_OUTPUTS.items() for out in outs]
ILLEGAL_PAIRS = [pair for pair in product(reference.LEGAL_OUTPUTS, reference.ACTIVATIONS) if pair not in PAIRS]
ONE_PAIR_PER_LOSS = [
    ("log_loss", "softmax"),
    ("log_loss", "logistic"),
    ("binary_cross_entropy", "logistic"),
    ("squared_error", "tanh"),
    ("mean_squared_error", "silu"),
    ("euclidean", "logistic"),
]
KINKED = {"relu", "leaky_relu"}

over_dtypes = pytest.mark.parametrize("dtype", DTYPES)
over_sizes = pytest.mark.parametrize("sizes", SIZES, ids=lambda sizes: "-".join(map(str, sizes)))
over_pairs = pytest.mark.parametrize(("loss", "out_activation"), PAIRS)
over_losses = pytest.mark.parametrize(("loss", "out_activation"), ONE_PAIR_PER_LOSS)


def random_network(rng, sizes):
    coefs = [rng.normal(size=shape) / np.sqrt(shape[0]) for shape in pairwise(sizes)]
    return coefs, [0.3 * rng.normal(size=n) for n in sizes[1:]]


def random_targets(rng, loss, m, n_outputs):
    if loss == "log_loss":
        return np.eye(n_outputs)[rng.integers(n_outputs, size=m)]
    if loss == "binary_cross_entropy":
        return rng.integers(2, size=(m, n_outputs)).astype(float)
    if loss == "poisson":
        return rng.poisson(2.0, size=(m, n_outputs)).astype(float)
    return rng.normal(size=(m, n_outputs))


def random_problem(seed, sizes, loss, *, m=11, bias=True, dtype="float64"):
    """(X, Y, coefs, intercepts), the arguments that every function of the textbook and the reference starts with."""
    rng = np.random.default_rng(seed)
    coefs, intercepts = random_network(rng, sizes)
    X, Y = rng.normal(size=(m, sizes[0])), random_targets(rng, loss, m, sizes[-1])
    return cast((X, Y, coefs, intercepts if bias else None), dtype)


def cast(problem, dtype):
    X, Y, coefs, intercepts = problem
    biases = None if intercepts is None else [b.astype(dtype) for b in intercepts]
    return X.astype(dtype), Y.astype(dtype), [theta.astype(dtype) for theta in coefs], biases


def problem_without_kinks(sizes, options, **kwargs):
    """A random problem with no z so near 0 that rounding or a finite difference could cross a kink."""
    used = {options["activation"], options["out_activation"]}
    for seed in range(100):
        problem = random_problem(seed, sizes, options["loss"], **kwargs)
        X, _, coefs, intercepts = cast(problem, "float64")
        z = reference.pre_activations(X, coefs, intercepts, activation=options["activation"])
        if not used & KINKED or min(np.abs(layer).min() for layer in z) > 1e-3:
            return problem
    raise AssertionError("no such problem among 100")


def assert_agrees(actual, expected, dtype):
    """Arrays of `dtype` within its tolerance; entries that cancel are held to 1 % of it, relative to the largest."""
    assert len(actual) == len(expected)
    for ours, theirs in zip(actual, expected, strict=True):
        assert ours.dtype == dtype
        assert ours.shape == theirs.shape
        atol = 0.01 * RTOL[dtype] * np.abs(theirs).max() + np.finfo(dtype).tiny
        np.testing.assert_allclose(ours, theirs, rtol=RTOL[dtype], atol=atol)


def assert_all_agree(problem, dtype, *, alpha=0.0, sample_weight=None, **options):
    """Value, every activation, every delta and every gradient."""
    wide = cast(problem, "float64")
    X, _, coefs, intercepts = problem
    network = {name: options[name] for name in ("activation", "out_activation")}
    a = textbook.forward(X, coefs, intercepts, **network)
    assert_agrees(a, reference.forward(wide[0], wide[2], wide[3], **network), dtype)
    assert_agrees(textbook.deltas(*problem, **options), reference.deltas(*wide, **options), dtype)

    objective = {"alpha": alpha, "sample_weight": sample_weight, **options}
    J, coef_grads, intercept_grads = textbook.loss_and_gradient(*problem, **objective)
    wide_J, wide_coef_grads, wide_intercept_grads = reference.loss_and_gradient(*wide, **objective)
    np.testing.assert_allclose(J, wide_J, rtol=RTOL[dtype])
    assert_agrees(coef_grads, wide_coef_grads, dtype)
    if intercepts is not None:
        assert_agrees(intercept_grads, wide_intercept_grads, dtype)


def gradient_error(problem, **objective):
    """The gradient's largest relative distance from central differences of the textbook's own J."""
    _, _, coefs, intercepts = problem
    _, coef_grads, intercept_grads = textbook.loss_and_gradient(*problem, **objective)
    params = coefs if intercepts is None else coefs + intercepts
    grads = coef_grads if intercepts is None else [*coef_grads, *intercept_grads]
    return reference.gradient_error(
        lambda: textbook.loss_and_gradient(*problem, **objective)[0], params, grads, np.random.default_rng(0)
    )


def delta_error(problem, i, **options):
    """The same for the deltas of example i: with one example, moving a bias moves one z, and J is its cost."""
    X, Y, coefs, intercepts = problem
    biases = [np.zeros(theta.shape[1]) for theta in coefs] if intercepts is None else intercepts
    delta = [layer[i] for layer in textbook.deltas(*problem, **options)]
    return reference.gradient_error(
        lambda: textbook.loss_and_gradient(X[i : i + 1], Y[i : i + 1], coefs, biases, **options)[0],
        biases,
        delta,
        np.random.default_rng(0),
    )


def three_blobs(m=30):
    """Three easy classes: points, labels and the labels one-hot."""
    codes = np.arange(m) % 3
    X = np.random.default_rng(0).normal(scale=0.4, size=(m, 4)) + 2 * np.eye(3, 4)[codes]
    return X, codes, np.eye(3)[codes]


def fit_to_the_limit(model, X, y):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(X, y)


def initial_weights(model, X, y):
    """What the fit of this model starts from: a step of 1e-300 is lost in rounding."""
    start = fit_to_the_limit(clone(model).set_params(max_iter=1, learning_rate_init=1e-300), X, y)
    return start.coefs_, start.intercepts_ if model.fit_intercept else None


class SourceRow:
    """What each of the five sources owes: the same numbers as the reference, and as differences of its own J."""

    out_activation = "logistic"
    loss = "binary_cross_entropy"
    alpha = 0.0
    bias = True

    def activation(self, n_hidden):
        return "logistic"

    def options(self, sizes):
        activation = self.activation(len(sizes) - 2)
        return {"activation": activation, "out_activation": self.out_activation, "loss": self.loss}

    @over_dtypes
    @over_sizes
    def test_value_deltas_and_gradients(self, sizes, dtype):
        problem = random_problem(1, sizes, self.loss, bias=self.bias, dtype=dtype)
        assert_all_agree(problem, dtype, alpha=self.alpha, **self.options(sizes))

    @over_sizes
    def test_central_differences(self, sizes):
        problem = random_problem(2, sizes, self.loss, bias=self.bias)
        assert gradient_error(problem, alpha=self.alpha, **self.options(sizes)) < 1e-6
        assert delta_error(problem, 4, **self.options(sizes)) < 1e-6

    @over_sizes
    def test_check_gradient_is_content(self, sizes):
        sizes = tuple(min(size, 9) for size in sizes)  # it visits every parameter
        problem = random_problem(3, sizes, self.loss, bias=self.bias)
        assert textbook.check_gradient(*problem, alpha=self.alpha, **self.options(sizes)) < 1e-6

    def test_a_step_of_the_classifier_follows_the_gradient(self):
        X, y, Y = three_blobs()
        model = BackpropClassifier(
            hidden_layer_sizes=(7,),
            activation=self.activation(1),
            out_activation=self.out_activation,
            loss=self.loss,
            alpha=self.alpha,
            fit_intercept=self.bias,
            solver="gd",
            learning_rate_init=0.5,
            max_iter=1,
            dtype="float64",
            random_state=0,
        )
        coefs, intercepts = initial_weights(model, X, y)
        fit_to_the_limit(model, X, y)
        after, biases_after, _ = reference.gradient_descent(
            X,
            Y,
            coefs,
            intercepts,
            learning_rate=0.5,
            gtol=0,
            max_iter=1,
            alpha=self.alpha,
            **self.options((4, 7, 3)),
        )
        assert_agrees(model.coefs_, after, "float64")
        if self.bias:
            assert_agrees(model.intercepts_, biases_after, "float64")


class TestClosedForm(SourceRow):
    """Row 1: logistic everywhere, cross-entropy of K logistic outputs."""

    sizes = (5, 9, 7, 3)

    def test_output_delta_is_the_residual(self):
        X, Y, coefs, intercepts = problem = random_problem(10, self.sizes, self.loss)
        output = textbook.forward(X, coefs, intercepts)[-1]
        np.testing.assert_allclose(textbook.deltas(*problem)[-1], output - Y, rtol=0, atol=np.finfo(float).eps)

    @pytest.mark.parametrize("layer", [0, 1, 2])
    def test_lemma_1(self, layer):
        """dJ/dtheta_kj^(l) = (1/m) sum_i sum_t (dz_t^(L) / dtheta_kj^(l)) delta_t^(L)."""
        X, Y, coefs, intercepts = random_problem(11, self.sizes, self.loss)
        options = self.options(self.sizes)
        delta = textbook.deltas(X, Y, coefs, intercepts, **options)[-1]
        grad = textbook.loss_and_gradient(X, Y, coefs, intercepts, **options)[1][layer]

        def logits():
            return textbook.forward(X, coefs, intercepts, activation="logistic", out_activation="identity")[-1]

        by_lemma = np.empty_like(grad)
        for index in np.ndindex(grad.shape):
            by_lemma[index] = (reference.central_difference(logits, coefs[layer], index) * delta).sum() / len(X)
        np.testing.assert_allclose(grad, by_lemma, atol=1e-7 * np.abs(grad).max())

    @pytest.mark.parametrize("layer", [1, 2])
    def test_lemma_2(self, layer):
        """sum_t (dz_t^(L) / da_x^(l)) delta_t^(L) = sum_j theta_jx^(l) delta_j^(l+1)."""
        X, Y, coefs, intercepts = random_problem(12, self.sizes, self.loss)
        delta = textbook.deltas(X, Y, coefs, intercepts, **self.options(self.sizes))
        a = textbook.forward(X, coefs, intercepts)[layer].copy()

        def logits():
            rest = coefs[layer:], intercepts[layer:]
            return textbook.forward(a, *rest, activation="logistic", out_activation="identity")[-1]

        by_differences = np.empty_like(a)
        for i, x in np.ndindex(a.shape):
            by_differences[i, x] = (reference.central_difference(logits, a, (i, x)) * delta[-1]).sum()
        by_recursion = delta[layer] @ coefs[layer].T
        np.testing.assert_allclose(by_differences, by_recursion, atol=1e-7 * np.abs(by_recursion).max())


class TestRegularised(SourceRow):
    """Row 2: the same with L2, gradients collected by a loop over the examples."""

    alpha = 0.7
    sizes = (5, 17, 3)

    def test_equals_the_accumulator(self):
        problem = random_problem(20, self.sizes, self.loss)
        options = {"alpha": self.alpha, **self.options(self.sizes)}
        _, coef_grads, intercept_grads = textbook.loss_and_gradient(*problem, **options)
        expected_coef_grads, expected_intercept_grads = reference.accumulated_gradient(*problem, **options)
        assert_agrees(coef_grads, expected_coef_grads, "float64")
        assert_agrees(intercept_grads, expected_intercept_grads, "float64")

    def test_penalty_is_lambda_over_m_and_spares_the_biases(self):
        problem = random_problem(21, self.sizes, self.loss, m=13)
        options, coefs = self.options(self.sizes), problem[2]
        J, coef_grads, intercept_grads = textbook.loss_and_gradient(*problem, alpha=self.alpha, **options)
        bare_J, bare_coef_grads, bare_intercept_grads = textbook.loss_and_gradient(*problem, alpha=0.0, **options)
        np.testing.assert_allclose(J - bare_J, self.alpha / 26 * sum((theta**2).sum() for theta in coefs), rtol=1e-12)
        for theta, penalised, bare in zip(coefs, coef_grads, bare_coef_grads, strict=True):
            np.testing.assert_allclose(penalised - bare, self.alpha / 13 * theta, rtol=1e-10, atol=1e-15)
        for penalised, bare in zip(intercept_grads, bare_intercept_grads, strict=True):
            np.testing.assert_array_equal(penalised, bare)


class TestChain(SourceRow):
    """Row 3: layers (W, n, m, sigma) that compose, squared norm without the half, no bias."""

    loss = "mean_squared_error"
    bias = False

    def activation(self, n_hidden):
        return ["tanh", "softplus", "silu"][:n_hidden]

    def test_is_the_composition_of_its_layers(self):
        sigmas = self.activation(3)
        X, _, coefs, _ = random_problem(30, (5, 17, 33, 9, 2), self.loss, bias=False)
        a = X
        for theta, sigma in zip(coefs, [*sigmas, "logistic"], strict=True):
            a = textbook.forward(a, [theta], None, activation=[], out_activation=sigma)[-1]
        whole = textbook.forward(X, coefs, None, activation=sigmas, out_activation="logistic")
        np.testing.assert_allclose(whole[-1], a, rtol=1e-13)

    def test_output_delta_has_the_factor_2(self):
        X, Y, coefs, _ = random_problem(31, (5, 4), self.loss, bias=False)
        a = textbook.forward(X, coefs, None, activation=[], out_activation="logistic")[-1]
        (delta,) = textbook.deltas(X, Y, coefs, None, activation=[], out_activation="logistic", loss=self.loss)
        np.testing.assert_allclose(delta, 2 * (a - Y) * a * (1 - a), rtol=1e-12)

    @pytest.mark.parametrize("name", ["forward", "deltas", "loss_and_gradient", "check_gradient"])
    def test_incompatible_layers_are_named(self, name):
        X, Y, coefs = np.ones((6, 5)), np.ones((6, 2)), [np.ones((5, 4)), np.ones((3, 2))]
        options = {"activation": ["tanh"], "out_activation": "logistic"}
        if name == "forward":
            arguments = (X, coefs, None)
        else:
            arguments, options["loss"] = (X, Y, coefs, None), self.loss
        with pytest.raises(ValueError, match=r"(?s)\(5, 4\).*\(3, 2\)"):
            getattr(textbook, name)(*arguments, **options)

    def test_incompatible_input_is_named(self):
        with pytest.raises(ValueError, match=r"(?s)X.*\(6, 5\).*\(4, 2\)"):
            textbook.forward(np.ones((6, 5)), [np.ones((4, 2))], None)


class AnyCost(SourceRow):
    """Row 4: its own sigma per layer, the Euclidean norm as cost."""

    loss = "euclidean"

    def activation(self, n_hidden):
        return ["tanh", "gelu", "logistic"][:n_hidden]

    @pytest.mark.parametrize("fraction", [5e-3, 9e-3])
    def test_classifier_stops_at_the_first_iterate_within_gtol(self, fraction):
        X, y, Y = three_blobs()
        options = {"learning_rate": 5.0, "max_iter": 2000, **self.options((4, 7, 3))}
        model = self.classifier(max_iter=2000)
        start = initial_weights(model, X, y)
        # gtol halfway between two iterates, so that rounding cannot move the stop
        _, _, norms = reference.gradient_descent(X, Y, *start, gtol=0, **options)
        k = next(k for k, norm in enumerate(norms) if norm < fraction * norms[0])
        gtol = np.sqrt(norms[k - 1] * norms[k])
        coefs, intercepts, norms = reference.gradient_descent(X, Y, *start, gtol=gtol, **options)
        assert gtol < 1e-2 * norms[0]

        model.set_params(gtol=gtol).fit(X, y)  # a ConvergenceWarning here is an error
        assert model.n_iter_ == len(norms) - 1 == k
        for ours, theirs in zip(model.coefs_, coefs, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-8, atol=1e-10)
        if self.bias:
            for ours, theirs in zip(model.intercepts_, intercepts, strict=True):
                np.testing.assert_allclose(ours, theirs, rtol=1e-8, atol=1e-10)
        assert model.score(X, y) == 1.0

    def test_classifier_within_gtol_from_the_start_makes_no_update(self):
        X, y, _ = three_blobs()
        coefs, _ = initial_weights(self.classifier(), X, y)
        model = self.classifier(gtol=1e3).fit(X, y)
        assert model.n_iter_ == 0
        for ours, theirs in zip(model.coefs_, coefs, strict=True):
            np.testing.assert_array_equal(ours, theirs)

    def classifier(self, **params):
        return BackpropClassifier(
            hidden_layer_sizes=(7,),
            activation=self.activation(1),
            out_activation="logistic",
            loss="euclidean",
            solver="gd",
            learning_rate_init=5.0,
            alpha=0,
            fit_intercept=self.bias,
            dtype="float64",
            random_state=0,
            **params,
        )


class TestAnyCost(AnyCost):
    bias = False

    @over_dtypes
    def test_a_zero_residual_has_zero_delta(self, dtype):
        problem = random_problem(40, (5, 17, 4), self.loss, m=6, dtype=dtype)
        options = self.options((5, 17, 4))
        X, Y, coefs, intercepts = problem
        network = {name: options[name] for name in ("activation", "out_activation")}
        Y[[1, 4]] = textbook.forward(X, coefs, intercepts, **network)[-1][[1, 4]]
        for delta in textbook.deltas(*problem, **options):
            assert not delta[[1, 4]].any()
            assert delta[[0, 2, 3, 5]].any(axis=1).all()
        assert np.isfinite(textbook.loss_and_gradient(*problem, **options)[0])

    @over_dtypes
    @pytest.mark.parametrize("scale", [1e-30, 1e-20, 1.0, 1e20, 1e30])
    def test_a_residual_of_any_scale_keeps_its_direction(self, scale, dtype):
        X, coefs = np.full((1, 1), scale, dtype), [np.array([[1, -2, 2]], dtype)]
        problem = X, np.zeros((1, 3), dtype), coefs, None
        options = {"activation": [], "out_activation": "identity", "loss": "euclidean"}
        rtol = 1e-14 if dtype == "float64" else 1e-6
        (delta,) = textbook.deltas(*problem, **options)
        np.testing.assert_allclose(delta, [[1 / 3, -2 / 3, 2 / 3]], rtol=rtol)
        J, (grad,), _ = textbook.loss_and_gradient(*problem, **options)
        np.testing.assert_allclose(J, 3 * scale, rtol=rtol)
        np.testing.assert_allclose(grad, X * delta, rtol=rtol)


class TestAnyCostWithBiases(AnyCost):
    """Row 4 with b^l added."""


class TestTwoThreeTwo(SourceRow):
    """Row 5: the 2-3-2 network of logistic units, half the squared norm, one example at a time."""

    loss = "squared_error"
    eta = 0.5

    def closed_form_step(self, x, t, w, u, b1, b2):
        """Every weight moved by the source's formulas for dL/du_ij, dL/dw_ij and, with h_i or x_i = 1, the biases."""

        def s(a):
            return 1 / (1 + np.exp(-a))

        h, y = np.empty(3), np.empty(2)
        for j in range(3):
            h[j] = s(sum(x[i] * w[i, j] for i in range(2)) + b1[j])
        for j in range(2):
            y[j] = s(sum(h[i] * u[i, j] for i in range(3)) + b2[j])

        out = [(y[j] - t[j]) * y[j] * (1 - y[j]) for j in range(2)]
        hidden = [
            sum((y[k] - t[k]) * y[k] * (1 - y[k]) * u[j, k] for k in range(2)) * h[j] * (1 - h[j]) for j in range(3)
        ]
        w, u, b1, b2 = w.copy(), u.copy(), b1.copy(), b2.copy()
        for j in range(2):
            b2[j] -= self.eta * out[j]
            for i in range(3):
                u[i, j] -= self.eta * out[j] * h[i]
        for j in range(3):
            b1[j] -= self.eta * hidden[j]
            for i in range(2):
                w[i, j] -= self.eta * hidden[j] * x[i]
        return w, u, b1, b2

    def test_single_step_of_the_textbook_is_the_closed_form(self):
        problem = random_problem(50, (2, 3, 2), self.loss, m=1)
        (x,), (t,), (w, u), (b1, b2) = problem
        expected = self.closed_form_step(x, t, w, u, b1, b2)
        _, coef_grads, intercept_grads = textbook.loss_and_gradient(*problem, **self.options((2, 3, 2)))
        for before, grad, after in zip((w, u, b1, b2), (*coef_grads, *intercept_grads), expected, strict=True):
            np.testing.assert_allclose(before - self.eta * grad, after, rtol=1e-12)

    @pytest.mark.parametrize("m", [1, 9])
    def test_steps_of_the_classifier_are_the_closed_form(self, m):
        rng = np.random.default_rng(51)
        X, y = rng.normal(size=(9, 2)), np.arange(9) % 2
        model = BackpropClassifier(
            hidden_layer_sizes=(3,),
            activation="logistic",
            loss="squared_error",
            solver="sgd",
            batch_size=1,
            momentum=0,
            alpha=0,
            learning_rate_init=self.eta,
            shuffle=False,
            max_iter=1,
            dtype="float64",
            random_state=0,
        )
        (w, u), (b1, b2) = initial_weights(model, X, y)
        for x, t in zip(X[:m], np.eye(2)[y[:m]], strict=True):
            w, u, b1, b2 = self.closed_form_step(x, t, w, u, b1, b2)
        model.partial_fit(X[:m], y[:m], classes=[0, 1])
        for ours, theirs in zip((*model.coefs_, *model.intercepts_), (w, u, b1, b2), strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-12)


# Every network.


@over_dtypes
@pytest.mark.parametrize("activation", reference.HIDDEN_ACTIVATIONS)
@over_pairs
def test_every_activation_with_every_output(loss, out_activation, activation, dtype):
    options = {"activation": activation, "out_activation": out_activation, "loss": loss}
    problem = problem_without_kinks((5, 9, 3), options, m=7, dtype=dtype)
    weight = np.random.default_rng(0).uniform(0.5, 2, size=7).astype(dtype)
    assert_all_agree(problem, dtype, alpha=0.3, sample_weight=weight, **options)


@pytest.mark.parametrize("activation", reference.HIDDEN_ACTIVATIONS)
@over_pairs
def test_central_differences_of_every_activation_with_every_output(loss, out_activation, activation):
    options = {"activation": activation, "out_activation": out_activation, "loss": loss}
    problem = problem_without_kinks((3, 5, 3), options, m=4)
    weight = np.random.default_rng(0).uniform(0.5, 2, size=4)
    assert gradient_error(problem, alpha=0.3, sample_weight=weight, **options) < 1e-6


@over_dtypes
def test_one_activation_per_layer(dtype):
    problem = random_problem(60, (5, 17, 33, 6, 3), "log_loss", dtype=dtype)
    options = {"out_activation": "softmax", "loss": "log_loss"}
    for activation in (["tanh", "elu", "gelu"], ["gelu", "tanh", "elu"]):
        assert_all_agree(problem, dtype, activation=activation, **options)


def test_one_name_means_every_hidden_layer():
    problem = random_problem(61, (5, 17, 33, 3), "squared_error")
    options = {"out_activation": "identity", "loss": "squared_error"}
    for one, listed in zip(
        textbook.deltas(*problem, activation="tanh", **options),
        textbook.deltas(*problem, activation=["tanh", "tanh"], **options),
        strict=True,
    ):
        np.testing.assert_array_equal(one, listed)


def test_defaults_are_logistic_and_cross_entropy():
    X, _, coefs, intercepts = problem = random_problem(62, (5, 17, 3), "binary_cross_entropy")
    network = {"activation": "logistic", "out_activation": "logistic"}
    a = textbook.forward(X, coefs, intercepts)
    assert_agrees(a, reference.forward(X, coefs, intercepts, **network), "float64")
    expected = reference.deltas(*problem, loss="binary_cross_entropy", **network)
    assert_agrees(textbook.deltas(*problem), expected, "float64")


def test_a_network_without_hidden_layers_takes_a_name_or_none():
    X, _, coefs, intercepts = random_problem(63, (5, 3), "squared_error")
    for activation in ("tanh", [], ()):
        a = textbook.forward(X, coefs, intercepts, activation=activation, out_activation="logistic")
        assert len(a) == 2
        np.testing.assert_allclose(a[1], reference.logistic(X @ coefs[0] + intercepts[0]), rtol=1e-13)


@over_losses
def test_no_intercepts_are_intercepts_of_zero(loss, out_activation):
    X, Y, coefs, _ = random_problem(64, (5, 17, 3), loss)
    options = {"activation": "tanh", "out_activation": out_activation, "loss": loss, "alpha": 0.3}
    J, coef_grads, intercept_grads = textbook.loss_and_gradient(X, Y, coefs, None, **options)
    assert intercept_grads is None
    zeros = [np.zeros(17), np.zeros(3)]
    zero_J, zero_coef_grads, _ = textbook.loss_and_gradient(X, Y, coefs, zeros, **options)
    np.testing.assert_allclose(J, zero_J, rtol=1e-14)
    assert_agrees(coef_grads, zero_coef_grads, "float64")


@over_dtypes
@pytest.mark.parametrize("m", [1, 3, 200, 1500])
def test_any_number_of_examples(m, dtype):
    problem = random_problem(65, (9, 33, 17, 5), "log_loss", m=m, dtype=dtype)
    options = {"activation": "tanh", "out_activation": "softmax", "loss": "log_loss"}
    assert_all_agree(problem, dtype, alpha=0.1, **options)


@over_dtypes
@pytest.mark.parametrize("m", [1, 3, 7, 9])
def test_a_row_has_the_same_bits_in_any_batch(m, dtype):
    X, Y, coefs, intercepts = random_problem(66, (5, 33, 17, 3), "log_loss", m=200, dtype=dtype)
    options = {"activation": "gelu", "out_activation": "softmax", "loss": "log_loss"}
    whole = textbook.deltas(X, Y, coefs, intercepts, **options)
    for first in (0, 100):
        rows = slice(first, first + m)
        for part, all_rows in zip(textbook.deltas(X[rows], Y[rows], coefs, intercepts, **options), whole, strict=True):
            np.testing.assert_array_equal(part, all_rows[rows])


def test_memory_order_does_not_matter_and_arguments_may_be_read_only():
    problem = random_problem(67, (5, 17, 3), "squared_error")
    options = {"activation": "tanh", "out_activation": "logistic", "loss": "squared_error", "alpha": 0.3}
    X, Y, coefs, intercepts = problem
    fortran = np.asfortranarray(X), np.asfortranarray(Y), [np.asfortranarray(theta) for theta in coefs], intercepts
    for array in (*fortran[:2], *fortran[2], *intercepts):
        array.flags.writeable = False
    J, coef_grads, intercept_grads = textbook.loss_and_gradient(*problem, **options)
    fortran_J, fortran_coef_grads, fortran_intercept_grads = textbook.loss_and_gradient(*fortran, **options)
    assert fortran_J == J
    for one, other in zip(
        [*coef_grads, *intercept_grads], [*fortran_coef_grads, *fortran_intercept_grads], strict=True
    ):
        np.testing.assert_array_equal(one, other)
    textbook.check_gradient(*fortran, **options)


# Saturation.


@over_dtypes
@pytest.mark.parametrize("loss", ["log_loss", "binary_cross_entropy"])
def test_saturated_logistic_outputs_are_exact(loss, dtype):
    logits = np.array([[1000, -1000, 1000, -1000]], dtype)
    problem = np.ones((1, 1), dtype), np.array([[1, 1, 0, 0]], dtype), [logits], [np.zeros(4, dtype)]
    options = {"activation": [], "out_activation": "logistic", "loss": loss}
    (delta,) = textbook.deltas(*problem, **options)
    np.testing.assert_array_equal(delta, [[0, -1, 1, 0]])
    J, (coef_grad,), (intercept_grad,) = textbook.loss_and_gradient(*problem, **options)
    assert J == 2000
    np.testing.assert_array_equal(coef_grad, delta)
    np.testing.assert_array_equal(intercept_grad, delta[0])


@over_dtypes
def test_saturated_softmax_is_exact(dtype):
    logits = np.array([[1000, -1000, 0]], dtype)
    options = {"activation": [], "out_activation": "softmax", "loss": "log_loss"}
    for y, cost in zip(np.eye(3, dtype=dtype), (0, 2000, 1000), strict=True):
        problem = np.ones((1, 1), dtype), y[None], [logits], [np.zeros(3, dtype)]
        (delta,) = textbook.deltas(*problem, **options)
        np.testing.assert_array_equal(delta, [np.array([1, 0, 0]) - y])
        J, (coef_grad,), (intercept_grad,) = textbook.loss_and_gradient(*problem, **options)
        assert cost == J
        np.testing.assert_array_equal(coef_grad, delta)
        np.testing.assert_array_equal(intercept_grad, delta[0])


@over_dtypes
@pytest.mark.parametrize(("z", "y"), [(40, 1), (-40, 0)])
def test_a_cost_below_rounding_of_its_probability_is_exact(z, y, dtype):
    problem = np.ones((1, 1), dtype), np.full((1, 1), y, dtype), [np.full((1, 1), z, dtype)], None
    options = {"activation": [], "out_activation": "logistic", "loss": "binary_cross_entropy"}
    J = textbook.loss_and_gradient(*problem, **options)[0]
    np.testing.assert_allclose(J, 4.248354255291589e-18, rtol=1e-14 if dtype == "float64" else 1e-6)


@over_dtypes
@over_pairs
def test_extreme_logits_are_finite_and_agree(loss, out_activation, dtype):
    largest = 50 if out_activation == "exp" else 1000  # whose square float32 still has
    logits = np.array([[largest, -largest, 0.5]], dtype)
    options = {"activation": [], "out_activation": out_activation, "loss": loss}
    for Y in np.eye(3, dtype=dtype):
        problem = np.ones((1, 1), dtype), Y[None], [logits], [np.zeros(3, dtype)]
        assert_all_agree(problem, dtype, **options)
        assert np.isfinite(textbook.loss_and_gradient(*problem, **options)[0])


@over_dtypes
@pytest.mark.parametrize("activation", reference.HIDDEN_ACTIVATIONS)
def test_extreme_hidden_units_are_finite_and_agree(activation, dtype):
    X, Y = np.array([[1000, 0.5], [-1000, 2]], dtype), np.array([[0, 1], [1, 0]], dtype)
    coefs = [np.array([[1, -1, 0], [0, 0, 1]], dtype), np.array([[1, 0.25], [-2, 1], [0.5, -1]], dtype)]
    intercepts = [np.zeros(3, dtype), np.zeros(2, dtype)]
    options = {"activation": activation, "out_activation": "logistic", "loss": "binary_cross_entropy"}
    assert_all_agree((X, Y, coefs, intercepts), dtype, **options)
    assert np.isfinite(textbook.loss_and_gradient(X, Y, coefs, intercepts, **options)[0])


# Invariants.


@over_dtypes
@over_pairs
def test_a_perfect_fit_has_zero_delta(loss, out_activation, dtype):
    X, _, coefs, intercepts = random_problem(70, (5, 17, 3), loss, dtype=dtype)
    network = {"activation": "tanh", "out_activation": out_activation}
    Y = textbook.forward(X, coefs, intercepts, **network)[-1]
    J, coef_grads, intercept_grads = textbook.loss_and_gradient(X, Y, coefs, intercepts, loss=loss, **network)
    deltas = textbook.deltas(X, Y, coefs, intercepts, loss=loss, **network)
    largest = max(np.abs(array).max() for array in (*deltas, *coef_grads, *intercept_grads))
    if loss in ("log_loss", "binary_cross_entropy"):  # they round a in their own way, and Y = a costs its entropy
        assert largest < 10 * np.finfo(dtype).eps
    elif loss == "poisson":  # its logarithm of Y is not quite z
        assert largest == 0
        assert 0 <= J < np.finfo(dtype).eps ** 2 * Y.max()
    else:
        assert largest == 0
        assert J == 0


@pytest.mark.parametrize(
    ("count", "logit"), [(1e-300, 30.0), (1e-300, 100.0), (5.0, 700.0), (1e300, 1.0), (3.0, np.log(3.0))]
)
def test_poisson_cost_is_exact_far_from_the_mean(count, logit):
    one = np.ones((1, 1))
    J, *_ = textbook.loss_and_gradient(
        one, count * one, [logit * one], None, activation=[], out_activation="exp", loss="poisson"
    )
    with mpmath.workdps(60):
        y, z = mpmath.mpf(count), mpmath.mpf(logit)
        expected = y * (mpmath.log(y) - z) - y + mpmath.exp(z)
    np.testing.assert_allclose(J, float(expected), rtol=1e-13, atol=1e-30)


def test_softmax_of_two_outputs_is_logistic():
    X, Y, (hidden, two), (hidden_bias, two_bias) = random_problem(71, (5, 17, 2), "log_loss")
    one, one_bias = two[:, 1:] - two[:, :1], two_bias[1:] - two_bias[:1]
    options = {"activation": "tanh", "loss": "log_loss"}
    of_two = (X, Y, [hidden, two], [hidden_bias, two_bias])
    of_one = (X, Y[:, 1:], [hidden, one], [hidden_bias, one_bias])
    J, (hidden_grad, out_grad), _ = textbook.loss_and_gradient(*of_two, out_activation="softmax", **options)
    other_J, (other_hidden_grad, other_out_grad), _ = textbook.loss_and_gradient(
        *of_one, out_activation="logistic", **options
    )
    np.testing.assert_allclose(J, other_J, rtol=1e-13)
    np.testing.assert_allclose(hidden_grad, other_hidden_grad, rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose(out_grad, np.hstack([-other_out_grad, other_out_grad]), rtol=1e-10, atol=1e-14)


@over_dtypes
@over_losses
def test_weight_k_is_the_row_k_times_and_weight_0_is_no_row(loss, out_activation, dtype):
    X, Y, coefs, intercepts = random_problem(72, (5, 17, 3), loss, m=9, dtype=dtype)
    repeats = np.array([1, 0, 2, 5, 1, 0, 3, 1, 1])
    options = {"activation": "tanh", "out_activation": out_activation, "loss": loss, "alpha": 0.3}
    J, coef_grads, intercept_grads = textbook.loss_and_gradient(
        X, Y, coefs, intercepts, sample_weight=repeats.astype(dtype), **options
    )
    repeated = np.repeat(X, repeats, axis=0), np.repeat(Y, repeats, axis=0)
    expected_J, *expected_grads = textbook.loss_and_gradient(*repeated, coefs, intercepts, **options)
    np.testing.assert_allclose(J, expected_J, rtol=RTOL[dtype])
    assert_agrees(coef_grads, expected_grads[0], dtype)
    assert_agrees(intercept_grads, expected_grads[1], dtype)


@over_dtypes
@over_losses
def test_dtype_in_is_dtype_out(loss, out_activation, dtype):
    X, _, coefs, intercepts = problem = random_problem(73, (5, 17, 3), loss, dtype=dtype)
    network = {"activation": "tanh", "out_activation": out_activation}
    J, coef_grads, intercept_grads = textbook.loss_and_gradient(*problem, loss=loss, **network)
    arrays = [
        *textbook.forward(X, coefs, intercepts, **network),
        *textbook.deltas(*problem, loss=loss, **network),
        *coef_grads,
        *intercept_grads,
    ]
    assert {array.dtype for array in arrays} == {np.dtype(dtype)}
    assert np.ndim(J) == 0


def test_check_gradient_covers_weights_penalty_and_sample_weight():
    problem = random_problem(74, (5, 9, 3), "log_loss")
    weight = np.random.default_rng(0).uniform(0.5, 2, size=11)
    options = {"activation": ["elu"], "out_activation": "softmax", "loss": "log_loss"}
    assert 0 <= textbook.check_gradient(*problem, alpha=0.3, sample_weight=weight, **options) < 1e-6


def test_check_gradient_sees_a_kink():
    """At relu's kink the gradient is one-sided and the central difference half of the other side's."""
    problem = np.ones((1, 1)), np.ones((1, 1)), [np.zeros((1, 1)), np.ones((1, 1))], None
    options = {"activation": "relu", "out_activation": "identity", "loss": "squared_error"}
    assert textbook.check_gradient(*problem, **options) > 0.1


# Errors: the parameter, the value given, what would be right.


@pytest.mark.parametrize(("loss", "out_activation"), ILLEGAL_PAIRS)
def test_an_illegal_pair_lists_the_legal_ones(loss, out_activation):
    problem = random_problem(80, (5, 9, 3), loss)
    options = {"activation": "tanh", "out_activation": out_activation, "loss": loss}
    for function in (textbook.deltas, textbook.loss_and_gradient, textbook.check_gradient):
        with pytest.raises(ValueError, match=loss) as error:
            function(*problem, **options)
        for name in (out_activation, *reference.LEGAL_OUTPUTS[loss]):
            assert name in str(error.value)


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"Y": np.zeros((6, 4))}, ["Y", "(6, 4)"]),
        ({"Y": np.zeros((5, 3))}, ["Y", "(5, 3)"]),
        ({"X": np.full((6, 5), np.nan)}, ["X", "NaN"]),
        ({"X": np.full((6, 5), np.inf)}, ["X", "inf"]),
        ({"Y": np.full((6, 3), np.nan)}, ["Y", "NaN"]),
        ({"coefs": []}, ["coefs"]),
        ({"coefs": [np.full((5, 7), np.nan), np.zeros((7, 3))]}, ["coefs[0]", "NaN"]),
        ({"coefs": [np.zeros((5, 7)), np.zeros((8, 3))]}, ["coefs", "(5, 7)", "(8, 3)"]),
        ({"intercepts": [np.zeros(7), np.zeros(4)]}, ["intercepts", "(4,)"]),
        ({"intercepts": [np.zeros(7)]}, ["intercepts", "(7,)"]),
        ({"sample_weight": np.array([1, 1, -1.5, 1, 1, 1])}, ["sample_weight", "-1.5"]),
        ({"sample_weight": np.ones(5)}, ["sample_weight", "5"]),
        ({"sample_weight": np.zeros(6)}, ["sample_weight", "0"]),
        ({"alpha": -0.25}, ["alpha", "-0.25"]),
        ({"activation": "sigmoid"}, ["activation", "sigmoid", *reference.HIDDEN_ACTIVATIONS]),
        ({"activation": "softmax"}, ["activation", "softmax", *reference.HIDDEN_ACTIVATIONS]),
        ({"activation": ["sigmoid"]}, ["activation", "sigmoid", *reference.HIDDEN_ACTIVATIONS]),
        ({"activation": ["tanh", "tanh"]}, ["activation", "['tanh', 'tanh']"]),
        ({"activation": []}, ["activation", "[]"]),
        ({"out_activation": "sigmoid"}, ["out_activation", "sigmoid"]),
        ({"loss": "hinge"}, ["loss", "hinge", *reference.LEGAL_OUTPUTS]),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, dict) else None,
)
def test_a_wrong_argument_is_named_with_its_value(changed, named):
    X, Y, coefs, intercepts = random_problem(81, (5, 7, 3), "squared_error", m=6)
    arguments = {
        "X": X,
        "Y": Y,
        "coefs": coefs,
        "intercepts": intercepts,
        "activation": "tanh",
        "out_activation": "identity",
        "loss": "squared_error",
    }
    with pytest.raises(ValueError) as error:  # noqa: PT011 (each message is looked into below)
        textbook.loss_and_gradient(**(arguments | changed))
    for part in named:
        assert part in str(error.value)


def test_softmax_refuses_targets_that_are_no_probabilities():
    X, Y, coefs, intercepts = random_problem(0, (7, 3), "log_loss")
    with pytest.raises(ValueError, match=r"Y must have rows that sum to 1.*from 5 to 5"):
        textbook.loss_and_gradient(X, 5 * Y, coefs, intercepts, out_activation="softmax", loss="log_loss")


@over_dtypes
@pytest.mark.parametrize("activation", sorted(reference.HIDDEN_ACTIVATIONS))
def test_derivatives_are_finite_for_any_finite_logit(activation, dtype):
    largest = 18 if dtype == "float32" else 150  # gelu cubes it
    z = np.array([sign * 10.0**power for sign in (-1, 1) for power in range(-largest, largest * 2, 3)], dtype)[:, None]
    one = np.ones((1, 1), dtype)
    for delta in textbook.deltas(
        z, 0 * z, [one, 1e-30 * one], None, activation=activation, out_activation="identity", loss="squared_error"
    ):
        assert np.isfinite(delta).all()

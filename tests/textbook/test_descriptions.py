"""fastbp must reproduce five published descriptions. Rows are their numbers in fastbp/README.md."""

import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from fastbp import BackpropClassifier, textbook
from support import reference
from support.random_problems import (
    assert_agrees,
    assert_all_agree,
    delta_error,
    gradient_error,
    over_dtypes,
    over_sizes,
    random_problem,
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
    """The weights that the fit of this model starts from, because a step of 1e-300 is lost in rounding."""
    start = fit_to_the_limit(clone(model).set_params(max_iter=1, learning_rate_init=1e-300), X, y)
    return start.coefs_, start.intercepts_ if model.fit_intercept else None


class SourceRow:
    """Tests of each of the five sources: numbers equal the reference's, gradients equal differences of their own J."""

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
    """Row 2: the same with L2. The source sums gradients in a loop over the examples."""

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
    """Row 4: a sigma for each layer, the Euclidean norm as cost."""

    loss = "euclidean"

    def activation(self, n_hidden):
        return ["tanh", "gelu", "logistic"][:n_hidden]

    @pytest.mark.parametrize("fraction", [5e-3, 9e-3])
    def test_classifier_stops_at_the_first_iterate_within_gtol(self, fraction):
        X, y, Y = three_blobs()
        options = {"learning_rate": 5.0, "max_iter": 2000, **self.options((4, 7, 3))}
        model = self.classifier(max_iter=2000)
        start = initial_weights(model, X, y)
        # gtol lies between the norms of two iterates, so that rounding cannot move the stop
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
        """All weights after a step by the source's formulas for dL/du_ij and dL/dw_ij. For a bias, h_i or x_i is 1."""

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

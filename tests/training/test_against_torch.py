"""Losses, gradients and trained weights equal PyTorch's, from the same weights and on the same batches.

Dropout is not compared, because the two libraries draw other random numbers.
"""

import functools
import math
from itertools import count, pairwise

import numpy as np
import pytest

from fastbp import BackpropClassifier, BackpropRegressor, textbook
from fastbp.training.schedules import Schedule

torch = pytest.importorskip("torch")
F = torch.nn.functional
schedulers = torch.optim.lr_scheduler
torch.set_num_threads(1)

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer")  # no fit stops before max_iter

N, HIDDEN = 40, (9, 7)
EPOCHS, BATCHES = 9, np.split(np.arange(N), [16, 32])  # the last batch of an epoch is smaller
STEPS, RATE = EPOCHS * len(BATCHES), 0.01
WARMUP, WARM_STEPS = 0.3, 8  # 0.3 of the steps are 8.1
# Adam: we add epsilon before the bias correction, PyTorch after it. This epsilon is too small to make a difference.
TINY = np.finfo(np.float64).tiny
FIT = {"alpha": 0, "n_jobs": 1, "shuffle": False, "batch_size": len(BATCHES[0]), "n_iter_no_change": np.inf}
SAME = {"rtol": 1e-9, "atol": 1e-12}
SHARES = (0.1, 0.5, 0.9)  # quantiles


def logistic_cost(z, y, label_smoothing=0.0):
    y = (1 - label_smoothing) * y + label_smoothing / 2
    return F.binary_cross_entropy_with_logits(z, y, reduction="sum")


def pinball(z, y):
    q = torch.tensor(SHARES, dtype=torch.float64)
    return torch.maximum(q * (y - z), (1 - q) * (z - y)).sum()


# The cost of some examples. gamma is missing: PyTorch has no such loss.
CLASSIFIERS = {"softmax": functools.partial(F.cross_entropy, reduction="sum"), "logistic": logistic_cost}
REGRESSORS = {
    "squared_error": lambda z, y: F.mse_loss(z, y, reduction="sum") / 2,
    "mean_squared_error": functools.partial(F.mse_loss, reduction="sum"),
    "euclidean": lambda z, y: torch.linalg.vector_norm(z - y, dim=1).sum(),
    "absolute_error": functools.partial(F.l1_loss, reduction="sum"),
    "huber": functools.partial(F.huber_loss, delta=0.7, reduction="sum"),
    "quantile": pinball,
    # half the deviance; PyTorch leaves out the terms without z
    "poisson": lambda z, y: F.poisson_nll_loss(z, y, reduction="sum") + (torch.xlogy(y, y) - y).sum(),
}
OPTIONS = {"huber": {"huber_delta": 0.7}, "quantile": {"quantile": SHARES}}
ACTIVATIONS = {
    **{name: getattr(F, name) for name in ("relu", "leaky_relu", "elu", "selu", "softplus", "silu", "mish")},
    "identity": lambda z: z,
    "logistic": torch.sigmoid,
    "tanh": torch.tanh,
    "gelu": functools.partial(F.gelu, approximate="tanh"),
    "hard_swish": F.hardswish,
}


class Problem:
    """Data, weights to start from, and a network with these weights in PyTorch.

    output: 'softmax', 'logistic' or a regressor's loss. scale: multiplies the weights.
    """

    def __init__(self, output, *, n_outputs=3, activation="tanh", scale=1.0, **cost_options):
        self.output, self.activation = output, activation
        self.cost = functools.partial((CLASSIFIERS | REGRESSORS)[output], **cost_options)
        rng = np.random.default_rng(0)
        self.X = rng.normal(size=(N, 5))
        if output == "softmax":
            self.y = rng.integers(n_outputs, size=N)
        elif output == "logistic":
            self.y = rng.integers(2, size=(N, n_outputs)).astype(float)
        elif output == "poisson":
            self.y = rng.poisson(2, size=(N, n_outputs)).astype(float)
        else:
            self.y = rng.normal(size=(N, 1 if output == "quantile" else n_outputs))
        shapes = list(pairwise((5, *HIDDEN, n_outputs)))
        self.coefs = [scale * rng.normal(size=shape) / math.sqrt(shape[0]) for shape in shapes]
        self.intercepts = [rng.normal(size=width) for _, width in shapes]
        self.weights, self.biases = (
            [torch.tensor(array, requires_grad=True) for array in arrays] for arrays in (self.coefs, self.intercepts)
        )
        self.parameters = self.weights + self.biases

    def loss(self, rows):
        """PyTorch's mean cost of these examples."""
        a, y = torch.tensor(self.X[rows]), torch.tensor(self.y[rows])
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            a = ACTIVATIONS[self.activation](a @ weight + bias)
        return self.cost(a @ self.weights[-1] + self.biases[-1], y) / len(rows)

    def groups(self, weight_decay=0.0):
        """The parameters, with decay of the weights alone."""
        return [{"params": self.weights, "weight_decay": weight_decay}, {"params": self.biases, "weight_decay": 0.0}]

    def adamw(self, *, weight_decay=0.0, betas=(0.9, 0.999)):
        return torch.optim.AdamW(self.groups(weight_decay), lr=RATE, betas=betas, eps=TINY)

    def train(self, optimizer, scheduler=None, before_step=lambda: None):
        """Train PyTorch's network; returns the rate of each step. before_step: called with the gradients in place."""
        rates, self.losses = [], []
        for _ in range(EPOCHS):
            total = 0.0
            for rows in BATCHES:
                optimizer.zero_grad()
                loss = self.loss(rows)
                loss.backward()
                before_step()
                rates.append(optimizer.param_groups[0]["lr"])
                optimizer.step()
                if scheduler:
                    scheduler.step()
                total += loss.item() * len(rows)
            self.losses.append(total / N)
        return rates

    def assert_trained_alike(self, **params):
        """Train our network from the same weights, and compare it with PyTorch's trained network."""
        model = BackpropClassifier() if self.output in CLASSIFIERS else BackpropRegressor(loss=self.output)
        model.set_params(hidden_layer_sizes=HIDDEN, activation=self.activation, **OPTIONS.get(self.output, {}))
        model.set_params(warm_start=True, learning_rate_init=RATE, epsilon=TINY, **FIT)
        y = self.y[:, 0] if self.y.shape[1:] == (1,) else self.y
        model.set_params(max_iter=1).fit(self.X, y)  # makes the network
        model.coefs_, model.intercepts_ = self.coefs, self.intercepts
        model.set_params(max_iter=EPOCHS, **params).fit(self.X, y)  # starts with a new optimiser
        np.testing.assert_allclose(model.loss_curve_[1:], self.losses, **SAME)
        ours, starts = model.coefs_ + model.intercepts_, self.coefs + self.intercepts
        for found, wanted, start in zip(ours, self.parameters, starts, strict=True):
            np.testing.assert_allclose(found, wanted.detach().numpy(), **SAME)
            assert abs(found - start).max() > RATE / 10

    def assert_same_gradient(self, Y, **options):
        """Compare textbook.loss_and_gradient with PyTorch's, on all examples."""
        start = (self.coefs, self.intercepts)
        J, *found = textbook.loss_and_gradient(self.X, Y, *start, activation=self.activation, **options)
        loss = self.loss(np.arange(N))
        assert loss.item() == pytest.approx(J, rel=1e-12)
        for ours, theirs in zip(found[0] + found[1], torch.autograd.grad(loss, self.parameters), strict=True):
            np.testing.assert_allclose(ours, theirs.numpy(), rtol=0, atol=1e-12 * abs(theirs).max().item())


CLASSES = [("softmax", 3), ("logistic", 1), ("logistic", 3)]  # many classes, two classes, several labels
KINDS = [*CLASSES, ("squared_error", 2)]


@pytest.mark.parametrize(("output", "n_outputs"), KINDS)
@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_adam_with_weight_decay_is_pytorchs_adamw_without_decay_of_biases(output, n_outputs, weight_decay):
    problem = Problem(output, n_outputs=n_outputs)
    problem.train(problem.adamw(weight_decay=weight_decay, betas=(0.8, 0.99)))
    problem.assert_trained_alike(solver="adam", weight_decay=weight_decay, beta_1=0.8, beta_2=0.99)


@pytest.mark.parametrize("epsilon", [1e-8, 1e-2])
def test_our_epsilon_is_pytorchs_times_the_bias_correction(epsilon):
    problem, steps = Problem("softmax"), count(1)
    optimizer = problem.adamw()

    def correct():
        correction = math.sqrt(1 - 0.999 ** next(steps))
        for group in optimizer.param_groups:
            group["eps"] = epsilon / correction

    problem.train(optimizer, before_step=correct)
    problem.assert_trained_alike(solver="adam", epsilon=epsilon)


@pytest.mark.parametrize(("output", "n_outputs"), KINDS)
@pytest.mark.parametrize(("momentum", "nesterov"), [(0.0, False), (0.9, False), (0.9, True)])
def test_sgd_is_pytorchs_after_the_decay_of_the_weights(output, n_outputs, momentum, nesterov):
    problem = Problem(output, n_outputs=n_outputs)

    def decay():  # PyTorch's SGD adds its decay to the gradient, so it would go through the momentum
        with torch.no_grad():
            for weight in problem.weights:
                weight.mul_(1 - RATE * 0.1)

    optimizer = torch.optim.SGD(problem.groups(), lr=RATE, momentum=momentum, nesterov=nesterov)
    problem.train(optimizer, before_step=decay)
    problem.assert_trained_alike(solver="sgd", momentum=momentum, nesterovs_momentum=nesterov, weight_decay=0.1)


def flat_cosine(s):
    return 1.0 if s < STEPS / 2 else (1 + math.cos(math.pi * (2 * s / STEPS - 1))) / 2


def coslog(s):
    return (1 - math.cos(2 * math.pi * math.log2(1 + 15 * s / STEPS))) / 2


def warm(factor):
    """A schedule of PyTorch by this factor of step s, with a warm-up."""
    return lambda optimizer: schedulers.LambdaLR(optimizer, lambda s: factor(s) * min((s + 1) / WARM_STEPS, 1))


def one_cycle(optimizer):
    """PyTorch's rate rises for pct_start * total_steps - 1 steps, and is the last after total_steps - 1, not STEPS."""
    rise, total = 0.3 * STEPS, STEPS + 1
    phases = {"total_steps": total, "pct_start": (rise + 1) / total, "div_factor": 25, "final_div_factor": 1e4}
    return schedulers.OneCycleLR(optimizer, RATE, **phases, anneal_strategy="cos", cycle_momentum=False)


SCHEDULES = {
    "cosine": ("cosine", 0.0, lambda optimizer: schedulers.CosineAnnealingLR(optimizer, T_max=STEPS)),
    "one_cycle": ("one_cycle", 0.0, one_cycle),
    "flat_cosine": ("flat_cosine", 0.0, lambda optimizer: schedulers.LambdaLR(optimizer, flat_cosine)),
    "coslog": ("coslog", 0.0, lambda optimizer: schedulers.LambdaLR(optimizer, coslog)),
    "warm-up": ("constant", WARMUP, warm(lambda s: 1.0)),
    "warm-up and coslog": ("coslog", WARMUP, warm(coslog)),
}


@pytest.mark.parametrize(("rule", "warmup", "scheduler"), SCHEDULES.values(), ids=SCHEDULES)
@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_every_step_has_the_rate_of_pytorchs_schedule(rule, warmup, scheduler, solver):
    problem = Problem("softmax")
    optimizer = problem.adamw(weight_decay=0.1) if solver == "adam" else torch.optim.SGD(problem.groups(), lr=RATE)
    rates = problem.train(optimizer, scheduler(optimizer))
    ours = Schedule(rule, RATE, warmup=warmup, epochs=EPOCHS)
    factors = [ours.factors(epoch, len(BATCHES)) for epoch in range(1, EPOCHS + 1)]
    np.testing.assert_allclose(RATE * np.concatenate(factors), rates, rtol=1e-9, atol=1e-15)
    params = {"weight_decay": 0.1} if solver == "adam" else {"momentum": 0.0}
    problem.assert_trained_alike(solver=solver, learning_rate=rule, warmup=warmup, **params)


@pytest.mark.parametrize("nesterov", [False, True])
def test_momentum_keeps_each_gradient_at_the_rate_of_its_own_step(nesterov):
    problem, steps = Problem("softmax"), count()

    def scale():  # PyTorch multiplies the gradients of all steps by the present rate; here it is 1
        rate = RATE * coslog(next(steps))
        for parameter in problem.parameters:
            parameter.grad *= rate

    problem.train(torch.optim.SGD(problem.groups(), lr=1.0, momentum=0.9, nesterov=nesterov), before_step=scale)
    problem.assert_trained_alike(solver="sgd", learning_rate="coslog", nesterovs_momentum=nesterov)


def clip(parameters, bound):
    """Clip by PyTorch, which divides by norm + 1e-6, so its bound is larger by that share; returns the norm."""
    norm = torch.nn.utils.clip_grad_norm_(parameters, math.inf).item()  # changes nothing
    torch.nn.utils.clip_grad_norm_(parameters, bound * (norm + 1e-6) / norm)
    return norm


@pytest.mark.parametrize(("output", "bound"), [("softmax", 0.7), ("squared_error", 3.0)])
def test_clipping_is_pytorchs_above_and_below_the_bound(output, bound):
    problem, norms = Problem(output), []
    optimizer = torch.optim.SGD(problem.groups(), lr=RATE, momentum=0.9, nesterov=True)
    problem.train(optimizer, before_step=lambda: norms.append(clip(problem.parameters, bound)))
    assert min(norms) < bound < max(norms)
    problem.assert_trained_alike(solver="sgd", max_grad_norm=bound)


@pytest.mark.parametrize(("output", "n_outputs"), CLASSES)
def test_label_smoothing_has_the_loss_and_gradient_of_pytorch(output, n_outputs):
    problem = Problem(output, n_outputs=n_outputs, label_smoothing=0.2)
    Y = np.eye(3)[problem.y] if output == "softmax" else problem.y
    smoothed = textbook.smoothed(Y, 0.2, out_activation=output)
    problem.assert_same_gradient(smoothed, out_activation=output, loss="log_loss")
    problem.train(problem.adamw())
    problem.assert_trained_alike(solver="adam", label_smoothing=0.2)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activations_have_the_outputs_and_slopes_of_pytorch(activation):
    problem = Problem("squared_error", activation=activation, scale=3.0)
    z = problem.X @ problem.coefs[0] + problem.intercepts[0]
    assert z.min() < -3 < 3 < z.max()  # hard_swish has kinks at -3 and 3
    problem.assert_same_gradient(problem.y, out_activation="identity", loss="squared_error")


@pytest.mark.parametrize("loss", REGRESSORS)
def test_losses_of_regressors_have_the_value_and_gradient_of_pytorch(loss):
    problem = Problem(loss)
    options = {"huber": (0.7,), "quantile": SHARES}.get(loss, ())
    output = "exp" if loss == "poisson" else "identity"
    Y = np.broadcast_to(problem.y, (N, 3))  # one column for several quantiles
    problem.assert_same_gradient(Y, out_activation=output, loss=loss, loss_options=options)
    problem.train(problem.adamw())
    problem.assert_trained_alike(solver="adam")


def test_everything_together_trains_like_pytorch():
    problem, norms = Problem("softmax", activation="mish", label_smoothing=0.1), []
    optimizer = problem.adamw(weight_decay=0.1)
    problem.train(optimizer, warm(flat_cosine)(optimizer), lambda: norms.append(clip(problem.parameters, 0.7)))
    assert min(norms) < 0.7 < max(norms)
    schedule = {"learning_rate": "flat_cosine", "warmup": WARMUP}
    problem.assert_trained_alike(weight_decay=0.1, max_grad_norm=0.7, label_smoothing=0.1, **schedule)

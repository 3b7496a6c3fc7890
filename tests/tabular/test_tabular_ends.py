"""A fit may end early: after max_seconds, by Ctrl-C, and by errors. A fit that fails leaves the estimator as it was."""

import gc
import itertools
import time
import types
import weakref

import numpy as np
import pytest
from sklearn.exceptions import FitFailedWarning, NotFittedError

from fastbp import TabularClassifier
from fastbp.encoding.encoder import TableEncoder
from fastbp.estimators.run import Run
from fastbp.kernels import step
from fastbp.network import costs
from fastbp.tabular import race, recipe
from fastbp.tabular.progress import Progress
from fastbp.training import footprint
from fastbp.training.observer import watch
from support.fits import output
from support.tabular import bits, both, networks, problem, small

N_SCOUTS = len(recipe.ENCODINGS)  # candidates 0 to 4, in two rounds; then the race has the others
N_DISTINCT = 4  # scouts that train: with fewer than 128 rows, the last encoding is equal to that of 128 quantiles
KERNEL = "train_with_extras"  # trains with a planned learning rate

late = pytest.warns(UserWarning, match=r"^max_seconds=.* was over before all networks were trained\. The best")
interrupted = pytest.warns(UserWarning, match=r"^Training interrupted by user\.$")


class TestMaxSeconds:
    @pytest.mark.parametrize("seconds", [1e-9, 0.05])
    @pytest.mark.parametrize("n_jobs", [1, 2])
    @both
    def test_ends_the_training_with_a_model_and_a_warning(self, kind, n_jobs, seconds, monkeypatch):
        monkeypatch.setattr(recipe, "SCOUT_EPOCHS", (100_000, 100_000))
        X, y = problem(kind, 50)
        model = small(kind, n_networks=16, n_jobs=n_jobs, max_seconds=seconds)
        begin = time.perf_counter()
        with watch(lambda *_: time.sleep(0.01)), late:
            model.fit(X, y)
        assert time.perf_counter() - begin < 20
        assert 1 <= len(networks(model)) <= 16
        assert all(network.n_iter_ >= 1 for network in networks(model))
        assert np.isfinite(output(model, X)).all()

    @both
    def test_that_are_never_over_give_the_bits_of_a_fit_without_a_limit(self, kind):
        X, y = problem(kind)
        model = small(kind, n_networks=2, max_seconds=1e9).fit(X, y)
        expected = small(kind, n_networks=2).fit(X, y)
        assert bits(model) == bits(expected)
        assert model.candidates_ == expected.candidates_

    @both
    def test_that_are_over_encode_the_table_once(self, kind, monkeypatch):
        names, encoder = [], recipe.encoder
        monkeypatch.setattr(recipe, "encoder", lambda name, *args: names.append(name) or encoder(name, *args))
        with late:
            small(kind, n_networks=16, max_seconds=1e-9).fit(*problem(kind))
        assert len(names) == 1

    @pytest.mark.parametrize("n_rounds", [1, 2, 3])
    def test_that_are_over_after_a_round_keep_the_networks_of_the_rounds_before(self, n_rounds, monkeypatch):
        X, y = problem(TabularClassifier)
        rounds, free = [], race.Race._free

        def freed(self, left):
            free(self, left)
            rounds.append(left)

        def clock():
            return time.monotonic() + (1e6 if len(rounds) >= n_rounds else 0)

        monkeypatch.setattr(race.Race, "_free", freed)
        monkeypatch.setattr(race, "time", types.SimpleNamespace(monotonic=clock))
        model = small(TabularClassifier, n_networks=2, max_seconds=1e5)
        with late:
            model.fit(X, y)
        assert len(rounds) == n_rounds
        assert 1 <= len(networks(model)) <= 2
        losses = [candidate["losses"] for candidate in model.candidates_]
        assert all(len(each) == min(n_rounds, 2) for each in losses[:N_DISTINCT])
        kept = {network.learning_rate_init for network in networks(model)}
        if n_rounds < 3:  # the best scout is kept
            assert not any(losses[N_SCOUTS:])
            best = min(range(N_DISTINCT), key=lambda i: np.mean(losses[i]))
            assert model.encoders_[0].n_bins == recipe.ENCODINGS[list(recipe.ENCODINGS)[best]]["n_bins"]
        assert (kept == {recipe.SCOUT["learning_rate_init"]}) == (n_rounds < 3)

    @both
    def test_that_are_over_in_the_trial_keep_no_network_that_would_have_trained_on(self, kind, monkeypatch):
        X, y = problem(kind)
        trial, ends, n_epochs = race.Race._trial, [0.0], itertools.count()

        def begun(self, population, left, n_kept):
            ends.append(1e6 if n_kept < len(left) else 0.0)
            return trial(self, population, left, n_kept)

        monkeypatch.setattr(race.Race, "_trial", begun)
        monkeypatch.setattr(race, "time", types.SimpleNamespace(monotonic=lambda: time.monotonic() + ends[-1]))
        model = small(kind, n_networks=2, max_seconds=1e5)
        with watch(lambda *_: (next(n_epochs), time.sleep(0.001))), late:
            model.fit(X, y)
        assert next(n_epochs) <= 2 * N_DISTINCT * 10 + 4 * 6 + 4
        assert len(networks(model)) == 2

    @pytest.mark.parametrize("seconds", [0, -1.0, np.nan, "1"])
    @both
    def test_that_are_not_positive_are_an_error(self, kind, seconds):
        with pytest.raises(ValueError, match="'max_seconds' parameter"):
            small(kind, max_seconds=seconds).fit(*problem(kind))


class TestCtrlC:
    @pytest.mark.parametrize("n_jobs", [1, 2])
    @both
    def test_keeps_the_networks_that_finished_an_epoch(self, kind, n_jobs, press_ctrl_c, monkeypatch):
        monkeypatch.setattr(recipe, "SCOUT_EPOCHS", (100_000, 100_000))
        X, y = problem(kind)
        calls = itertools.count()

        def press(epoch, max_iter, loss):
            number = next(calls)
            if number == 20:
                press_ctrl_c()
            if number >= 20:
                time.sleep(0.2)  # the main thread looks for signals every tenth of a second

        model = small(kind, n_networks=16, n_jobs=n_jobs)
        with watch(press), interrupted:
            model.fit(X, y)
        trained = [candidate for candidate in model.candidates_ if candidate["losses"]]
        assert 1 <= len(networks(model)) <= len(trained) < len(model.candidates_)
        assert all(network.n_iter_ >= 1 for network in networks(model))
        assert np.isfinite(output(model, X)).all()

    @pytest.mark.parametrize("in_round", [2, 4])
    @both
    def test_in_a_later_round_leaves_out_networks_that_are_worse_than_those_before(
        self, kind, in_round, press_ctrl_c, monkeypatch
    ):
        X, y = problem(kind)
        rounds, begin = [], race.Race._round

        def begun(self, number, *args):
            rounds.append(number)
            begin(self, number, *args)

        def press(epoch, max_iter, loss):
            if len(rounds) == in_round:
                press_ctrl_c()
                time.sleep(0.2)

        monkeypatch.setattr(race.Race, "_round", begun)
        model = small(kind, n_networks=2, n_jobs=1)
        with watch(press), interrupted:
            model.fit(X, y)
        assert rounds == [0, 1, 0, 1][:in_round]
        assert [network.n_iter_ > 1 for network in networks(model)] == [True]

    @both
    def test_in_the_first_round_after_the_scouts_may_keep_a_scout(self, kind, press_ctrl_c, monkeypatch):
        X, y = problem(kind)
        rounds, begin = [], race.Race._round

        def begun(self, *args):
            rounds.append(len(self.candidates))
            begin(self, *args)

        def press(epoch, max_iter, loss):
            if len(rounds) == 3:
                press_ctrl_c()
                time.sleep(0.2)

        monkeypatch.setattr(race.Race, "_round", begun)
        model = small(kind, n_networks=2, n_jobs=1)
        with watch(press), interrupted:
            model.fit(X, y)
        assert rounds == [5, 5, 9]
        assert sum(map(len, (each["losses"] for each in model.candidates_[N_SCOUTS:]))) == 1  # of one epoch
        assert {network.learning_rate_init for network in networks(model)} == {recipe.SCOUT["learning_rate_init"]}
        assert len(networks(model)) == 2  # both of the best scout

    @pytest.mark.parametrize("is_fitted", [False, True])
    @both
    def test_in_the_first_epoch_raises_and_leaves_the_estimator_as_it_was(
        self, kind, is_fitted, press_ctrl_c, monkeypatch
    ):
        X, y = problem(kind)
        model = small(kind, n_jobs=1)
        if is_fitted:
            model.fit(X, y)
        before, train, calls = dict(vars(model)), getattr(step, KERNEL), itertools.count()

        def press(*args):
            if next(calls) == 0:
                press_ctrl_c()
            time.sleep(0.2)
            return train(*args)

        monkeypatch.setattr(step, KERNEL, press)
        monkeypatch.setattr(costs, "CALL_WORK", 1)  # an epoch has several calls
        with pytest.raises(KeyboardInterrupt):
            model.fit(X[::-1], y)
        assert vars(model).keys() == before.keys()
        assert all(vars(model)[name] is value for name, value in before.items())
        if not is_fitted:
            with pytest.raises(NotFittedError):
                model.predict(X)

    @pytest.mark.parametrize("n_jobs", [1, 2])
    @both
    def test_in_the_trial_ends_the_networks_that_wait(self, kind, n_jobs, press_ctrl_c, monkeypatch):
        X, y = problem(kind)
        trials, begin = [], race.Race._trial

        def begun(self, *args):
            trials.append(itertools.count())
            return begin(self, *args)

        def press(epoch, max_iter, loss):
            if len(trials) == 3 and next(trials[2]) == 20:  # after two rounds of scouts; a trial has 6 epochs of 30
                press_ctrl_c()
                time.sleep(0.2)

        monkeypatch.setattr(race.Race, "_trial", begun)
        model = small(kind, n_networks=2, n_jobs=n_jobs)
        with watch(press), interrupted:
            model.fit(X, y)
        assert sum(len(candidate["losses"]) for candidate in model.candidates_[N_SCOUTS:]) in (3, 4)
        assert next(trials[2]) <= 26  # each of the networks has at most one more epoch

    @both
    def test_between_the_trial_and_the_rest_of_the_round_ends_the_networks_that_wait(self, kind, monkeypatch):
        def interrupt(self, n):
            raise KeyboardInterrupt

        monkeypatch.setattr(Progress, "networks_leave", interrupt)
        model, n_epochs = small(kind, n_networks=2), itertools.count()
        with watch(lambda *_: next(n_epochs)), interrupted:
            model.fit(*problem(kind))
        assert [len(candidate["losses"]) for candidate in model.candidates_[N_SCOUTS:]].count(1) == 2
        assert next(n_epochs) <= 2 * N_DISTINCT * 10 + 4 * 6 + 2  # the scouts, the trial, and one more epoch each

    @both
    def test_while_the_table_is_encoded_raises_and_leaves_the_estimator_as_it_was(
        self, kind, press_ctrl_c, monkeypatch
    ):
        X, y = problem(kind)
        model = small(kind).fit(X, y)
        before, fit, calls = dict(vars(model)), TableEncoder.fit_transform, itertools.count()

        def press(*args):
            if next(calls) == 1:
                press_ctrl_c()
            return fit(*args)

        monkeypatch.setattr(TableEncoder, "fit_transform", press)
        with pytest.raises(KeyboardInterrupt):
            model.fit(X, y)
        assert vars(model) == before


def diverging(monkeypatch, when):
    """Let the candidates with these numbers have a learning rate with which they diverge."""

    def changed(draw, first):
        return lambda *args: [
            each._replace(network={**each.network, "learning_rate_init": 1e300}) if when(i) else each
            for i, each in enumerate(draw(*args), start=first)
        ]

    monkeypatch.setattr(recipe, "scouts", changed(recipe.scouts, 0))
    monkeypatch.setattr(recipe, "candidates", changed(recipe.candidates, N_SCOUTS))


class TestCandidatesThatFail:
    @both
    def test_are_left_out_with_a_warning_and_the_others_are_as_ever(self, kind, monkeypatch):
        X, y = problem(kind)
        expected = small(kind, n_networks=2).fit(X, y)
        drawn = range(N_SCOUTS, len(expected.candidates_))
        bad = next(i for i in drawn if not expected.candidates_[i]["losses"])  # it leaves after the trial
        diverging(monkeypatch, lambda i: i == bad)
        model = small(kind, n_networks=2)
        with pytest.warns(FitFailedWarning, match=rf"^Networks of 1 candidates failed .*: \[{bad}\]\. .*diverged"):
            model.fit(X, y)
        assert bits(model) == bits(expected)
        assert model.candidates_[bad]["losses"] == []

    @both
    def test_may_be_scouts_whose_encodings_are_left_out(self, kind, monkeypatch):
        diverging(monkeypatch, lambda i: i in (0, 1, 3))
        model = small(kind, n_networks=2)
        with pytest.warns(FitFailedWarning, match=r"^Networks of 3 candidates failed and are left out: \[0, 1, 3\]\. "):
            model.fit(*problem(kind))
        assert {candidate["encoding"] for candidate in model.candidates_[N_SCOUTS:]} == {"48 quantiles"}

    @pytest.mark.parametrize(
        ("failing", "said"),
        [
            (range(9), r"^No candidate is left, because 4 failed\. Candidate 0: .*diverged in epoch 1"),
            (
                range(N_SCOUTS, 9),
                r"^No candidate is left, because 4 failed\. Candidate 5: .*diverged in epoch 1",
            ),
        ],
        ids=["all", "all but the scouts"],
    )
    @pytest.mark.parametrize("n_networks", [1, 2])
    @both
    def test_all_of_them_are_an_error_with_the_first_message(self, kind, n_networks, failing, said, monkeypatch):
        X, y = problem(kind)
        model = small(kind, n_networks=n_networks).fit(X, y)
        before = dict(vars(model))
        diverging(monkeypatch, lambda i: i in failing)
        with pytest.raises(ValueError, match=said):
            model.fit(X, y)
        assert vars(model) == before

    @pytest.mark.parametrize(("n_networks", "n_left"), [(3, 1), (8, 5)])
    def test_in_a_later_round_keep_their_other_networks(self, n_networks, n_left, monkeypatch):
        X, y = problem(TabularClassifier)
        failing, begin = [], race.Race._begin

        def fail(self, i, number, seed):
            if i >= N_SCOUTS and number == 1 and not failing:
                failing.append(i)
            if number >= 1 and i in failing:
                raise MemoryError("no more")
            return begin(self, i, number, seed)

        monkeypatch.setattr(race.Race, "_begin", fail)
        model = small(TabularClassifier, n_networks=n_networks, n_jobs=1)
        with pytest.warns(FitFailedWarning, match=r"^Networks of 1 candidates failed and are left out: .*: no more$"):
            model.fit(X, y)
        assert len(model.candidates_[failing[0]]["losses"]) == 1
        assert len(networks(model)) == n_left

    def test_in_the_trial_are_left_out(self, monkeypatch):
        X, y = problem(TabularClassifier)
        loss, calls = TabularClassifier._validation_loss, itertools.count()

        def fail(self, network):
            if next(calls) == 2 * N_DISTINCT:  # the first one after the scouts
                raise MemoryError("no more")
            return loss(self, network)

        monkeypatch.setattr(TabularClassifier, "_validation_loss", fail)
        model = small(TabularClassifier, n_networks=2, n_jobs=1)
        with pytest.warns(FitFailedWarning, match=r"^Networks of 1 candidates failed .*: no more$"):
            model.fit(X, y)
        assert len(networks(model)) == 2

    def test_at_their_end_are_left_out_too(self, monkeypatch, capsys):
        settle, calls = Run.settle, itertools.count()

        def fail(self):
            if next(calls) == 0:
                raise MemoryError("no more")
            return settle(self)

        monkeypatch.setattr(Run, "settle", fail)
        model = small(TabularClassifier, verbose=True)
        with pytest.warns(FitFailedWarning, match=r"^Networks of 1 candidates failed .*: \[\d\]\. .*: no more$"):
            model.fit(*problem(TabularClassifier))
        assert "Round 1/3 [##########] 3/4 networks" in capsys.readouterr().out
        assert sum(len(candidate["losses"]) for candidate in model.candidates_) == 3 + 3 + 2

    @both
    def test_after_the_time_is_over_do_not_stop_another_candidate(self, kind, monkeypatch):
        ready = race.Race._encoded
        monkeypatch.setattr(race.Race, "_encoded", lambda self, some: [ready(self, [i])[0] for i in some])
        diverging(monkeypatch, lambda i: i in (3, 4))  # those with the most inputs, which come first
        with (
            late,
            pytest.warns(FitFailedWarning, match=r"^Networks of 2 candidates failed .*: \[3, 4\]\."),
        ):
            model = small(kind, n_networks=16, max_seconds=1e-9).fit(*problem(kind))
        assert sum(len(candidate["losses"]) for candidate in model.candidates_) == len(networks(model)) == 1

    @both
    def test_after_the_time_is_over_are_an_error_if_there_is_no_other(self, kind, monkeypatch):
        diverging(monkeypatch, lambda i: i == 0)  # no other encoding is ready
        with pytest.raises(ValueError, match=r"^No candidate is left, because 1 failed\. Candidate 0: .*diverged"):
            small(kind, max_seconds=1e-9).fit(*problem(kind))


@both
def test_a_warning_that_is_an_error_leaves_the_estimator_as_it_was(kind):
    X, y = problem(kind)
    model = small(kind).fit(X, y)
    before = dict(vars(model))
    with pytest.raises(UserWarning, match="do not depend on X"):  # warnings are errors in tests
        model.fit(np.ones((60, 1)), y)
    assert vars(model) == before


class TestMemory:
    @pytest.mark.parametrize("n_columns", [1, 3])
    @both
    def test_that_the_machine_does_not_have_is_an_error_before_any_training(self, kind, n_columns, monkeypatch):
        X, y = problem(kind)
        monkeypatch.setattr(footprint, "physical_memory", lambda: 1 << 10)
        monkeypatch.setattr(step, KERNEL, None)
        said = r"^4 networks, 1 of them in training at a time, and the encoded table need about .* has 0 MiB\. Set a"
        with pytest.raises(MemoryError, match=said):
            small(kind, n_networks=5, n_jobs=1).fit(X.iloc[:, :n_columns], y)

    @both
    def test_that_is_too_little_for_the_candidates_is_an_error_after_the_scouts(self, kind, monkeypatch):
        X, y = problem(kind)
        model = small(kind).fit(X, y)
        before, check = dict(vars(model)), race.Race._check_memory

        def checked(self, left, n_kept):
            monkeypatch.setattr(footprint, "physical_memory", lambda: 1 << (40 if 0 in left else 10))
            check(self, left, n_kept)

        monkeypatch.setattr(race.Race, "_check_memory", checked)
        with pytest.raises(MemoryError, match=r"^4 networks, all of them in memory during a trial, and the "):
            model.set_params(n_jobs=1).fit(X, y)
        assert vars(model) == before | {"n_jobs": 1}

    def test_of_a_table_that_would_be_too_large_when_encoded_is_less_by_fewer_bins(self, monkeypatch):
        rng = np.random.default_rng(0)
        X, y = rng.normal(size=(200, 4)), rng.random(200) < 0.5
        for most_elements in (200 * 40, 200 * 16, 200 * 8, 200 * 4, 1):
            monkeypatch.setattr(recipe, "MOST_ELEMENTS", most_elements)
            model = small(TabularClassifier, n_networks=2).fit(X, y)
            widths = [network.n_features_in_ for network in networks(model)]
            assert max(widths) <= max(4, most_elements // 200)

    @both
    def test_of_the_data_is_free_after_a_candidate_has_failed(self, kind, monkeypatch):
        class Seen(np.ndarray):
            """An array that a weak reference can refer to."""

        X = np.random.default_rng(0).normal(size=(60, 3)).view(Seen)
        y, seen = problem(kind)[1], weakref.ref(X)
        diverging(monkeypatch, lambda i: i == 0)
        gc.collect()
        gc.disable()
        try:
            with pytest.warns(FitFailedWarning):
                small(kind).fit(X, y)
            del X
            assert seen() is None
        finally:
            gc.enable()

    def test_of_a_round_is_free_in_the_next(self, monkeypatch):
        alive, rounds, encode = [], [], TableEncoder.fit_transform

        class Seen(np.ndarray):
            """An array that a weak reference can refer to."""

        def encoded(*args):
            found = encode(*args).view(Seen)
            alive.append(weakref.ref(found))
            return found

        begin = race.Race._round

        def counted(self, *args):
            gc.collect()
            rounds.append((sum(each() is not None for each in alive), len(self._inputs._encoded)))
            begin(self, *args)

        monkeypatch.setattr(TableEncoder, "fit_transform", encoded)
        monkeypatch.setattr(race.Race, "_round", counted)
        model = small(TabularClassifier, n_networks=4).fit(*problem(TabularClassifier))
        assert [n_alive for n_alive, _ in rounds] == [n_kept for _, n_kept in rounds]
        assert rounds[0][1] == N_DISTINCT
        assert rounds[2][1] == 3  # the candidates take turns with three encodings
        assert rounds[-1][1] == 1
        assert len(networks(model)) == 4

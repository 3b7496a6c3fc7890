"""A fit has the same bits on any number of threads, in any thread, a second time, and as a clone."""

import threading

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from fastbp import TabularRegressor
from fastbp.tabular import recipe
from support.fits import output
from support.tabular import bits, both, networks, problem, small


@both
def test_the_number_of_threads_changes_no_bit(kind):
    X, y = problem(kind)
    expected = bits(small(kind, n_networks=3, n_jobs=1).fit(X, y))
    for n_jobs in (None, 2, 4):
        assert bits(small(kind, n_networks=3, n_jobs=n_jobs).fit(X, y)) == expected


@both
def test_a_fit_in_another_thread_has_the_same_bits(kind):
    X, y = problem(kind)
    found = []
    threads = [threading.Thread(target=lambda: found.append(bits(small(kind).fit(X, y)))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [bits(small(kind).fit(X, y))] * 3


@both
def test_a_second_fit_forgets_the_first(kind):
    X, y = problem(kind)
    model = small(kind).fit(X.to_numpy(object)[:, :2], y[::-1])
    assert not hasattr(model, "feature_names_in_")
    with pytest.warns(UserWarning, match="do not depend on X"):
        model.fit(np.ones((60, 7)), y)
    again = small(kind).fit(X, y)
    assert bits(model.fit(X, y)) == bits(again)
    assert vars(model).keys() == vars(again).keys()
    assert model.candidates_ == again.candidates_


@both
def test_a_clone_is_unfitted_and_gives_the_same_bits(kind):
    X, y = problem(kind)
    model = small(kind).fit(X, y)
    copied = clone(model)
    assert copied.get_params() == model.get_params()
    with pytest.raises(NotFittedError):
        copied.predict(X)
    assert bits(copied.fit(X, y)) == bits(model)


@both
def test_a_random_state_goes_on_from_fit_to_fit(kind):
    X, y = problem(kind)
    model = small(kind, random_state=np.random.RandomState(0))
    first, second = bits(model.fit(X, y)), bits(model.fit(X, y))
    assert first == bits(small(kind, random_state=0).fit(X, y))
    assert first != second
    assert first != bits(small(kind, random_state=1).fit(X, y))
    assert len(networks(small(kind, random_state=None).fit(X, y))) == 1


@pytest.mark.parametrize("n_networks", [1, 2, 3, 4, 5, 16])
@both
def test_there_are_as_many_networks_as_asked_for(kind, n_networks, monkeypatch):
    monkeypatch.setattr(recipe, "EPOCHS", (2, 2))
    X, y = problem(kind)
    model = small(kind, n_networks=n_networks).fit(X, y)
    assert len(networks(model)) == n_networks
    assert len(model.encoders_) == len(model.networks_)
    for encoder, group in zip(model.encoders_, model.networks_, strict=True):
        assert {network.n_features_in_ for network in group} == {len(encoder.get_feature_names_out())}
    if n_networks > 1:
        assert len(set(bits(model)[::4])) > 1


@both
def test_the_prediction_is_the_average_of_the_networks(kind):
    X, y = problem(kind)
    model = small(kind, n_networks=3).fit(X, y)
    pairs = [(encoder, each) for encoder, group in zip(model.encoders_, model.networks_, strict=True) for each in group]
    average = np.mean([output(network, encoder.transform(X)).astype(float) for encoder, network in pairs], axis=0)
    if kind is TabularRegressor:
        average = np.clip(average * y.std() + y.mean(), y.min(), y.max())
    np.testing.assert_allclose(output(model, X), average, rtol=1e-5, atol=1e-6)


@both
def test_another_thread_predicts_the_old_or_the_new_model_during_a_fit(kind):
    X, y = problem(kind)
    model = small(kind).fit(X, y)
    old, stop, found = output(model, X), threading.Event(), []

    def predict():
        while not stop.is_set():
            found.append(output(model, X))

    thread = threading.Thread(target=predict)
    thread.start()
    try:
        for _ in range(3):
            model.set_params(n_networks=2).fit(X, y)
    finally:
        stop.set()
        thread.join()
    new = output(model, X)
    assert (old != new).any()
    assert all(np.array_equal(each, old) or np.array_equal(each, new) for each in found)

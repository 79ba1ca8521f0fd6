import keras
import numpy as np
import pytest

from bt_keras import UsageError
from bt_keras.callbacks import OnlineKNN
from tests.callbacks import labeled

BANK, QUERIES = labeled.images(20, seed=2), labeled.images(9, seed=3)


def votes(model, k, temperature):
    """The accuracy, computed for one query after the other."""
    bank, queries = (
        np.asarray(model(images), np.float64) for images in (BANK[0], QUERIES[0])
    )
    bank, queries = (x / np.linalg.norm(x, axis=1)[:, None] for x in (bank, queries))
    hits = []
    for query, label in zip(queries, QUERIES[1], strict=True):
        similarities = bank @ query
        nearest = np.argsort(-similarities)[:k]
        totals = np.zeros(labeled.CLASSES)
        for index in nearest:
            totals[BANK[1][index]] += np.exp(similarities[index] / temperature)
        hits.append(totals.argmax() == label)
    return np.mean(hits)


@pytest.mark.parametrize("k", [1, 5, 200])
def test_the_vote_of_the_nearest_images(k):
    model = labeled.compiled()
    knn = OnlineKNN(BANK, QUERIES, k=k, temperature=0.2)
    history = labeled.fit(model, knn)
    assert history["knn_top1"][-1] == pytest.approx(votes(model, k, 0.2))
    assert len(history["knn_top1"]) == 2


def test_only_every_second_epoch_is_measured():
    history = labeled.fit(labeled.compiled(), OnlineKNN(BANK, QUERIES, 2), epochs=5)
    measured = ~np.isnan(history["knn_top1"])
    np.testing.assert_array_equal(measured, [False, True, False, True, False])


def test_the_model_is_not_changed():
    model, reference = labeled.compiled(), labeled.compiled()
    history = labeled.fit(model, OnlineKNN(BANK, QUERIES, name="near"))
    history.pop("near_top1")
    assert history == labeled.fit(reference)
    for value, expected in zip(
        labeled.state(model), labeled.state(reference), strict=True
    ):
        np.testing.assert_array_equal(value, expected)


def test_replicas_measure_the_same(two_replicas):
    model = labeled.compiled(two_replicas)
    history = labeled.fit(model, OnlineKNN(BANK, QUERIES, k=5))
    assert history["knn_top1"][-1] == pytest.approx(votes(model, 5, 0.1))


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"every": 0}, "every=0 must be"),
        ({"k": 0}, "k=0 must be"),
        ({"temperature": 0.0}, "temperature=0.0 must be"),
        ({"name": ""}, "name='' of OnlineKNN"),
    ],
)
def test_arguments_are_checked(kwargs, message):
    with pytest.raises(UsageError, match=message):
        OnlineKNN(BANK, QUERIES, **kwargs)


def test_negative_labels_are_one_line():
    knn = OnlineKNN((BANK[0], BANK[1] - 1), QUERIES)
    with pytest.raises(UsageError, match="negative label"):
        labeled.fit(labeled.compiled(), knn)


def test_another_model_is_one_line():
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    knn = OnlineKNN(BANK, QUERIES)
    with pytest.raises(UsageError, match="OnlineKNN works in the fit of a bt_keras"):
        model.fit(np.ones((2, 1)), np.ones((2, 1)), callbacks=[knn], verbose=0)

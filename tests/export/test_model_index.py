import json

import yaml

from bt_keras.evaluation.results import Result
from bt_keras.evaluation.settings import LABEL_SHARE
from bt_keras.export import model_index


def result(value, protocol="knn", metric="top1", **fields):
    fields = {"backbone": "pretrained", "source": "shipped", **fields}
    return Result(protocol, metric, value, n=100, **fields)


def test_rates_that_were_chosen_do_not_tell_results_apart():
    old, new = (
        result(value, "linear_cached", settings={"learning_rate": r, "rates": "grid"})
        for value, r in ((0.5, 0.1), (0.75, 0.3))
    )
    [index] = json.loads(model_index.entries("mine", [old, new]))
    [entry] = index["results"]
    assert entry["metrics"][0]["value"] == 0.75


def test_the_entries_are_the_top1_accuracies_of_the_features():
    text = model_index.entries(
        "mine",
        [
            result(0.5, settings={"k": 200}),
            result(0.625, settings={"k": 200}),  # Replaces the first.
            result(0.9, metric="top5", settings={"k": 200}),
            result(0.25, backbone="untrained"),
            result(0.3, "finetune", settings={LABEL_SHARE: 1.0}),
            result(0.125, "transfer", source="tfds:cifar10:3.0.2"),
        ],
    )
    # One line that YAML and JSON read alike.
    assert "\n" not in text
    assert yaml.safe_load(text) == json.loads(text)
    [index] = json.loads(text)
    assert index["name"] == "mine"
    found = [
        (
            each["task"]["type"],
            each["dataset"]["type"],
            each["dataset"]["name"],
            each["metrics"][0]["type"],
            each["metrics"][0]["value"],
        )
        for each in index["results"]
    ]
    assert found == [
        ("image-classification", "fashion_mnist", "shipped", "accuracy", 0.625),
        ("image-classification", "cifar10", "tfds:cifar10:3.0.2", "accuracy", 0.125),
    ]


def test_without_accuracies_there_is_no_index():
    assert model_index.entries("mine", []) == ""
    assert model_index.entries("mine", [result(3.0, "labelfree", "rankme")]) == ""

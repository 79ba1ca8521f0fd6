"""Accuracies in the front matter of the model card: Hugging Face's `model-index`."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from bt_keras.evaluation.fine_tuning_summary import is_fine_tuning
from bt_keras.evaluation.results import Result
from bt_keras.evaluation.settings import without_chosen_rates
from bt_keras.evaluation.tables import settings_text

_TFDS = "tfds:"
_DATASETS = {"shipped": "fashion_mnist", "cifar10_jpeg": "cifar10"}


def entries(name: str, results: Sequence[Result]) -> str:
    """Formats the top-1 accuracies of the pretrained backbone's features.

    Results of fine-tuned and of untrained networks are left out.

    Args:
        name: String, the name of the model.
        results: Sequence of `Result`s. A later one replaces an earlier one of the same
            kind.

    Returns:
        String, the value of `model-index` as JSON, which is YAML; `""` without any.

    Example:

    >>> import json
    >>> from bt_keras.evaluation.results import Result
    >>> from bt_keras.export import model_index
    >>> result = Result(
    ...     "knn", "top1", 0.5, n=128, backbone="pretrained", source="tfds:cifar10"
    ... )
    >>> json.loads(model_index.entries("mine", [result]))[0]["results"][0]["metrics"]
    [{'type': 'accuracy', 'value': 0.5, 'name': 'top-1 accuracy, knn'}]
    """
    own = {
        (result.source, _protocol(result)): result
        for result in results
        if result.metric == "top1"
        and result.backbone == "pretrained"
        and not is_fine_tuning(result)
    }
    if not own:
        return ""
    listed = [_entry(result) for result in own.values()]
    return json.dumps([{"name": name, "results": listed}], ensure_ascii=False)


def _entry(result):
    metric = {
        "type": "accuracy",
        "value": round(result.value, 6),
        "name": f"top-1 accuracy, {_protocol(result)}",
    }
    dataset = {"type": dataset_name(result.source), "name": result.source}
    task = {"type": "image-classification"}
    return {"task": task, "dataset": dataset, "metrics": [metric]}


def dataset_name(source: str) -> str:
    """Returns the name of a data set without where it comes from and its version.

    Args:
        source: String, as `config.data.source`.

    Example:

    >>> from bt_keras.export import model_index
    >>> model_index.dataset_name("tfds:cifar10:3.0.2")
    'cifar10'
    >>> model_index.dataset_name("gs://bucket/photos")
    'photos'
    """
    if source.startswith(_TFDS):
        name, *_ = source.removeprefix(_TFDS).split(":")
    else:
        name = re.split(r"[\\/]", source.rstrip("\\/"))[-1]
    return _DATASETS.get(name, name)


def _protocol(result):
    settings = without_chosen_rates(result.settings)
    return result.protocol + (f" ({settings_text(settings)})" if settings else "")

"""Evaluation: what a backbone has learnt, by kNN, a linear probe and fine-tuning."""

import dataclasses
import json

import keras

from bt_keras import config as config_lib
from bt_keras import data, hub
from bt_keras.checkpoint import latest
from bt_keras.errors import UsageError
from bt_keras.evaluation import (
    KNN,
    CachedLinearProbe,
    FineTuning,
    FrozenBackbone,
    LinearProbe,
)

PROTOCOLS = ("cached", "full", "finetune")


@dataclasses.dataclass(frozen=True)
class Subject:
    """A backbone to judge, and what is known of it.

    Args:
        backbone: `keras.Model`, normalised images (N, H, W, 3) to features (N, F).
        config: `ConfigDict`, how to judge it.
        epoch: str, for how long it was trained.
        workdir: `bt_keras.workdir.Workdir` that keeps the results, or None.
        name: str, `"pretrained"` or `"untrained"`.
    """

    backbone: keras.Model
    config: config_lib.ConfigDict
    epoch: str
    workdir: object = None
    name: str = "pretrained"


def of_workdir(workdir, untrained=False):
    """Returns the `Subject` of a run.

    Args:
        workdir: `bt_keras.workdir.Workdir` of a run.
        untrained: bool, whether to judge the initial weights in place of the newest
            checkpoint's.

    Raises:
        UsageError: if the run has no checkpoint yet.
    """
    config = workdir.config()
    workdir.check_writable()
    epoch, model = latest.load_model(workdir, config, untrained)
    name = "untrained" if untrained else "pretrained"
    return Subject(model.backbone, config, epoch, workdir, name)


def of_module(handle):
    """Returns the `Subject` of an exported module.

    It is judged by the config of the run that it comes from. One that does not hold
    any is judged by configs/default.py at its own image size. Unless its images have
    a name that is the same everywhere, `evaluate` must be given some.

    Args:
        handle: str or path, as `bt_keras.load_backbone` takes it.

    Raises:
        UsageError: if there is no such module, or it was not exported by bt_keras.
    """
    backbone, metadata = hub.read_backbone(handle)
    if metadata.config:
        config = config_lib.from_json(json.dumps(metadata.config))
    else:
        config = config_lib.default()
        config.data.source = ""
        config.views.size = metadata.image_size or config.views.size
        ratio = metadata.resize_ratio or config.evaluation.resize_ratio
        config.evaluation.resize_ratio = ratio
    # A module keeps no path; what is left of one could be any folder of this name.
    if config.data.source != "shipped" and not config.data.source.startswith("tfds:"):
        config.data.source = ""
    return Subject(backbone, config, str(metadata.epochs or "?"))


def evaluate(
    subject,
    *,
    protocol="cached",
    source=None,
    test_split=None,
    knn=None,
    finetune=None,
    progress=None,
):
    """Evaluates a backbone and appends the results to its workdir, if it has one.

    Args:
        subject: `Subject`, what `of_workdir` or `of_module` returns.
        protocol: `"cached"`, a linear probe on features of centre crops computed
            once; `"full"`, the paper's, with random crops; both with kNN; or
            `"finetune"`, the whole network on shares of the labels, against the same
            network from scratch.
        source: optional str, another data set with labels than the run's.
        test_split: optional str, another part of it to test on than the run's.
        knn: optional dict, `k` and `temperature` in place of the config's.
        finetune: optional dict, `shares` and `seeds` of `FineTuning`.
        progress: optional function of a str, called when a network is fine-tuned.

    Returns:
        list of dicts, the rows added to results.csv.

    Raises:
        UsageError: if there are no images to judge it by, or they have no labels.
    """
    if protocol not in PROTOCOLS:
        raise UsageError(f"protocol={protocol!r} is not one of {', '.join(PROTOCOLS)}.")
    source = source or subject.config.data.source
    if not source:
        raise UsageError(
            "the module does not say where the images are to judge it by: give "
            "--source."
        )
    frozen = _frozen(subject, source, test_split)
    if protocol == "finetune":
        results = _fine_tuned(subject, frozen, finetune or {}, progress)
    else:
        results = [_probed(subject, frozen, protocol, knn or {})]
    rows = []
    # Each when it is there: what has taken hours is kept if the rest is interrupted.
    for new in results:
        shared = {"source": source, "test_images": frozen.test_source.num_images}
        new = [row | shared for row in new]
        if subject.workdir:
            subject.workdir.append_results(new)
        rows += new
    return rows


def _frozen(subject, source, test_split):
    config = subject.config
    splits = [
        data.load(source, split, config.data.skip_corrupt)
        for split in (config.data.train_split, test_split or config.data.test_split)
    ]
    return FrozenBackbone(
        subject.backbone,
        *splits,
        size=config.views.size,
        resize_ratio=config.evaluation.resize_ratio,
        batch_size=config.evaluation.batch_size,
        seed=config.seed,
    )


def _probed(subject, frozen, protocol, knn):
    config = subject.config
    probe = CachedLinearProbe if protocol == "cached" else LinearProbe
    evaluators = [
        KNN(**{**config.evaluation.knn, **knn}),
        probe(**config.evaluation.linear, seed=config.seed),
    ]
    return [
        {
            "backbone": subject.name,
            "epoch": subject.epoch,
            "evaluator": evaluator.name,
            "settings": evaluator.settings,
            "metric": metric,
            "value": value,
        }
        for evaluator in evaluators
        for metric, value in evaluator.run(frozen)
    ]


def _fine_tuned(subject, frozen, settings, progress):
    """Yields the rows of one network after the other."""
    evaluator = FineTuning(**{**subject.config.evaluation.finetune, **settings})
    for tuned in evaluator.run(frozen):
        yield [
            {
                "backbone": tuned.backbone,
                "epoch": "0" if tuned.backbone == "scratch" else subject.epoch,
                "evaluator": evaluator.name,
                "settings": tuned.settings,
                "metric": metric,
                "value": value,
            }
            for metric, value in tuned.scores.items()
        ]
        if progress:
            top1 = 100 * tuned.scores["top1"]
            progress(f"{tuned.settings}, {tuned.backbone}: top-1 {top1:.2f} %")

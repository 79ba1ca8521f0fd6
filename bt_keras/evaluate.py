"""Evaluation: what a workdir's backbone has learnt, by kNN and a linear probe."""

from bt_keras import data, runs
from bt_keras.errors import UsageError
from bt_keras.evaluators import KNN, CachedLinearProbe, FrozenBackbone, LinearProbe

PROTOCOLS = ("cached", "full")


def evaluate(workdir, *, untrained=False, protocol="cached", source=None, knn=None):
    """Evaluates a run's backbone and appends the results to its workdir.

    Args:
        workdir: `bt_keras.workdir.Workdir` of a run.
        untrained: bool, whether to judge the initial weights in place of the newest
            checkpoint's.
        protocol: `"cached"`, a linear probe on features of centre crops computed
            once; or `"full"`, the paper's, with random crops.
        source: optional str, another data set with labels than the run's.
        knn: optional dict, `k` and `temperature` in place of the config's.

    Returns:
        list of dicts, the rows added to results.csv.

    Raises:
        UsageError: if the run has no checkpoint yet, or the data no labels.
    """
    if protocol not in PROTOCOLS:
        raise UsageError(f"protocol={protocol!r} is not one of {', '.join(PROTOCOLS)}.")
    config = workdir.config()
    workdir.check_writable()
    source = source or config.data.source
    epoch, model = runs.load_model(workdir, config, untrained)
    frozen = _frozen(model.backbone, config, source)
    probe = CachedLinearProbe if protocol == "cached" else LinearProbe
    evaluators = [
        KNN(**{**config.evaluation.knn, **(knn or {})}),
        probe(**config.evaluation.linear, seed=config.seed),
    ]
    rows = [
        {
            "backbone": "untrained" if untrained else "pretrained",
            "epoch": epoch,
            "evaluator": evaluator.name,
            "source": source,
            "settings": evaluator.settings,
            "metric": metric,
            "value": value,
            "test_images": frozen.test_source.num_images,
        }
        for evaluator in evaluators
        for metric, value in evaluator.run(frozen)
    ]
    workdir.append_results(rows)
    return rows


def _frozen(backbone, config, source):
    splits = [
        data.load(source, split, config.data.skip_corrupt)
        for split in (config.data.train_split, config.data.test_split)
    ]
    return FrozenBackbone(
        backbone,
        *splits,
        size=config.views.size,
        resize_ratio=config.evaluation.resize_ratio,
        batch_size=config.evaluation.batch_size,
        seed=config.seed,
    )

"""Finished measurements are recognized, others are not."""

import dataclasses

import keras
import pytest

import bt_keras
from bt_keras import config, data
from bt_keras.evaluation import results as results_file
from bt_keras.evaluation.classifier import Classifier
from bt_keras.evaluation.evaluate import evaluate
from bt_keras.evaluation.evaluator import Evaluator
from bt_keras.evaluation.frozen_features import FrozenBackbone
from bt_keras.evaluation.knn import KNN
from bt_keras.evaluation.label_free import LabelFree
from bt_keras.evaluation.measurements import FinishedMeasurements
from bt_keras.evaluation.pretext import Pretext
from bt_keras.evaluation.results import Result
from bt_keras.evaluation.target import EvaluationTarget
from bt_keras.workdir import Workdir
from tests.evaluation.gray import small_backbone


@pytest.fixture(scope="module")
def backbone():
    return small_backbone()


@pytest.fixture(scope="module")
def sources():
    return data.load("shipped", "train[:64]"), data.load("shipped", "test[:16]")


def frozen(backbone, sources):
    return FrozenBackbone(backbone, *sources, 8, 1.0, batch_size=32)


def finished(results, images, recipe=None, epoch="3", name="pretrained"):
    recipe = recipe or config.default()
    target = EvaluationTarget(images.backbone, recipe, epoch, name=name)
    return FinishedMeasurements(results, images, target)


def test_a_digest_changes_with_all_that_a_value_depends_on(backbone, sources):
    recipe = config.default()

    def digest(recipe=recipe, sources=sources, k=3, **about):
        images = frozen(backbone, sources)
        return finished((), images, recipe, **about).digest(KNN(k))

    first = digest()
    assert len(first) == 16
    assert digest(config.default()) == first
    others = [digest(k=4), digest(sources=sources[::-1])]
    others += [digest(epoch="2"), digest(name="untrained")]
    for field, value in (
        ("evaluation.feature_dtype", "float16"),
        ("evaluation.resize_ratio", 1.5),
        ("views.size", 16),
        ("evaluation.size", 20),
        ("precision", "mixed_bfloat16"),
    ):
        changed = config.default()
        changed.update_from_flattened_dict({field: value})
        others.append(digest(changed))
    weights = backbone.get_weights()
    backbone.set_weights([weight + 1 for weight in weights])
    others.append(digest())
    backbone.set_weights(weights)
    assert digest() == first
    assert len({first, *others}) == len(others) + 1


def test_what_does_not_matter_does_not_change_a_digest(backbone, sources):
    digests = set()
    for epochs in (1, 2):
        recipe = config.default()
        recipe.epochs = epochs
        images = frozen(backbone, sources)
        digests.add(finished((), images, recipe).digest(KNN()))
    assert len(digests) == 1


def test_scores_without_labels_depend_on_the_pretraining(backbone, sources):
    inputs = keras.Input((6,))
    head = keras.Model(inputs, keras.layers.Dense(4)(inputs))
    usual = {"views": bt_keras.views(8, "small"), "seed": 7}
    usual["load_projector"] = lambda: head

    def digest(evaluator, **changed):
        images = frozen(backbone, sources)
        images.pretext = Pretext(**usual | changed)
        return finished((), images).digest(evaluator)

    views = bt_keras.views(8, "small", a={"grayscale": 0.5})
    changes = [{"views": views}, {"seed": 8}, {"load_projector": None}]
    changes += [{"lambd": 0.02}, {"batch_size": 16}]
    first = digest(LabelFree())
    assert digest(LabelFree(), views=bt_keras.views(8, "small")) == first
    digests = [first, *(digest(LabelFree(), **change) for change in changes)]
    head.set_weights([weight + 1 for weight in head.get_weights()])
    digests.append(digest(LabelFree()))
    assert len(set(digests)) == len(changes) + 2
    # Others see the backbone alone.
    assert {digest(KNN(), **change) for change in changes} == {digest(KNN())}


def test_unknown_images_are_always_measured(backbone, sources):
    unknown = dataclasses.replace(sources[0], digest=None)
    images = frozen(backbone, (unknown, sources[1]))
    [(results, is_new)] = finished((), images).measure(KNN(3), images)
    assert is_new
    assert {r.measurement for r in results} == {""}
    assert finished(results, images).find(KNN(3)) == []


class Several(Evaluator):
    """An evaluator of several measurements that does not name its parts."""

    name = config_entry = "several"

    def __init__(self, count):
        self.count = count
        self._measured = []

    def run(self, frozen):
        for number in range(self.count):
            self._measured.append(number)
            yield [Result(self.name, "value", float(number), 16)]


@pytest.mark.parametrize("count", [0, 1])
def test_one_list_at_most_is_a_measurement(backbone, sources, count):
    images = frozen(backbone, sources)
    measured = list(finished((), images).measure(Several(count), images))
    assert [r.value for [r], _ in measured] == list(range(count))
    stored = [result for results, _ in measured for result in results]
    assert len(finished(stored, images).find(Several(count))) == count


def test_results_are_written_before_anything_else_is_measured(backbone, sources):
    images = frozen(backbone, sources)
    evaluator = Several(2)
    lists = finished((), images).measure(evaluator, images)
    next(lists)
    assert evaluator._measured == [0]
    with pytest.raises(TypeError, match=r"Several.run .* override its method parts"):
        next(lists)


@pytest.fixture
def target(backbone, tmp_path):
    recipe = config.default()
    recipe.data.source = "shipped"
    recipe.data.train_split = "train[:200]"
    recipe.data.test_split = "test[:16]"
    recipe.views.size = 8
    recipe.evaluation.semi.epochs = 1
    return EvaluationTarget(backbone, recipe, "3", Workdir(tmp_path))


def test_an_interrupted_evaluation_resumes(target, monkeypatch):
    train, trained = Classifier.train, []

    def count(self, *arguments, **keywords):
        trained.append(arguments)
        return train(self, *arguments, **keywords)

    monkeypatch.setattr(Classifier, "train", count)
    overrides = {"semi": {"shares": (0.1,), "seeds": 2}}

    def run(progress=None):
        return evaluate(target, protocol="semi", overrides=overrides, progress=progress)

    shown = []

    def interrupt(measured):
        shown.append(measured)
        if len(shown) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(interrupt)
    assert len(trained) == 3
    before = results_file.read(target.workdir.results_file)
    assert [(r.backbone, r.seed) for r in before[::2]] == [
        ("pretrained", 0),
        ("scratch", 0),
        ("pretrained", 1),
    ]
    results = run()
    assert len(trained) == 4
    assert results[:6] == before
    assert results_file.read(target.workdir.results_file) == results
    assert [(r.backbone, r.seed) for r in results[6:]] == [("scratch", 1)] * 2
    # A further share is measured, the others are not.
    overrides["semi"]["shares"] = (0.1, 0.2)
    assert run()[:8] == results
    assert len(trained) == 8


def test_results_without_a_digest_are_measured_again(target):
    first = evaluate(target, protocol="knn")
    old = [dataclasses.replace(r, measurement="", value=0.0) for r in first]
    target.workdir.results_file.unlink()
    results_file.append(target.workdir.results_file, old)
    assert evaluate(target, protocol="knn") == first

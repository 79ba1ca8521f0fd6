"""Files of runs and of queues."""

import json
import shutil

from tests.fuzz import mutations
from tests.fuzz.kinds.kind import JSON_CHANGES, Kind


class Config(Kind):
    """The config of a run."""

    suffix = ".json"
    changes = JSON_CHANGES

    def samples(self, folder):
        from bt_keras import config

        return [config.to_json(config.default()).encode()]

    def read(self, path):
        from bt_keras import config
        from bt_keras.workdir import Workdir

        shutil.copyfile(path, path.parent / "config.json")
        workdir = Workdir(path.parent)
        config.check(workdir.config())
        workdir.check_config(config.default())


class Reports(Kind):
    """A run's export.json and a module's SHA256SUMS, which are compared or left out."""

    errors = ()
    changes = (mutations.mutate, mutations.mutate_json)

    def samples(self, folder):
        report = {"module": "runs/m", "passed": 3, "checks": 3}
        return [json.dumps(report).encode()]

    def read(self, path):
        from bt_keras.evaluation import report
        from bt_keras.hub import checksums

        report._export_lines(path)
        shutil.copyfile(path, path.parent / checksums.NAME)
        checksums.differing(path.parent)


class Sums(Reports):
    """SHA256SUMS as a text file."""

    changes = (mutations.mutate,)

    def samples(self, folder):
        from bt_keras.hub import checksums

        for name in ("a", "b"):
            (folder / name).write_text(name, encoding="utf-8")
        checksums.write(folder, checksums.compute(folder))
        return [(folder / checksums.NAME).read_bytes()]


class QueueEntry(Kind):
    """A run of a queue."""

    count = 500
    suffix = ".json"
    changes = JSON_CHANGES

    def samples(self, folder):
        queue = self._queue(folder)
        return [(queue.path / "entries" / "a.json").read_bytes()]

    def read(self, path):
        queue = self._queue(path.parent / "queue")
        try:
            shutil.copyfile(path, queue.path / "entries" / "a.json")
            queue.entry("a")
        finally:
            shutil.rmtree(queue.path)

    def _queue(self, folder):
        from bt_keras import config
        from bt_keras.studies.queue import Queue

        queue = Queue(folder)
        queue.add("a", config.default(), ("cached",))
        return queue


class QueueOutcome(QueueEntry):
    """How a run of a queue has ended."""

    def samples(self, folder):
        from bt_keras.studies.queue import Outcome

        queue = self._queue(folder)
        queue.record("a", Outcome("finished", 1.5, {"knn top1": 0.5}))
        return [(queue.path / "outcomes" / "a.json").read_bytes()]

    def read(self, path):
        from bt_keras.studies.queue import Outcome

        queue = self._queue(path.parent / "queue")
        try:
            queue.record("a", Outcome("finished"))
            shutil.copyfile(path, queue.path / "outcomes" / "a.json")
            queue.outcome("a")
        finally:
            shutil.rmtree(queue.path)


class Checkpoint(Kind):
    """Checkpoints of a run, in particular their progress."""

    count = 1000
    suffix = ".keras"

    changes = (mutations.mutate, mutations.mutate_zip, mutations.mutate_checkpoint)

    def samples(self, folder):
        import keras

        from bt_keras.checkpoint import store
        from bt_keras.checkpoint.progress import Progress

        path = folder / "epoch-0001.keras"
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
        model.save(path)
        store.seal(path, Progress(4, 6, 6, 0, {"loss": (3.0, 2.0)}), [["v", [3, 4]]])
        return [path.read_bytes()]

    def read(self, path):
        from bt_keras.checkpoint import latest, store
        from bt_keras.convert import keras_source
        from bt_keras.workdir import Workdir

        checkpoints = path.parent / "checkpoints"
        checkpoints.mkdir(exist_ok=True)
        named = checkpoints / "epoch-0001.keras"
        shutil.copyfile(path, named)
        try:
            _, newest = latest.require_checkpoint(Workdir(path.parent))
            store.other_versions(newest)
        finally:
            keras_source.load_model(path, with_optimizer=False)

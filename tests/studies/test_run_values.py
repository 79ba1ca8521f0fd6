import pytest

from bt_keras.evaluation import results as results_file
from bt_keras.evaluation.results import Result
from bt_keras.studies.run_values import result_values, run_values
from bt_keras.workdir import Workdir


def result(protocol, metric, value, **others):
    return Result(
        protocol,
        metric,
        value,
        10,
        **{"backbone": "pretrained", "epoch": "4", **others},
    )


def test_the_names():
    rank = result("labelfree", "rankme", 7.5, settings={"of": "features"})
    found = result_values([result("knn", "top1", 0.5), rank])
    assert found == {"knn top1": 0.5, "labelfree rankme features": 7.5}


def test_the_terms_of_the_loss_are_those_of_the_method(tmp_path):
    workdir = Workdir(tmp_path)
    workdir.log_file.write_text(
        "epoch,accuracy,knn_top1,loss,val_loss\n0,0.5,0.2,3,4\n"
    )
    assert run_values(workdir) == {"loss": 3, "val_loss": 4}
    expected = {"accuracy": 0.5, "loss": 3, "val_loss": 4}
    assert run_values(workdir, ("loss", "accuracy")) == expected


def test_only_the_last_epoch_of_the_trained_backbone_counts():
    found = result_values(
        [
            result("knn", "top1", 0.6, epoch="10"),
            result("knn", "top1", 0.5, epoch="9.5"),
            result("knn", "top5", 0.9, epoch="9.5"),
            result("knn", "top1", 0.1, epoch="0", backbone="untrained"),
        ]
    )
    assert found == {"knn top1": 0.6}


def test_seeds_are_averaged_and_later_results_replace_earlier_ones():
    few = {"label_share": 0.01, "images": 5, "steps": 3}
    found = result_values(
        [
            result("finetune", "top1", 0.9, settings=few, seed=0),
            result("finetune", "top1", 0.5, settings=few, seed=0),
            result("finetune", "top1", 0.7, settings=few, seed=1),
        ]
    )
    assert found == {"finetune top1 1%": pytest.approx(0.6)}


def test_results_of_other_images_or_settings_replace_all_earlier_ones():
    few = {"label_share": 0.01, "images": 5, "steps": 3}
    found = result_values(
        [
            result("finetune", "top1", 0.9, settings=few, seed=0),
            result("finetune", "top1", 0.8, settings=few, seed=1),
            result("finetune", "top1", 0.5, settings={**few, "rate": 0.1}, seed=0),
            result("knn", "top1", 0.5, source="a/photos"),
            result("knn", "top1", 0.25, source="b/others"),
        ]
    )
    assert found == {"finetune top1 1%": 0.5, "knn top1": 0.25}


def test_seeds_of_several_sizes_are_not_averaged():
    found = result_values(
        [
            result("finetune", "top1", 0.9, settings={}, seed=0),
            result("finetune", "top1", 0.5, settings={"size": 32}, seed=1),
            result("finetune", "top1", 0.25, settings={"size": 32}, seed=2),
        ]
    )
    assert found == {"finetune top1": 0.375}


def test_seeds_with_rates_of_a_grid_are_averaged():
    few = {"label_share": 0.01, "images": 5, "steps": 3, "rates": "grid"}
    found = result_values(
        [
            result("semi", "top1", value, settings={**few, name: rate}, seed=seed)
            for seed, (value, name, rate) in enumerate(
                [(0.5, "learning_rate", 0.1), (0.75, "head_learning_rate", 0.2)]
            )
        ]
    )
    assert found == {"semi top1 1%": 0.625}


def test_the_last_losses_and_the_results_of_a_workdir(tmp_path):
    workdir = Workdir(tmp_path)
    assert run_values(workdir) == {}
    log = "epoch,invariance,loss,redundancy,val_loss\n0,5,9,40,NA\n1,4,8,40,NA\n"
    workdir.log_file.write_text(log)
    results_file.append(workdir.results_file, [result("knn", "top1", 0.5)])
    assert run_values(workdir) == {
        "loss": 8,
        "invariance": 4,
        "redundancy": 40,
        "knn top1": 0.5,
    }

"""The summary of a run in the terminal."""

import numpy as np

from bt_keras.evaluation import report, results
from bt_keras.workdir import Workdir
from tests.evaluation.fine_tuned import fine_tuned


def test_the_report_of_an_old_results_file(tmp_path):
    """New results are grouped with those written before settings were JSON."""
    legacy = (
        "backbone,epoch,evaluator,source,settings,metric,value,test_images\n"
        'scratch,0,finetune,shipped,"labels=1%, images=100, seed=0, 300 steps",'
        "top1,0.5,2000\n"
        'scratch,0,finetune,shipped,"labels=1%, images=100, seed=0, 300 steps",'
        "top5,0.5,2000\n"
    )
    workdir = Workdir(tmp_path)
    workdir.results_file.write_text(legacy)
    new = [r for r in fine_tuned() if r.backbone == "scratch" and r.seed == 1]
    results.append(workdir.results_file, new)
    [line] = [text for text in report.report(workdir).splitlines() if "300" in text]
    mean, deviation = np.mean([50, 61]), np.std([50, 61], ddof=1)
    assert f"{mean:.2f} ± {deviation:.2f}" in line


def test_all_numbers_of_the_last_epoch_are_listed(tmp_path):
    workdir = Workdir(tmp_path)
    workdir.log_file.write_text(
        "epoch,loss,variance,knn_top1,val_loss\n"
        "0,3.5,1.25,0.5,3.0\n1,nan,0.123456,nan,NA\n"
    )
    lines = report.report(workdir).splitlines()
    assert [line for line in lines if "epoch 2" in line] == [
        *("loss, epoch 2:  nan", "variance, epoch 2:  0.1235")
    ]

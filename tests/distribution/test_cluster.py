"""Clusters from TF_CONFIG and from the variables of SLURM."""

import json
import os
import subprocess
import sys

import pytest
from tensorflow.python.distribute.cluster_resolver import slurm_cluster_resolver

from bt_keras import UsageError
from bt_keras.distribution.cluster import (
    Cluster,
    from_environment,
    host_and_port,
    to_tf_config,
)

PAIR = ["a:1", "b:2"]
FIRST = {"type": "worker", "index": 0}


def read(cluster, task):
    return from_environment(
        {"TF_CONFIG": json.dumps({"cluster": cluster, "task": task})}
    )


def test_without_variables_there_is_no_cluster():
    assert from_environment({}) is None
    assert from_environment({"TF_CONFIG": " "}) is None
    assert from_environment({"TF_CONFIG": "{}"}) is None
    assert from_environment({"SLURM_STEP_NUM_TASKS": "1", "SLURM_PROCID": "0"}) is None


def test_workers_in_the_order_of_tf_config():
    cluster = read({"worker": PAIR}, {"type": "worker", "index": 1})
    assert cluster == Cluster(("a:1", "b:2"), 1)
    assert (cluster.is_chief, cluster.address) == (False, "b:2")
    assert cluster.name(0) == "worker 0 (a:1)"
    assert read({"worker": PAIR}, FIRST).is_chief


def test_one_worker_is_a_cluster_of_one():
    assert read({"worker": ["a:1"]}, FIRST) == Cluster(("a:1",), 0)
    chief = {"type": "chief", "index": 0}
    assert read({"chief": ["a:1"]}, chief) == Cluster(("a:1",), 0)


def test_a_chief_comes_before_the_workers():
    cluster = {"chief": ["c:9"], "worker": PAIR, "ps": []}
    workers = ("c:9", "a:1", "b:2")
    assert read(cluster, {"type": "chief", "index": 0}) == Cluster(workers, 0)
    assert read(cluster, {"type": "worker", "index": 1}) == Cluster(workers, 2)


def test_tf_config_round_trip():
    cluster = Cluster(("c:9", "a:1"), 1)
    assert from_environment({"TF_CONFIG": to_tf_config(cluster)}) == cluster


def test_addresses_are_split_into_host_and_port():
    assert host_and_port("node-1.example.org:80") == ("node-1.example.org", 80)
    assert host_and_port("[::1]:8888") == ("::1", 8888)
    assert host_and_port("::1:8888") is None
    assert host_and_port(8888) is None


def config(cluster=None, **task):
    task = {**FIRST, **task}
    return json.dumps({"cluster": cluster or {"worker": PAIR}, "task": task})


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ('{"cluster": {"worker": ["a:1" "b:2"]}}', "',' delimiter at character 31"),
        ("{'cluster': {}}", "is not JSON"),
        ("[1]", "is [1], not an object"),
        ("null", "is null, not an object"),
        ('{"task": {"type": "worker", "index": 0}}', "has no cluster object"),
        ('{"cluster": ["a:1"]}', 'has no cluster object, but ["a:1"]'),
        ('{"cluster": {}}', "has no workers"),
        (config({"worker": []}), "has no workers"),
        (config({"worker": "a:1"}), 'has cluster.worker "a:1", not a list'),
        (config({"worker": PAIR, "ps": ["c:3"]}), "has 'ps' in its cluster"),
        (config({"worker": PAIR, "evaluator": ["c:3"]}), "has 'evaluator'"),
        (
            config({"chief": PAIR, "worker": ["c:3"]}),
            "has 2 addresses in cluster.chief",
        ),
        (config({"worker": ["a"]}), 'the address "a", which is not host:port'),
        (config({"worker": [":1"]}), 'the address ":1", which is not host:port'),
        (config({"worker": ["a:"]}), 'the address "a:", which is not host:port'),
        (config({"worker": ["a:b"]}), 'the address "a:b", which is not host:port'),
        (config({"worker": ["grpc://a:1"]}), "which is not host:port"),
        (config({"worker": [8888]}), "the address 8888, which is not host:port"),
        (config({"worker": [["a:1"] * 99]}), "..., which is not host:port"),
        (config({"worker": ["a:0"]}), "the address a:0; a port must lie in [1, 65535]"),
        (config({"worker": ["a:65536"]}), "the address a:65536; a port must"),
        (config({"worker": ["a:1", "b:2", "a:1"]}), "the address a:1 twice"),
        (config({"chief": ["a:1"], "worker": PAIR}), "the address a:1 twice"),
        ('{"cluster": {"worker": ["a:1"]}}', "has no task object"),
        ('{"cluster": {"worker": ["a:1"]}, "task": 0}', "no task object, but 0"),
        ('{"cluster": {"worker": ["a:1"]}, "task": {"index": 0}}', "no task.type"),
        (
            '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker"}}',
            "no task.index",
        ),
        (config(index=2), "has task.index 2, but cluster.worker has 2"),
        (config(index=-1), "has task.index -1"),
        (config(type="chief"), "has task.index 0, but cluster.chief has 0"),
        (config(index="0"), 'has task.index "0", not an integer'),
        (config(index=True), "has task.index true, not an integer"),
        (config(index=1.0), "has task.index 1.0, not an integer"),
        (config(index=None), "has task.index null, not an integer"),
        (config(type="ps"), 'has task.type "ps"'),
        (config(type="evaluator"), 'has task.type "evaluator"'),
        (config(type=["worker"]), 'has task.type ["worker"]'),
    ],
)
def test_a_malformed_tf_config_is_named(text, part):
    with pytest.raises(UsageError) as caught:
        from_environment({"TF_CONFIG": text})
    message = str(caught.value)
    assert part in message
    assert message.startswith("TF_CONFIG ")
    assert '"task": {"type": "worker", "index": 0}' in message  # an example
    assert "\n" not in message


@pytest.fixture
def slurm(monkeypatch, tmp_path):
    """`slurm(nodes, tasks, **more)`: a SLURM step on nodes without nvidia-smi."""
    for name in ("TF_CONFIG", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))

    def set_up(nodes, tasks, **more):
        monkeypatch.setenv("SLURM_STEP_NODELIST", nodes)
        monkeypatch.setenv("SLURM_STEP_TASKS_PER_NODE", tasks)
        for name, value in more.items():
            monkeypatch.setenv(name, value)

    return set_up


@pytest.mark.parametrize("rank", [0, 1])
def test_two_slurm_tasks_on_one_node(slurm, rank):
    slurm("localhost", "2", SLURM_STEP_NUM_TASKS="2", SLURM_PROCID=str(rank))
    assert from_environment() == Cluster(("localhost:8888", "localhost:8889"), rank)
    assert "CUDA_VISIBLE_DEVICES" not in os.environ


def test_slurm_tasks_on_several_nodes(slurm):
    slurm("n[1-2]", "2(x2)", SLURM_STEP_NUM_TASKS="4", SLURM_PROCID="2")
    assert from_environment() == Cluster(
        ("n1:8888", "n1:8889", "n2:8888", "n2:8889"), 2
    )
    slurm("n[1-2]", "1(x2)", SLURM_STEP_NUM_TASKS="2", SLURM_PROCID="1")
    assert from_environment() == Cluster(("n1:8888", "n2:8888"), 1)


@pytest.mark.parametrize("devices", ["", "0", "NoDevFiles", "0,1,2,3"])
def test_gpus_are_left_to_slurm(slurm, devices):
    more = {"SLURM_STEP_NUM_TASKS": "2", "CUDA_VISIBLE_DEVICES": devices}
    slurm("n1", "2", SLURM_PROCID="0", **more)
    assert len(from_environment().workers) == 2
    assert os.environ["CUDA_VISIBLE_DEVICES"] == devices


def test_a_slurm_task_finds_its_node_for_any_order_of_ranks(slurm):
    step = {"SLURM_STEP_NUM_TASKS": "3", "SLURM_PROCID": "2", "SLURM_LOCALID": "0"}
    slurm("n[9-11]", "1(x3)", **step, SLURMD_NODENAME="n11")
    cluster = from_environment()
    assert sorted(cluster.workers) == sorted(["n9:8888", "n10:8888", "n11:8888"])
    assert cluster.address == "n11:8888"
    # Cyclic distribution: rank 2 of 4 is the second task of the first node.
    step = {"SLURM_STEP_NUM_TASKS": "4", "SLURM_PROCID": "2", "SLURM_LOCALID": "1"}
    slurm("n[1-2]", "2(x2)", **step, SLURMD_NODENAME="n1")
    assert from_environment().address == "n1:8889"


def test_tf_config_comes_before_slurm(slurm, monkeypatch):
    slurm("n1", "2", SLURM_STEP_NUM_TASKS="2", SLURM_PROCID="0")
    monkeypatch.setenv("TF_CONFIG", config(index=1))
    assert from_environment() == Cluster(("a:1", "b:2"), 1)


@pytest.mark.parametrize(
    ("variables", "part"),
    [
        ({"SLURM_PROCID": "0", "SLURM_STEP_NODELIST": "n[1-"}, "n[1-"),
        ({"SLURM_PROCID": "2"}, "SLURM_PROCID is not below"),
        ({"SLURM_PROCID": "0", "SLURM_STEP_TASKS_PER_NODE": "3"}, "2 tasks"),
        ({}, "SLURM_PROCID not found"),
    ],
)
def test_incomplete_slurm_variables_are_named(slurm, monkeypatch, variables, part):
    slurm("n1", "2", SLURM_STEP_NUM_TASKS="2")
    monkeypatch.delenv("SLURM_PROCID", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UsageError, match=r"^SLURM: .*srun.*TF_CONFIG") as caught:
        from_environment()
    assert part in str(caught.value)


def test_the_resolver_still_counts_gpus_where_there_are_none(slurm):
    """The reason for passing the number of GPUs: remove it when this fails."""
    slurm("n1", "2", SLURM_STEP_NUM_TASKS="2", SLURM_PROCID="0")
    with pytest.raises(FileNotFoundError, match="nvidia-smi"):
        slurm_cluster_resolver.SlurmClusterResolver()


def test_tensorflow_is_not_imported():
    modules = "bt_keras.distribution.cluster, bt_keras.distribution.rendezvous"
    code = f"import sys, {modules}; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

import numpy as np
import pytest

from examples.detection.coco import average_precision


def image(boxes, classes, crowd=None):
    return {
        "boxes": np.array(boxes, np.float32).reshape(-1, 4),
        "classes": np.array(classes, np.float32),
        "crowd": np.array(crowd or [False] * len(classes), bool),
    }


def found(boxes, classes, confidence=None):
    made = image(boxes, classes)
    confidence = np.array(confidence or [0.9] * len(classes), np.float32)
    return {**made, "confidence": confidence}


TRUTHS = [
    image([[0, 0, 10, 20], [30, 30, 60, 50]], [0, 3]),
    image([], []),
    image([[5, 5, 25, 25]], [7]),
]


def test_a_perfect_detector():
    perfect = [found(t["boxes"], t["classes"]) for t in TRUTHS]
    expected = pytest.approx({"AP": 1.0, "AP50": 1.0})
    assert average_precision(TRUTHS, perfect) == expected


def test_an_empty_detector():
    empty = [found([], []) for _ in TRUTHS]
    assert average_precision(TRUTHS, empty) == {"AP": 0.0, "AP50": 0.0}


def test_right_boxes_of_wrong_classes():
    wrong = [found(t["boxes"], t["classes"] + 1) for t in TRUTHS]
    assert average_precision(TRUTHS, wrong) == {"AP": 0.0, "AP50": 0.0}


def test_half_of_the_objects_with_shifted_boxes():
    # IoU 2/3: right at the thresholds .50, .55, .60 and .65, four of ten. One of two
    # objects is found: the precision is 1 up to the recall 0.5, 51 of 101 points.
    truths = [image([[0, 0, 10, 10], [40, 40, 50, 50]], [0, 0])]
    detections = [found([[0, 2, 10, 12]], [0])]
    precision = average_precision(truths, detections)
    assert precision["AP50"] == pytest.approx(51 / 101)
    assert precision["AP"] == pytest.approx(0.4 * 51 / 101)


def test_a_wrong_detection_before_the_right_one():
    truths = [image([[0, 0, 10, 10]], [2])]
    detections = [found([[50, 50, 60, 60], [0, 0, 10, 10]], [2, 2], [0.9, 0.8])]
    assert average_precision(truths, detections)["AP"] == pytest.approx(0.5)


def test_crowds_are_ignored():
    truths = [image([[0, 0, 10, 10], [40, 40, 50, 50]], [0, 0], [False, True])]
    for boxes in ([[0, 0, 10, 10]], [[40, 40, 50, 50], [0, 0, 10, 10]]):
        detections = [found(boxes, [0] * len(boxes))]
        assert average_precision(truths, detections)["AP"] == pytest.approx(1.0)

"""COCO's mean average precision, computed by pycocotools."""

import contextlib
import io

import numpy as np

from bt_keras import UsageError

try:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval
except ImportError as error:
    raise UsageError(
        "mAP requires pycocotools, which is not installed: run "
        "`pip install '.[examples]'`."
    ) from error


def average_precision(truths, detections):
    """Computes COCO's AP over all images.

    Args:
        truths: List of dicts of arrays, one per image: `boxes` (M, 4), xyxy in pixels,
            `classes` (M,), and `crowd` bool (M,), which marks boxes to ignore.
        detections: List of the same length of dicts of arrays: `boxes` (K, 4),
            `classes` (K,), `confidence` (K,).

    Returns:
        Dict with `AP`, the mean over the IoU thresholds 0.50, 0.55, ..., 0.95 and over
        the classes that occur, and `AP50`, at the threshold 0.50.
    """
    annotations = [
        {**annotation, "iscrowd": int(crowd)}
        for image, truth in enumerate(truths)
        for annotation, crowd in zip(
            _annotations(image, truth), truth["crowd"], strict=True
        )
    ]
    results = [
        {**annotation, "score": float(score)}
        for image, found in enumerate(detections)
        for annotation, score in zip(
            _annotations(image, found), found["confidence"], strict=True
        )
    ]
    if not results:  # pycocotools cannot load an empty list.
        return {"AP": 0.0, "AP50": 0.0}
    # pycocotools prints its progress to standard output.
    with contextlib.redirect_stdout(io.StringIO()):
        truth = _coco(annotations, len(truths))
        evaluation = COCOeval(truth, truth.loadRes(results), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return {"AP": float(evaluation.stats[0]), "AP50": float(evaluation.stats[1])}


def _annotations(image, objects):
    for box, category in zip(objects["boxes"], objects["classes"], strict=True):
        x1, y1, x2, y2 = np.asarray(box, np.float64).tolist()
        yield {
            "image_id": image,
            "category_id": int(category),
            "bbox": [x1, y1, x2 - x1, y2 - y1],
            "area": (x2 - x1) * (y2 - y1),
        }


def _coco(annotations, num_images):
    coco = COCO()
    categories = sorted({annotation["category_id"] for annotation in annotations})
    coco.dataset = {
        "info": {},
        "images": [{"id": image} for image in range(num_images)],
        # pycocotools treats an id of 0 as unmatched.
        "annotations": [{**a, "id": i} for i, a in enumerate(annotations, start=1)],
        "categories": [{"id": category} for category in categories],
    }
    coco.createIndex()
    return coco

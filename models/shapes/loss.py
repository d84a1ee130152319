"""What training makes small. Scores learn the IoU of their box (Li et al. 2020, "Generalized Focal Loss")."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from network import BINS, cells
from scenes_dataset import CLASSES

_CENTRES, _STRIDES = cells()
# Which sizes a grid is responsible for, in pixels of the longer side; the overlap lets both see the middle ones.
_LEAST = np.where(_STRIDES == 8, 0, 36).astype(np.float32)
_MOST = np.where(_STRIDES == 8, 52, 1e9).astype(np.float32)


def detection_loss(logits: tf.Tensor, distances: tf.Tensor, boxes: tf.Tensor) -> tf.Tensor:
    """Return the loss of a batch: class, box overlap (GIoU) and the distances' distribution (DFL)."""
    positive, label, box = _assign(boxes)
    weight = tf.cast(positive, tf.float32)
    count = tf.maximum(tf.reduce_sum(weight), 1.0)
    bins = tf.reshape(distances, (tf.shape(distances)[0], -1, 4, BINS))
    expected = tf.reduce_sum(tf.nn.softmax(bins) * tf.range(BINS, dtype=tf.float32), -1) * _STRIDES[None, :, None]
    predicted = tf.concat([_CENTRES - expected[..., :2], _CENTRES + expected[..., 2:]], -1)
    iou, giou = _overlap(predicted, box)
    box_loss = tf.reduce_sum(weight * (1 - giou)) / count
    return _class_loss(logits, label, weight, iou) / count + 2 * box_loss + 0.5 * _bins_loss(bins, box, weight) / count


def _assign(boxes: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """For each cell: whether it predicts a box (its centre lies near the box's), that box's class, and the box."""
    label, corners = boxes[..., 0], boxes[..., 1:]
    size = corners[..., 2:] - corners[..., :2]
    centre = (corners[..., :2] + corners[..., 2:]) / 2
    away = tf.abs(_CENTRES[None, :, None] - centre[:, None])
    reach = tf.maximum(size[:, None] * 0.25, 0.51 * _STRIDES[None, :, None, None])
    longest = tf.reduce_max(size, -1)[:, None]
    fits = (longest >= _LEAST[None, :, None]) & (longest < _MOST[None, :, None]) & (label[:, None] >= 0)
    fits &= tf.reduce_all(away < reach, -1)
    nearest = tf.argmin(tf.reduce_sum(away, -1) + tf.where(fits, 0.0, 1e6), -1)
    chosen = tf.gather(corners, nearest, batch_dims=1)
    return tf.reduce_any(fits, -1), tf.cast(tf.gather(label, nearest, batch_dims=1), tf.int32), chosen


def _overlap(one: tf.Tensor, other: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """IoU and generalized IoU (Rezatofighi et al. 2019)."""

    def area(low: tf.Tensor, high: tf.Tensor) -> tf.Tensor:
        return tf.reduce_prod(tf.maximum(high - low, 0.0), -1)

    inner = area(tf.maximum(one[..., :2], other[..., :2]), tf.minimum(one[..., 2:], other[..., 2:]))
    union = area(one[..., :2], one[..., 2:]) + area(other[..., :2], other[..., 2:]) - inner + 1e-6
    hull = area(tf.minimum(one[..., :2], other[..., :2]), tf.maximum(one[..., 2:], other[..., 2:])) + 1e-6
    return inner / union, inner / union - (hull - union) / hull


def _class_loss(logits: tf.Tensor, label: tf.Tensor, weight: tf.Tensor, iou: tf.Tensor) -> tf.Tensor:
    hot = tf.one_hot(label, CLASSES) * weight[..., None]
    target = hot * tf.stop_gradient(tf.clip_by_value(iou, 0.3, 1.0))[..., None]
    entropy = tf.nn.sigmoid_cross_entropy_with_logits(target, logits)
    return tf.reduce_sum(entropy * tf.where(hot > 0, 1.0, 0.75 * tf.sigmoid(logits) ** 2))


def _bins_loss(bins: tf.Tensor, box: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
    """Cross entropy with the two bins on either side of the true distance."""
    true = tf.concat([_CENTRES - box[..., :2], box[..., 2:] - _CENTRES], -1) / _STRIDES[None, :, None]
    true = tf.clip_by_value(true, 0.0, BINS - 1.01)
    low = tf.floor(true)
    logs = tf.nn.log_softmax(bins)

    def at(position: tf.Tensor) -> tf.Tensor:
        return tf.gather(logs, tf.cast(position, tf.int32)[..., None], batch_dims=3)[..., 0]

    entropy = -(at(low) * (1 - (true - low)) + at(low + 1) * (true - low))
    return tf.reduce_sum(weight[..., None] * entropy) / 4

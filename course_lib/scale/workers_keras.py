"""Keras in several processes: TensorFlow's MultiWorkerMirroredStrategy."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from course_lib.scale.batches import global_batches, shard
from course_lib.scale.launch import group
from course_lib.scale.ports import HOST
from course_lib.scale.trained import Trained, check_training


def keras_workers(
    function: Callable[..., Any],
    processes: int,
    *arguments: Any,
    threads: int = 1,
    port: int | None = None,
    timeout: float = 600.0,
    **settings: Any,
) -> list[Any]:
    """Run a training function in several processes of this machine and return what each returned.

    They find each other by ``TF_CONFIG``, as on many machines: there a scheduler sets it, and the same
    function runs unchanged.

    Parameters
    ----------
    function : callable
        `keras_head`, or one of your own that builds its model under a
        ``tf.distribute.MultiWorkerMirroredStrategy``.
    processes : int
    *arguments, **settings
        Of the function, copied into every process.
    threads : int
        Of each process.
    port : int, optional
        Of the first process; a free one by default, or where it is taken.
    timeout : float
        Seconds.

    Returns
    -------
    list
        By rank.

    Raises
    ------
    BadInput
        For numbers that make no group; and what the function raises.
    CourseError
        When a process failed, was lost, or time ran out.
    """

    def environment(rank: int, ports: Sequence[int]) -> dict[str, str]:
        workers = [f"{HOST}:{port}" for port in ports]
        told = {"cluster": {"worker": workers}, "task": {"type": "worker", "index": rank}}
        return {"TF_CONFIG": json.dumps(told), "CUDA_VISIBLE_DEVICES": ""}

    return group(
        function,
        arguments,
        settings,
        processes=processes,
        threads=threads,
        timeout=timeout,
        ports=processes,
        port=port,
        environment=environment,
    )


def keras_head(
    x: np.ndarray,
    y: np.ndarray,
    classes: int,
    *,
    hidden: int = 64,
    batch: int = 64,
    epochs: int = 1,
    learning_rate: float = 0.1,
    momentum: float = 0.9,
    seed: int = 0,
    shares: Sequence[float] | None = None,
    scaling: str = "global",
) -> Trained:
    """Train a head with one hidden layer on features, as one process of a group (of one, too).

    Parameters
    ----------
    x : numpy.ndarray
        ``(n, d)`` float32.
    y : numpy.ndarray
        ``(n,)`` whole numbers from 0.
    classes, hidden, seed : int
    batch : int
        Rows over all processes.
    epochs : int
    learning_rate, momentum : float
        Of SGD.
    shares : sequence of float, optional
        See `shard`.
    scaling : {"global", "mean of means"}
        ``"global"`` divides every process's sum of losses by the size of the global batch; the optimizer sums
        over processes. ``"mean of means"`` divides by the process's own rows and their number of processes:
        the usual mistake.

    Returns
    -------
    Trained

    Raises
    ------
    BadInput
        As `check_training`.
    """
    import tensorflow as tf

    # before any other operation: the processes must meet before TensorFlow's runtime starts
    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    processes = strategy.num_replicas_in_sync
    rank = int(strategy.cluster_resolver.task_id or 0)
    check_training(x, y, classes, batch, processes, scaling)
    with strategy.scope():
        model, optimizer = _head(x.shape[1], classes, hidden, learning_rate, momentum, seed)
    step = _step(strategy, model, optimizer, x.shape[1])
    losses, examples, since = [], 0, 0.0
    data, labels = np.asarray(x, np.float32), np.asarray(y, np.int64)
    for k, rows in enumerate(global_batches(len(y), batch, epochs=epochs, seed=seed)):
        if k == 1:
            since = time.perf_counter()
        mine = shard(rows, rank, processes, shares)
        size = len(rows) if scaling == "global" else max(1, len(mine)) * processes
        told = step(tf.constant(data[mine]), tf.constant(labels[mine]), tf.constant(float(size)))
        losses.append(float(told) / len(rows))
        examples += len(rows) if k else 0
    seconds = time.perf_counter() - since if examples else 0.0
    kept = {variable.path: variable.numpy() for variable in model.trainable_variables}
    return Trained(kept, np.array(losses), examples, seconds, rank, processes)


def _head(
    dim: int, classes: int, hidden: int, learning_rate: float, momentum: float, seed: int
) -> tuple[Any, Any]:
    """Return the model and its optimizer."""
    import keras

    keras.utils.set_random_seed(seed)
    model = keras.Sequential(
        [
            keras.Input((dim,)),
            keras.layers.Dense(hidden, activation="relu"),
            keras.layers.Dense(classes),
        ]
    )
    optimizer = keras.optimizers.SGD(learning_rate, momentum=momentum)
    optimizer.build(model.trainable_variables)
    return model, optimizer


def _step(strategy: Any, model: Any, optimizer: Any, dim: int) -> Any:
    """Return a step of all processes: from own rows, labels and a divisor to the sum of all losses."""
    import tensorflow as tf

    def replica(rows: Any, labels: Any, size: Any) -> Any:
        with tf.GradientTape() as tape:
            logits = model(rows, training=True)
            each = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
            loss = tf.reduce_sum(each) / size
        gradients = tape.gradient(loss, [variable.value for variable in model.trainable_variables])
        # Keras sums gradients over the processes in here: whoever sums them before has them N times.
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, tf.reduce_sum(each))

    signature = [
        tf.TensorSpec((None, dim), tf.float32),
        tf.TensorSpec((None,), tf.int64),
        tf.TensorSpec((), tf.float32),
    ]

    @tf.function(input_signature=signature)  # type: ignore[untyped-decorator, unused-ignore]
    def step(rows: Any, labels: Any, size: Any) -> Any:
        return strategy.run(replica, args=(rows, labels, size))

    return step

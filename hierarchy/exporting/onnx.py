"""Both agents as ONNX models: inputs and outputs are those of :mod:`hierarchy.nets.models`, by name."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch as th

from hierarchy.nets.models import N_ENVS
from hierarchy.protocols import TrainedActor

OPSET = 20


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what torch says of its own deprecations, and of packages that are not needed."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def onnx_of(actor: TrainedActor) -> bytes:
    """An actor of either level as an ONNX model."""
    model = actor.model.eval()
    examples = model.examples
    n_rows = len(next(iter(examples.values()))) // N_ENVS  # of an env
    batch = n_rows * th.export.Dim("n", min=1)
    with _quiet():
        program = th.onnx.export(
            model,
            tuple(examples.values()),
            input_names=list(examples),
            output_names=list(model.outputs),
            dynamic_shapes=tuple({0: batch} for _ in examples),
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    model_bytes: bytes = program.model_proto.SerializeToString()
    return model_bytes

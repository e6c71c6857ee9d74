"""The code of a pair that MLflow keeps as a model: MLflow runs a copy of this file when it loads one.

What it loads is the bundle beside it, which is data. Inputs and outputs are those of
:class:`hierarchy.nets.models.PairModel` by name, as arrays: what is remembered goes in and comes out, so one that is served
to many remembers nobody.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch as th
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel, PythonModelContext

from envs.core.arrays import Array
from hierarchy.nets.models import PairModel
from hierarchy.storage.bundle import PRESET, Bundle, read_bundle
from hierarchy.storage.settings import config_from
from hierarchy.tracking.mlflow_models import BUNDLE


def model_of(bundle: Bundle) -> PairModel:
    """A pair as a function of tensors."""
    settings = {name: value for name, value in bundle.settings.items() if name != PRESET}
    config = config_from(settings, trusts_factory=True)  # which imports nothing
    lower, upper = config.lower.actor(bundle.lower).model, config.upper.actor(bundle.upper).model
    return PairModel(lower, upper, bundle.spec.n_terms, bundle.spec.n_agents).eval()


def step(model: PairModel, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """Outputs of one step by name.

    Raises
    ------
    ValueError
        An input holds what is no number: an agent would remember it.
    """
    for name in model.examples:
        if not np.isfinite(inputs[name]).all():
            raise ValueError(f"{name} must be finite")
    with th.no_grad():
        outputs = model(*(th.as_tensor(inputs[name]) for name in model.examples))
    return {name: output.numpy() for name, output in zip(model.outputs, outputs, strict=True)}


class ServedPair(PythonModel):
    """A pair as MLflow serves it."""

    _skip_type_hint_validation = True  # of which MLflow warns otherwise: the signature says what goes in

    def load_context(self, context: PythonModelContext) -> None:
        """Read the bundle.

        Raises
        ------
        SettingError
            It is damaged.
        """
        self._model = model_of(read_bundle(Path(context.artifacts[BUNDLE])))

    def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]  # hints would be a schema
        """One step: arrays by name in, arrays by name out."""
        return step(self._model, model_input)


set_model(ServedPair())

"""Networks with weights that are known."""

import torch

from anysleep.models import build_model

TOLERANCE = 1e-4


def build_variant(variant: str, predictions_per_epoch: int = 1) -> torch.nn.Module:
    """A network by its name in the parity files, which may end in _hidden32."""
    hyperparameters = {"attention_hidden": 32} if variant.endswith("_hidden32") else {}
    name = variant.removesuffix("_hidden32")
    return build_model(name, predictions_per_epoch=predictions_per_epoch, **hyperparameters)

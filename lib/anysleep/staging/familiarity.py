"""How far the channels of a night are from those that a network was trained on, as its own encoder tells.

A channel is described by the mean over time of the encoder's deepest features, as AnySleep's attention sees it. Of the
training's nights the mean and covariance of these descriptions are kept, by type of channel; a channel's distance is
Mahalanobis', in units of the distance within which 99 of 100 channels of nights left out of the estimate lie.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import torch

from anysleep.models import SleepNetwork

STRETCH_EPOCHS = 5
MOST_STRETCHES = 12
"""An hour, spread over the night, describes it."""
USUAL_QUANTILE = 0.99
FOLDS = 5
FEWEST_NIGHTS = 2 * FOLDS
"""With fewer nights of a type of channel nobody knows what is usual, so every channel of that type counts as usual."""

Seen = dict[str, dict[str, np.ndarray]]
"""Type of channel, EEG or EOG -> `mean` (F,), `precision` (F, F) of the descriptions, and their `usual` distance ()."""


def can_describe(model: SleepNetwork) -> bool:
    """Whether the network's encoder reads one channel at a time."""
    return model.unet_channels == 1


@torch.inference_mode()
def describe_channels(model: SleepNetwork, signals: np.ndarray) -> np.ndarray:
    """Descriptions (C, F) of the channels of a night (C, T), at least one epoch, at the network's rate."""
    n = STRETCH_EPOCHS * model.samples_per_epoch
    last = max(signals.shape[1] - n, 0)
    # As many as lie side by side, at most; a short night has fewer.
    starts = np.unique(np.linspace(0, last, min(MOST_STRETCHES, last // n + 1)).astype(int))
    device = next(model.parameters()).device
    described = []
    for signal in signals:
        stretches = torch.stack([torch.as_tensor(signal[start : start + n]) for start in starts]).unsqueeze(1)
        *_, deepest = model.encode(stretches.to(device))
        described.append(deepest.mean(dim=(0, 2)).cpu().numpy())
    return np.array(described)


def what_was_seen(described: Iterable[tuple[np.ndarray, Sequence[str]]]) -> Seen:
    """Statistics of nights, each as descriptions (C, F) and the types of its channels."""
    by_type: dict[str, list[tuple[int, np.ndarray]]] = {}
    for night, (descriptions, types) in enumerate(described):
        for kind, description in zip(types, descriptions, strict=True):
            by_type.setdefault(kind, []).append((night, description))
    # `zip(*rows)`: the numbers of nights, and the descriptions.
    return {kind: _of_type(*map(np.array, zip(*rows, strict=True))) for kind, rows in by_type.items()}


def distances_from_seen(
    seen: Mapping[str, Mapping[str, np.ndarray]], descriptions: np.ndarray, types: Sequence[str]
) -> np.ndarray:
    """Distance of each channel (C,) in units of the usual one; infinite for a type that was never seen."""
    found = [
        _mahalanobis(d[None], seen[kind]["mean"], seen[kind]["precision"])[0] / seen[kind]["usual"]
        if kind in seen
        else np.inf
        for d, kind in zip(descriptions, types, strict=True)
    ]
    return np.array(found)


def _of_type(nights: np.ndarray, descriptions: np.ndarray) -> dict[str, np.ndarray]:
    """Mean, precision, and the usual distance of nights (N,) that had no part in them."""
    if len(np.unique(nights)) < FEWEST_NIGHTS:
        n_features = descriptions.shape[1]
        # Any distance divided by infinity is 0: nothing is unusual.
        return {"mean": np.zeros(n_features), "precision": np.eye(n_features), "usual": np.array(np.inf)}
    left_out = []
    _, night_numbers = np.unique(nights, return_inverse=True)  # some nights may lack this type of channel
    folds = night_numbers % FOLDS  # channels of one night are left out together
    for fold in np.unique(folds):
        others = _mean_and_precision(descriptions[folds != fold])
        left_out.append(_mahalanobis(descriptions[folds == fold], *others))
    mean, precision = _mean_and_precision(descriptions)
    return {"mean": mean, "precision": precision, "usual": np.quantile(np.concatenate(left_out), USUAL_QUANTILE)}


def _mean_and_precision(descriptions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    from sklearn.covariance import ledoit_wolf  # slow to import

    covariance, _ = ledoit_wolf(descriptions)
    return descriptions.mean(axis=0), np.linalg.inv(covariance)


def _mahalanobis(descriptions: np.ndarray, mean: np.ndarray, precision: np.ndarray) -> np.ndarray:
    apart = descriptions - mean
    return np.sqrt(np.einsum("cf,fg,cg->c", apart, precision, apart))

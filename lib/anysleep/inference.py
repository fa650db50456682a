"""Staging a recording: one pass through the network gives every resolution."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from scipy.special import log_softmax, logsumexp

from anysleep.models import SleepNetwork
from anysleep.stages import EPOCH_S, N_STAGES

Vote = Literal["majority", "mean"]


@dataclass(frozen=True)
class Staging:
    """What a network says about one night. P = epochs x predictions per epoch."""

    logits: dict[int, np.ndarray]
    """Predictions per epoch -> float32 (P, 5)."""
    attention: np.ndarray | None
    """float32 (M, C), a row an attention module, rows sum to one; None where the network has none."""
    dropped_s: float
    """Seconds after the last whole epoch, which were not staged."""

    def hypnodensity(self, predictions_per_epoch: int) -> np.ndarray:
        """Stage probabilities, float32 (P, 5); rows sum to one."""
        return softmax(self.logits[predictions_per_epoch])

    def hypnogram(self, predictions_per_epoch: int) -> np.ndarray:
        """The most probable stages, int8 (P,)."""
        return self.logits[predictions_per_epoch].argmax(axis=1).astype(np.int8)


def stage_recording(model: SleepNetwork, signals: np.ndarray, *, resolutions: Sequence[int] = (1,)) -> Staging:
    """Stage a whole night at any number of resolutions with one pass.

    Parameters
    ----------
    model
        From `build_model` or `load_checkpoint`, on any device; it is put in evaluation mode.
    signals
        Preprocessed, float32 (C, T) at the model's rate. A last partial epoch is left out, with a warning.
    resolutions
        Predictions per epoch; each must divide the samples of an epoch.

    Raises
    ------
    ValueError
        Less than one epoch, a wrong number of channels for U-Sleep, NaN, or a resolution that does not divide.
    """
    signals = np.asarray(signals)
    if signals.ndim != 2:
        raise ValueError(f"signals have shape {signals.shape}; expected (channels, samples)")
    if not np.isfinite(signals).all():
        raise ValueError("signals hold NaN or infinite samples; preprocess them first")
    n_samples = signals.shape[1] - signals.shape[1] % model.samples_per_epoch or signals.shape[1]
    dropped_s = (signals.shape[1] - n_samples) / model.sampling_rate_hz
    if dropped_s:
        warnings.warn(f"the last {dropped_s:.2f} s are no whole epoch of {EPOCH_S} s and are not staged", stacklevel=2)
    device = next(model.parameters()).device
    x = torch.as_tensor(signals[:, :n_samples].T[None], dtype=torch.float32, device=device)  # (1, T, C)
    with torch.inference_mode():
        features, attention = model.eval().features(x)
        logits = {r: model.classify(features, r)[0].float().cpu().numpy() for r in resolutions}
    return Staging(logits, None if attention is None else attention[:, 0].float().cpu().numpy(), dropped_s)


def stage_montages(
    model: SleepNetwork,
    signals: np.ndarray,
    *,
    montages: Sequence[tuple[int, ...]],
    resolutions: Sequence[int] = (1,),
) -> dict[tuple[int, ...], Staging]:
    """Stage a night once for every montage, a tuple of channel indices into `signals` (C, T)."""
    return {
        tuple(montage): stage_recording(model, signals[list(montage)], resolutions=resolutions) for montage in montages
    }


def default_montages(model: SleepNetwork, n_eeg: int, n_eog: int) -> list[tuple[int, ...]]:
    """Montages of a night whose EEG channels come first: all channels at once; for U-Sleep every EEG and EOG pair."""
    if model.name != "usleep":
        return [tuple(range(n_eeg + n_eog))]
    pairs = [(eeg, n_eeg + eog) for eeg in range(n_eeg) for eog in range(n_eog)]
    if not pairs:
        raise ValueError(f"U-Sleep needs an EEG and an EOG channel; the night has {n_eeg} EEG and {n_eog} EOG")
    return pairs


def majority_vote(hypnograms: Sequence[np.ndarray], seed: int = 0) -> np.ndarray:
    """The stage most montages agree on, int8 (P,); ties are drawn, with a seed, among the tied."""
    votes = np.stack([np.bincount(column, minlength=N_STAGES) for column in np.stack(hypnograms).T])  # (P, 5)
    tie_break = np.random.default_rng(seed).random(votes.shape)  # below one vote
    return (votes + tie_break).argmax(axis=1).astype(np.int8)


def vote_stages(logits: Sequence[np.ndarray], vote: Vote = "majority", seed: int = 0) -> np.ndarray:
    """One hypnogram int8 (P,) from the logits (P, 5) of several montages.

    `majority`: the stage that most of them choose, see `majority_vote`. `mean`: the most probable in the mean.
    """
    if vote == "mean":
        return mean_log_probabilities(logits).argmax(axis=1).astype(np.int8)
    return majority_vote([one.argmax(axis=1) for one in logits], seed)


def mean_log_probabilities(logits: Sequence[np.ndarray]) -> np.ndarray:
    """Logarithm of the mean probabilities of several logits (P, 5), float64 (P, 5). Softmax gives the mean back."""
    stacked = log_softmax(np.stack(logits).astype(float), axis=-1)  # (montages, P, 5)
    return logsumexp(stacked, axis=0) - np.log(len(stacked))


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities along the last axis."""
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def choose_device(device: str) -> torch.device:
    """`auto` means CUDA, else MPS, else CPU. ValueError where the asked-for device is not there."""
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if device == "auto":
        return torch.device(next(name for name, there in available.items() if there))
    if not available.get(device):
        there = ", ".join(name for name, is_there in available.items() if is_there)
        raise ValueError(f"device {device!r} is not available here; choose auto or one of {there}")
    return torch.device(device)

"""Staging a night: one pass through the network gives every resolution, one encoding of its channels every montage."""

import math
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from anysleep.models import SleepNetwork
from anysleep.settings import Precision
from anysleep.stages import EPOCH_S
from anysleep.staging.devices import GIB, free_bytes, full_float32
from anysleep.staging.engines import Engine, Merged, build_engine
from anysleep.staging.votes import softmax

Places = tuple[int, ...]
"""Places of its channels among the signals."""


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


def stage_recording(
    model: SleepNetwork,
    signals: np.ndarray,
    *,
    resolutions: Sequence[int] = (1,),
    precision: Precision = "32",
    aligned: bool = False,
) -> Staging:
    """Stage a whole night at any number of resolutions with one pass.

    The logits are those of `model(x)` up to rounding, unless `aligned`. One channel is in memory at a time, however
    many there are.

    Parameters
    ----------
    model
        From `build_model` or `load_checkpoint`, on any device; it is put in evaluation mode.
    signals
        Preprocessed, float32 (C, T) at the model's rate. A last partial epoch is left out, with a warning.
    resolutions
        Predictions per epoch; each must divide the samples of an epoch.
    precision
        Of what flows through the network. docs/benchmarks.md says where bfloat16 is faster.
    aligned
        Lengthen the night by its own mirror image until every level of the U-Net has an even length, and drop what is
        said of that. As published, False, levels of odd length get a zero in front, which shifts them: the number of
        epochs, modulo 16 with the published network, then changes the result everywhere. docs/differences.md.

    Raises
    ------
    ValueError
        Less than one epoch, a wrong number of channels for U-Sleep, NaN, or a resolution that does not divide.
    MemoryError
        The night needs more memory than is free.
    """
    channels = tuple(range(len(signals)))
    return _stage(model, signals, [channels], resolutions, precision, aligned)[channels]


def stage_montages(
    model: SleepNetwork,
    signals: np.ndarray,
    *,
    montages: Sequence[Places],
    resolutions: Sequence[int] = (1,),
    precision: Precision = "32",
    aligned: bool = False,
) -> dict[Places, Staging]:
    """Stage a night once for every montage, a tuple of channel indices into `signals` (C, T).

    Every result is that of `stage_recording` with those channels. Channels that several montages share are encoded once
    and kept; where memory is short of that, every montage is staged by itself, with a warning.

    Parameters and errors are those of `stage_recording`; IndexError where a montage names a channel that is not there.
    """
    return _stage(model, signals, montages, resolutions, precision, aligned)


def _stage(
    model: SleepNetwork,
    signals: np.ndarray,
    montages: Sequence[Places],
    resolutions: Sequence[int],
    precision: Precision,
    aligned: bool,
) -> dict[Places, Staging]:
    montages = list(dict.fromkeys(tuple(montage) for montage in montages))
    signals, dropped_s = _whole_epochs(model, np.asarray(signals), montages)
    for r in resolutions:
        model.samples_per_prediction(r)  # stops where it does not divide
    n_epochs = signals.shape[1] // model.samples_per_epoch
    if aligned:
        signals = np.pad(signals, [(0, 0), (0, n_to_align(model, n_epochs) * model.samples_per_epoch)], "symmetric")
    stagings = {}
    with torch.inference_mode(), full_float32():
        engine = build_engine(model, precision)
        for montage, (features, attention) in zip(montages, _merged(engine, signals, montages), strict=True):
            # Cut, because `aligned` has lengthened the night.
            logits = {r: of_r[: n_epochs * r].cpu().numpy() for r, of_r in engine.logits(features, resolutions).items()}
            if not all(np.isfinite(of_r).all() for of_r in logits.values()):
                raise ValueError("the network makes no finite numbers of these signals; have they been preprocessed?")
            stagings[montage] = Staging(logits, attention.cpu().numpy() if len(attention) else None, dropped_s)
    return stagings


def n_to_align(model: SleepNetwork, n_epochs: int) -> int:
    """Epochs to add to a night until its samples can be halved at every level of the U-Net."""
    # The fewest epochs whose samples can be halved that often; 16 with the published network.
    period = math.lcm(model.samples_per_epoch, 2 ** len(model.encoders)) // model.samples_per_epoch
    return -n_epochs % period


def channels_to_keep(montages: Sequence[Places]) -> list[int]:
    """Those to encode once for all montages: every channel, or none where no two montages share one."""
    used = [channel for montage in montages for channel in montage]
    return sorted(set(used)) if len(set(used)) < len(used) else []


def _merged(engine: Engine, signals: np.ndarray, montages: Sequence[Places]) -> Iterator[Merged]:
    """Features and attention of one montage after the other."""
    kept, free = channels_to_keep(montages), free_bytes(engine.device)
    alone, together = (engine.needed_bytes(signals.shape[1], n_kept) for n_kept in (0, len(kept)))
    if alone > free:
        raise MemoryError(f"staging this night takes {alone / GIB:.1f} GiB of memory; {free / GIB:.1f} GiB are free")
    if together > free:
        warnings.warn(
            f"{together / GIB:.1f} GiB would be needed to encode every channel once, {free / GIB:.1f} GiB are free: "
            f"each of {len(montages)} montages is staged by itself, which takes longer",
            stacklevel=4,  # points at the caller of `stage_montages`
        )
    if kept and together <= free:
        encoded = {channel: engine.encode(signals[channel]) for channel in kept}
        yield from (engine.merge(encoded[channel] for channel in montage) for montage in montages)
    else:
        yield from (engine.stage(signals[channel] for channel in montage) for montage in montages)


def _whole_epochs(model: SleepNetwork, signals: np.ndarray, montages: Sequence[Places]) -> tuple[np.ndarray, float]:
    """The signals as far as they are whole epochs, and the seconds left out. Errors as `stage_montages` tells."""
    if signals.ndim != 2:
        raise ValueError(f"signals have shape {signals.shape}; expected (channels, samples)")
    n_channels, n_samples = signals.shape
    if not montages:
        raise ValueError("there is no montage to stage")
    # A night of less than an epoch stays as it is: `check_input` says what is wrong with it.
    n_whole = n_samples - n_samples % model.samples_per_epoch or n_samples
    if n_channels > n_samples:
        raise ValueError(f"signals have shape {signals.shape}; expected (channels, samples), these look transposed")
    for montage in montages:
        model.check_input(torch.empty(1, n_whole, len(montage), device="meta"))  # a shape without memory
    for channel in {channel for montage in montages for channel in montage}:
        if not 0 <= channel < n_channels:
            raise IndexError(f"a montage names channel {channel}; there are {n_channels}, counted from 0")
        if not np.isfinite(signals[channel]).all():
            raise ValueError("signals hold NaN or infinite samples; preprocess them first")
    dropped_s = (n_samples - n_whole) / model.sampling_rate_hz
    if dropped_s:
        warnings.warn(f"the last {dropped_s:.2f} s are no whole epoch of {EPOCH_S} s and are not staged", stacklevel=4)
    return signals[:, :n_whole], dropped_s


def default_montages(model: SleepNetwork, n_eeg: int, n_eog: int) -> list[Places]:
    """Montages of a night whose EEG channels come first: all channels at once; for U-Sleep every EEG and EOG pair."""
    if model.name != "usleep":
        return [tuple(range(n_eeg + n_eog))]
    pairs: list[Places] = [(eeg, n_eeg + eog) for eeg in range(n_eeg) for eog in range(n_eog)]
    if not pairs:
        raise ValueError(f"U-Sleep needs an EEG and an EOG channel; the night has {n_eeg} EEG and {n_eog} EOG")
    return pairs

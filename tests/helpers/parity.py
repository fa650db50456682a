"""The rule by which the parity numbers' weights and inputs were made: everything follows from a seed.

Every tensor of a state dict gets normal noise from a generator seeded with (seed, its place among the sorted keys),
scaled by what the tensor is for.
"""

import numpy as np
import torch

SEED = 11


def seeded_weights(model: torch.nn.Module, seed: int = SEED) -> torch.nn.Module:
    """Overwrite all weights in place; returns the model in evaluation mode."""
    state = model.state_dict()
    normalised = {key.removesuffix(".running_mean") for key in state if key.endswith(".running_mean")}
    for place, key in enumerate(sorted(state)):
        owner, _, kind = key.rpartition(".")
        shape = tuple(state[key].shape)
        noise = np.random.default_rng([seed, place]).standard_normal(shape).astype(np.float32)
        if kind == "weight" and owner not in normalised:
            values = noise * np.sqrt(2 / np.prod(shape[1:]))
        else:
            values = {
                "num_batches_tracked": np.ones(shape),
                "running_var": 0.5 + np.abs(noise),
                "running_mean": 0.1 * noise,
                "weight": 1 + 0.1 * noise,
                "bias": 0.05 * noise,
            }[kind]
        state[key] = torch.as_tensor(np.asarray(values)).to(state[key].dtype)
    model.load_state_dict(state)
    return model.eval()


def seeded_signal(batch: int, samples: int, channels: int, seed: int = SEED) -> torch.Tensor:
    """Noise on a slow drift, float32 (B, T, C); later channels are louder."""
    rng = np.random.default_rng([seed, batch, samples, channels])
    noise = rng.standard_normal((batch, samples, channels))
    drift = rng.standard_normal((batch, samples, channels)).cumsum(axis=1)
    drift = (drift - drift.mean(axis=1, keepdims=True)) / (drift.std(axis=1, keepdims=True) + 1e-9)
    loudness = 1.0 + np.arange(channels)
    return torch.from_numpy(((0.5 * noise + drift) * loudness / loudness.mean()).astype(np.float32))

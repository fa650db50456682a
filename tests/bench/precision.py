"""`make bench`: is bfloat16 faster than float32 on this processor? Both take turns, on one thread. Prints one table."""

import statistics
import time

import torch

from anysleep.models import ARCHITECTURES, build_model
from anysleep.staging.stage import stage_recording

HOURS, ROUNDS = 2, 5


def main() -> None:
    """A row a network: the median of the processor's seconds, which other work on the machine does not count in."""
    torch.set_num_threads(1)
    print("| network | channels | float32, s | bf16, s | float32 / bf16 |\n|:--|--:|--:|--:|--:|")
    for name in ARCHITECTURES:
        n_channels = 2 if name == "usleep" else 6
        model, signals = build_model(name).eval(), torch.randn(n_channels, HOURS * 120 * 3840).numpy()
        seconds: dict[str, list[float]] = {"32": [], "bf16": []}
        for _ in range(1 + ROUNDS):
            for precision, times in seconds.items():
                began = time.process_time()
                stage_recording(model, signals, precision=precision)
                times.append(time.process_time() - began)
        full, half = (statistics.median(times[1:]) for times in seconds.values())  # without the warm-up
        print(f"| {name} | {n_channels} | {full:.2f} | {half:.2f} | {full / half:.2f} |", flush=True)


if __name__ == "__main__":
    main()

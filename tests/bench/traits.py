"""`make bench`: how long counting triplets and growing forests takes on this machine. Prints two tables.

Seconds are of processor time, the median of five, so that others on the machine matter little.
"""

import platform
import statistics
import time
from collections import Counter
from collections.abc import Callable

import numpy as np

from anysleep.analysis.traits.forests import draw_settings, grow_forest, predict_blocks
from anysleep.analysis.traits.transitions import BLOCK_EPOCHS, count_triplets

N_NIGHTS, N_BLOCKS_EACH, N_REPETITIONS, N_RESOLUTIONS, N_CORES = 80, 5, 50, 14, 2
QUICK_FOLDS, QUICK_REPETITIONS = 10, 10


def seconds(work: Callable[[], object], repeats: int = 5) -> float:
    times = []
    for _ in range(repeats):
        began = time.process_time()
        work()
        times.append(time.process_time() - began)
    return statistics.median(times)


def night(n_epochs: int, r: int) -> tuple[np.ndarray, np.ndarray]:
    """Stages at resolution `r` that flicker, and those of the epochs."""
    random = np.random.default_rng(0)
    per_epoch = np.repeat(random.integers(0, 5, n_epochs // 6), 6).astype(np.int8)
    flickers = random.random(n_epochs * r) < 0.05
    return np.where(flickers, random.integers(0, 5, n_epochs * r), np.repeat(per_epoch, r)).astype(np.int8), per_epoch


def count_by_loop(hypnogram: np.ndarray, r: int, per_epoch: np.ndarray) -> list[Counter]:
    """The same counts, one prediction after the other."""
    asleep = np.flatnonzero(per_epoch)
    first, last, length = asleep[0] * r, asleep[-1] * r, BLOCK_EPOCHS * r
    blocks = []
    for begin in range(first, last, length):
        block = hypnogram[begin : min(begin + length, last)].tolist()
        triplets = zip(block, block[1:], block[2:], strict=False)
        blocks.append(Counter((a, b, c) for a, b, c in triplets if a != b and b != c))
    return blocks


def bench_triplets() -> None:
    print("| triplets of a night of 8 h | loop, s | workbook, s | ratio |\n|---|--:|--:|--:|")
    for r in (128, 3840):
        hypnogram, per_epoch = night(960, r)
        loop = seconds(lambda r=r, h=hypnogram, e=per_epoch: count_by_loop(h, r, e), repeats=1)
        ours = seconds(lambda r=r, h=hypnogram, e=per_epoch: count_triplets(h, r, e))
        print(f"| {r} predictions an epoch | {loop:.3f} | {ours:.4f} | {loop / ours:.0f} |", flush=True)


def one_forest(is_class: bool) -> float:
    """Growing it on the blocks of a cohort and telling one night; the mean over settings as a study draws them."""
    random = np.random.default_rng(0)
    n = N_NIGHTS * N_BLOCKS_EACH
    blocks = random.poisson(random.gamma(0.4, 8, 80), (n, 80)).astype(np.float32)
    targets = (random.random(n) < 0.3).astype(float) if is_class else random.uniform(20, 80, n)
    times = []
    for seed in range(10):
        settings = draw_settings(random)
        work = lambda s=settings, i=seed: predict_blocks(grow_forest(blocks, targets, is_class, s, i), blocks[:5])  # noqa: E731
        times.append(seconds(work, repeats=1))
    return statistics.mean(times)


def bench_forests() -> None:
    full = N_NIGHTS * N_REPETITIONS * N_RESOLUTIONS
    quick = QUICK_FOLDS * QUICK_REPETITIONS * N_RESOLUTIONS
    print(f"\n| forest of 200 trees | s | {full} on {N_CORES} cores, h | {quick}, min |\n|---|--:|--:|--:|")
    for name, is_class in (("classes", True), ("age", False)):
        one = one_forest(is_class)
        print(
            f"| {name} | {one:.3f} | {full * one / N_CORES / 3600:.2f} | {quick * one / N_CORES / 60:.1f} |", flush=True
        )


if __name__ == "__main__":
    print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}\n")
    bench_triplets()
    bench_forests()

"""`make bench`: preparing one night for the archive, against the plain way. Prints one table.

The plain way reads the whole file, resamples the block, takes percentiles and writes, as a page of scipy would. Both
run in processes of their own, in turn, on one core; times are medians, memory is what the process added at its peak.
"""

import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HOURS, N_CHANNELS, RATE_HZ, TARGET_HZ = 8, 8, 256, 128
REPEATS = 5


def write_recording(path: Path) -> None:
    """EDF+ of pink-ish noise with a hypnogram."""
    import edfio
    import numpy as np

    rng = np.random.default_rng(0)
    signals = [
        edfio.EdfSignal(
            30 * rng.standard_normal(HOURS * 3600 * RATE_HZ), RATE_HZ, label=f"EEG {name}", physical_dimension="uV",
            physical_range=(-500, 500),
        )
        for name in ("F3-M2", "F4-M1", "C3-M2", "C4-M1", "O1-M2", "O2-M1", "Fz-M2", "Cz-M2")
    ]  # fmt: skip
    stages = [edfio.EdfAnnotation(30 * i, 30, "Sleep stage N2") for i in range(HOURS * 120)]
    edfio.Edf(signals, annotations=stages).write(path)


def plain(source: Path, target: Path) -> None:
    """Everything at once."""
    import edfio
    import h5py
    import numpy as np
    from scipy.signal import resample_poly

    edf = edfio.read_edf(source)
    signals = np.stack([signal.data for signal in edf.signals])
    resampled = resample_poly(signals, TARGET_HZ, RATE_HZ, axis=1)
    first, median, third = np.percentile(resampled, [25, 50, 75], axis=1, keepdims=True)
    scaled = np.clip((resampled - median) / (third - first), -20, 20).astype(np.float32)
    with h5py.File(target, "w") as file:
        for signal, row in zip(edf.signals, scaled, strict=True):
            file[f"night/PSG/{signal.label.removeprefix('EEG ')}"] = row


def ours(source: Path, target: Path) -> None:
    """`prepare_night`: it also checks the file, examines every channel, and writes labels, hashes and provenance."""
    from anysleep.datasets.night import NightJob, prepare_night, source_sha256
    from anysleep.datasets.recipes import Recipe

    settings = {"dataset": "bench", "source": "made here", "files": ["*.edf"], "name": ".", "subject": ""}
    recipe = Recipe(**settings, recording="night", channels="by_name", labels={"reader": "own"})
    job = NightJob(source, recipe, {"stem": source.stem}, None, None, TARGET_HZ)
    prepare_night(job, source_sha256(source), target)


def write_big_night(path: Path) -> None:
    """10 h, 20 channels, 512 Hz: 737 MB of EDF+."""
    import edfio
    import numpy as np

    samples = np.random.default_rng(0).integers(-3000, 3000, 10 * 3600 * 512).astype(np.int16)
    settings = {"physical_dimension": "uV", "physical_range": (-500, 500)}
    sites = "F3 F4 C3 C4 O1 O2 Fz Cz Pz Oz P3 P4 T3 T4 T5 T6 F7 F8 Fp1 Fp2".split()
    signals = [
        edfio.EdfSignal.from_digital(np.roll(samples, 999 * i), 512, label=f"EEG {site}-M2", **settings)
        for i, site in enumerate(sites)
    ]
    edfio.Edf(signals, annotations=[]).write(path)


def peak_mb() -> float:
    """Most memory this process has held; not that of its parent, which `ru_maxrss` of Linux includes."""
    status = Path("/proc/self/status")
    if status.is_file():
        return float(status.read_text().partition("VmHWM:")[2].split()[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(way: str, source: Path, target: Path) -> None:
    """In a process of its own; what is imported beforehand counts as the interpreter, not as the work."""
    import edfio  # noqa: F401
    import h5py  # noqa: F401
    import scipy.signal  # noqa: F401

    import anysleep.datasets.night  # noqa: F401

    work = {"plain": plain, "ours": ours}[way]
    before = peak_mb()
    began = time.process_time()
    work(source, target)
    seconds = time.process_time() - began
    print(json.dumps([seconds, peak_mb() - before, peak_mb()]))


def main() -> None:
    import h5py
    import numpy as np

    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "night.edf"
        write_recording(source)
        results: dict[str, list[list[float]]] = {"plain": [], "ours": []}
        for _ in range(REPEATS):
            for way, found in results.items():
                command = [sys.executable, __file__, way, str(source), f"{folder}/{way}.h5"]
                found.append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
        big = Path(folder) / "big.edf"
        write_big_night(big)
        command = [sys.executable, __file__, "ours", str(big), f"{folder}/big.h5"]
        big_night = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        with h5py.File(f"{folder}/plain.h5") as one, h5py.File(f"{folder}/ours.h5") as other:
            channels = list(one["night/PSG"])
            difference = max(np.abs(one[f"night/PSG/{c}"][:] - other[f"night/PSG/{c}"][:]).max() for c in channels)
    seconds, memory = ({way: statistics.median(r[i] for r in found) for way, found in results.items()} for i in (0, 1))
    print(f"{HOURS} h, {N_CHANNELS} channels, {RATE_HZ} to {TARGET_HZ} Hz; largest difference {difference:g}\n")
    print("| way | CPU seconds | peak MB added |\n|:----|------------:|--------------:|")
    for way in results:
        print(f"| {way} | {seconds[way]:.2f} | {memory[way]:.0f} |")
    print(f"| plain / ours | {seconds['plain'] / seconds['ours']:.2f} | {memory['plain'] / memory['ours']:.2f} |\n")
    print(f"10 h, 20 channels, 512 Hz: {big_night[0]:.1f} CPU seconds; the process held {big_night[2]:.0f} MB at most")


if __name__ == "__main__":
    measure(sys.argv[1], *map(Path, sys.argv[2:])) if len(sys.argv) > 1 else main()

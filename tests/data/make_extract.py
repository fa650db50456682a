"""Make parity.npz, the small extract of the parity numbers that every clone tests against.

    python tests/data/make_extract.py ../shared/parity

The numbers come from an independent implementation of the published system; this script only chooses and packs them.
"""

import json
import sys
from pathlib import Path

import numpy as np

LOGITS = ("f1/b2_e4_c2", "f4/b1_e3_c5", "f4/b1_e3_c2", "f128/b1_e3_c2", "f1/b1_e35_c3", "f1/b1_e35_c2")
THIN = 16
"""Of preprocessed signals every 16th sample is kept."""


def make_extract(parity: Path) -> dict[str, np.ndarray]:
    """Key -> array of everything in the extract."""
    models = np.load(parity / "models.npz")
    extract = {f"logits/{key}": models[key] for key in models if key.split("/", 1)[1] in LOGITS}
    extract["attention/anysleep/b2_e4_c5"] = models["anysleep/attention/b2_e4_c5"]

    shapes = json.loads((parity / "state_dict_keys.json").read_text())
    extract["state_dict_keys"] = np.frombuffer(json.dumps(shapes).encode(), dtype=np.uint8)

    preprocessing = np.load(parity / "preprocessing.npz")
    extract["preprocessing/100/volts"] = preprocessing["100/volts"][2:]  # the channel with a large offset
    for order in ("scaled_then_clipped", "clipped_then_scaled"):
        extract[f"preprocessing/100/{order}"] = preprocessing[f"100/{order}"][2:, ::THIN]

    high_frequency = np.load(parity / "high_frequency.npz")
    return extract | {f"high_frequency/{key}": high_frequency[key] for key in high_frequency}


if __name__ == "__main__":
    target = Path(__file__).with_name("parity.npz")
    np.savez_compressed(target, **make_extract(Path(sys.argv[1])))
    print(f"{target}: {target.stat().st_size / 1e3:.0f} kB")

"""The network that is shipped: small, for any channels, and it says what it is."""

import numpy as np
import pytest

from anysleep.evaluation.evaluate import check_synthetic_training
from anysleep.inference import stage_recording
from anysleep.models import bundled
from anysleep.models.checkpoints import bundle, bundled_file
from anysleep.stages import N3, REM
from anysleep.synthetic import draw_persons, simulate_night


def test_it_is_small_and_says_what_it_is(tmp_path):
    assert bundled_file().stat().st_size < 1.5e6
    with pytest.warns(UserWarning, match="trained on synthetic nights alone; .* docs/bundled_network.md"):
        model = bundled("anysleep-synthetic")
        check_synthetic_training(model, all_synthetic=False)  # it may judge real nights: they were tried
    assert (model.name, model.sampling_rate_hz, model.provenance["synthetic"]) == ("anysleep", 128, True)
    again = bundle(bundled_file(), tmp_path / "again.pth")
    assert again.read_bytes() == bundled_file().read_bytes()
    with pytest.raises(ValueError, match="no bundled network 'usleep'; there is anysleep-synthetic"):
        bundled("usleep")


@pytest.mark.filterwarnings("ignore:this network was trained on synthetic")
@pytest.mark.parametrize("channels", [("C3-M2",), ("F4-M1", "O1-M2", "E1-M2", "E2-M2")])
def test_it_stages_a_person_it_has_not_seen_from_any_channels(channels):
    from anysleep.data import preprocess

    night = simulate_night(draw_persons(1, 777)[0], hours=3.0, seed=777)
    picked = [night.channels.index(name) for name in channels]
    signals = preprocess(night.signals_uv[picked], [night.rate_hz] * len(picked), 128)
    predicted = stage_recording(bundled(), signals).hypnogram(1)
    assert np.mean(predicted == night.hypnogram) > 0.6
    assert np.mean(predicted[night.hypnogram == N3] == N3) > 0.6 or REM in predicted

"""What other code imports: staging a night, every resolution and every montage from one pass."""

from anysleep.staging.devices import choose_device
from anysleep.staging.stage import Staging, stage_montages, stage_recording

__all__ = ["Staging", "choose_device", "stage_montages", "stage_recording"]

"""Staging nights with a trained network: every resolution and every montage from one pass."""

from anysleep.inference.devices import check_device, choose_device
from anysleep.inference.forecast import Forecast, forecast_staging
from anysleep.inference.staging import Staging, default_montages, stage_montages, stage_recording
from anysleep.inference.votes import Vote, majority_vote, mean_log_probabilities, softmax, vote_stages
from anysleep.settings import Precision

__all__ = [
    "Forecast",
    "Precision",
    "Staging",
    "Vote",
    "check_device",
    "choose_device",
    "default_montages",
    "forecast_staging",
    "majority_vote",
    "mean_log_probabilities",
    "softmax",
    "stage_montages",
    "stage_recording",
    "vote_stages",
]

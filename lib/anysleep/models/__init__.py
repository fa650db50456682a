"""The networks and their checkpoints. Needs torch and numpy, nothing else."""

from anysleep.models.bundled import bundled
from anysleep.models.checkpoints import fetch_checkpoint, load_checkpoint, save_checkpoint
from anysleep.models.networks import ARCHITECTURES, SleepNetwork, build_model, unet_filters

"""The networks and their checkpoints. Needs torch and numpy, nothing else."""

from anysleep.models.checkpoints import bundled, fetch_checkpoint, load_checkpoint, save_checkpoint
from anysleep.models.networks import ARCHITECTURES, SleepNetwork, build_model, unet_filters

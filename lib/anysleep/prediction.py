"""What other code imports: the channels of a recording to stage, as the montage doctor chooses them."""

from anysleep.staging.sources import pick_channels

__all__ = ["pick_channels"]

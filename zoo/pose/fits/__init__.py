"""How an image is brought to a size that the network takes: the fits that `preprocess.fit` may name."""

from zoo.pose.fits.height import Height
from zoo.pose.fits.stretch import Stretch

Fit = Height | Stretch

__all__ = ["Fit", "Height", "Stretch"]

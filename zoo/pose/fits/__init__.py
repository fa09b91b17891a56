"""How an image is brought to a size that the network takes: the fits that `preprocess.fit` may name."""

from zoo.pose.fits.height import Height
from zoo.pose.fits.letterbox import Letterbox
from zoo.pose.fits.stretch import Stretch

Fit = Height | Letterbox | Stretch

__all__ = ["Fit", "Height", "Letterbox", "Stretch"]

"""How an image is brought to a size that the network takes: the fits that `preprocess.fit` may name."""

from zoo.pose.fits.box import Box
from zoo.pose.fits.height import Height
from zoo.pose.fits.letterbox import Letterbox
from zoo.pose.fits.stretch import Stretch

Fit = Box | Height | Letterbox | Stretch

__all__ = ["Box", "Fit", "Height", "Letterbox", "Stretch"]

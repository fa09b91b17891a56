"""How an image is brought to a size that the network takes: the fits that `preprocess.fit` may name."""

from zoo.pose.fits.box import Box
from zoo.pose.fits.height import Height
from zoo.pose.fits.letterbox import Letterbox
from zoo.pose.fits.short_side import ShortSide
from zoo.pose.fits.stretch import Stretch

Fit = Box | Height | Letterbox | ShortSide | Stretch

__all__ = ["Box", "Fit", "Height", "Letterbox", "ShortSide", "Stretch"]

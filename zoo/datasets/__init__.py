"""Images to evaluate on, to calibrate with, to try: folders, COCO trees, photographs that are fetched."""

from zoo.datasets.coco import Coco
from zoo.datasets.folder import Folder
from zoo.datasets.images import BadAnnotations, BadImage, Images, Sample, overlap
from zoo.datasets.photos import Photos

Dataset = Coco | Folder | Photos

__all__ = ["BadAnnotations", "BadImage", "Coco", "Dataset", "Folder", "Images", "Photos", "Sample", "overlap"]

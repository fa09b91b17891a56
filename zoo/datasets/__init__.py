"""Images to learn from, to evaluate on, to calibrate with: folders, COCO trees, photographs that are fetched, drawn people."""

from zoo.datasets.coco import Coco
from zoo.datasets.folder import Folder
from zoo.datasets.images import BadAnnotations, BadImage, Images, Sample, overlap
from zoo.datasets.photos import Photos
from zoo.datasets.stick_people import StickPeople

Dataset = Coco | Folder | Photos | StickPeople
#: those whose images an action makes
Made = Photos | StickPeople

__all__ = ["BadAnnotations", "BadImage", "Coco", "Dataset", "Folder", "Images", "Made", "Photos", "Sample", "StickPeople", "overlap"]

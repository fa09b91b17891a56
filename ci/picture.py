"""Draw what openpose_mobilenet finds in the three photographs: `python ci/picture.py FOLDER` writes FOLDER/<photo>.png."""

import sys
from pathlib import Path

import cv2

from zoo import api
from zoo.errors import ZooError
from zoo.pose.draw import draw


def main(out: Path) -> None:
    """Run the FP32 model on every photograph and write the pictures."""
    out.mkdir(parents=True, exist_ok=True)
    with api.load("openpose_mobilenet", "onnxruntime-fp32") as model:
        for name, image in api.images("photos"):
            poses = model(image)
            path = out / Path(name).with_suffix(".png")
            if not cv2.imwrite(str(path), draw(image, poses, model.skeleton)):
                raise ZooError(f"cannot write {path}", "is the disk full?")
            print(f"{path}: {len(poses)} found")


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]))
    except ZooError as error:
        sys.exit(f"{error}")

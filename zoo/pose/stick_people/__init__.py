"""Scenes of drawn, clothed people whose keypoints are known exactly: what needs photographs with labels can be tried anywhere.

Arrays only: `draw` (scene.py) gives an image and its people, `coco_annotations` (coco.py) says them in COCO's words. A scene depends on the
generator's version, a seed, its number and a `Drawing`, and on nothing else. `pose.py` says how a body stands, `body.py` where its
joints are, `figure.py` of which shapes it is made, `clothes.py` in which colours, `paint.py` makes pixels of it, `surroundings.py`
what is behind and before it.
"""

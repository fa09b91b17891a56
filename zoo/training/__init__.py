"""How networks are trained: what a recipe declares under `train:`, and what carries it out.

`train.py` is the declaration; `labels.py` chooses who is learnt from, `masks.py` what is not scored, `targets.py` draws what the
network is to say, `examples.py` makes the tensors, `loop.py` runs the steps.
"""

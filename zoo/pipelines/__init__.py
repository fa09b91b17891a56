"""Pipelines: images in, poses out, whatever networks stand between."""

"""Poses as arrays: NumPy and cv2 only. No files, no YAML, no torch, no runtimes."""

"""Moving pictures: files, cameras and streams in, MP4 out. PyAV reads and writes them, and nothing else does."""

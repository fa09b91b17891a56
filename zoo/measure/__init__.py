"""Times and memory, measured so that they can be believed."""

"""Other zoos' files: written from recipes."""

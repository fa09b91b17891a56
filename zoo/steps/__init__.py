"""One kind of work a file: thin, its fields the whole of what it depends on."""

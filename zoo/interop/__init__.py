"""Other zoos' files: written from recipes, read as far as they go, judged, and made into recipes.

| to read | file |
|---|---|
| what Vastai's tools need of a target | emit.py |
| vamc's `process_ops`, strictly | process_ops.py |
| a file with positions | opening.py |
| a tolerant look into any document | cursor.py |
| what a file says of the network's input | described.py |
| one format each | foreign/ |
| what is wrong with files and pairs of files | audit/ |
| recipes made from them | imports/ |
"""

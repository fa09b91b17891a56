"""The networks themselves: PyTorch modules, imported only by the methods of their records."""

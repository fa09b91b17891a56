"""Recipes and the workspace: what is declared, and whether it can be true."""

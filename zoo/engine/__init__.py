"""Actions, their cache and their execution."""

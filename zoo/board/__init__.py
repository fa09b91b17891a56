"""Results become rows, rows become tables, tables become text. Pure: only `results.load` reads files."""

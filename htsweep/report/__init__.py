"""Draws tables: figures, text, files. `pareto.pareto`, `text.report` and `export.export` are what commands call."""

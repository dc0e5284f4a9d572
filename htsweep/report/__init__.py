"""Draws tables: page, text, figures, notebooks. Commands call the functions of `build`."""

"""Checks of a study: each module lists the mistakes in one part of it."""

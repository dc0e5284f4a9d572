"""Runs what a launch has left to do: one agenda, and executors that all keep the same contract."""

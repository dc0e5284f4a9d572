"""What to run: turns a study into a `Plan` of sweeps, points, trials and stages; pure functions."""

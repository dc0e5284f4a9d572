"""What to run: a study comes in, a `Plan` of sweeps, points, trials and stages goes out. Pure."""

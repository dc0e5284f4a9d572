"""Running what is to do: one agenda, two executors (this process, or Ray) with the same contract."""

"""A model, its state, and files that hold it, for the tests of checkpoints."""

import torch


def saved(tmp_path):
    """Saves something under a name; the file."""

    def save(value, name="w.pth", **options):
        torch.save(value, tmp_path / name, **options)
        return tmp_path / name

    return save


def under(prefix, state):
    return {f"{prefix}{name}": tensor for name, tensor in state.items()}


def equal(fit, state):
    return fit.state.keys() == state.keys() and all(
        torch.equal(fit.state[name], tensor) for name, tensor in state.items()
    )

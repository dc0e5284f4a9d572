"""Tasks whose measurements an earlier version took, and should not have; tests/golden/older holds what it left of them."""


def other(config, workspace):
    yield {"step": 0, "validation/accuracy": 0.25}
    yield {"step": 1, "validation/accuracy": 0.5}


def lists(config, workspace):
    yield {"step": 0, "validation/accuracy": 0.5, "per_class": [0.1, 0.9]}


def numbers(config, workspace):
    yield {"step": 0, "validation/accuracy": 0.5, "per_class": 0.5}


def named(config, workspace):
    yield {"step": 0, "validation/accuracy": 0.5, config["name"]: 1.5}


def odd(config, workspace):
    yield {
        "step": 0,
        "validation/accuracy": 0.5,
        "": 1.0,
        "a\nb": 2.0,
        'q"uote': 3.0,
        "Loss": 4.0,
        "loss": 5.0,
        "a.b/c d": 6.0,
        "\u00e9": 7.0,
        "x[]": 8.0,
        "self": 9.0,
    }

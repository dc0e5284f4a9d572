"""The outputs of a model on many images, in chunks that fit."""

import pytest
import torch

from tasks import evaluation

IMAGES = torch.arange(700.0).reshape(700, 1, 1, 1)


class Small:
    """A model that runs out of memory on more than `most` images, and counts its calls."""

    def __init__(self, most):
        self.most, self.sizes = most, []

    def __call__(self, images):
        self.sizes.append(len(images))
        if len(images) > self.most:
            raise torch.OutOfMemoryError
        return images[:, 0, 0], images[:, 0, 0] * 2


@pytest.mark.parametrize(
    ("most", "sizes"),
    [
        (1000, [256, 256, 188]),
        (100, [256, 128, *[64] * 10, 60]),
        (200, [256, *[128] * 5, 60]),
    ],
)
def test_chunks_are_halved_until_they_fit_and_no_image_is_lost(most, sizes):
    model = Small(most)
    features, logits = evaluation.outputs(model, IMAGES, "cpu")
    assert features[:, 0].tolist() == list(range(700))
    assert logits[:, 0].tolist() == list(range(0, 1400, 2))
    assert model.sizes == sizes


def test_a_single_image_that_does_not_fit_is_an_error():
    with pytest.raises(torch.OutOfMemoryError):
        evaluation.outputs(Small(0), IMAGES, "cpu")

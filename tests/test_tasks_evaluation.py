"""The outputs of a model on many images, in chunks that fit."""

import pytest
import torch

from tasks import backbones, evaluation

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


@pytest.mark.parametrize(
    ("side", "device", "most"),
    [(16, "cpu", 256), (32, "cpu", 256), (64, "cpu", 64), (224, "cpu", 16), (224, "cuda:0", 256)],
)
def test_large_images_go_through_the_cpu_in_smaller_chunks(side, device, most):
    assert evaluation.chunk_of((1000, 3, side, side), device) == most


def test_the_chunk_changes_outputs_by_no_more_than_rounding():
    torch.manual_seed(0)
    images = torch.randint(0, 256, (70, 3, 64, 64), dtype=torch.uint8)
    model = backbones.build("lenet_bn", 3, 64, 10).eval()
    with torch.inference_mode():
        whole = model(images)[1].numpy()
    logits = evaluation.outputs(model, images, "cpu")[1]
    assert logits == pytest.approx(whole, rel=1e-5, abs=1e-6)

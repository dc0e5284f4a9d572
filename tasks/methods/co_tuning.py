"""Co-Tuning: also trains the source's head, by a relation of its classes to the labels.

You et al., NeurIPS 2020.
"""

from __future__ import annotations

import copy
import warnings
from typing import TYPE_CHECKING, Annotated

from tasks.methods.method import Choices, Later, Learnt, Method, Range, View

if TYPE_CHECKING:
    from numpy import ndarray
    from torch import Tensor, nn

    from tasks.model import Model
    from tasks.transfer import Transfer

INVERSE_PENALTIES = (
    1e4,
    3e3,
    1e3,
    3e2,
    1e2,
    3e1,
    1e1,
    3.0,
    1.0,
    0.3,
    0.1,
    3e-2,
    1e-2,
    3e-3,
    1e-3,
    3e-4,
    1e-4,
)
"""The values of C that the released code tries in its logistic regression, in its order."""
SCALES = (1e-2, 1e2)
"""Bounds on the target's calibration: without errors on its images it has no finite optimum."""
CHUNK = 256


def co_tuning(
    weight: Annotated[float, Range(0, 1e4)] = 2.3,
    relationship: Annotated[str, Choices(("reverse", "direct")), Learnt()] = "reverse",
    calibration: Annotated[float, Range(1e-2, 1e2), Learnt()] = 1.0,
    temperature: Annotated[
        str, Choices(("given", "fitted"), needs={"fitted": "source_validation"}), Learnt(), Later()
    ] = "given",
) -> Method:
    """Also trains the source's head, on soft labels that relate its classes to the target's.

    Adds -weight mean_i sum_j R[y_i, j] log softmax(head_s(z_i))_j for the student's features z_i,
    [B, width]. head_s is a copy of the source's head that trains with the student, at the
    backbone's rate; only the student's own head is measured. R [target classes, source classes] is
    learnt beforehand from the source's probabilities q(x) = softmax(calibration g0(x)) on the
    target's training and validation images:

    direct: R[t] = mean of q over the images with label t.
    reverse: R[t, j] = p(t|j) p(j) / sum_j p(t|j) p(j), where p(j) = mean of q and p(t|j) = softmax
        over t of s V[t, j]. V is a logistic regression of the label on q without intercept; its C
        is the first in the grid with the highest validation accuracy, and s minimises the negative
        log likelihood on validation images.

    Weight 2.3 and both relationships are those of the released code. Its calibration, 0.884, is for
    torchvision's ResNet-50, and was fitted on source validation data, as the paper says; `fitted`
    does that for the source model at hand: it minimises the negative log likelihood on the images
    held out of source training, and `calibration` has no effect. By default it is 1.

    The row of a target class without images is zero, which adds nothing; in `reverse` also if the
    class has validation images only. Without validation images the training images replace them,
    and C and s become too large.

    Args:
        weight: factor of the term.
        relationship: how the source's classes given a label are found: Bayes' rule or a mean.
        calibration: inverse temperature of the source's probabilities; 0.884 for ResNet-50.
        temperature: whether that is given, or fitted on images held out of source training, as in
            the paper.
    """

    def learn(transfer: Transfer) -> tuple[dict[str, Tensor], dict[str, float]]:
        import numpy as np
        from torch import from_numpy

        scale = calibration if temperature == "given" else _fitted(transfer)
        (train, labels), (held, held_labels) = (
            _probabilities(transfer, rows, scale) for rows in (transfer.train, transfer.validation)
        )
        if relationship == "reverse":
            relation, measured = reverse(train, labels, held, held_labels, classes=transfer.classes)
        else:
            relation = direct(
                np.concatenate([train, held]),
                np.concatenate([labels, held_labels]),
                transfer.classes,
            )
            measured = {}
        if temperature == "fitted":
            measured |= {"calibration": scale}
        return {"relationship": from_numpy(relation).float()}, measured

    def prepare(
        student: Model, transfer: Transfer, learnt: dict[str, Tensor]
    ) -> tuple[Tensor, nn.Module]:
        assert transfer.source is not None
        head = copy.deepcopy(transfer.source.head).requires_grad_(True)
        relation, expected = (
            tuple(learnt["relationship"].shape),
            (transfer.classes, head.out_features),
        )
        if relation != expected:
            raise ValueError(
                f"the relationship has the shape {relation}, but it must be {expected}: a row for "
                f"each of the target's {expected[0]} classes, a column for each of the source's "
                f"{expected[1]}"
            )
        return learnt["relationship"].to(head.weight), head

    def penalty(view: View, ready: tuple[Tensor, nn.Module]) -> Tensor:
        related, head = ready
        log_p: Tensor = head(view.features).log_softmax(1)
        return -weight * (related[view.labels] * log_p).sum(1).mean()

    return Method(
        learn=learn,
        prepare=prepare,
        penalty=penalty,
        needs=frozenset({"source_head"}),
        reads_labels=True,
        measures=("classifier_c", "classifier_accuracy", "scale", "calibration"),
    )


def direct(probabilities: ndarray, labels: ndarray, classes: int) -> ndarray:
    """R [classes, source classes]: the mean `probabilities` [N, source classes] of each label."""
    import numpy as np

    relationship = np.zeros((classes, probabilities.shape[1]))
    for index in np.unique(labels):
        relationship[index] = probabilities[labels == index].mean(0)
    return relationship


def reverse(
    train: ndarray, labels: ndarray, held: ndarray, held_labels: ndarray, *, classes: int
) -> tuple[ndarray, dict[str, float]]:
    """R [classes, source classes] from p(label | source class), and the values chosen for it.

    Args:
        train: the source's probabilities on the training images, [N, source classes].
        labels: the labels of the training images, [N].
        held: the source's probabilities on held-out images; may be empty.
        held_labels: the labels of the held-out images.
        classes: the number of target classes.
    """
    import numpy as np
    from scipy.optimize import minimize_scalar
    from scipy.special import log_softmax, softmax

    marginal = np.concatenate([train, held]).mean(0)
    present = np.unique(labels)
    known = np.isin(held_labels, present)  # the regression has no other classes
    held, held_labels = (held[known], held_labels[known]) if known.any() else (train, labels)
    answers = np.searchsorted(present, held_labels)
    chosen, accuracy, votes = 0.0, -1.0, np.zeros((1, train.shape[1]))
    for inverse_penalty in INVERSE_PENALTIES if len(present) > 1 else ():
        probabilities_found = _regression(train, labels, inverse_penalty)
        right = float(((held @ probabilities_found.T).argmax(1) == answers).mean())
        if right > accuracy:
            chosen, accuracy, votes = inverse_penalty, right, probabilities_found
    logits = held @ votes.T

    def surprise(exponent: float) -> float:
        return -float(
            log_softmax(np.exp(exponent) * logits, axis=1)[np.arange(len(answers)), answers].mean()
        )

    scale = (
        float(np.exp(minimize_scalar(surprise, bounds=np.log(SCALES), method="bounded").x))
        if chosen
        else 1.0
    )
    with np.errstate(divide="ignore"):  # a source class of zero probability gets no relation
        joint = log_softmax(scale * votes, axis=0) + np.log(marginal)
    related = np.zeros((classes, train.shape[1]))
    related[present] = softmax(joint, axis=1)
    measured = (
        {"classifier_c": chosen, "classifier_accuracy": accuracy, "scale": scale} if chosen else {}
    )
    return related, measured


def _regression(train: ndarray, labels: ndarray, inverse_penalty: float) -> ndarray:
    """Weights of a logistic regression without intercept, [classes in `labels`, source classes]."""
    import numpy as np
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    regression = LogisticRegression(C=inverse_penalty, fit_intercept=False)
    with warnings.catch_warnings():
        # Stop after the solver's 100 steps, as the released code does: with little penalty the
        # weights may grow without bound.
        warnings.simplefilter("ignore", ConvergenceWarning)
        weights = regression.fit(train, labels).coef_
    # For two classes, scikit-learn returns the weights of the second only.
    return weights if len(weights) > 1 else np.concatenate([0 * weights, weights])


def _fitted(transfer: Transfer) -> float:
    """The inverse temperature of least negative log likelihood on images held out of the source."""
    import numpy as np
    from scipy.optimize import minimize_scalar
    from torch import cat, no_grad
    from torch.nn.functional import cross_entropy

    images, labels = (None, None) if transfer.held_source is None else transfer.held_source()
    if images is None or labels is None or not len(images):
        raise ValueError(
            "co_tuning.temperature 'fitted' needs images held out of source training, but there "
            "are none; give source_validation above 0, or take 'given'"
        )
    with no_grad():
        batches = images.split(CHUNK)
        logits = cat(
            [transfer.source_model(batch.to(transfer.device))[1].cpu() for batch in batches]
        ).double()

    def surprise(exponent: float) -> float:
        return float(cross_entropy(float(np.exp(exponent)) * logits, labels))

    found = minimize_scalar(surprise, bounds=np.log(SCALES), method="bounded")
    return float(np.exp(found.x))


def _probabilities(transfer: Transfer, rows: Tensor, calibration: float) -> tuple[ndarray, ndarray]:
    """The source's calibrated probabilities at `rows`, [N, source classes], and the labels, [N]."""
    from torch import cat, no_grad

    assert transfer.source is not None
    assert not transfer.source.training, "in train mode the probabilities would follow the batches"
    with no_grad():
        # `cat` needs a tensor even if there are no rows.
        logits = [transfer.source.head.weight.new_zeros(0, transfer.source.head.out_features)]
        logits += [
            transfer.source(transfer.take(rows[start : start + CHUNK])[0])[1]
            for start in range(0, len(rows), CHUNK)
        ]
        probabilities = (calibration * cat(logits).double()).softmax(1)
    return probabilities.cpu().numpy(), transfer.labels[
        rows.to(transfer.labels.device)
    ].cpu().numpy()

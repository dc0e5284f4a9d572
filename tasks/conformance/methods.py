"""A test suite for methods, ours or a user's own, to subclass in a test file.

    from tasks.conformance import MethodConformance

    class TestEntropy(MethodConformance):
        method = "my_methods:entropy"
        zero = {"my_methods:entropy.weight": 0.0}

pytest collects the subclass. Each check trains a small model for a few steps, in both settings if
the method's `needs` allow it: a target with the source's classes, some of them missing, and one
with classes of its own under a new head.
"""

from __future__ import annotations

import copy
import functools
import gc
import io
import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any
from unittest import SkipTest

import torch
from torch import Tensor

from tasks import methods
from tasks.methods.method import NEEDS, PARTS, Method, chain
from tasks.small_runs import (
    RECIPE,
    SETTINGS,
    State,
    differing,
    first_layer,
    in_double,
    is_attentive,
    near,
    outcome,
    run_of,
    slopes,
    source_of,
    source_passes,
    tensors_of,
    trained,
    weights_of,
)


class MethodConformance:
    """The rules for methods: subclass it with a method's name, and pytest runs its tests."""

    method: str = "plain"
    """A name as in a study: `l2sp`, `my_methods:entropy`, or a chain `a+b`."""
    parameters: Mapping[str, Any] = {}
    """Parameters that the checks use instead of the method's defaults."""
    zero: Mapping[str, Any] | None = None
    """Parameters that switch the method off; None if there are none."""
    runs_source: bool | None = None
    """Whether its training steps run the source model; None: not checked."""
    stops_gradient: str = ""
    """What its loss treats as constant on purpose, so that the gradient is not the derivative.

    Empty if the gradient is the derivative. """

    def test_zero_parameters_are_plain_training(self) -> None:
        """With the parameters in `zero`, the weights are bitwise those of plain fine-tuning."""
        if self.zero is None:
            raise SkipTest("nothing switches it off")
        for setting in self._settings():
            off = self._build(setting, **self.zero)
            recipe = replace(RECIPE, weight_decay=0.0) if off.decays else RECIPE
            plain = Method(frozen=off.frozen, all_classes=off.all_classes)
            wrong = differing(
                *(outcome(trained(run_of(run, setting, recipe))) for run in (off, plain))
            )
            assert not wrong, self._said(
                setting,
                f"with {dict(self.zero)} it is not plain training, bit for bit: {wrong} differ",
                "a weight of zero must multiply the whole term, and nothing else may change; or "
                "let `zero` hold what does so",
            )

    def test_the_gradient_is_the_derivative_of_the_loss(self) -> None:
        """Checks the gradient against finite differences, in float64."""
        if self.stops_gradient or not self._build().gradient:
            raise SkipTest(self.stops_gradient or "it follows no gradient")
        for setting in self._settings():
            with in_double():
                run = trained(run_of(self._build(), setting, dtype=torch.float64))
                # The network has kinks: one direction may cross one, three hardly all do.
                pairs = []
                for direction in range(3):
                    pairs.append(slopes(run, run.batch(run.steps), direction))
                    if _error(pairs[-1]) <= 1e-5:
                        break
            derivative, expected = min(pairs, key=_error)
            assert _error((derivative, expected)) <= 1e-5, self._said(
                setting,
                f"along a random direction the loss rises by {derivative:.9g} after its gradient, "
                f"by {expected:.9g} in fact",
                "look for a detach, a no_grad, an .item() or a cast to float32 on the way to the "
                "loss; where a constant is meant, say which in `stops_gradient`",
            )

    def test_names_seed_everything(self) -> None:
        """Equal seeds give equal results, and another seed gives another result."""
        for setting in self._settings():
            first, again, other = (
                trained(run_of(self._build(), setting, seed=seed)) for seed in (0, 0, 1)
            )
            wrong = differing(outcome(first), outcome(again))
            assert not wrong, self._said(
                setting,
                f"two runs with one seed are not the same: {wrong} differ",
                "draw from a generator seeded by `transfer.seed(name)` or `run.seed(name)`; of the "
                "process's own generators only torch's is seeded, before each epoch",
            )
            assert differing(outcome(first), outcome(other)), self._said(
                setting,
                "another seed gives the same result",
                "train on `run.batch(number)`, which follows from the seed",
            )

    def test_resumed_it_equals_undisturbed(self) -> None:
        """A run resumed from a checkpoint ends bitwise where an undisturbed run ends."""
        for setting in self._settings():
            expected = outcome(trained(run_of(self._build(setting), setting)))
            kept = io.BytesIO()
            torch.save(trained(run_of(self._build(setting), setting), last=1).state(), kept)
            kept.seek(0)
            resumed = run_of(self._build(setting), setting)
            resumed.restore(torch.load(kept, weights_only=True))
            wrong = differing(outcome(trained(resumed, first=1)), expected)
            assert not wrong, self._said(
                setting,
                "a run that goes on from a checkpoint ends elsewhere than an undisturbed one: "
                f"{wrong} differ",
                "keep what changes during training as parameters or buffers of a module that "
                "`prepare` returns, alone or in a tuple: only modules are in checkpoints",
            )

    def test_what_it_learns_may_come_from_a_stage(self) -> None:
        """With learnt tensors from a file, it trains as if it had learnt them by itself."""
        if not methods.learning(methods.canonical(self.method), self.parameters):
            raise SkipTest("it learns nothing beforehand")
        for setting in self._settings():
            given, by_itself = (
                outcome(trained(run_of(method, setting)))
                for method in (self._build(setting), self._build())
            )
            wrong = differing(given, by_itself)
            assert not wrong, self._said(
                setting,
                f"with what a stage has learnt it trains otherwise than by itself: {wrong} differ",
                "let `learn` depend on the transfer and on parameters marked `Learnt()`, and "
                "`prepare` on the student, the transfer and the tensors of `learn`",
            )

    def test_it_reports_what_it_declares(self) -> None:
        """The numbers that `learn` reports are finite and declared in `measures`."""
        names = methods.learning(methods.canonical(self.method), self.parameters)
        if not names:
            raise SkipTest("it learns nothing beforehand")
        for setting in self._settings():
            for name in names:
                method = methods.build(name, self.parameters)
                assert method.learn is not None
                reported = method.learn(run_of(Method(), setting).transfer)[1]
                undeclared = sorted(set(reported) - set(method.measures))
                assert not undeclared, self._said(
                    setting,
                    f"{name} reports {undeclared}, which it does not declare",
                    "name them in `Method(measures=...)`, so that a study can name their columns",
                )
                wrong = [key for key, value in reported.items() if not math.isfinite(value)]
                assert not wrong, self._said(
                    setting,
                    f"{name} reports {wrong} as not finite",
                    "leave out a number that is not defined",
                )

    def test_its_parameters_are_settings(self) -> None:
        """Each parameter has a description and a default within its range."""
        for name in methods.canonical(self.method).split("+"):
            for key, setting in methods.parameters(name).items():
                assert setting.doc, self._said(
                    "any setting",
                    f"the parameter {key} has no line",
                    f"describe it in the docstring: '{key.rpartition('.')[2]}: what it is'",
                )
                assert setting.low is None or setting.low <= setting.default, self._said(
                    "any setting", f"the default of {key} is below its range", "widen the range"
                )
                assert setting.high is None or setting.default <= setting.high, self._said(
                    "any setting", f"the default of {key} is above its range", "widen the range"
                )

    def test_it_works_at_half_precision(self) -> None:
        """The loss and weights stay finite with amp on the CPU."""
        self._stays_finite("at half precision (amp)", recipe=replace(RECIPE, epochs=1, amp=True))

    def test_it_works_with_batches_of_one(self) -> None:
        """The loss and weights stay finite, although a batch of one image has no variance."""
        self._stays_finite(
            "with batches of one image", recipe=replace(RECIPE, epochs=1, batch_size=1)
        )

    def test_it_works_with_a_class_without_images(self) -> None:
        """The loss and weights stay finite if a seen class has no image."""
        self._stays_finite(
            "with a seen class that has no image", recipe=replace(RECIPE, epochs=1), without=(0,)
        )

    def test_only_what_is_not_frozen_moves(self) -> None:
        """Frozen weights and buffers stay, others change, and measuring changes nothing."""
        for setting in self._settings():
            run = run_of(self._build(setting), setting)
            gradient, frozen = run.method.gradient, run.method.frozen
            before = {part: copy.deepcopy(tensors_of(run.student, part)) for part in PARTS}
            trained(run)
            for part in sorted(PARTS):
                weights, buffers = (
                    any(not torch.equal(*pair) for pair in zip(*kind, strict=True))
                    for kind in zip(before[part], tensors_of(run.student, part), strict=True)
                )
                assert not (part in frozen and (weights or buffers)), self._said(
                    setting,
                    f"'{part}' is frozen, but its {'weights' if weights else 'buffers'} moved",
                    "change nothing frozen in `optimise` and `stepped`, and leave the modules' "
                    "modes to the loop",
                )
                assert part in frozen or weights == gradient, self._said(
                    setting,
                    f"'{part}' is not frozen and `gradient` is {gradient}, but it "
                    f"{'moves' if weights else 'stays'}",
                    "name the parts that stay in `frozen`, and set `gradient` to False where no "
                    "weight follows it",
                )
                still = part == "norms" and before[part][1] and not buffers
                assert part in frozen or not still, self._said(
                    setting,
                    "'norms' is not frozen, but batch norm's statistics did not move",
                    "leave the modes of the student's modules to the loop",
                )
            then = copy.deepcopy(run.student.state_dict())
            run.finished()
            assert not differing(run.student.state_dict(), then), self._said(
                setting,
                "measuring changed the model in training",
                "let `finish` change only the copy that it is given",
            )

    def test_the_source_stays_as_it_is(self) -> None:
        """Neither the state of the source model nor its evaluation mode changes."""
        for setting in self._settings():
            run = run_of(self._build(setting), setting)
            source = run.transfer.source_model
            modes: list[bool] = []
            first_layer(source).register_forward_pre_hook(
                lambda layer, _, modes=modes: modes.append(layer.training)
            )
            outcome(trained(run))
            modes += [module.training for module in source.modules()]
            assert not any(modes), self._said(
                setting,
                "the source model was put in train mode, in which it follows the batch's "
                "statistics",
                "leave it in evaluation mode, and look at `view.source_features`, "
                "`view.source_logits`, `view.source_maps`",
            )
            wrong = differing(
                source.state_dict(),
                source_of(setting, is_attentive(run.method)).state_dict(),
            )
            assert not wrong, self._said(
                setting, f"the source model changed: {wrong}", "work on a deepcopy of it"
            )

    def test_the_source_runs_only_where_it_is_looked_at(self) -> None:
        """The source model runs at most once per gradient evaluation, even in a chain."""
        for setting in self._settings():
            total, _ = source_passes(run_of(self._build(setting), setting))
            assert self.runs_source in (None, total > 0), self._said(
                setting,
                f"training ran the source model {total} times, but `runs_source` is "
                f"{self.runs_source}",
                "a forward pass is a third of a step: look at `view.source_...` only where it is "
                "used; or correct `runs_source`",
            )
            looking = [near()] if self._build().gradient else []
            _, most = source_passes(run_of(chain(self._build(setting), *looking), setting))
            assert most <= 1, self._said(
                setting,
                f"one gradient evaluation ran the source model {most} times",
                "look at `view.source_features`, `view.source_logits`, `view.source_maps` in place "
                "of calling `view.source`: all members of a chain share one forward pass then",
            )

    def test_memory_is_given_back(self) -> None:
        """No tensor of a run outlives it, although the method does."""
        for setting in self._settings():
            method = self._build(setting)
            # The first run creates constants that the method caches.
            outcome(trained(run_of(method, setting)))
            gc.freeze()
            try:
                outcome(trained(run_of(method, setting)))
                gc.collect()
                left = [
                    tuple(thing.shape)
                    for thing in gc.get_objects()
                    if issubclass(type(thing), Tensor)
                ]
            finally:
                gc.unfreeze()
            assert not left, self._said(
                setting,
                f"{len(left)} tensors outlive the run, of shapes {left[:5]}",
                "a method outlives its runs: let it hold no tensor of theirs in a closure, a cache "
                "or a module's variable",
            )

    def test_what_acts_after_training_leaves_training_as_it_is(self) -> None:
        """It trains bitwise the weights of plain fine-tuning, so that trials can share them."""
        if not self._build().after_training:
            raise SkipTest("it takes part in training")
        for setting in self._settings():
            runs = (trained(run_of(method, setting)) for method in (self._build(setting), Method()))
            own, plain = ({"student": run.student.state_dict()} for run in runs)
            wrong = [
                name
                for name, value in plain["student"].items()
                if not torch.equal(value, own["student"][name])
            ]
            assert not wrong, self._said(
                setting,
                f"it trains other weights than plain fine-tuning: {', '.join(wrong)} differ",
                "change a copy of the model in `finish`; declare `observes` only where `prepare` "
                "and `stepped` change nothing of the run",
            )

    def test_the_penalty_is_a_finite_scalar(self) -> None:
        """It is finite even at the start, when student and source are equal."""
        if self._build().penalty is None:
            raise SkipTest("it has no penalty")
        for setting in self._settings():
            run = run_of(self._build(setting), setting)
            penalty = run.method.penalty
            assert penalty is not None
            term = penalty(run.view(run.batch(0)), run.prepared)
            assert term.shape == (), self._said(
                setting,
                f"its penalty has the shape {tuple(term.shape)}",
                "return a scalar: a mean or a sum over the batch",
            )
            loss = run.gradient(run.batch(0))
            wrong = [
                value
                for value in (loss, *(weight.grad for weight in weights_of(run)))
                if not _is_finite(value)
            ]
            assert not wrong, self._said(
                setting,
                f"at the start, where student and source are alike, the loss is {loss}, or its "
                "gradient is not finite",
                "look for a square root, a logarithm or a division at zero, and add a small number "
                "there",
            )

    def test_it_commutes_with_another_penalty(self) -> None:
        """The order of a chain's members does not affect training."""
        if not self._build().gradient:
            raise SkipTest("it follows no gradient, so that it chains with no penalty")
        for setting in self._settings():
            with in_double():
                left, right = (
                    outcome(
                        trained(
                            run_of(
                                chain(*order),
                                setting,
                                replace(RECIPE, epochs=1),
                                dtype=torch.float64,
                            )
                        )
                    )
                    for order in ((self._build(), near()), (near(), self._build()))
                )
            wrong = [
                name
                for name in left
                if not name.startswith("prepared") and not torch.allclose(left[name], right[name])
            ]
            assert not wrong, self._said(
                setting,
                f"chained with another penalty, the order of the two matters to {wrong}",
                "let it depend on nothing that another member changes, such as the position of a "
                "generator",
            )

    def _settings(self) -> Iterator[str]:
        """The settings in which the method can run."""
        needs = self._build().needs
        possible = [setting for setting, offers in SETTINGS.items() if needs <= offers]
        assert possible, (
            f"{self.method} needs {sorted(needs)}, which no setting offers; known: "
            f"{', '.join(NEEDS)}"
        )
        return iter(possible)

    def _build(self, setting: str = "", **changed: Any) -> Method:
        """A new instance of the method; with a setting, given what a stage has learnt in it."""
        name, given = methods.canonical(self.method), {**self.parameters, **changed}
        known = [key for member in name.split("+") for key in methods.parameters(member)]
        unknown = sorted(given.keys() - known)
        assert not unknown, (
            f"{name} has no parameter {', '.join(unknown)}; known: {', '.join(known) or 'none'}"
        )
        stages = (
            [
                (
                    member,
                    tuple((key, given[key]) for key in methods.learnt_keys(member) if key in given),
                )
                for member in methods.learning(name, given)
            ]
            if setting
            else []
        )
        return methods.build(
            name,
            given,
            {member: _learnt(member, config, setting, self._needs()) for member, config in stages},
        )

    def _needs(self) -> frozenset[str]:
        return methods.needs(methods.canonical(self.method))

    def _stays_finite(self, when: str, **how: Any) -> None:
        for setting in self._settings():
            run = run_of(self._build("" if "without" in how else setting), setting, **how)
            loss = run.advance(0, run.steps)
            left = outcome(run) | ({} if loss is None else {"loss": loss})
            wrong = [name for name, value in left.items() if not _is_finite(value)]
            assert not wrong, self._said(
                setting,
                f"{when} the loss is {loss}, and not finite are {wrong}",
                "look for a mean over nothing, a variance of one value, a logarithm or a division "
                "at zero",
            )

    def _said(self, setting: str, wrong: str, remedy: str) -> str:
        return f"{self.method}, {setting}: {wrong}.\nRemedy: {remedy}."


@functools.cache
def _learnt(
    name: str, config: tuple[tuple[str, Any], ...], setting: str, needs: frozenset[str]
) -> State:
    """What a member of a chain with these needs learns, read back from a file as of a stage."""
    kept = io.BytesIO()
    learn = methods.build(name, dict(config)).learn
    assert learn is not None, f"{name} learns nothing"
    torch.save(learn(run_of(Method(needs=needs), setting).transfer), kept)
    kept.seek(0)
    tensors: State
    tensors, _ = torch.load(kept, weights_only=True)
    return tensors


def _error(slopes: tuple[float, float]) -> float:
    """How far a derivative is from the expected one, as a share of that."""
    derivative, expected = slopes
    return abs(derivative / expected - 1)


def _is_finite(value: Tensor | None) -> bool:
    return value is None or bool(value.isfinite().all())

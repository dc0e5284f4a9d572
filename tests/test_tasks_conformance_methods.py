"""Every method keeps to the rules, alone and in chains; and the suite that says so can fail."""

import pytest
import torch

from tasks import methods
from tasks.conformance import MethodConformance
from tasks.methods import Method

CHAINS = (
    "l2sp+selective_distillation",
    "frozen_classifier+lolsgd",
    "lolsgd+selective_distillation+wise_ft",
    "l2sp+linear_probe+lolsgd+wise_ft",
    "adapter+adaptformer+swa",
    "bi_tuning+vpt+ema",
    "delta+vpt",
    "test_tasks_methods:entropy",
)
NAMES = [name for name in methods.NAMES if methods.trains(name)]
ZERO = {
    "ema": {"ema.decay": 0.0},
    "delta": {"delta.weight": 0.0, "delta.head": 0.0},
    "l2": {"l2.backbone": 0.0, "l2.head": 0.0},
    "l2sp": {"l2sp.backbone": 0.0, "l2sp.head": 0.0},
    "lp_ft": {"lp_ft.share": 0.0},
    "source_ensemble": {"source_ensemble.alpha": 0.0},
    "stochnorm": {"stochnorm.p": 1.0},
    "swa": {"swa.start": 1.0},
    "tred": {"tred.weight": 0.0, "tred.head": 0.0},
    "wise_ft": {"wise_ft.alpha": 0.0},
}
"""What switches a method off whose parameters are not all weights; of others, `weight` at zero
does.
"""
ALWAYS_ON = {
    "adapter": "it trains other weights",
    "adaptformer": "it trains other weights",
    "bn_statistics": "it takes no gradient step",
    "local_sgd": "it averages local runs",
    "lora": "it trains other weights",
    "lolsgd": "it averages local runs",
    "vpt": "it trains other weights",
}
"""Methods with parameters that nothing switches off, and why."""
LOOKING = ("selective_distillation", "feature_distillation", "at", "delta", "lwf", "tred")
"""The methods whose steps run the source model; of all others they do not."""
STOPS_GRADIENT = {"bi_tuning": "its keys, and the weights of the head that they are compared with"}
QUICK = {
    "lolsgd.subsets": 2,
    "lolsgd.local_steps": 1,
    "local_sgd.subsets": 2,
    "local_sgd.local_steps": 1,
    "ewc.samples": 8,
    "delta.head_epochs": 1,
    "delta.batches": 1,
    "tred.steps": 3,
    "bi_tuning.keys": 3,
    "bi_tuning.projection": 8,
}
"""More than one round in the few steps of a check, full queues, and little to learn beforehand."""


def zero_of(name):
    """The parameters that switch off every member of a chain; None where one has none."""
    members = [_zero(member) for member in methods.canonical(name).split("+")]
    return (
        None
        if None in members
        else {key: value for member in members for key, value in member.items()}
    )


def _zero(name):
    weight = f"{name}.weight"
    return ZERO.get(name) or ({weight: 0.0} if weight in methods.parameters(name) else None)


def suite_of(name, **attributes):
    members = methods.canonical(name).split("+")
    quick = {key: value for key, value in QUICK.items() if key.partition(".")[0] in members}
    looking = any(member in LOOKING for member in members)
    return type(
        "Suite",
        (MethodConformance,),
        {
            "method": name,
            "parameters": quick,
            "zero": zero_of(name),
            "runs_source": looking,
            "stops_gradient": "; ".join(
                STOPS_GRADIENT[member] for member in members if member in STOPS_GRADIENT
            ),
            **attributes,
        },
    )


for _name in (*NAMES, *CHAINS):
    globals()[f"Test_{_name}"] = suite_of(_name)


class Test_delta_of_convolutions(
    suite_of("delta", parameters={"delta.maps": "convolutions", "delta.head_epochs": 1})
):
    """DELTA on the paper's layers."""


@pytest.mark.parametrize("name", [name for name in NAMES if methods.parameters(name)])
def test_it_is_known_what_switches_a_method_off(name):
    said = f"{name}: say in ZERO what switches it off, or in ALWAYS_ON why nothing does"
    assert (zero_of(name) is None) == (name in ALWAYS_ON), said
    assert zero_of(name) or f"{name}.weight" not in methods.parameters(name)


def test_bi_tuning_is_the_derivative_where_what_it_holds_constant_stays():
    suite = suite_of("bi_tuning+frozen_classifier", parameters={"bi_tuning.momentum": 1.0})()
    suite.test_the_gradient_is_the_derivative_of_the_loss()


# Methods that break a rule


def teacher_in_train_mode():
    def penalty(view, _):
        with torch.no_grad():
            _, logits = view.source.train()(view.images)
        view.source.eval()
        return (view.logits.mean() - logits.mean()).square()

    return Method(penalty=penalty)


def two_source_passes():
    def penalty(view, _):
        return (
            view.logits.mean() - view.source(view.images)[1].mean() - view.source_logits.mean()
        ).square()

    return Method(penalty=penalty)


def hidden_state():
    """Counts steps where no checkpoint looks."""

    def penalty(view, count):
        count["steps"] += 1
        return view.features.square().mean() / count["steps"]

    return Method(prepare=lambda *_: {"steps": 0}, penalty=penalty)


def unseeded():
    return Method(
        prepare=lambda student, *_: torch.rand(student.width),
        penalty=lambda view, point: (view.features @ point).mean(),
    )


def own_generator():
    """Draws from a generator of its own that goes on from step to step."""
    return Method(
        prepare=lambda *_: torch.Generator().manual_seed(0),
        penalty=lambda view, draws: view.logits.square().mean() * torch.rand((), generator=draws),
    )


def never_off(weight=0.1):
    return Method(penalty=lambda view, _: (weight + 1e-6) * view.features.square().mean())


def leaking():
    kept = []

    def penalty(view, _):
        kept.append(view.features.detach())
        return view.features.square().mean() + kept[-1].mean()

    return Method(penalty=penalty)


def half_a_gradient():
    return Method(penalty=lambda view, _: (view.features * view.features.detach()).mean())


def thaws():
    """Trains batch norm, which it says is frozen."""

    def stepped(run, _):
        for norm in run.student.norms():
            norm.weight.mul_(0.99)

    return Method(frozen=frozenset({"norms"}), stepped=stepped)


def root_at_zero():
    return Method(
        penalty=lambda view, _: (
            (view.features - view.source_features.sum()).sum() * 0
            + (view.student.backbone[0].weight - view.source.backbone[0].weight).norm().sqrt()
        )
    )


def spread():
    return Method(penalty=lambda view, _: view.features.var(0).mean())


def per_image():
    return Method(penalty=lambda view, _: view.features.square().mean(1))


def order_matters():
    """Its penalty depends on whether another member has looked at the source already."""
    return Method(
        penalty=lambda view, _: (
            view.features.square().mean() * (0.0 if "_source" in vars(view) else 1.0)
        )
    )


def shares_the_student():
    """Changes the model in training in place of the copy."""

    def finish(model, source, held):
        held["student"].head.bias.zero_()

    return Method(prepare=lambda student, *_: {"student": student}, finish=finish)


def anchored(weight: float = 0.1, shaken: bool = False, unmarked: float = 1.0):
    """Breaks no rule by default: features stay near the source's mean, which it learns beforehand.

    Args:
        weight: factor of the term.
        shaken: whether the mean is drawn at random.
        unmarked: factor of the mean.
    """

    def learn(transfer):
        mean = unmarked * transfer.source(transfer.take(transfer.train)[0])[0].mean(0)
        return {"mean": mean + torch.rand(()) if shaken else mean}, {"length": float(mean.norm())}

    return Method(
        learn=learn,
        prepare=lambda student, transfer, learnt: learnt["mean"],
        penalty=lambda view, mean: weight * (view.features - mean).square().mean(),
        measures=("length",),
    )


class TestAnchored(MethodConformance):
    method = "test_tasks_conformance_methods:anchored"
    zero = {"test_tasks_conformance_methods:anchored.weight": 0.0}
    runs_source = False


def reports(name="undeclared", value=1.0):
    def learn(transfer):
        return {}, {name: value}

    return Method(learn=learn, prepare=lambda *_: None, measures=("declared",))


def reports_nan():
    return reports("declared", float("nan"))


def unnamed(weight: float = 0.0):
    return Method()


def learns_unseeded():
    return anchored(shaken=True)


@pytest.mark.parametrize(
    ("broken", "check", "said"),
    [
        (teacher_in_train_mode, "the_source_stays_as_it_is", "put in train mode"),
        (
            two_source_passes,
            "the_source_runs_only_where_it_is_looked_at",
            "ran the source model 2 times",
        ),
        (hidden_state, "resumed_it_equals_undisturbed", "only modules are in checkpoints"),
        (
            learns_unseeded,
            "what_it_learns_may_come_from_a_stage",
            "trains otherwise than by itself",
        ),
        (reports, "it_reports_what_it_declares", "which it does not declare"),
        (reports_nan, "it_reports_what_it_declares", "as not finite"),
        (unnamed, "its_parameters_are_settings", "has no line"),
        (own_generator, "resumed_it_equals_undisturbed", "only modules are in checkpoints"),
        (unseeded, "names_seed_everything", "two runs with one seed are not the same"),
        (never_off, "zero_parameters_are_plain_training", "not plain training, bit for bit"),
        (leaking, "memory_is_given_back", "tensors outlive the run"),
        (half_a_gradient, "the_gradient_is_the_derivative_of_the_loss", "look for a detach"),
        (thaws, "only_what_is_not_frozen_moves", "'norms' is frozen, but its weights moved"),
        (
            shares_the_student,
            "only_what_is_not_frozen_moves",
            "measuring changed the model in training",
        ),
        (root_at_zero, "the_penalty_is_a_finite_scalar", "look for a square root"),
        (per_image, "the_penalty_is_a_finite_scalar", "has the shape"),
        (spread, "it_works_with_batches_of_one", "a variance of one value"),
        (order_matters, "it_commutes_with_another_penalty", "the order of the two matters"),
    ],
)
@pytest.mark.filterwarnings("ignore:var\\(\\). degrees of freedom is <= 0")
def test_a_broken_method_fails(broken, check, said):
    name = f"test_tasks_conformance_methods:{broken.__name__}"
    suite = suite_of(name, runs_source=None)()
    with pytest.raises(AssertionError, match=said) as raised:
        getattr(suite, f"test_{check}")()
    assert name in str(raised.value)
    assert "Remedy: " in str(raised.value)


def test_a_parameter_that_learning_depends_on_must_be_marked():
    suite = suite_of(TestAnchored.method, parameters={f"{TestAnchored.method}.unmarked": 2.0})()
    with pytest.raises(AssertionError, match=r"parameters marked `Learnt\(\)`"):
        suite.test_what_it_learns_may_come_from_a_stage()


@pytest.mark.parametrize(
    ("name", "claimed"), [("test_tasks_methods:entropy", True), ("selective_distillation", False)]
)
def test_what_runs_the_source_must_be_claimed_rightly(name, claimed):
    with pytest.raises(AssertionError, match=f"`runs_source` is {claimed}"):
        suite_of(name, runs_source=claimed)().test_the_source_runs_only_where_it_is_looked_at()


def test_a_parameter_that_is_none_is_said():
    with pytest.raises(
        AssertionError, match=r"no parameter l2sp.bakcbone; known: l2sp.backbone, l2sp.head"
    ):
        suite_of("l2sp", parameters={"l2sp.bakcbone": 0.0})().test_memory_is_given_back()

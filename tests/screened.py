"""A task and its scores in closed form, for tests of screening: a study of two domains and three sources, in a module."""

from collections.abc import Callable
from pathlib import Path

MODULE = '''\
"""The outcome of a source is its worth, but for `odd`; a score tells it, or the contrary."""
from pathlib import Path
from tasks.task import Setting, filled

HERE = Path(__file__).parent
WORTH = {"big": 0.9, "mid": 0.6, "small": 0.3}
PAIR = {"domain": Setting(str, "uci"), "source": Setting(str, "big", choices=tuple(WORTH)), "depth": Setting(int, 3, low=1)}


def train(config, workspace):
    (workspace.output / "worth.txt").write_text(str(WORTH[config["source"]]))
    yield {"step": 0, "train/loss": 0.0}


def stages(config):
    return {"source": (__name__ + ":train", {"source": config["source"]})}


def adapt(config, workspace):
    worth = float((workspace.artifact("source") / "worth.txt").read_text())
    gain = {"plain": 0.0, "l2sp": 0.05}[config["method"]] + 0.01 * workspace.repetition
    seen = worth - 0.5 * (config["rate"] - 0.1) + gain
    yield {"step": 0, "validation/seen_accuracy": seen, "test/seen_accuracy": seen, "test/missing_accuracy": seen / 2}


adapt.settings = {**PAIR, "method": Setting(str, "plain", choices=("plain", "l2sp")),
                  "rate": Setting(float, 0.1, low=0.0, high=1.0)}
adapt.resolve = lambda config: filled(adapt.settings, config)
adapt.stages = stages
adapt.metrics = ("validation/seen_accuracy", "test/seen_accuracy", "test/missing_accuracy")


def rate(config, workspace):
    worth = float((workspace.artifact("source") / "worth.txt").read_text())
    if config["score"] == "shaky" and config["source"] == "mid" and not (HERE / "mended").exists():
        raise ValueError("no score today")
    sign = {"worth": 1, "shaky": 1, "contrary": -1, "level": 0}[config["score"]]
    value = sign * worth + 0.001 * workspace.repetition
    if config["score"] == "contrary":
        value *= config["contrary.scale"]
    yield {"step": 0, "transferability": value, "part/worth": worth}


rate.settings = {**PAIR, "score": Setting(str, "worth", choices=("worth", "shaky", "contrary", "level")),
                 "contrary.scale": Setting(float, 1.0, low=0.5)}
rate.predicts = "transferability"
rate.stages = stages
rate.metrics = ("transferability", "part/worth")


def resolve(config):
    full = filled(rate.settings, config)
    return {key: value for key, value in full.items() if key != "contrary.scale" or full["score"] == "contrary"}


rate.resolve = resolve
rate.comparable = lambda config: {"domain": config["domain"], "score": config["score"]}
rate.problems = lambda config: ([("source", "the level of mid is not defined; take another score")]
                                if config["score"] == "level" and config["source"] == "mid" else [])
'''
STUDY = """\
task: {name}:adapt
grid:
  domain: [uci, usps]
  source: [big, mid, small]
  method: [plain, l2sp]
repetitions: 2
screen:
  task: {name}:rate
  scores: [worth, contrary]
  keep: 1
"""


def lay(folder: Path, write: Callable[..., Path]) -> str:
    """The study's text; the module that it names then lies in `folder`, under a name that no other test's has."""
    name = "screened_" + "".join(one for one in folder.name if one.isalnum())
    write(MODULE, f"{name}.py")
    return STUDY.format(name=name)

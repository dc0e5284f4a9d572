"""The chart of seen against missing accuracy for MLflow's UI, and the link that opens it; pure.

MLflow's UI keeps a view (charts, columns, filter) as a tag of the experiment, and opens it by a key
in the address. That is not a public interface: `tests/test_mirror_view.py` checks it in a browser.
MLflow 3.17 lists the tag among an experiment's "Views" by the fields `name`, `createdAt` and
`state`; earlier versions read the tag as the state itself, which is why it is there twice.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from htsweep.mirror.run import SELECTED

KEY = "seen-against-missing"
TAG = f"mlflow.sharedViewState.{KEY}"
AXES = ("test/seen_accuracy", "test/missing_accuracy")
COLUMNS = ("dataset", "missing_ratio", "backbone", "method", "repetition", SELECTED)


def view(created: int, axes: tuple[str, str] = AXES) -> str:
    """The value of the tag: one scatter chart, with a dot per run that was trained to its end.

    Args:
        created: when, in unix milliseconds; part of the value, so that the same experiment has the
            same tag.
        axes: the metrics across and up.
    """
    state = _state(axes)
    return json.dumps(
        {
            **state,
            "name": f"{_words(axes[1])} against {_words(axes[0])}",
            "createdAt": created,
            "state": json.dumps(state),
        }
    )


def link(server: str, experiment: str) -> str:
    """The address of the chart on `server` (`http://127.0.0.1:5000`)."""
    runs = f"{server}/#/experiments/{quote(experiment)}/runs"
    return f"{runs}?viewStateShareKey={KEY}&compareRunsMode=CHART"


def _state(axes: tuple[str, str]) -> dict[str, Any]:
    across, up = axes
    return {
        "searchFilter": "attributes.status = 'FINISHED'",
        "selectedColumns": [
            *(f"tags.`{name}`" for name in COLUMNS),
            *(f"metrics.`{axis}`" for axis in axes),
        ],
        "runsHiddenMode": "SHOW_ALL",  # otherwise the first ten
        "compareRunCharts": [
            {
                "uuid": KEY,
                "type": "SCATTER",
                "isGenerated": False,
                "deleted": False,
                "metricSectionId": KEY,
                "runsCountToCompare": 1000,
                "xaxis": {"key": across, "type": "METRIC"},
                "yaxis": {"key": up, "type": "METRIC"},
            }
        ],
        "compareRunSections": [
            {
                "uuid": KEY,
                "name": f"{_words(up)} against {_words(across)}",
                "display": True,
                "isReordered": False,
                "deleted": False,
                "isGenerated": False,
                "columns": 1,
                "cardHeight": 520,
            }
        ],
        # Otherwise sections that the UI makes by itself are sorted in front of it
        "isAccordionReordered": True,
    }


def _words(metric: str) -> str:
    """A metric in words: `test/missing_accuracy` as `missing accuracy`."""
    return metric.rpartition("/")[2].replace("_", " ")

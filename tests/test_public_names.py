"""What users import, and how soon."""

import subprocess
import sys

import htsweep

VERBS = {
    *("read", "plan", "launch", "trials", "measurements", "frontier", "query", "compare", "open"),
    *("remeasure", "ensemble", "gather"),
}


def test_the_verbs_are_these_and_all_documented() -> None:
    assert set(htsweep.__all__) == VERBS
    for name in VERBS:
        verb = getattr(htsweep, name)
        assert callable(verb), name
        assert verb.__doc__, name


def test_a_verb_stays_a_function_once_its_module_is_there() -> None:
    code = (
        "import htsweep\n"
        "for name in htsweep.__all__: getattr(htsweep, name)\n"
        "print([name for name in htsweep.__all__ if not callable(getattr(htsweep, name))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_importing_costs_nothing_heavy() -> None:
    heavy = ("torch", "ray", "mlflow", "pandas", "numpy", "pyarrow", "optuna", "duckdb")
    code = (
        "import sys, htsweep; from htsweep.cli.app import app, main\n"
        "import contextlib, io\n"
        "with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit): "
        "main(['--help'])\n"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_planning_imports_no_torch_ray_mlflow_or_pandas() -> None:
    code = (
        "import sys; from htsweep.results import Results; from htsweep.results.estimate import estimate\n"
        "from htsweep.planning.reading import read\n"
        "estimate(Results(read('studies/digits.yaml'), '/nonexistent/results'))\n"
        "print([name for name in ('torch', 'ray', 'mlflow', 'pandas', 'sklearn', 'timm') if name "
        "in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

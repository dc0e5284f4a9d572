# What a maintainer types. `make` alone lists the targets.

# Compiled bytecode is what makes the worker processes of the tests start fast.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help test one lint types fix site

help:
	@echo "make test                     run all tests, three at a time"
	@echo "make one T=tests/test_x.py    run one file, or one test by T=tests/test_x.py::test_name"
	@echo "make lint                     check formatting and lint"
	@echo "make types                    check types (mypy --strict)"
	@echo "make fix                      format, and fix what the linter can fix"
	@echo "make site                     show the documentation on 127.0.0.1:8000, and follow changes"

test:
	uv run pytest -n 3

one:
	@test -n "$(T)" || { echo "name a test: make one T=tests/test_planning_search.py"; exit 2; }
	uv run pytest $(T)

lint:
	uv run ruff format --check .
	uv run ruff check .

types:
	uv run mypy

fix:
	uv run ruff format .
	uv run ruff check --fix .

site:
	NO_MKDOCS_2_WARNING=1 uv run mkdocs serve

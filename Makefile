# make demo   two runs of a 5-node etcd cluster on this machine: one must fail, one must hold
# make test   lint, types and the whole test suite
# Both set up .venv first; see scripts/setup.sh. (make ends in 2 whatever a recipe failed with;
# the code in its last line, "Error 3", is the recipe's own.)

.PHONY: demo test lint clean

demo:
	@scripts/setup.sh demo
	@.venv/bin/python -m harness.cli.demo

test:
	@scripts/setup.sh test
	@scripts/test.sh

lint:
	@scripts/setup.sh test
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis dist build
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

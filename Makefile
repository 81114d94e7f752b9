# make demo      two runs of a 5-node etcd cluster on this machine: one must fail, one must hold
# make quick     the tests of everything pure, in parallel: what to run while you work. No cluster,
#                no container, no browser; a test that takes over a second and is not marked slow
#                fails it. Under 90 seconds on two cores.
# make pages     the pages of the verbs, the manual page and the table of what is built in, written
#                again from the declarations: after every change of a flag, an option or its help
# make test      lint, types and the whole test suite: pure tests in parallel, those that touch the
#                machine after them in lanes, as root also as an ordinary user
# make lint      lint, format, types, and the tests of style and of who imports whom, alone
# make release   the wheel and the source archive of this version, checked in an empty environment,
#                and the changelog's date; refuses a tree with changes of its own
# make clean     removes what all of these have made
#
# quick and test take arguments for pytest, and then run only the tests that these mean:
#   make test ARGS="tests/checkers -k bank"
# All set up .venv first; see scripts/setup.sh. (make ends in 2 whatever a recipe failed with; the
# code in its last line, "Error 3", is the recipe's own.)

ARGS ?=

.PHONY: demo quick test lint pages release clean

demo:
	@scripts/setup.sh demo
	@.venv/bin/python -m harness.cli.demo

quick:
	@scripts/setup.sh quick
	@env -u PYTHONDONTWRITEBYTECODE .venv/bin/python -m pytest --group quick \
		-n $$(nproc) --dist worksteal $(ARGS)

test:
	@scripts/setup.sh test
	@scripts/test.sh $(ARGS)

lint:
	@scripts/setup.sh quick
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/python -m pytest -q tests/test_tidy.py tests/test_arrows.py

release:
	@scripts/setup.sh quick
	@.venv/bin/python scripts/release.py

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis dist build
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

pages:
	@scripts/setup.sh quick
	.venv/bin/python -m harness.cli.pages

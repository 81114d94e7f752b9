"""What a workload asks is what its checkers know: none of its operations is foreign to one."""

from __future__ import annotations

import pytest

from harness.contract.workload import WorkloadOptions
from harness.generator import clients, limit
from harness.generator.simulate import invocations, perfect, simulate
from harness.history.history import History
from harness.history.operation import Header, Operation
from harness.judge.unmodelled import refuse_other_models, unmodelled
from harness.plugins import Registry
from harness.verdict.record import Record

REGISTRY = Registry()


@pytest.mark.parametrize("name", REGISTRY.names("workloads"))
def test_every_operation_of_a_workload_is_known_to_its_checkers(name: str) -> None:
    factory = REGISTRY.get("workloads", name)
    extra = {option.name: option.default for option in factory.options}
    workload = factory(WorkloadOptions(nodes=5, concurrency=20, seed=1, extra=extra))
    asked: list[Operation] = []
    for generator in (limit(500, workload.generator()), workload.final_generator()):
        if generator is not None:
            asked += invocations(simulate(clients(generator), perfect, concurrency=20))
    history = History(
        [
            Operation(number, number, number, "invoke", each.f, each.value)
            for number, each in enumerate(asked)
        ],
        Header(independent=workload.independent),
    )
    assert history.outcomes
    for checker in workload.checkers:
        made = REGISTRY.get("checkers", checker)(extra)
        assert unmodelled(made, checker, history.outcomes) is None
        refuse_other_models(Record(history=history), [checker], extra, REGISTRY)

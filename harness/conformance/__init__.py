"""The conformance kit: proves that a client never repeats a request and tells the truth.

Usage, in a test file of a system (any client of any system, built in or not)::

    @pytest.mark.parametrize("case", cases(client=Toy({}).client, speaker=ToySpeaker()), ids=str)
    def test_the_client_survives_a_hostile_server(case: Case) -> None:
        case.run()

:mod:`harness.conformance.kit` holds the cases, :mod:`harness.contract.speaker` what must be told
about a protocol, :mod:`harness.conformance.server` the server that follows the script. A client
whose protocol nobody speaks is tried before the real server, through a proxy that knows bytes
alone: :mod:`harness.conformance.through_proxy`. ``polygraph conform SYSTEM`` does both.
"""

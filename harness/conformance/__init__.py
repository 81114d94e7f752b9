"""The conformance kit: proves that a client never repeats a request and tells the truth.

Usage, in a test file of a system (any client of any system, built in or not)::

    @pytest.mark.parametrize("case", cases(client=Etcd({}).client, speaker=EtcdSpeaker()), ids=str)
    def test_the_client_survives_a_hostile_server(case: Case) -> None:
        case.run()

:mod:`harness.conformance.kit` holds the cases, :mod:`harness.conformance.speaker` what must be
told about a protocol, :mod:`harness.conformance.server` the server that follows the script,
:mod:`harness.conformance.http_wire` the framing for protocols over HTTP/1.1.
"""

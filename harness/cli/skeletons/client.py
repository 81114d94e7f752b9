"""The client as a program: a line of JSON in for each call, a line out. In any language you like.

What it must keep to is told in docs/client-protocol.md: nothing is sent twice; `fail` only where it
certainly did not happen; everything in doubt is `info`.
"""

import http.client
import json
import sys
from typing import Any

CALLS = {"read": "/get", "write": "/put", "compare_and_set": "/cas"}
ANSWERS = {"read": "value", "write": "ok", "compare_and_set": "done"}


class Client:
    """One connection at most."""

    def __init__(self) -> None:
        self.address = ""
        self.timeout_s = 1.0
        self.connection: http.client.HTTPConnection | None = None

    def do(self, call: dict[str, Any]) -> dict[str, Any]:
        """The answer to one line."""
        kind = call["call"]
        if kind == "abilities":
            return {"type": "ok", "value": ["Registers"]}
        if kind == "open":
            self.address, self.timeout_s = call["address"], call["op_timeout_s"] * 0.8
            return {"type": "ok"}
        if kind == "close":
            self.drop()
            return {"type": "ok"}
        if kind not in CALLS:
            return {"type": "fail", "error": f"there is no call {kind}", "session_ended": False}
        request = {"key": str(call["key"])}
        request.update((name, call[name]) for name in ("value", "old", "new") if name in call)
        return self.ask(kind, request)

    def ask(self, kind: str, request: dict[str, Any]) -> dict[str, Any]:
        """One request, sent once; in doubt is only what writes."""
        try:
            if self.connection is None:
                fresh = http.client.HTTPConnection(self.address, timeout=self.timeout_s)
                fresh.connect()
                fresh.auto_open = 0  # never connect again behind our back
                self.connection = fresh
        except OSError as error:
            return {"type": "fail", "error": f"connect: {error}", "session_ended": False}
        doubt = "fail" if kind == "read" else "info"
        try:
            self.connection.request("POST", CALLS[kind], json.dumps(request))
            answer = self.connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self.drop()
            return {"type": doubt, "error": f"sent: {error}"}
        try:
            if answer.status == 200:
                return {"type": "ok", "value": json.loads(body)[ANSWERS[kind]]}
        except (ValueError, LookupError, TypeError):
            pass
        return {"type": doubt, "error": f"answered with status {answer.status}"}

    def drop(self) -> None:
        """Close the connection."""
        if self.connection is not None:
            self.connection.close()
            self.connection = None


def main() -> None:
    """Answer each line until there is none."""
    client = Client()
    for line in sys.stdin:
        call = json.loads(line)
        print(json.dumps({"id": call["id"], **client.do(call)}), flush=True)


if __name__ == "__main__":
    main()

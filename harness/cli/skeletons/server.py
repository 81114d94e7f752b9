"""A tiny service to begin with: registers over HTTP, kept in a file. Put yours in its place.

POST /get {"key"} answers {"value"}; /put {"key", "value"} answers {"ok"}; /cas {"key", "old",
"new"} answers {"done"}. Each change is on disk before it is answered, unless ``--lossy`` says five
times a second: then a kill loses what was acknowledged last, which a test must find.
"""

import json
import os
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

LOSSY_S = 0.2


class Registers:
    """The registers, in memory and in the file ``registers.log`` of the working directory."""

    def __init__(self, lossy: bool) -> None:
        self._lock = threading.Lock()
        self._values: dict[str, Any] = {}
        self._waiting: list[str] = []
        self._lossy = lossy
        self._log = open("registers.log", "a+", encoding="utf-8")  # noqa: SIM115
        self._log.seek(0)
        for line in self._log:
            if line.endswith("\n"):  # the last one may be half written
                key, value = json.loads(line)
                self._values[key] = value
        if lossy:
            threading.Thread(target=self._write_now_and_then, daemon=True).start()

    def get(self, key: str) -> Any:
        """The value, or None."""
        with self._lock:
            return self._values.get(key)

    def put(self, key: str, value: Any) -> None:
        """Set it."""
        with self._lock:
            self._set(key, value)

    def cas(self, key: str, old: Any, new: Any) -> bool:
        """Set it if it holds ``old``."""
        with self._lock:
            if self._values.get(key) != old:
                return False
            self._set(key, new)
            return True

    def _set(self, key: str, value: Any) -> None:
        self._waiting.append(json.dumps([key, value]) + "\n")
        if not self._lossy:
            self._write()
        self._values[key] = value

    def _write(self) -> None:
        self._log.writelines(self._waiting)
        self._waiting.clear()
        self._log.flush()
        os.fsync(self._log.fileno())

    def _write_now_and_then(self) -> None:
        while True:
            time.sleep(LOSSY_S)
            with self._lock:
                self._write()


class Handler(BaseHTTPRequestHandler):
    """One connection, kept open from request to request."""

    protocol_version = "HTTP/1.1"
    registers: ClassVar[Registers]

    def do_POST(self) -> None:
        """One request."""
        asked = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))))
        status, told = 200, {}
        if self.path == "/get":
            told = {"value": self.registers.get(asked["key"])}
        elif self.path == "/put":
            self.registers.put(asked["key"], asked["value"])
            told = {"ok": True}
        elif self.path == "/cas":
            told = {"done": self.registers.cas(asked["key"], asked["old"], asked["new"])}
        else:
            status = 404
        body = json.dumps(told).encode()
        head = (
            f"HTTP/1.1 {status} {self.responses[status][0]}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        self.wfile.write(head.encode() + body)  # in one piece

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing for each request."""


def main() -> None:
    """``server.py HOST:PORT [--lossy]``."""
    host, _, port = sys.argv[1].rpartition(":")
    Handler.registers = Registers("--lossy" in sys.argv)
    server = ThreadingHTTPServer((host, int(port)), Handler)
    print(f"listening at {host}:{port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()

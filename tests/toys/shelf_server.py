"""One daemon of the toy ``shelf``, run on its node: ``python3 -S -c TEXT CONFIG`` (JSON).

A *controller* keeps a log of commits and, if it was told to lead, decides them; a *worker* keeps
nothing, and passes each request of its clients on to the controller that leads. A request is a line
of JSON, and so is its answer. The standard library alone: it runs wherever there is a Python.
"""

import contextlib
import json
import os
import signal
import socket
import sys
import threading
import time

PATIENCE_S = 20.0
"""How long a worker waits for a controller when it comes up; then it ends."""
PASS_ON_S = 2.0
GREET_S = 0.05


def place(address):
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def ask(address, message, timeout_s):
    """The answer to one request on a connection of its own; ``OSError`` if there is none."""
    with socket.create_connection(place(address), timeout_s) as link, link.makefile("rwb") as lines:
        return exchange(lines, message)


def exchange(lines, message):
    lines.write(json.dumps(message).encode() + b"\n")
    lines.flush()
    answer = lines.readline()
    if not answer.endswith(b"\n"):
        raise ConnectionError("the connection was closed")
    return json.loads(answer)


def serve(address, answer_for):
    """Answer each line of each connection by ``answer_for(message)``, for good."""
    host, port = place(address)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    server = socket.create_server((host, port), family=family, backlog=128)
    while True:
        link, _ = server.accept()
        threading.Thread(target=converse, args=(link, answer_for), daemon=True).start()


def converse(link, answer_for):
    with contextlib.suppress(OSError, ValueError), link, link.makefile("rwb") as lines:
        for line in lines:
            lines.write(json.dumps(answer_for(json.loads(line))).encode() + b"\n")
            lines.flush()


class Controller:
    """The log of commits in ``data``, and who leads."""

    def __init__(self, config):
        self.name = config["node"]
        self.formed_at = os.path.join(config["data"], "formed")
        self.lock = threading.Lock()
        self.values, self.formed = {}, read_lines(self.formed_at)
        log = os.path.join(config["data"], "commits")
        for commit in read_lines(log):
            self.values.update(commit)
        self.log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def answer(self, message):
        with self.lock:
            return getattr(self, message["do"])(message)

    @property
    def leads(self):
        return bool(self.formed) and self.formed[0]["lead"] == self.name

    def status(self, message):
        return {"leads": self.leads, "formed": len(self.formed)}

    def form(self, message):
        told = {"lead": message["lead"]}
        append(os.open(self.formed_at, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), told)
        self.formed.append(told)
        if self.leads:
            print(f"formed: {self.name} leads", flush=True)
        return {"leads": self.leads}

    def checkpoint(self, message):
        """Write down all values at once; only who leads has them all."""
        if not self.leads:
            return refused()
        with open(f"{self.formed_at}.checkpoint", "w", encoding="utf-8") as file:
            json.dump(self.values, file)
        print(f"checkpoint: {len(self.values)} keys", flush=True)
        return {"keys": len(self.values)}

    def read(self, message):
        return {"value": self.values.get(message["key"])} if self.leads else refused()

    def commit(self, message):
        """If what was read is still so, all writes at once; they are on disk before the answer."""
        if not self.leads:
            return refused()
        if any(self.values.get(key) != value for key, value in message["reads"]):
            return {"committed": False}
        if message["writes"]:
            append(self.log, message["writes"])
            self.values.update(message["writes"])
        return {"committed": True}


def refused():
    return {"refused": "it does not lead"}


def read_lines(path):
    """The whole lines of JSON in a file; what a killed writer tore is left out."""
    if not os.path.exists(path):
        return []
    with open(path, "rb") as file:
        return [json.loads(line) for line in file if line.endswith(b"\n")]


def append(file, message):
    os.write(file, json.dumps(message).encode() + b"\n")
    os.fsync(file)


class Worker:
    """Passes on what its clients ask, over links that it keeps to the controller that leads."""

    def __init__(self, config):
        self.controllers = config["controllers"]
        self.leads = None
        self.idle = []

    def answer(self, message):
        try:
            lines = self.link()
        except OSError as error:
            self.leads = None
            return {"refused": f"no controller leads: {error}"}
        try:
            said = exchange(lines, message)
        except (OSError, ValueError) as error:
            self.leads = None
            return {"lost": f"{type(error).__name__}: {error}"}
        self.idle.append(lines)
        return said

    def link(self):
        """A link to the controller that leads, who is asked for again once one was lost."""
        with contextlib.suppress(IndexError):
            return self.idle.pop()
        self.leads = self.leads or self.leader()
        return socket.create_connection(place(self.leads), PASS_ON_S).makefile("rwb")

    def leader(self):
        """Where the controller is that leads, by asking one after the other."""
        why = OSError("none was asked")
        for address in self.controllers:
            try:
                if ask(address, {"do": "status"}, PASS_ON_S / 2)["leads"]:
                    return address
            except (OSError, ValueError) as error:
                why = OSError(str(error))
        raise why

    def wait_for_a_controller(self):
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            for address in self.controllers:
                with contextlib.suppress(OSError, ValueError):
                    ask(address, {"do": "status"}, PASS_ON_S)
                    return
            time.sleep(0.05)
        sys.exit("no controller answers")


def greet(address):
    """Greet another controller all the time, so that a cut between the two is felt."""
    while True:
        with contextlib.suppress(OSError, ValueError):
            greet_until_lost(address)
        time.sleep(5 * GREET_S)


def greet_until_lost(address):
    with socket.create_connection(place(address), 1) as link, link.makefile("rwb") as lines:
        while exchange(lines, {"do": "greet"}):
            time.sleep(GREET_S)


def stop(number, frame):
    print("stopped politely", flush=True)
    os._exit(0)


def main():
    config = json.loads(sys.argv[1])
    if config["role"] == "controller":
        signal.signal(signal.SIGTERM, stop)
        daemon = Controller(config)
        for address in config["peers"]:
            threading.Thread(target=greet, args=(address,), daemon=True).start()
        hello = (config["greet"], lambda message: {"hello": config["node"]})
        threading.Thread(target=serve, args=hello, daemon=True).start()
    else:
        daemon = Worker(config)
        daemon.wait_for_a_controller()
    print(f"up: {config['role']} on {config['node']}", flush=True)
    serve(config["listen"], daemon.answer)


if __name__ == "__main__":
    main()

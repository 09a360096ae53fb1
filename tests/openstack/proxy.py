#!/usr/bin/python3
"""Stands between a client and the bed: counts calls, loses replies, refuses.

    proxy.py LISTEN FOLDER      all services, on the ports of the bed at the address LISTEN

It listens on every port of the bed at an address of its own, and puts that address into what Keystone and the others
answer, so that a client that logs in through it stays on it. FOLDER/calls gets a line of JSON per call. FOLDER/rules is a
list of rules, read again when it changes:

    {"match": "compute POST /servers$", "every": 3, "do": "drop"}           carried out, then the connection is cut
    {"match": "compute GET", "every": 5, "do": 503}                         not carried out
    {"match": "POST", "every": 7, "do": 429, "headers": {"Retry-After": "2"}, "times": 4}
"""
import http.client
import http.server
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import bed

LIMIT = 300
HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "date", "server"}
ID = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}")


class Proxy:
    """A proxy in a process of its own, for `with`."""

    def __init__(self, folder, listen):
        self.folder, self.listen = Path(folder), listen
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "calls").touch()
        self.rules()

    def __enter__(self):
        self.process = subprocess.Popen([sys.executable, __file__, self.listen, self.folder])
        bed.until("the proxy listens", lambda: self.process.poll() is None and self.open(), within=20, every=0.1)
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def open(self):
        try:
            socket.create_connection((self.listen, bed.ports()["identity"]), 1).close()
            return True
        except OSError:
            return False

    def clouds(self):
        """The bed's clouds.yaml, through the proxy."""
        return bed.CLOUDS.read_text().replace(f"http://{bed.address()[0]}:", f"http://{self.listen}:")

    def rules(self, *rules):
        new = self.folder / "rules.new"
        new.write_text(json.dumps(rules))
        new.replace(self.folder / "rules")

    def calls(self):
        return [json.loads(line) for line in (self.folder / "calls").read_text().splitlines()]

    def forget(self):
        """Starts to count anew."""
        os.truncate(self.folder / "calls", 0)

    def kinds(self):
        """Kind of call → how many."""
        found = {}
        for call in self.calls():
            found[call["kind"]] = found.get(call["kind"], 0) + 1
        return found


class Rules:
    def __init__(self, file):
        self.file, self.read, self.known, self.lock = file, None, [], threading.Lock()

    def meets(self, kind, path):
        """The first rule whose turn it is."""
        with self.lock:
            at = self.file.stat().st_mtime_ns
            if at != self.read:
                self.known = [dict(rule, seen=0, done=0) for rule in json.loads(self.file.read_text())]
                self.read = at
            for rule in self.known:
                if not (re.search(rule["match"], kind) or re.search(rule["match"], path)):
                    continue
                rule["seen"] += 1
                if rule["seen"] % rule.get("every", 1) == 0 and rule["done"] < rule.get("times", 1 << 30):
                    rule["done"] += 1
                    return rule
        return None


def handler(service, port, bed_ip, listen, rules, log):
    lock = threading.Lock()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = LIMIT
        # Small answers must not wait for one another.
        disable_nagle_algorithm = True

        def answer(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            kind = f"{service} {self.command} {short(self.path)}"
            rule = rules.meets(kind, self.path)
            begun = time.time()
            if rule and isinstance(rule["do"], int):
                status, headers, data = rule["do"], list(rule.get("headers", {}).items()), b'{"injected": true}'
            else:
                status, headers, data = self.forward(body)
            with lock:
                log.write(json.dumps({"at": begun, "took": time.time() - begun, "kind": kind, "path": self.path, "status": status,
                                      "rule": rule and rule["do"]}) + "\n")
                log.flush()
            if rule and rule["do"] == "drop":
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            self.reply(status, headers, data)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = answer

        def forward(self, body):
            connection = http.client.HTTPConnection(bed_ip, port, timeout=LIMIT)
            headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP | {"host", "accept-encoding"}}
            try:
                connection.request(self.command, self.path, body or None, headers)
                answer = connection.getresponse()
                data = answer.read()
            finally:
                connection.close()
            ours = f"http://{listen}:"
            headers = [(name, value.replace(f"http://{bed_ip}:", ours)) for name, value in answer.getheaders() if name.lower() not in HOP]
            return answer.status, headers, data.replace(f"http://{bed_ip}:".encode(), ours.encode())

        def reply(self, status, headers, data):
            self.send_response(status)
            for name, value in headers:
                self.send_header(name, value)
            if status not in (204, 304):
                self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

        def log_message(self, *_):
            pass

    return Handler


def short(path):
    """A path without version, project, ids and query: `/servers/{id}/action`."""
    path = path.split("?")[0]
    path = re.sub(r"^/v\d+(\.\d+)?(/(?=[0-9a-f]{32}(/|$))[0-9a-f]{32})?", "", path)
    return ID.sub("{id}", path) or "/"


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 200

    def handle_error(self, request, client_address):
        pass    # the client went away


def main():
    listen, folder = sys.argv[1], Path(sys.argv[2])
    rules, log, bed_ip = Rules(folder / "rules"), open(folder / "calls", "a"), bed.address()[0]
    for service, port in bed.ports().items():
        server = Server((listen, port), handler(service, port, bed_ip, listen, rules, log))
        threading.Thread(target=server.serve_forever).start()


if __name__ == "__main__":
    main()

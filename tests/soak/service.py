"""Starts, watches and stops the real service, for the programs of this directory. Python's standard library only.

Everything lies in one scratch directory, which goes with it. Every process that is signalled is one that this module
started, or that one's child, and is signalled by its id. The service does not outlive the program that started it.
"""
import ctypes
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
RELEASE = ROOT / "build/release/diffaid"
NO_REPLY = (OSError, http.client.HTTPException)  # the service went away, or has not come yet


LIBC = ctypes.CDLL(None)
PR_SET_PDEATHSIG = 1
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # through every `with`


def say(text):
    print(text, file=sys.stderr, flush=True)


def is_sanitized(binary):
    """Whether the program is built with a sanitizer: slower, larger, and not to be measured."""
    content = pathlib.Path(binary).read_bytes()
    return b"__asan_init" in content or b"__tsan_init" in content


def write_model(path, tensors):
    """A safetensors file of F32 vectors: {name: [numbers]}."""
    entries, data, at = {}, [], 0
    for name, numbers in tensors.items():
        data.append(struct.pack(f"<{len(numbers)}f", *numbers))
        entries[name] = {"dtype": "F32", "shape": [len(numbers)], "data_offsets": [at, at + 4 * len(numbers)]}
        at += 4 * len(numbers)
    header = json.dumps(entries).encode()
    pathlib.Path(path).write_bytes(struct.pack("<Q", len(header)) + header + b"".join(data))


def write_many_tensors(path, count):
    """A model of that many tensors of one element each, with long names: little data and a large header."""
    header = "{" + ",".join(f'"layers.{i}.{"x" * 60}":{{"dtype":"F32","shape":[1],"data_offsets":[{4 * i},{4 * i + 4}]}}'
                            for i in range(count)) + "}"
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(header)) + header.encode())
        file.truncate(8 + len(header) + 4 * count)


def write_large_model(path, elements):
    """One vector of zeros, all of it a hole."""
    header = json.dumps({"w": {"dtype": "F32", "shape": [elements], "data_offsets": [0, 4 * elements]}}).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        file.truncate(8 + len(header) + 4 * elements)


def wait_for(what, condition, seconds=10, pause=0.005):
    """Asks again and again until condition() is true, and returns that. Says what did not come."""
    end = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() >= end:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(pause)


class Reply:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"{self.status} {self.body[:300].decode(errors='replace')}"


class Client:
    """One keep-alive connection. call() raises one of NO_REPLY when the service goes away; the next one connects anew."""

    def __init__(self, port, timeout=30):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)

    def call(self, method, path, body=None, headers=()):
        headers = dict(headers)
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
            headers.setdefault("Content-Type", "application/json")
        try:
            self.connection.request(method, path, body, headers)
            reply = self.connection.getresponse()
            return Reply(reply.status, reply.headers, reply.read())
        except NO_REPLY:
            self.connection.close()
            raise

    def get(self, path, headers=()):
        return self.call("GET", path, None, headers)

    def submit(self, models, **members):
        return self.call("POST", "/v1/jobs", {"models": models, **members})

    def submit_long(self, service):
        """A job of minutes with --threads 1, whatever the machine: a tensor of 4 GB in a file of 130 KB, read again and
        again, and every two of sixteen such held against each other."""
        shutil.copy(ROOT / "tests/fixtures/long/long.pt", service.models)
        return self.submit(["long.pt"] * 16, analyses=["similarity_matrix"])

    def job(self, job_id):
        return self.get(f"/v1/jobs/{job_id}").json()

    def wait(self, job_id, *states, seconds=30):
        return wait_for(f"job {job_id} {' or '.join(states)}",
                        lambda: (job := self.job(job_id))["state"] in states and job, seconds)

    def close(self):
        self.connection.close()


class Service:
    """The service in a scratch directory of its own: models/, state/, log. Restarted, it keeps its port."""

    def __init__(self, binary=RELEASE, flags=(), environment=None, state=None, models=None, before_exec=None):
        self.binary, self.flags, self.environment = str(binary), list(flags), environment or {}
        self.before_exec = before_exec  # in the child, for limits
        self.scratch = pathlib.Path(tempfile.mkdtemp(prefix="diffaid-soak-"))
        self.models, self.state = pathlib.Path(models or self.scratch / "models"), pathlib.Path(state or self.scratch / "state")
        self.models.mkdir(exist_ok=True)
        self.log_path = self.scratch / "log"
        self.process, self.port = None, 0

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if self.process and self.process.poll() is None:
            self.kill()
        if kind:
            kept = ROOT / "build/soak/failed.log"
            kept.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(self.log_path, kept)
            say(f"--- the end of the service's log ({kept}):\n{self.log_tail()}")
        shutil.rmtree(self.scratch, ignore_errors=True)

    def log_tail(self, lines=30):
        return "\n".join(self.log_path.read_text(errors="replace").splitlines()[-lines:]) if self.log_path.exists() else ""

    def log_has(self, text):
        return text in self.log_path.read_text(errors="replace")

    def child_begins(self):
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if self.before_exec:
            self.before_exec()

    def spawn(self, *flags):
        """Starts the process and does not wait for it."""
        arguments = [self.binary, "serve", "--listen", f"127.0.0.1:{self.port}", "--models-root", str(self.models),
                     "--state-dir", str(self.state), "--log-format", "json", *self.flags, *flags]
        self.started = time.monotonic()
        self.log_start = self.log_path.stat().st_size if self.log_path.exists() else 0
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env={**os.environ, **self.environment}, preexec_fn=self.child_begins)

    def start(self, *flags, seconds=30):
        """Starts and waits until /readyz says 200. Returns the seconds that took."""
        self.spawn(*flags)
        wait_for("the service listens", self.has_address, seconds, 0.001)
        wait_for("the service is ready", self.is_ready, seconds, 0.001)
        return time.monotonic() - self.started

    def has_address(self):
        if self.process.poll() is not None:
            raise AssertionError(f"the service ended at its start, status {self.process.returncode}:\n{self.log_tail()}")
        if not self.port:
            with open(self.log_path, "rb") as log:
                log.seek(self.log_start)
                found = re.search(rb'"event":"listening","address":"[^"]*:(\d+)"', log.read())
            self.port = int(found[1]) if found else 0
        return self.port

    def is_ready(self):
        """Over a connection of its own, so that it tells of a service that takes new ones."""
        if self.process.poll() is not None:
            raise AssertionError(f"the service ended with status {self.process.returncode}:\n{self.log_tail()}")
        client = Client(self.port, timeout=5)
        try:
            return client.get("/readyz").status == 200
        except NO_REPLY:
            return False
        finally:
            client.close()

    def client(self, timeout=30):
        return Client(self.port, timeout)

    def stop(self, seconds=40):
        """SIGTERM; the exit status and the seconds until it came."""
        begin = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(seconds)
        return status, time.monotonic() - begin

    def kill(self):
        self.process.kill()
        self.process.wait()

    def workers(self):
        """Process ids of the service's children: its workers, and the light one that reads headers."""
        found = []
        for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = stat.read_text().rpartition(")")[2].split()
            except OSError:
                continue  # it ended while we looked
            if fields[1] == str(self.process.pid) and fields[0] != "Z":
                found.append(int(stat.parent.name))
        return sorted(found)

    def signal_workers(self, number):
        for pid in self.workers():
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass


def resident_bytes(pid):
    with open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def thread_count(pid):
    return len(os.listdir(f"/proc/{pid}/task"))


def descriptor_count(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def percentile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * share))]


def send_request(port, text, timeout=10):
    """A socket of its own on which that request has been sent."""
    sock = socket.create_connection(("127.0.0.1", port), timeout=timeout)
    sock.sendall(text.encode())
    return sock

"""Clients that do at random what clients do: submit, upload, ask, cancel, delete, leave in the middle. Everything goes
into the history, which is checked afterwards."""
import hashlib
import random
import threading
import time

from service import NO_REPLY, send_request, write_large_model, write_model

UPLOAD_BYTES = 65536


def make_models(directory):
    """Small ones; wide ones, whose result is too large to lie in the store's row; and large ones, to be hit while running."""
    for side, shift in (("a", 0.0), ("b", 0.25)):
        write_model(directory / f"small-{side}.safetensors",
                    {f"layers.{i}.weight": [i + j / 64 + shift * (j % 3) for j in range(256)] for i in range(4)})
        write_model(directory / f"wide-{side}.safetensors",
                    {f"layers.{i}.weight": [i / 7 + j + shift * (i % 2) for j in range(4)] for i in range(300)})
        write_large_model(directory / f"long-{side}.safetensors", 1 << 26)
    return {"small": ["small-a.safetensors", "small-b.safetensors"], "wide": ["wide-a.safetensors", "wide-b.safetensors"],
            "long": ["long-a.safetensors", "long-b.safetensors"]}


class Workload:
    def __init__(self, service, history, seed, clients=4, pause=0.01, keep=False):
        self.service, self.history, self.pause, self.keep = service, history, pause, keep
        self.kinds = make_models(service.models)
        self.upload = (service.models / "small-b.safetensors").read_bytes()
        self.sha256 = hashlib.sha256(self.upload).hexdigest()
        self.stopping, self.lock, self.recent, self.uploads = threading.Event(), threading.Lock(), [], []
        self.threads = [threading.Thread(target=self.run, args=(random.Random(f"{seed}-{i}"),)) for i in range(clients)]

    def references(self, kinds=None):
        """The results of these kinds (None: all), from the service while nobody disturbs it; each twice, to see that they
        are the same."""
        client, found = self.service.client(), {}
        upload = client.call("PUT", "/v1/uploads/b", self.upload).json()["id"]
        for kind, models in (*self.kinds.items(), ("upload", [self.kinds["small"][0], {"upload": upload}])):
            if kinds and kind not in kinds:
                continue
            for _ in range(2):
                job = client.call("POST", "/v1/jobs", self.body(models), {"Prefer": "wait=60"}).json()
                if job["state"] != "succeeded":
                    raise AssertionError(f"undisturbed, {kind}: {job}")
                result = client.get(job["result_url"]).body
                if found.setdefault(kind, result) != result:
                    raise AssertionError(f"undisturbed, {kind}: two runs, two results")
                client.call("DELETE", f"/v1/jobs/{job['id']}")
        client.call("DELETE", f"/v1/uploads/{upload}")
        client.close()
        return found

    def start(self):
        for thread in self.threads:
            thread.start()

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join()

    def run(self, rng):
        client = self.service.client(timeout=40)
        acts = {self.submit: 40, self.look: 25, self.list: 3, self.result: 10, self.cancel: 6, self.delete: 8,
                self.put: 6, self.put_in_pieces: 2, self.delete_upload: 4, self.leave: 2}
        while not self.stopping.is_set():
            act = rng.choices(list(acts), acts.values())[0]
            try:
                act(client, rng)
            except NO_REPLY:
                self.history.note("no answer", act=act.__name__)
                time.sleep(0.01)
            except Exception as why:  # a thread that dies must not look like a service that works
                self.history.violate(f"a client's {act.__name__}: {why!r}")
            time.sleep(rng.uniform(0, 2 * self.pause))
        client.close()

    def until_answered(self, client, seconds=20):
        """client.call, again and again while the service is away or says 503, or 409 of the same request in flight."""
        def ask(*request):
            end = time.monotonic() + seconds
            while True:
                try:
                    reply = client.call(*request)
                    if reply.status not in (409, 503) or time.monotonic() > end:
                        return reply
                except NO_REPLY:
                    if time.monotonic() > end:
                        raise
                time.sleep(0.02)
        return ask

    @staticmethod
    def body(models):
        return {"models": models, "analyses": ["stats", "layer_impact"]}

    def any_job(self, rng):
        with self.lock:
            return rng.choice(self.recent) if self.recent else None

    def submit(self, client, rng):
        kind = rng.choices(["small", "wide", "long", "upload"], [60, 15, 3, 22])[0]
        models = self.kinds.get(kind)
        if kind == "upload":
            with self.lock:
                upload = rng.choice(self.uploads) if self.uploads else None
            if not upload:
                return
            models = [self.kinds["small"][0], {"upload": upload}]
        headers = {"Prefer": "wait=2"} if rng.random() < 0.3 else {}
        ask = client.call
        if rng.random() < 0.3:  # asked again with the same key until it is answered, and one job all the same
            headers["Idempotency-Key"] = f"{rng.getrandbits(64):016x}"
            ask = self.until_answered(client)
        try:
            reply = ask("POST", "/v1/jobs", self.body(models), headers)
        except NO_REPLY:
            self.history.unanswered_one("job")
            raise
        if reply.status == 503:  # too late to be told is not the same as not done
            self.history.unanswered_one("job")
        # An upload may have been deleted by another client since: then the job is refused.
        if self.history.answered("submit", reply, 200, 202, *((422, 404) if kind == "upload" else ())) and reply.status < 300:
            job = reply.json()["id"]
            self.history.accepted(job, kind)
            with self.lock:
                self.recent = [*self.recent[-200:], job]

    def look(self, client, rng):
        job_id = self.any_job(rng)
        if job_id:
            reply = client.get(f"/v1/jobs/{job_id}")
            job = self.history.jobs[job_id]
            if self.history.answered("status", reply, 200, *((404,) if job.delete_sent else ())) and reply.status == 200:
                self.history.seen(reply.json())

    def list(self, client, rng):
        reply = client.get("/v1/jobs?page_size=20")
        if self.history.answered("list", reply, 200):
            for document in reply.json()["jobs"]:
                self.history.seen(document)

    def result(self, client, rng):
        job_id = self.any_job(rng)
        if job_id:
            self.history.answered("result", client.get(f"/v1/jobs/{job_id}/result"), 200, 409,
                                  *((404,) if self.history.jobs[job_id].delete_sent else ()))

    def cancel(self, client, rng):
        job_id = self.any_job(rng)
        if job_id:
            job = self.history.jobs[job_id]
            job.cancel_sent = True
            reply = client.call("POST", f"/v1/jobs/{job_id}:cancel")
            if self.history.answered("cancel", reply, 200, 202, 409, *((404,) if job.delete_sent else ())):
                self.history.note("cancel", job=job_id, status=reply.status)
                job.is_cancelled |= reply.status == 202

    def delete(self, client, rng):
        job_id = self.any_job(rng)
        if job_id:
            job = self.history.jobs[job_id]
            job.delete_sent = True
            reply = client.call("DELETE", f"/v1/jobs/{job_id}")
            if self.history.answered("delete", reply, 204, 404):
                job.is_deleted = True
                self.history.note("delete", job=job_id, status=reply.status)

    def put(self, client, rng):
        try:
            reply = client.call("PUT", "/v1/uploads/b", self.upload)
        except NO_REPLY:
            self.history.unanswered_one("upload")
            raise
        if reply.status == 503:
            self.history.unanswered_one("upload")
        if self.history.answered("upload", reply, 201):
            upload = reply.json()
            if upload["sha256"] != self.sha256:
                self.history.violate(f"kept: the upload's digest is {upload['sha256']}, not {self.sha256}")
            self.history.uploaded(upload["id"], self.sha256)
            with self.lock:
                self.uploads.append(upload["id"])

    def put_in_pieces(self, client, rng):
        """An upload that goes on from wherever the service says that it is, also after a kill."""
        try:
            reply = client.call("POST", "/v1/uploads", b"", {"Upload-Complete": "?0", "Content-Disposition": 'attachment; filename="b"'})
        except NO_REPLY:
            self.history.unanswered_one("upload")
            raise
        if reply.status == 503:
            self.history.unanswered_one("upload")
        if not self.history.answered("create upload", reply, 201):
            return
        path, size, offset, kept = reply.headers["Location"], len(self.upload), 0, 0
        upload_id = path.rpartition("/")[2]
        self.history.begun(upload_id)
        is_complete = False
        while not is_complete:
            end = min(size, offset + rng.randrange(1, size))
            headers = {"Content-Type": "application/partial-upload", "Upload-Offset": str(offset),
                       "Upload-Complete": "?1" if end == size else "?0"}
            try:
                reply = client.call("PATCH", path, self.upload[offset:end], headers)
                if self.history.answered("piece", reply, 200, 204):
                    offset, kept, is_complete = end, end, reply.status == 200
                    continue
            except NO_REPLY:
                self.history.note("no answer", act="piece")
            reply = self.until_answered(client)("HEAD", path)
            if not self.history.answered("offset", reply, 200, 204):
                return
            offset, is_complete = int(reply.headers["Upload-Offset"]), reply.headers["Upload-Complete"] == "?1"
            if not kept <= offset <= size:
                self.history.violate(f"kept: upload {upload_id} is at {offset}, and {kept} bytes were acknowledged")
        self.history.uploaded(upload_id, self.sha256)
        with self.lock:
            self.uploads.append(upload_id)

    def delete_upload(self, client, rng):
        with self.lock:
            if len(self.uploads) < 4:
                return
            upload_id = self.uploads.pop(rng.randrange(len(self.uploads)))
        upload = self.history.uploads[upload_id]
        upload.delete_sent = True
        reply = client.call("DELETE", f"/v1/uploads/{upload_id}")
        if self.history.answered("delete upload", reply, 204, 404, 409):  # 409: a job needs it; it stays
            upload.is_deleted = reply.status != 409
            self.history.note("delete upload", upload=upload_id, status=reply.status)

    def leave(self, client, rng):
        """Goes away in the middle of an upload."""
        sock = send_request(self.service.port, "PUT /v1/uploads/cut HTTP/1.1\r\nHost: localhost\r\n"
                            f"Content-Length: {2 * UPLOAD_BYTES}\r\n\r\n")
        sock.sendall(bytes(rng.randrange(UPLOAD_BYTES)))
        sock.close()

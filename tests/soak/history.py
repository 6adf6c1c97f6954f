"""What clients asked for and were told, and whether the service kept its word. The invariants:

  ended     every accepted job reaches an end, and an end never changes
  right     the result of a job is, byte for byte, that of the same request on a service that nobody disturbed
  obeyed    202 for a cancel means cancelled; 204 for a delete means gone, for ever
  kept      an accepted upload keeps its bytes until it is deleted
  tidy      every file of the state directory has its row, every row its files, and there are no others
  spoken    no answer in the 500s but 503, 504 and 507, and those only while a fault is at work

A request without an answer may have happened or not; both are right, but nothing in between. Every event is also a line of
JSON in a file, so that a violation can be traced back.
"""
import collections
import hashlib
import json
import os
import sqlite3
import threading
import time

from service import wait_for

ENDS = ("succeeded", "failed", "cancelled")


class Job:
    def __init__(self, kind):
        self.kind, self.end = kind, None
        self.cancel_sent = self.is_cancelled = self.delete_sent = self.is_deleted = False


class Upload:
    def __init__(self, sha256):
        self.sha256, self.delete_sent, self.is_deleted = sha256, False, False


class History:
    def __init__(self, path):
        self.lock, self.file, self.begin = threading.Lock(), open(path, "w"), time.monotonic()
        self.jobs, self.uploads, self.pieces = {}, {}, set()
        self.counts, self.violations = collections.Counter(), []
        self.unanswered = collections.Counter()  # submits and uploads that may have happened or not
        self.excused = ()  # statuses in the 500s that the fault at work explains

    def note(self, what, **facts):
        with self.lock:
            self.counts[what] += 1
            print(json.dumps({"t": round(time.monotonic() - self.begin, 4), "what": what, **facts}), file=self.file)

    def violate(self, text):
        self.note("violation", text=text)
        with self.lock:
            self.violations.append(text)

    def answered(self, what, reply, *expected):
        """Whether the reply is one of those expected. 500s are violations unless excused, and so is anything else."""
        if reply.status in expected:
            return True
        self.note("refused", request=what, status=reply.status)
        if reply.status not in self.excused:
            self.violate(f"spoken: {what} was answered by {reply}")
        return False

    def accepted(self, job_id, kind):
        self.note("accepted", job=job_id, kind=kind)
        with self.lock:
            self.jobs.setdefault(job_id, Job(kind))

    def unanswered_one(self, table):
        with self.lock:
            self.unanswered[table] += 1

    def begun(self, upload_id):
        """An upload that comes in pieces; it may stay without its end."""
        self.note("begun", upload=upload_id)
        with self.lock:
            self.pieces.add(upload_id)

    def uploaded(self, upload_id, sha256):
        self.note("uploaded", upload=upload_id)
        with self.lock:
            self.uploads[upload_id] = Upload(sha256)

    def seen(self, document):
        """A job's document, as a client got it."""
        job, state = self.jobs.get(document["id"]), document["state"]
        if not job:
            return
        with self.lock:
            before, job.end = job.end, job.end or (state if state in ENDS else None)
        if before and before != state:
            self.violate(f"ended: job {document['id']} was {before} and is {state}")

    def close(self):
        self.file.close()


def check(history, service, references, crashes=0, restarts=0):
    """Waits for every job's end and holds everything against the history. references: {kind: result bytes}. crashes and
    restarts: how often a worker, or the service, was ended. Three deaths of its worker may fail a job, or eleven of the
    service, and nothing else may."""
    client = service.client()
    wait_for("the queue is empty", lambda: is_queue_empty(service), 120, 0.05)
    for job_id, job in history.jobs.items():
        reply = client.get(f"/v1/jobs/{job_id}")
        if reply.status == 404:
            if not job.delete_sent:
                history.violate(f"ended: accepted job {job_id} is lost")
            continue
        if job.is_deleted:
            history.violate(f"obeyed: deleted job {job_id} is there: {reply}")
            continue
        document = reply.json()
        history.seen(document)
        check_end(history, client, job_id, job, document, references, {"worker-crashed": crashes // 3, "interrupted": restarts // 11})
    for upload_id, upload in history.uploads.items():
        check_upload(history, client, service, upload_id, upload)
    check_unknown(history, service)
    client.close()


def check_end(history, client, job_id, job, document, references, excuses):
    state = document["state"]
    history.note("end", job=job_id, state=state, attempt=document["attempt"])
    if job.is_cancelled and state != "cancelled":
        history.violate(f"obeyed: job {job_id} is {state} though its cancel was accepted")
    if state == "succeeded":
        result = client.get(f"/v1/jobs/{job_id}/result")
        if result.status != 200:
            history.violate(f"right: job {job_id} succeeded and has no result: {result}")
        elif result.body != references[job.kind]:
            history.violate(f"right: job {job_id} ({job.kind}) has another result than when undisturbed")
    elif state == "cancelled" and not job.cancel_sent:
        history.violate(f"ended: job {job_id} was cancelled by nobody")
    elif state == "failed":
        if document["attempt"] < 3 or not excuses.get(document["error"].get("code")):
            history.violate(f"ended: job {job_id} ({job.kind}) failed: {document['error']}")
        history.note("failed by kills", job=job_id)
    elif state not in ENDS:
        history.violate(f"ended: job {job_id} is {state} at the end")


def check_upload(history, client, service, upload_id, upload):
    reply = client.get(f"/v1/uploads/{upload_id}")
    if upload.is_deleted and reply.status != 404:
        history.violate(f"obeyed: deleted upload {upload_id} is there: {reply}")
    elif not upload.delete_sent and reply.status != 200:
        history.violate(f"kept: accepted upload {upload_id} is lost: {reply}")
    elif reply.status == 200:
        stored = (service.state / "uploads" / upload_id).read_bytes()
        if hashlib.sha256(stored).hexdigest() != upload.sha256 or reply.json()["sha256"] != upload.sha256:
            history.violate(f"kept: upload {upload_id} has other bytes than were sent")


def store(service):
    return sqlite3.connect(f"file:{service.state}/diffaid.db?mode=ro", uri=True, timeout=10)


def rows_of(service, query):
    connection = store(service)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def is_queue_empty(service):
    return rows_of(service, "SELECT count(*) FROM job WHERE state < 2")[0][0] == 0


def check_unknown(history, service):
    """Rows that nobody was told of are the work of requests without an answer, one of each at most."""
    for table, known in (("job", history.jobs.keys()), ("upload", history.uploads.keys() | history.pieces)):
        unknown = [row[0] for row in rows_of(service, f"SELECT id FROM {table}") if row[0] not in known]
        if len(unknown) > history.unanswered[table]:
            history.violate(f"ended: {len(unknown)} rows of {table} that nobody was told of, "
                            f"{history.unanswered[table]} requests without an answer: {unknown[:3]}")


def untidy(service):
    """What is wrong between the files of the state directory and the rows: a list of texts. Meaningful once the sweep
    has been and nothing is under way."""
    wrong = []
    in_files = {row[0] for row in rows_of(service, "SELECT id FROM job JOIN result ON job = seq WHERE NOT is_inline")}
    uploads = dict(rows_of(service, "SELECT id, bytes FROM upload"))
    whole = {row[0] for row in rows_of(service, "SELECT id FROM upload WHERE is_complete")}
    results = collections.defaultdict(set)
    for name in os.listdir(service.state / "results"):
        results[name.partition(".")[0]].add(name.partition(".")[2])
    suffixes = {"json", "index", "txt", "md", "xml"}
    for job_id, found in results.items():
        if job_id not in in_files or found != suffixes:
            wrong.append(f"tidy: results/{job_id}: {sorted(found)}, and the row says {'files' if job_id in in_files else 'none'}")
    wrong += [f"tidy: the files of result {job_id} are missing" for job_id in in_files - results.keys()]
    stored = set(os.listdir(service.state / "uploads"))
    wrong += [f"tidy: uploads/{name} has no row" for name in stored - uploads.keys()]
    wrong += [f"tidy: the file of upload {name} is missing" for name in uploads.keys() - stored]
    for name in stored & whole:
        size = os.stat(service.state / "uploads" / name).st_size
        if size != uploads[name]:
            wrong.append(f"tidy: upload {name} has {size} bytes, its row says {uploads[name]}")
    wrong += [f"tidy: job {row[0]} still holds uploads" for row in
              rows_of(service, "SELECT id FROM job JOIN job_upload ON job = seq WHERE state >= 2")]
    return wrong


def check_tidy(history, service, seconds=15):
    end = time.monotonic() + seconds
    while (wrong := untidy(service)) and time.monotonic() < end:
        time.sleep(0.1)
    for text in wrong:
        history.violate(text)

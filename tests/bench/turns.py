"""Subjects that do the same work, run in turns: what else the machine does meets all of them alike."""
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
RELEASE = HERE.parent.parent / "build/release"
DIFFAID = str(RELEASE / "diffaid")
PLAIN = str(RELEASE / "tests/bench_plain")
# NumPy at its best: glibc keeps freed arrays for reuse instead of faulting new pages in (a third faster here).
PEER_SETTINGS = {f"MALLOC_{name}_": str(1 << 33) for name in ("MMAP_THRESHOLD", "TRIM_THRESHOLD")}


def note(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


def spawn(arguments, settings=None):
    null = os.open("/dev/null", os.O_WRONLY)
    try:
        return os.posix_spawnp(arguments[0], arguments, {**os.environ, **(settings or {})}, file_actions=[(os.POSIX_SPAWN_DUP2, null, 1)])
    finally:
        os.close(null)


def finish(pid, arguments, expected=(0, 1)):
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code not in expected:
        sys.exit(f"bench: {' '.join(arguments)}: exit status {code}")


def timed(arguments, expected=(0, 1), settings=None):
    start = time.perf_counter()
    finish(spawn(arguments, settings), arguments, expected)
    return time.perf_counter() - start


def compare(paths, threads=2, out="/dev/null", asked=("--stats",)):
    return [DIFFAID, "compare", *map(str, paths), *asked, "--threads", str(threads), "--json", "--out", str(out)]


def read_through(paths):
    buffer = bytearray(1 << 22)
    for path in paths:
        with open(path, "rb", buffering=0) as file:
            while file.readinto(buffer):
                pass


def drop(paths):
    """Out of the page cache with them; clean pages go at once."""
    for path in paths:
        with open(path, "rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def isas():
    try:
        flags = pathlib.Path("/proc/cpuinfo").read_text().split()
    except OSError:
        flags = []
    return ["scalar", *(isa for isa, flag in (("avx2", "avx2"), ("avx512", "avx512vl")) if flag in flags)]


def plain(what, dtype, threads, paths):
    """Measured from outside, like everybody else: one run of it."""
    return [PLAIN, what, dtype, str(threads), "1", *map(str, paths)]


def has_module(python, name):
    find = "import importlib.util, sys; sys.exit(not importlib.util.find_spec(sys.argv[1]))"
    return subprocess.run([python, "-c", find, name], stderr=subprocess.DEVNULL, check=False).returncode == 0


def peers(paths):
    """{name: (arguments, settings)} of what is there: NumPy beside this script, the others in the Python that PATH has
    first (an environment of one's own), or on PATH themselves."""
    found = {"NumPy": ([sys.executable, str(HERE / "peer.py"), *map(str, paths)], PEER_SETTINGS)}
    python = shutil.which("python3") or sys.executable
    if has_module(python, "torch"):
        found["PyTorch"] = ([python, str(HERE / "peer_torch.py"), *map(str, paths)], {})
    if has_module(python, "diffai"):
        script = "import diffai, sys; diffai.diff_paths(*sys.argv[1:])"
        found["diffai"] = ([python, "-c", script, *map(str, paths)], {})
    if shutil.which("gguf-tools") and all(str(path).endswith(".gguf") for path in paths):
        found["gguf-tools"] = (["gguf-tools", "compare", *map(str, paths)], {})
    return found


def subjects(paths, dtype, is_equal, is_full):
    """{name: (arguments, settings)}. cmp stops at the first difference, so it stands beside equal pairs only."""
    some = {"diffaid, 2 threads": (compare(paths), {}), "read only, 2 threads": (plain("read", dtype, 2, paths), {})}
    if not is_full:
        return some
    for isa in isas():
        for threads in (1, 2):
            some[f"diffaid {isa}, {threads} thread{'s' * (threads > 1)}"] = (compare(paths, threads), {"DIFFAID_ISA": isa})
    some["read only, 1 thread"] = (plain("read", dtype, 1, paths), {})
    for threads in (1, 2):
        some[f"plain loop of all figures, {threads} thread{'s' * (threads > 1)}"] = (plain("figures", dtype, threads, paths), {})
    if is_equal:
        some["cmp"] = (["cmp", *map(str, paths)], {})
        some["sha256sum"] = (["sha256sum", *map(str, paths)], {})
    return some


def in_turns(some, rounds, before=lambda: None):
    """{name: [seconds]}"""
    times = {name: [] for name in some}
    for _ in range(rounds):
        for name, (arguments, settings) in some.items():
            before()
            times[name].append(timed(arguments, settings=settings))
    return times


def median(seconds):
    return statistics.median(seconds)


def version():
    return subprocess.run([DIFFAID, "--version"], capture_output=True, text=True, check=True).stdout.strip()

#!/usr/bin/env python3
"""The figures of `diffaid compare --stats` on two BF16 or F32 safetensors files, the way one writes them with PyTorch.

    peer_torch.py BASELINE CANDIDATE
"""
import json
import mmap
import sys

import torch

DTYPES = {"BF16": torch.bfloat16, "F32": torch.float32}


def open_model(path):
    with open(path, "rb") as file:
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    size = int.from_bytes(data[:8], "little")
    for name, entry in json.loads(data[8 : 8 + size]).items():
        first, last = (8 + size + offset for offset in entry["data_offsets"])
        yield name, torch.frombuffer(memoryview(data)[first:last], dtype=DTYPES[entry["dtype"]])


def side(x):
    return [float(f) for f in (x.mean(), x.std(correction=0), x.min(), x.max(), x.norm())] + [int((x == 0).sum())]


def pair(a, b):
    delta = b - a
    sums = (delta.norm(), delta.abs().max(), delta.mean(), delta.abs().mean(), torch.dot(a, b))
    return [float(f) for f in sums] + [int((a != b).sum()), int((a * b < 0).sum())]


def main():
    candidate = dict(open_model(sys.argv[2]))
    for name, stored in open_model(sys.argv[1]):
        a, b = stored.double(), candidate[name].double()
        finite = torch.isfinite(a) & torch.isfinite(b)
        side(a[torch.isfinite(a)]), side(b[torch.isfinite(b)]), pair(a[finite], b[finite])


main()

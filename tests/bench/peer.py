#!/usr/bin/env python3
"""The figures of `diffaid compare --stats` on two BF16 or F32 safetensors files, the way one writes them with NumPy.

    peer.py BASELINE CANDIDATE [OUT.json]

Each tensor is mapped, decoded (bits << 16 are an F32) and reduced in float64; dot products go through BLAS. Tensors are
taken one at a time, so that memory stays bounded. The speed of this script is what `./dev bench` compares against, and
its figures are what diffaid's are checked against.
"""
import json
import sys

import numpy as np


def open_model(path):
    with open(path, "rb") as file:
        size = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(size))
    header.pop("__metadata__", None)
    data = np.memmap(path, np.uint8, "r", offset=8 + size)
    return {
        name: data[entry["data_offsets"][0] : entry["data_offsets"][1]].view(np.uint16 if entry["dtype"] == "BF16" else np.float32)
        for name, entry in header.items()
        if entry["dtype"] in ("BF16", "F32")
    }


def decode(bits):
    if bits.dtype == np.float32:
        return bits.astype(np.float64)
    return (bits.astype(np.uint32) << 16).view(np.float32).astype(np.float64)


def side(values):
    finite = np.isfinite(values)
    nans = int(np.isnan(values).sum())
    if not finite.all():
        infs = int(values.size - finite.sum()) - nans
        values = values[finite]
    else:
        infs = 0
    return {
        "mean": float(values.mean()),
        "std": float(values.std()),
        "min": float(values.min()),
        "max": float(values.max()),
        "abs_max": float(np.abs(values).max()),
        "l2": float(np.sqrt(values @ values)),
        "zeros": int(values.size - np.count_nonzero(values)),
        "nans": nans,
        "infs": infs,
    }


def pair(a, b):
    changed = int(((a != b) & ~(np.isnan(a) & np.isnan(b))).sum())
    elements = a.size
    finite = np.isfinite(a) & np.isfinite(b)
    if not finite.all():
        a, b = a[finite], b[finite]
    delta = b - a
    magnitude = np.abs(delta)
    aa, bb, dd = a @ a, b @ b, delta @ delta
    return {
        "l2": float(np.sqrt(dd)),
        "relative_l2": float(np.sqrt(dd / aa)),
        "rms": float(np.sqrt(dd / a.size)),
        "max_abs": float(magnitude.max()),
        "mean": float(delta.mean()),
        "mean_abs": float(magnitude.mean()),
        "cosine": float((a @ b) / (np.sqrt(aa) * np.sqrt(bb))),
        "changed_elements": changed,
        "changed_fraction": changed / elements,
        "sign_flips": int((a * b < 0).sum()),
    }


def main():
    baseline, candidate = open_model(sys.argv[1]), open_model(sys.argv[2])
    report = {}
    for name, bits in baseline.items():
        a, b = decode(bits), decode(candidate[name])
        report[name] = {"baseline": side(a), "candidate": side(b), "delta": pair(a, b)}
    if len(sys.argv) > 3:
        with open(sys.argv[3], "w") as file:
            json.dump(report, file)


if __name__ == "__main__":
    main()

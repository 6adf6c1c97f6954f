"""The models that are measured: made from one block of noise, turned by another amount for each tensor."""
import json
import math
import shutil

import numpy as np

COLUMNS = 4096
ROWS = {"BF16": 4096, "F32": 2048}  # tensors of 33.6 MB
ITEM = {"BF16": 2, "F32": 4, "F8_E4M3": 1}
SMALL_TENSORS, SMALL_ELEMENTS = 300_000, 256  # 1 KB each in F32


def bf16(values):
    """Nearest BF16 bits of float32 values, half to even."""
    bits = values.view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def write_model(path, dtype, names, shape, blocks):
    size = math.prod(shape) * ITEM[dtype]
    entries = {n: {"dtype": dtype, "shape": shape, "data_offsets": [i * size, (i + 1) * size]} for i, n in enumerate(names)}
    header = json.dumps(entries, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    scratch = path.with_suffix(".part")
    with open(scratch, "wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        for block in blocks:
            file.write(block)
    scratch.rename(path)


def turned(values, i):
    """The block turned, with two elements of its own: tensors of equal figures would be read again as duplicates."""
    block = np.roll(values, i * 4099)
    own = np.array([0x3C00 + i % 256, 0x3B00 + i // 256], np.uint16)
    block[:2] = own if block.dtype == np.uint16 else (own.astype(np.uint32) << 16).view(np.float32)
    return block.data


def noise(elements, seed=1):
    """Weights, and the same with 1 % noise; some zeros and a few values that are not finite."""
    rng = np.random.default_rng(seed)
    a = rng.standard_normal(elements, np.float32) * np.float32(0.02)
    b = a + rng.standard_normal(elements, np.float32) * np.float32(0.0002)
    a[::1000] = b[::1000] = 0
    a[7::1_000_003], b[9::1_000_003] = np.nan, np.inf
    return a, b


def make_pair(directory, label, tensors, shape=None, dtype="BF16"):
    """(baseline, candidate): two models whose tensors differ by 1 % noise."""
    paths = [directory / f"{label}-{side}.safetensors" for side in "ab"]
    shape = shape or (ROWS[dtype], COLUMNS)
    names = [f"model.layers.{i}.mlp.up_proj.weight" for i in range(tensors)]
    for path, values in zip(paths, noise(math.prod(shape))):
        if not path.exists():
            stored = bf16(values) if dtype == "BF16" else values
            write_model(path, dtype, names, shape, (turned(stored, i) for i in range(tensors)))
    return paths


def make_aligned(directory, tensors, dtype):
    """(baseline, {layout: (candidate, its rules or None)}): the same values as they are, turned over, with the rows of
    heads in another order, stacked and fused."""
    shape, heads = (ROWS[dtype], COLUMNS), 32
    names = [f"w.{i}.weight" for i in range(tensors)]
    rule = {"target": "t.{n}.weight", "source": "w.{n}.weight"}
    layouts = {
        "plain": (names, shape, lambda block: block, None),
        "transposed": ([f"t.{i}.weight" for i in range(tensors)], shape[::-1], lambda block: block.T, [{**rule, "transformation": "transpose"}]),
        "permuted": ([f"t.{i}.weight" for i in range(tensors)], shape,
                     lambda block: block.reshape(heads, 2, -1, COLUMNS).swapaxes(1, 2), [{**rule, "transformation": f"rope_permute({heads})"}]),
        "stacked": (["stacked"], (tensors, *shape), lambda block: block, [{"target": "stacked", "source": "w.{e}.weight", "part": "[e]"}]),
        "fused": (["fused"], (tensors * shape[0], COLUMNS), lambda block: block,
                  [{"target": "fused", "source": name, "part": "next"} for name in names]),
    }
    a, b = (bf16(values) if dtype == "BF16" else values for values in noise(math.prod(shape)))
    baseline, found = directory / f"aligned{dtype}-a.safetensors", {}
    if not baseline.exists():
        write_model(baseline, dtype, names, shape, (turned(a, i) for i in range(tensors)))
    for layout, (called, dims, arrange, rules) in layouts.items():
        path, said = directory / f"aligned{dtype}{layout}-b.safetensors", directory / f"aligned{dtype}{layout}-c.json"
        if not path.exists():
            blocks = (np.frombuffer(turned(b, i), b.dtype).reshape(shape) for i in range(tensors))
            write_model(path, dtype, called, dims, (np.ascontiguousarray(arrange(block)).data for block in blocks))
        if rules:
            said.write_text(json.dumps({"rules": rules}))
        found[layout] = (path, said if rules else None)
    return baseline, found


def make_copy(path):
    copy = path.with_name(path.name.replace("-a.", "-c."))
    if not copy.exists():
        shutil.copyfile(path, copy)
    return copy


def make_small(directory):
    """300,000 tensors of 1 KB, and the same with every thousandth changed."""
    paths = [directory / f"tensors-{side}.safetensors" for side in "ab"]
    values = np.random.default_rng(2).standard_normal((SMALL_TENSORS, SMALL_ELEMENTS), np.float32) * np.float32(0.02)
    names = [f"model.layers.{i // 100}.block.{i % 100}.weight" for i in range(SMALL_TENSORS)]
    for path in paths:
        if not path.exists():
            write_model(path, "F32", names, (SMALL_ELEMENTS,), [values.data])
        values[::1000, 0] += np.float32(0.001)
    return paths


def make_series(directory, count, tensors):
    """Checkpoints of a training that converges, BF16."""
    paths = [directory / f"series-{m}.safetensors" for m in range(count)]
    shape = (ROWS["BF16"], COLUMNS)
    a, b = (np.nan_to_num(values, posinf=0) for values in noise(math.prod(shape), 3))
    names = [f"model.layers.{i}.mlp.up_proj.weight" for i in range(tensors)]
    for m, path in enumerate(paths):
        if not path.exists():
            stored = bf16(a + (b - a) * np.float32(1 - 0.5**m))
            write_model(path, "BF16", names, shape, (turned(stored, i) for i in range(tensors)))
    return paths


LAYER = {  # a checkpoint's names, and a GGUF file's
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
}
LAYERS, SIDE, HEADS = 2858, 32, 4  # 20,006 tensors


def gguf_string(text):
    return len(text).to_bytes(8, "little") + text.encode()


def make_conversion(directory):
    """A checkpoint of 20,000 tensors of 4 KB, and the GGUF file that llama.cpp's converter makes of such: rows of query and
    key in the order of its rotary embedding."""
    checkpoint, converted = directory / "many-a.safetensors", directory / "many-b.gguf"
    values = np.random.default_rng(4).standard_normal((LAYERS * len(LAYER), SIDE, SIDE), np.float32) * np.float32(0.02)
    modules = [(i, module) for i in range(LAYERS) for module in LAYER]
    if not checkpoint.exists():
        write_model(checkpoint, "F32", [f"model.layers.{i}.{module}.weight" for i, module in modules], (SIDE, SIDE), [values.data])
    if not converted.exists():
        for at, (_, module) in enumerate(modules):
            if module in ("self_attn.q_proj", "self_attn.k_proj"):
                values[at] = values[at].reshape(HEADS, 2, -1, SIDE).swapaxes(1, 2).reshape(SIDE, SIDE)
        numbers = {"block_count": LAYERS, "attention.head_count": HEADS, "attention.head_count_kv": HEADS, "embedding_length": SIDE}
        head = b"GGUF" + b"".join(n.to_bytes(size, "little") for n, size in ((3, 4), (len(modules), 8), (len(numbers) + 1, 8)))
        head += gguf_string("general.architecture") + (8).to_bytes(4, "little") + gguf_string("llama")
        for key, number in numbers.items():
            head += gguf_string(f"llama.{key}") + (4).to_bytes(4, "little") + number.to_bytes(4, "little")
        for at, (i, module) in enumerate(modules):
            shape_and_place = ((2, 4), (SIDE, 8), (SIDE, 8), (0, 4), (at * values[0].nbytes, 8))
            head += gguf_string(f"blk.{i}.{LAYER[module]}.weight") + b"".join(n.to_bytes(size, "little") for n, size in shape_and_place)
        converted.write_bytes(head + b"\0" * (-len(head) % 32) + values.tobytes())
    return [checkpoint, converted]

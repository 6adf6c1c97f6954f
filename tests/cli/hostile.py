"""Writes small files that ask for much work into the directory that is named, for test_hostile.sh."""
import json
import os
import pickle
import struct
import sys
import types
import zipfile

os.chdir(sys.argv[1])


def safetensors(path, shapes):
    """Zeros of F32, as a hole in the file."""
    header, at = {}, 0
    for name, shape in shapes.items():
        end = at + 4 * shape[0] * shape[1]
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [at, end]}
        at = end
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + at)


def adapter(path, modules, **config):
    os.mkdir(path)
    safetensors(path + "/adapter_model.safetensors",
                {f"base_model.model.{m}.lora_{ab}.weight": [1, 1] for m in modules for ab in "AB"})
    with open(path + "/adapter_config.json", "w") as file:
        json.dump({"peft_type": "LORA", "r": 1, "lora_alpha": 1, **config}, file)


LAYERS = [f"model.layers.{i}.q_proj" for i in range(20000)]
safetensors("base.safetensors", {m + ".weight": [1, 1] for m in LAYERS})
adapter("names", LAYERS, alpha_pattern={m: 2 for m in LAYERS})
adapter("expressions", LAYERS[:1], alpha_pattern={f"a+{i}": 1 for i in range(65)})
adapter("slow", LAYERS, alpha_pattern={f"[a-z]*[a-z]*[a-z]*[a-z]*[0-9]{{{i}}}[A-Z]": 1 for i in range(7, 71)})
adapter("heads", LAYERS[:1] + [f"m{i}.lm_head" for i in range(20000)])


def archive(path, members, **how):
    with zipfile.ZipFile(path, "w", **how) as file:
        for name, data in members.items():
            file.writestr(name, data)


def text(value):
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def levels(leaf, depth, key):
    """Dicts, each of which holds the one before ten times: the leaf is there under 10^depth names."""
    tree = b"\x80\x02" + leaf + b"q\0"
    for level in range(depth):
        tree += b"}(" + b"".join(text(key + str(i)) + b"h" + bytes([level]) for i in range(10)) + b"uq" + bytes([level + 1])
    return {"a/data.pkl": tree + b"."}


TENSOR = (b"ctorch._utils\n_rebuild_tensor_v2\n((" + text("storage") + b"ctorch\nFloatStorage\n" + text("0") + text("cpu") +
          b"K\1tQK\0))\x89)}(%stR")
SCALAR = b"cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n(" + text("f8") + b"tRc_codecs\nencode\n(%stRtR"
archive("dag.pt", levels(b"N", 20, ""))
archive("names.pt", levels(SCALAR % text("12345678"), 20, "k" * 180))
archive("keys.pt", levels(b"}(" + b")N" * 10000 + b"u", 8, ""))
archive("metadata.pt", levels(TENSOR % (text("key") * 6000 + b"u"), 8, "") | {"a/data/0": b"\0" * 4})
archive("scalars.pt", levels(SCALAR % text("x" * 50000), 6, ""))
archive("groups.pt", {"a/data.pkl": b"\x80\x02}(" + text("state") + b"}" + text("param_groups") + b"}(" + text("params") +
                    b"](" + b"K\1" * 200000 + b"euq\0" + b"0](" + b"h\0" * 200000 + b"eu."})
archive("inflated.pt", {"a/data.pkl": b"\x80\x02](" + b"))\x86" * 2000000 + b"e."}, compression=zipfile.ZIP_DEFLATED)
archive("package.pt", {"a/.data/extern_modules": "", **{f"a/{i}.pkl": b"\x80\x02" + b"c\n\n0" * 250000 + b"N."
                                                      for i in range(40)}}, compression=zipfile.ZIP_DEFLATED)


def numbers(values):
    return b"(" + b"".join(b"J" + struct.pack("<i", value) for value in values) + b"t"


def views(shapes, steps, of):
    """Views of one storage, which is said to have so many elements, by their names."""
    tensor = (b"ctorch._utils\n_rebuild_tensor_v2\n((" + text("storage") + b"ctorch\nFloatStorage\n" + text("0") +
              text("cpu") + b"J%stQK\0%s%s\x89}tR")
    return {"a/data.pkl": b"\x80\x02}(" + b"".join(text(name) + tensor % (struct.pack("<i", of), numbers(shape), numbers(
        steps[: len(shape)])) for name, shape in shapes.items()) + b"u.", "a/data/0": b"\0" * 4 * of}


archive("repeated.pt", views({f"{i}": [2**30] for i in range(300)}, [0], 1))
archive("again.pt", views({f"{i}": [2**23] for i in range(300)}, [1], 2**23), compression=zipfile.ZIP_DEFLATED)
archive("wide.pt", views({"w.weight": [1, 2**27]}, [0, 0], 1))
adapter("wide", [])
os.remove("wide/adapter_model.safetensors")
archive("wide/adapter_model.bin", views({"base_model.model.w.lora_A.weight": [1, 2**27],
                                         "base_model.model.w.lora_B.weight": [1, 1]}, [0, 0], 1))


def checkpoint(path, count, length):
    """A directory of torch.distributed.checkpoint: so many objects, all of them the first bytes of one file."""
    module = "torch.distributed.checkpoint.metadata"
    for dots in range(4):
        sys.modules.setdefault(".".join(module.split(".")[: dots + 1]), types.ModuleType(module))

    def of(kind, **state):
        made = vars(sys.modules[module]).setdefault(kind, type(kind, (), {"__module__": module}))()
        vars(made).update(state)
        return made

    place = of("_StorageInfo", relative_path="0.distcp", offset=0, length=length)
    os.mkdir(path)
    with open(path + "/.metadata", "wb") as file:
        pickle.dump(of("Metadata", state_dict_metadata={f"{i}": of("BytesStorageMetadata") for i in range(count)},
                       storage_data={of("MetadataIndex", fqn=f"{i}"): place for i in range(count)}), file)


checkpoint("missing", 2, 100)
checkpoint("same", 4000, os.path.getsize("dag.pt"))
os.link("dag.pt", "same/0.distcp")
NPY = b"\x93NUMPY\1\0" + struct.pack("<H", 56) + b"{'descr': '<f4', 'fortran_order': False, 'shape': (0,)}\n"
archive("texts.npz", {"a.npy": NPY, **{f"{i}.txt": "" for i in range(3000)}})

# Tensors without a partner: of no bytes, all at one place; output heads, of a model with as many tensors opposite; and of
# a GGUF file with many keys.
safetensors("empty.safetensors", {f"a.{i}": [0, 1] for i in range(100000)})
safetensors("other.safetensors", {f"b.{i}": [1, 3] for i in range(100000)})
safetensors("decoders.safetensors", {f"a{i}.decoder.weight": [2, 2] for i in range(100000)})
safetensors("layers.safetensors", {f"model.layers.{i}.self_attn.q_proj.weight": [4, 1] for i in range(120000)})


def gguf_text(value):
    return struct.pack("<Q", len(value)) + value.encode()


with open("keys.gguf", "wb") as file:
    keys = [gguf_text("general.architecture") + struct.pack("<I", 8) + gguf_text("llama")]
    keys += [gguf_text(f"k{i}") + struct.pack("<IB", 0, 1) for i in range(65000)]
    infos = [gguf_text(f"blk.{i}.attn_q.weight") + struct.pack("<IQQIQ", 2, 1, 4, 0, 32 * i) for i in range(120000)]
    head = b"GGUF" + struct.pack("<IQQ", 3, len(infos), len(keys)) + b"".join(keys + infos)
    file.write(head)
    file.truncate(len(head) + -len(head) % 32 + 32 * len(infos))

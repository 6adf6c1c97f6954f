"""Writes small files that ask for much work into the directory that is named, for test_hostile.sh."""
import json
import os
import struct
import sys

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

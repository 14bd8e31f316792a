"""A stranger's reader of safetensors files, written from include/webstill/tensors/file.h alone: prints what it finds.

usage: read_tensors.py FILE   ->   one line an array: name dtype shape first-values, then one line a metadata pair
"""
import hashlib
import json
import sys

import numpy as np

DTYPES = {"F32": "<f4", "F64": "<f8", "I64": "<i8", "I32": "<i4", "U8": "u1", "I8": "i1", "F16": "<f2", "I16": "<i2",
          "BOOL": "u1", "BF16": "<u2"}

raw = open(sys.argv[1], "rb").read()
n_header = int.from_bytes(raw[:8], "little")
header, data = json.loads(raw[8:8 + n_header]), raw[8 + n_header:]
assert (8 + n_header) % 64 == 0, "data begins on a 64-byte boundary"
metadata = header.pop("__metadata__", {})


def prefixed(text):
    return len(text.encode()).to_bytes(8, "little") + text.encode()


texts = b""
for name, info in header.items():
    begin, end = info["data_offsets"]
    array = np.frombuffer(data[begin:end], DTYPES[info["dtype"]]).reshape(info["shape"])
    assert begin % array.dtype.itemsize == 0, "arrays are aligned for their type"
    print(name, info["dtype"], info["shape"], array.ravel()[:4].tolist())
    texts += b"".join(prefixed(t) for t in [name, info["dtype"], *map(str, info["shape"]), ""])
for key, value in metadata.items():
    print(key, "=", value)
    if key != "webstill.header":
        texts += prefixed(key) + prefixed(value)
assert hashlib.sha256(data).hexdigest() == metadata["webstill.digest"], "digest of the data"
assert hashlib.sha256(texts).hexdigest() == metadata["webstill.header"], "digest of the header"

#!/usr/bin/python3
"""Write a good ONNX classifier for 28 x 28 grey pictures and ten classes, and bad ones, into a folder: bad_onnx.py FOLDER."""
import json
import struct
import sys

import numpy as np
from onnx import TensorProto, helper, numpy_helper, save

FLOAT = TensorProto.FLOAT


def tensor(name, *shape):
    values = np.random.default_rng(1).normal(size=shape).astype(np.float32) * 0.1
    return numpy_helper.from_array(values, name)


def write(path, nodes, weights, side=28, classes=10):
    graph = helper.make_graph(nodes, "net", [helper.make_tensor_value_info("x", FLOAT, ["N", 1, side, side])],
                              [helper.make_tensor_value_info("y", FLOAT, ["N", classes])], weights)
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)


def classifier(classes=10, between=()):
    last = between[-1].output[0] if between else "a"
    nodes = [helper.make_node("Conv", ["x", "conv.weight"], ["c"], "conv", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
             helper.make_node("Relu", ["c"], ["a"], "relu"), *between,
             helper.make_node("GlobalAveragePool", [last], ["p"], "pool"),
             helper.make_node("Flatten", ["p"], ["f"], "flatten"),
             helper.make_node("Gemm", ["f", "fc.weight", "fc.bias"], ["y"], "fc", transB=1)]
    return nodes, [tensor("conv.weight", 4, 1, 3, 3), tensor("fc.weight", classes, 4), tensor("fc.bias", classes)]


def main(folder):
    write(f"{folder}/good.onnx", *classifier())
    write(f"{folder}/large.onnx", *classifier(), side=224)
    write(f"{folder}/seven.onnx", *classifier(7), classes=7)
    write(f"{folder}/ops.onnx", *classifier(between=[
        helper.make_node("Einsum", ["a"], ["b"], "first", equation="nchw->nchw"),
        helper.make_node("LSTM", ["b"], ["d"], "second")]))
    write(f"{folder}/cycle.onnx", *classifier(between=[
        helper.make_node("Add", ["a", "d"], ["b"], "one"), helper.make_node("Relu", ["b"], ["d"], "two")]))
    header = json.dumps({"head.weight": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}).encode()
    with open(f"{folder}/misfit.safetensors", "wb") as file:
        file.write(struct.pack("<Q", len(header)) + header + bytes(8))


if __name__ == "__main__":
    main(sys.argv[1])

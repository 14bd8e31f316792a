#!/usr/bin/python3
"""Export torchvision's architectures, and write what PyTorch makes of a batch: the input of test_onnx_torchvision.

usage: tests/format/torchvision_export.py FOLDER [ARCH …]
    exit 0: FOLDER/<arch>-<form>/model.onnx and batch.safetensors are there; 77: PyTorch or torchvision is not.

Forms of a file, as torch.onnx.export writes them:
    folded  the default: evaluation mode, BatchNorm folded into the convolutions, constants folded
    kept    TrainingMode.PRESERVE of a net in evaluation mode, no constant folding: BatchNorm and all shape arithmetic stay
    train   TrainingMode.TRAINING of a net in training mode: BatchNorm of the batch, and Dropout

Weights come from a seed; running statistics are those of a batch of noise, so that values stay near 1 in any depth.
Logits and input gradients are those of evaluation mode in double: the difference a test sees is the engine's own. What
is newer than this script is kept.
"""
import copy
import json
import os
import struct
import sys
import warnings

try:
    import torch
    import torchvision
except ImportError as missing:
    print(f"torchvision_export: {missing} (Debian: python3-torch python3-torchvision)")
    sys.exit(77)

N_CLASSES, BATCH, N_DRAWN, CALIBRATION, MOVE = 10, 4, 6, 8, 3e-6

# arch: side of its images, then (form, opset) of each file
CASES = {
    "resnet18": (64, [("folded", 11), ("kept", 17), ("train", 11)]),
    "resnet34": (64, [("kept", 11)]),
    "resnet50": (64, [("folded", 13)]),
    "vgg11_bn": (224, [("kept", 11)]),  # 7x7 in front of its head, which the exporter wants to be a factor of the map
    "mobilenet_v2": (64, [("folded", 17), ("kept", 11), ("train", 13)]),
    "shufflenet_v2_x1_0": (64, [("folded", 11), ("kept", 11)]),
    "mnasnet1_0": (64, [("folded", 11), ("kept", 13)]),
    "squeezenet1_1": (64, [("folded", 11), ("train", 11)]),
    "densenet121": (64, [("folded", 11), ("kept", 11)]),
    "efficientnet_b0": (64, [("folded", 11), ("kept", 17)]),
    "regnet_y_400mf": (64, [("folded", 11), ("kept", 11)]),
    "regnet_x_400mf": (64, [("kept", 17)]),
}


def build(arch, side):
    """Ten classes, seeded, calibrated; float32."""
    torch.manual_seed(sum(map(ord, arch)))
    model = getattr(torchvision.models, arch)(num_classes=N_CLASSES)
    if arch.startswith("vgg"):  # its head alone has 120 million weights: the same layers, narrower
        model.classifier[0] = torch.nn.Linear(512 * 7 * 7, 64)
        model.classifier[3] = torch.nn.Linear(64, 64)
        model.classifier[6] = torch.nn.Linear(64, N_CLASSES)
    norms = [m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    with torch.no_grad():
        for m in norms:
            m.weight.uniform_(0.7, 1.3)
            # Most channels mostly on or mostly off: few values stand where a ReLU's gradient jumps (see reference()).
            # Not in front of depthwise convolutions: a channel that is off all over would have no variance behind one.
            m.bias.uniform_(-0.2, 0.2)
            if arch not in ("mobilenet_v2", "shufflenet_v2_x1_0", "mnasnet1_0"):
                m.bias.add_(torch.randint(0, 2, m.bias.shape) * 4.0 - 2)
        for m in model.modules():
            if isinstance(m, torch.nn.Linear):  # logits that differ between images, and a bias that shows
                m.weight.normal_(0, m.in_features ** -0.5)
                m.bias.uniform_(-0.2, 0.2)
        momenta = [m.momentum for m in norms]
        for m in norms:
            m.momentum = 1.0
        model.train()
        model(torch.randn(BATCH if side > 64 else CALIBRATION, 3, side, side))
        for m, momentum in zip(norms, momenta):
            m.momentum = momentum
    return model.eval()


def gradient(model, x, weights):
    """Logits, and the gradient of their sum by `weights` with respect to the input, in the model's precision."""
    x = x.clone().requires_grad_(True)
    logits = model(x)
    (logits * weights.to(x.dtype)).sum().backward()
    return logits.detach(), x.grad


def reference(model, side):
    """
    A batch, and what the net makes of it in double. A gradient jumps where a ReLU's input passes zero, and rounding alone
    may carry it there: of N_DRAWN images those are taken whose gradient jumps least in float32, and when all pixels move
    by MOVE. (Images do not see each other in evaluation mode.)
    """
    n = N_DRAWN if side == 64 else BATCH
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    x, weights = torch.randn(n, 3, side, side), torch.randn(n, N_CLASSES)
    logits, exact = gradient(model.double(), x.double(), weights)
    model.float()
    jumps, move = torch.zeros(n), MOVE * torch.randn(x.shape)
    for moved in (x, x + move, x - move):
        difference = (gradient(model, moved, weights)[1] - exact).abs().amax((1, 2, 3)) / exact.abs().amax((1, 2, 3))
        jumps = torch.maximum(jumps, difference.float())
    best = jumps.argsort()[:BATCH]
    for parameter in model.parameters():
        parameter.requires_grad_(True)
    return {"input": x[best], "logits": logits[best], "weights": weights[best], "input_gradient": exact[best],
            "jumps": jumps[best]}


def export(model, x, form, opset, path):
    model.train(form == "train")
    options = {}
    if form != "folded":
        mode = torch.onnx.TrainingMode
        options = {"training": mode.PRESERVE if form == "kept" else mode.TRAINING, "do_constant_folding": False}
    torch.onnx.export(model, x, path, opset_version=opset, input_names=["input"], output_names=["logits"],
                      dynamic_axes={"input": {0: "n"}, "logits": {0: "n"}} if form == "folded" else None, **options)


def save(path, tensors, metadata):
    """safetensors; the file appears whole or not at all."""
    header, data = {"__metadata__": metadata}, b""
    for name, t in tensors.items():
        raw = t.detach().to(torch.float32).contiguous().numpy().tobytes()
        header[name] = {"dtype": "F32", "shape": list(t.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-(8 + len(text)) % 64)
    with open(path + ".new", "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + data)
    os.replace(path + ".new", path)


def main():
    folder, archs = sys.argv[1], sys.argv[2:] or list(CASES)
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)  # two wait for each other on a busy machine
    script = os.path.getmtime(os.path.abspath(__file__))
    for arch in archs:
        side, files = CASES[arch]
        batches = [(f"{folder}/{arch}-{form}/batch.safetensors", form, opset) for form, opset in files]
        batches = [b for b in batches if not os.path.exists(b[0]) or os.path.getmtime(b[0]) < script]
        if not batches:
            continue
        model = build(arch, side)
        tensors = reference(model, side)
        for path, form, opset in batches:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            exported = copy.deepcopy(model)
            export(exported, tensors["input"], form, opset, os.path.dirname(path) + "/model.onnx")
            if form == "train":  # the exporter ran the net, its running statistics moved, and the file has those
                exported = exported.eval().double()
                pair = gradient(exported, tensors["input"].double(), tensors["weights"])
                tensors = {**tensors, "logits": pair[0], "input_gradient": pair[1]}
            save(path, tensors, {"arch": arch, "form": form, "opset": str(opset), "torch": torch.__version__})


if __name__ == "__main__":
    main()

#!/usr/bin/python3
"""One row of bench_distill in PyTorch (Debian: python3-torch 1.13), in one memory format.

    bench.py ROW SECONDS THREADS nchw|nhwc          prints one line of JSON

Training and KD3 run eager. The frozen forward pass runs eager in eval mode under no_grad, and as TorchScript frozen and
optimised for inference (BN folded). Each step begins with bytes, as ours: normalising them, and KD3's MixDistribution,
are inside.
"""
import json
import os
import resource
import sys
import time

if len(sys.argv) != 5 or sys.argv[4] not in ("nchw", "nhwc"):
    sys.exit(__doc__)
ROW, SECONDS, THREADS, FORMAT = sys.argv[1], float(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
os.environ["OMP_NUM_THREADS"] = str(THREADS)

import torch  # noqa: E402  (after the number of threads)
import torch.nn.functional as F  # noqa: E402
import torchvision  # noqa: E402
from torchvision.models.resnet import BasicBlock  # noqa: E402

CLASSES, EMBEDDING, FACTOR, WARM_STEPS, MIN_STEPS = 10, 128, 2, 3, 2
LAYOUT = torch.channels_last if FORMAT == "nhwc" else torch.contiguous_format

# name: kind, network, kd3's teacher, side, channels, batch (bench_distill.c has the same table)
ROWS = {
    "kd3-28": ("kd3", "resnet8", "resnet20", 28, 1, 128),
    "kd3-32": ("kd3", "resnet8", "resnet20", 32, 3, 128),
    "kd3-resnet34": ("kd3", "resnet18", "resnet34", 32, 3, 64),
    "train-resnet20": ("train", "resnet20", None, 28, 1, 128),
    "train-mobilenetv2-32": ("train", "mobilenetv2", None, 32, 3, 64),
    "train-mobilenetv2-96": ("train", "mobilenetv2", None, 96, 3, 32),
    "frozen-resnet20": ("frozen", "resnet20", None, 28, 1, 128),
    "frozen-resnet34": ("frozen", "resnet34", None, 32, 3, 64),
}


# --- networks ---------------------------------------------------------------------------------------------------------

class Net(torch.nn.Module):
    """A backbone and a linear classifier on its average, perhaps behind dropout."""

    def __init__(self, features, width, dropout=0.0):
        super().__init__()
        self.features, self.width = features, width
        self.dropout = torch.nn.Dropout(dropout) if dropout else torch.nn.Identity()
        self.fc = torch.nn.Linear(width, CLASSES)

    def forward(self, x):
        return self.fc(self.dropout(self.features(x).mean((2, 3))))


def cifar_resnet(depth, channels):
    layers, width = [torch.nn.Conv2d(channels, 16, 3, 1, 1, bias=False), torch.nn.BatchNorm2d(16), torch.nn.ReLU(True)], 16
    for out in (16, 32, 64):
        for i in range((depth - 2) // 6):
            stride = 2 if i == 0 and out > 16 else 1
            shortcut = None
            if stride != 1:
                shortcut = torch.nn.Sequential(torch.nn.Conv2d(width, out, 1, stride, bias=False),
                                               torch.nn.BatchNorm2d(out))
            layers.append(BasicBlock(width, out, stride, shortcut))
            width = out
    return Net(torch.nn.Sequential(*layers), 64)


def small_resnet(name, channels):
    whole = getattr(torchvision.models, name)(weights=None)
    stem = torch.nn.Conv2d(channels, 64, 3, 1, 1, bias=False)
    return Net(torch.nn.Sequential(stem, whole.bn1, whole.relu, whole.layer1, whole.layer2, whole.layer3, whole.layer4),
               512)


def mobilenetv2(side):
    features = torchvision.models.mobilenet_v2(weights=None).features
    if side <= 64:
        features[0][0].stride = features[2].conv[1][0].stride = (1, 1)
    return Net(features, 1280, 0.2 if side > 64 else 0.0)


def build(name, side, channels):
    if name == "mobilenetv2":
        net = mobilenetv2(side)
    elif name in ("resnet18", "resnet34"):
        net = small_resnet(name, channels)
    else:
        net = cifar_resnet(int(name[len("resnet"):]), channels)
    return net.to(memory_format=LAYOUT)


# --- steps ------------------------------------------------------------------------------------------------------------

def normalise(pictures):
    return (pictures.float().div_(255) - 0.5) / 0.29


def ntxent(u, v, t=0.3):
    r = torch.cat([F.normalize(u), F.normalize(v)])
    s = (r @ r.T / t).fill_diagonal_(-float("inf"))
    n = len(u)
    return F.cross_entropy(s, torch.cat([torch.arange(n, 2 * n), torch.arange(n)]))


def mix(x, alpha=0.1, eps=1e-6):
    mean, sd = x.mean((2, 3), keepdim=True), (x.var((2, 3), keepdim=True) + eps).sqrt()
    lam = torch.distributions.Beta(alpha, alpha).sample((len(x), 1, 1, 1))
    order = torch.randperm(len(x))
    return (x - mean) / sd * (lam * sd + (1 - lam) * sd[order]) + lam * mean + (1 - lam) * mean[order]


def sgd(parameters):
    return torch.optim.SGD(parameters, lr=1e-3, momentum=0.9, weight_decay=5e-4)


def train_step(name, pictures, side, channels):
    model = build(name, side, channels).train()
    optimiser, labels = sgd(model.parameters()), torch.arange(len(pictures)) % CLASSES

    def step():
        optimiser.zero_grad(set_to_none=True)
        F.cross_entropy(model(normalise(pictures)), labels).backward()
        optimiser.step()
    return step


def kd3_step(name, teacher_name, pictures, side, channels):
    teacher = build(teacher_name, side, channels).eval().requires_grad_(False)
    student = build(name, side, channels).train()
    wide, narrow, layers = teacher.width, teacher.width // FACTOR, []
    for (a, b, k) in ((student.width, narrow, 1), (narrow, narrow, 3), (narrow, wide, 1)):
        layers += [torch.nn.Conv2d(a, b, k, 1, k // 2, bias=False), torch.nn.BatchNorm2d(b), torch.nn.ReLU(True)]
    projector = torch.nn.Sequential(*layers).to(memory_format=LAYOUT).train()
    embed_s, embed_t = torch.nn.Linear(student.width, EMBEDDING), torch.nn.Linear(wide, EMBEDDING)
    optimiser = sgd([p for m in (student.features, projector, embed_s, embed_t) for p in m.parameters()])

    def step():
        optimiser.zero_grad(set_to_none=True)
        with torch.no_grad():
            x = normalise(pictures)
            mixed = mix(x)
            f_t, f_t2 = teacher.features(x), teacher.features(mixed)
            z_t = teacher.fc(f_t.mean((2, 3)))
        f_s, f_s2 = student.features(x), student.features(mixed)
        phi = projector(f_s)
        with torch.no_grad():
            weights = torch.sigmoid((teacher.fc(phi.mean((2, 3))) - z_t + 1e-6).norm(dim=1))
        loss = (weights[:, None, None, None] * (phi - f_t) ** 2).mean()
        loss = loss + 1e-3 * (ntxent(embed_s(f_s.mean((2, 3))), embed_s(f_s2.mean((2, 3)))) +
                              ntxent(embed_t(f_t.mean((2, 3))), embed_t(f_t2.mean((2, 3)))))
        loss.backward()
        optimiser.step()
    return step


# --- measuring --------------------------------------------------------------------------------------------------------

def measure(step):
    """Seconds of a step. Warming up ends after SECONDS, too."""
    start = time.monotonic()
    for i in range(WARM_STEPS):
        if i == 0 or time.monotonic() - start < SECONDS:
            step()
    start, n_steps = time.monotonic(), 0
    while time.monotonic() - start < SECONDS or n_steps < MIN_STEPS:
        step()
        n_steps += 1
    return (time.monotonic() - start) / n_steps


def measure_frozen(name, pictures, side, channels):
    model, x = build(name, side, channels).eval(), normalise(pictures)
    with torch.no_grad():
        eager = measure(lambda: model(x))
        scripted = torch.jit.optimize_for_inference(torch.jit.freeze(torch.jit.trace(model, x)))
        return {"images_per_s": len(x) / eager, "scripted_images_per_s": len(x) / measure(lambda: scripted(x))}


def main():
    if ROW not in ROWS:
        sys.exit(f"bench.py: no row \"{ROW}\"; rows: {', '.join(ROWS)}")
    kind, name, teacher, side, channels, batch = ROWS[ROW]
    torch.manual_seed(1)
    torch.set_num_threads(THREADS)
    pictures = torch.randint(0, 256, (batch, channels, side, side), dtype=torch.uint8).contiguous(memory_format=LAYOUT)
    if kind == "frozen":
        result = measure_frozen(name, pictures, side, channels)
    elif kind == "kd3":
        result = {"images_per_s": batch / measure(kd3_step(name, teacher, pictures, side, channels))}
    else:
        result = {"images_per_s": batch / measure(train_step(name, pictures, side, channels))}
    peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"who": FORMAT, "row": ROW, "threads": THREADS, "torch": torch.__version__, "peak_rss_bytes": peak,
                      **result}))


if __name__ == "__main__":
    main()

#!/usr/bin/python3
"""bench_step's three jobs in PyTorch (Debian: python3-torch 1.13), eager, in one memory format.

    bench.py [SECONDS [THREADS [nchw|nhwc]]]      prints one line of JSON: images per second

The frozen forward pass runs twice, eager and as TorchScript frozen for inference (BN folded): the faster one counts.
"""
import json
import os
import sys
import time

SECONDS = float(sys.argv[1]) if len(sys.argv) > 1 else 5.0
THREADS = int(sys.argv[2]) if len(sys.argv) > 2 else 2
FORMAT = sys.argv[3] if len(sys.argv) > 3 else "nchw"
os.environ["OMP_NUM_THREADS"] = str(THREADS)

import torch  # noqa: E402  (after the number of threads)
import torch.nn.functional as F  # noqa: E402
from torchvision.models.resnet import BasicBlock  # noqa: E402

BATCH, SIDE, CLASSES, WIDTH, EMBEDDING, WARM_STEPS = 128, 28, 10, 64, 128, 3
LAYOUT = torch.channels_last if FORMAT == "nhwc" else torch.contiguous_format


class CifarResNet(torch.nn.Module):
    def __init__(self, n):
        super().__init__()
        layers, width = [torch.nn.Conv2d(1, 16, 3, 1, 1, bias=False), torch.nn.BatchNorm2d(16), torch.nn.ReLU()], 16
        for out in (16, 32, 64):
            for i in range(n):
                stride = 2 if i == 0 and out > 16 else 1
                shortcut = None
                if stride != 1:
                    shortcut = torch.nn.Sequential(torch.nn.Conv2d(width, out, 1, stride, bias=False),
                                                   torch.nn.BatchNorm2d(out))
                layers.append(BasicBlock(width, out, stride, shortcut))
                width = out
        self.features = torch.nn.Sequential(*layers)
        self.fc = torch.nn.Linear(64, CLASSES)

    def forward(self, x):
        return self.fc(self.features(x).mean((2, 3)))


def images():
    return torch.randn(BATCH, 1, SIDE, SIDE).contiguous(memory_format=LAYOUT)


def measure(step):
    for _ in range(WARM_STEPS):
        step()
    start, n_steps = time.monotonic(), 0
    while time.monotonic() - start < SECONDS or n_steps < 3:
        step()
        n_steps += 1
    return n_steps * BATCH / (time.monotonic() - start)


def bench_train():
    model = CifarResNet(3).to(memory_format=LAYOUT).train()
    optimiser = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9, nesterov=True, weight_decay=5e-4)
    x, labels = images(), torch.arange(BATCH) % CLASSES

    def step():
        optimiser.zero_grad(set_to_none=True)
        F.cross_entropy(model(x), labels).backward()
        optimiser.step()
    return measure(step)


def ntxent(u, v, t=0.3):
    r = torch.cat([F.normalize(u), F.normalize(v)])
    s = (r @ r.T / t).fill_diagonal_(-float("inf"))
    n = len(u)
    return F.cross_entropy(s, torch.cat([torch.arange(n, 2 * n), torch.arange(n)]))


def bench_kd3():
    teacher = CifarResNet(3).to(memory_format=LAYOUT).eval().requires_grad_(False)
    student = CifarResNet(1).to(memory_format=LAYOUT).train()
    layers = []
    for (a, b, k) in ((64, WIDTH // 2, 1), (WIDTH // 2, WIDTH // 2, 3), (WIDTH // 2, WIDTH, 1)):
        layers += [torch.nn.Conv2d(a, b, k, 1, k // 2, bias=False), torch.nn.BatchNorm2d(b), torch.nn.ReLU()]
    projector = torch.nn.Sequential(*layers).to(memory_format=LAYOUT).train()
    embed_s, embed_t = torch.nn.Linear(64, EMBEDDING), torch.nn.Linear(64, EMBEDDING)
    parameters = [p for m in (student.features, projector, embed_s, embed_t) for p in m.parameters()]
    optimiser = torch.optim.SGD(parameters, lr=1e-3, momentum=0.9, weight_decay=5e-4)
    x, mixed = images(), images()

    def step():
        optimiser.zero_grad(set_to_none=True)
        f_s, f_s2 = student.features(x), student.features(mixed)
        with torch.no_grad():
            f_t, f_t2 = teacher.features(x), teacher.features(mixed)
            z_t = teacher.fc(f_t.mean((2, 3)))
        phi = projector(f_s)
        with torch.no_grad():
            z_s = teacher.fc(phi.mean((2, 3)))
            weights = torch.sigmoid((z_s - z_t + 1e-6).norm(dim=1))
        loss = (weights[:, None, None, None] * (phi - f_t) ** 2).mean()
        loss = loss + 1e-3 * (ntxent(embed_s(f_s.mean((2, 3))), embed_s(f_s2.mean((2, 3)))) +
                              ntxent(embed_t(f_t.mean((2, 3))), embed_t(f_t2.mean((2, 3)))))
        loss.backward()
        optimiser.step()
    return measure(step)


def bench_frozen():
    model, x = CifarResNet(3).to(memory_format=LAYOUT).eval(), images()
    with torch.no_grad():
        eager = measure(lambda: model(x))
        scripted = torch.jit.optimize_for_inference(torch.jit.freeze(torch.jit.trace(model, x)))
        return max(eager, measure(lambda: scripted(x)))


def main():
    torch.manual_seed(1)
    torch.set_num_threads(THREADS)
    print(json.dumps({"who": f"pytorch {torch.__version__} {FORMAT}", "threads": THREADS,
                      "train": round(bench_train(), 1), "kd3": round(bench_kd3(), 1),
                      "frozen": round(bench_frozen(), 1)}))


if __name__ == "__main__":
    main()

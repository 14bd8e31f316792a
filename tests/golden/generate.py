#!/usr/bin/python3
"""Write the golden files of the engine's tests with PyTorch 1.13 (Debian: python3-torch, python3-torchvision).

Run by `make golden`; the files are committed, so that tests need no PyTorch. Weights and inputs are not stored: both
sides draw them from the recipe below (recipe.h is its C twin), which keeps all files together under 1.5 MB. PyTorch
computes in double: what a test sees is the engine's own rounding, not the sum of two.
"""
import json
import math
import os
import struct

import numpy as np
import torch
import torch.nn.functional as F
import torchvision
from torchvision.models.resnet import BasicBlock

HERE = os.path.dirname(os.path.abspath(__file__))


# --- the recipe: numbers that C and Python agree on to the bit ------------------------------------------------------

def fnv1a(text):
    h = 0xCBF29CE484222325
    for byte in text.encode():
        h = ((h ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return h


def uniform(name, n):
    """n floats in [-1, 1): a 64-bit linear congruential generator seeded with the name's FNV-1a hash."""
    with np.errstate(over="ignore"):  # the generator's sums and products are meant to wrap
        powers = np.multiply.accumulate(np.full(n, 6364136223846793005, dtype=np.uint64))
        sums = np.add.accumulate(np.concatenate([np.ones(1, np.uint64), powers[:-1]]))
        states = powers * np.uint64(fnv1a(name)) + sums * np.uint64(1442695040888963407)
    return (states >> np.uint64(40)).astype(np.float64) / (1 << 23) - 1.0


def draw(name, shape, scale=1.0, shift=0.0):
    values = torch.from_numpy(uniform(name, math.prod(shape)))
    return (shift + scale * values).to(torch.float32).to(torch.float64).reshape(shape)


def fill_model(model, seed):
    """Every parameter from its name: BN scales and variances around 1, small shifts, weights by fan-in."""
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if name.endswith("num_batches_tracked"):
                continue
            scale, shift = 0.25, 0.0
            if name.endswith("running_var") or (tensor.dim() == 1 and name.endswith(".weight")):
                shift = 1.0
            elif tensor.dim() > 1:
                scale = math.sqrt(6.0 / (tensor.numel() / tensor.shape[0]))
            tensor.copy_(draw(f"{seed}/{name}", tensor.shape, scale, shift))


# --- networks --------------------------------------------------------------------------------------------------------

class CifarResNet(torch.nn.Module):
    """ResNet 6n+2 of torchvision's BasicBlocks."""

    def __init__(self, n, channels, n_classes):
        super().__init__()
        self.conv1 = torch.nn.Conv2d(channels, 16, 3, 1, 1, bias=False)
        self.bn1 = torch.nn.BatchNorm2d(16)
        self.width = 16
        self.layer1 = self.stage(16, n, 1)
        self.layer2 = self.stage(32, n, 2)
        self.layer3 = self.stage(64, n, 2)
        self.fc = torch.nn.Linear(64, n_classes)

    def stage(self, width, n, stride):
        blocks = []
        for i in range(n):
            s = stride if i == 0 else 1
            shortcut = None
            if s != 1 or self.width != width:
                shortcut = torch.nn.Sequential(torch.nn.Conv2d(self.width, width, 1, s, bias=False),
                                               torch.nn.BatchNorm2d(width))
            blocks.append(BasicBlock(self.width, width, s, shortcut))
            self.width = width
        return torch.nn.Sequential(*blocks)

    def features(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        return self.layer3(self.layer2(self.layer1(x)))

    def forward(self, x):
        return self.fc(self.features(x).mean((2, 3)))


class Averaged(torch.nn.Module):
    """VGG's features and one linear layer on their average; max-pools of the given indices are left out."""

    def __init__(self, features, without):
        super().__init__()
        for i in without:
            features[i] = torch.nn.Identity()
        self.features, self.classifier = features, torch.nn.Linear(512, 10)

    def forward(self, x):
        return self.classifier(self.features(x).mean((2, 3)))


class WideBlock(torch.nn.Module):
    def __init__(self, a, b, stride):
        super().__init__()
        self.bn1, self.bn2 = torch.nn.BatchNorm2d(a), torch.nn.BatchNorm2d(b)
        self.conv1 = torch.nn.Conv2d(a, b, 3, stride, 1, bias=False)
        self.conv2 = torch.nn.Conv2d(b, b, 3, 1, 1, bias=False)
        if a != b:
            self.convShortcut = torch.nn.Conv2d(a, b, 1, stride, bias=False)

    def forward(self, x):
        active = F.relu(self.bn1(x))
        shortcut = self.convShortcut(active) if hasattr(self, "convShortcut") else x
        return shortcut + self.conv2(F.relu(self.bn2(self.conv1(active))))


class WideResNet(torch.nn.Module):
    def __init__(self, depth, width):
        super().__init__()
        self.conv1 = torch.nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        channels = 16
        for stage in (1, 2, 3):
            blocks = torch.nn.Sequential()
            for i in range((depth - 4) // 6):
                out = 8 * width << stage
                blocks.append(WideBlock(channels, out, 2 if stage > 1 and i == 0 else 1))
                channels = out
            setattr(self, f"block{stage}", torch.nn.Module())
            getattr(self, f"block{stage}").layer = blocks
        self.bn1, self.fc = torch.nn.BatchNorm2d(channels), torch.nn.Linear(channels, 10)

    def forward(self, x):
        x = self.conv1(x)
        for stage in (self.block1, self.block2, self.block3):
            x = stage.layer(x)
        return self.fc(F.relu(self.bn1(x)).mean((2, 3)))


def zoo_net(arch, side):
    """The zoo's form of a net for pictures of this size, made from torchvision's."""
    models, small = torchvision.models, side <= 64
    if arch == "resnet50":
        net = models.resnet50(weights=None, num_classes=10)
        if small:
            net.conv1, net.maxpool = torch.nn.Conv2d(3, 64, 3, 1, 1, bias=False), torch.nn.Identity()
    elif arch == "mobilenetv2":
        net = models.mobilenet_v2(weights=None, num_classes=10)
        if small:
            net.features[0][0].stride = net.features[2].conv[1][0].stride = (1, 1)
    elif arch == "shufflenetv2":
        net = models.shufflenet_v2_x1_0(weights=None, num_classes=10)
        if small:
            net.conv1[0].stride, net.maxpool = (1, 1), torch.nn.Identity()
    elif arch == "vgg11":
        net = Averaged(models.vgg11_bn(weights=None).features, (21, 28) if side <= 32 else (28,))
    else:
        net = WideResNet(16, 2)
    return net


class Kd3Student(CifarResNet):
    """With KD3's projector, the teacher's classifier, and the embedding of the contrastive term."""

    def __init__(self, n, channels, n_classes, teacher_width, embedding):
        super().__init__(n, channels, n_classes)
        inner = teacher_width // 2
        layers = []
        for (a, b, k) in ((64, inner, 1), (inner, inner, 3), (inner, teacher_width, 1)):
            layers += [torch.nn.Conv2d(a, b, k, 1, k // 2, bias=False), torch.nn.BatchNorm2d(b), torch.nn.ReLU()]
        self.projector = torch.nn.Sequential(*layers)
        self.classifier = torch.nn.Linear(teacher_width, n_classes)
        self.embed = torch.nn.Linear(64, embedding)


# --- safetensors ------------------------------------------------------------------------------------------------------

def save(path, tensors, metadata):
    header, data = {"__metadata__": metadata}, b""
    for name, t in tensors.items():
        raw = t.detach().to(torch.float32).contiguous().numpy().tobytes()
        header[name] = {"dtype": "F32", "shape": list(t.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-(8 + len(text)) % 64)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + data)


# --- the files --------------------------------------------------------------------------------------------------------

def running_statistics(model, prefix, out):
    for name, buffer in model.named_buffers():
        if not name.endswith("num_batches_tracked"):
            out[prefix + name] = buffer.clone()


def write_resnet8(side, channels, batch, keep_final):
    """One training step in full, then ten steps of SGD with momentum, Nesterov and weight decay."""
    model = CifarResNet(1, channels, 10)
    fill_model(model, "model")
    x = draw("x", (batch, channels, side, side), 1.5)
    labels = torch.tensor([(7 * i + 3) % 10 for i in range(batch)])
    out = {}

    model.eval()
    out["eval_logits"] = model(x)
    model.train()
    logits = model(x)
    loss = F.cross_entropy(logits, labels)
    loss.backward()
    out["logits"] = logits
    out["loss"] = loss.reshape(1)
    for name, parameter in model.named_parameters():
        out["gradient/" + name] = parameter.grad.clone()
    running_statistics(model, "after/", out)

    fill_model(model, "model")
    optimiser = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9, nesterov=True, weight_decay=5e-4)
    losses = []
    for _ in range(10):
        optimiser.zero_grad()
        loss = F.cross_entropy(model(x), labels)
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    out["sgd_losses"] = torch.tensor(losses, dtype=torch.float64)
    for name, parameter in model.named_parameters():
        if keep_final(parameter):
            out["final/" + name] = parameter.detach().clone()
    running_statistics(model, "final/", out)
    save(f"{HERE}/resnet8_{side}x{side}x{channels}.safetensors", out,
         {"arch": "resnet8", "side": str(side), "channels": str(channels), "batch": str(batch)})


OPTIMISERS = {
    "momentum": lambda p: torch.optim.SGD(p, lr=0.02, momentum=0.9),
    "nesterov": lambda p: torch.optim.SGD(p, lr=0.02, momentum=0.9, nesterov=True),
    "decay": lambda p: torch.optim.SGD(p, lr=0.02, momentum=0.9, weight_decay=0.05),
    "adam": lambda p: torch.optim.Adam(p, lr=0.001, betas=(0.9, 0.99), eps=1e-4, weight_decay=0.01),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.001, betas=(0.9, 0.99), eps=1e-4, weight_decay=2.0),
}


def write_optimisers():
    """Ten steps of each optimiser on resnet8: every loss, and of each tensor at most 64 values, evenly spaced."""
    side, batch = 16, 6
    x = draw("x", (batch, 1, side, side), 1.5)
    labels = torch.tensor([(7 * i + 3) % 10 for i in range(batch)])
    out = {}
    for kind, make in OPTIMISERS.items():
        model = CifarResNet(1, 1, 10)
        fill_model(model, "model")
        model.train()
        optimiser, losses = make(model.parameters()), []
        for _ in range(10):
            optimiser.zero_grad()
            loss = F.cross_entropy(model(x), labels)
            loss.backward()
            optimiser.step()
            losses.append(loss.item())
        out[f"{kind}/losses"] = torch.tensor(losses)
        for name, parameter in model.named_parameters():
            values = parameter.detach().flatten()
            out[f"{kind}/{name}"] = values[::max(1, -(-len(values) // 64))]
    save(f"{HERE}/optimisers.safetensors", out, {"side": str(side), "batch": str(batch)})


def ntxent(u, v, t):
    r = torch.cat([F.normalize(u), F.normalize(v)])
    s = r @ r.T / t
    s = s.masked_fill(torch.eye(len(r), dtype=torch.bool), -math.inf)
    n = len(u)
    return F.cross_entropy(s, torch.cat([torch.arange(n, 2 * n), torch.arange(n)]))


def write_kd3():
    """One KD3 step, resnet8 for both networks: losses, every gradient. The contrast has a share that can be seen."""
    batch, side, embedding, share = 6, 28, 32, 0.5
    teacher, student = CifarResNet(1, 1, 10), Kd3Student(1, 1, 10, 64, embedding)
    embed_t = torch.nn.Linear(64, embedding)
    fill_model(teacher, "teacher")
    fill_model(student, "student")
    fill_model(embed_t, "embed_t")
    with torch.no_grad():
        teacher.fc.weight.mul_(0.125)  # logits close enough that the weights differ
        student.classifier.weight.copy_(teacher.fc.weight)
        student.classifier.bias.copy_(teacher.fc.bias)
    student.classifier.requires_grad_(False)
    teacher.eval().requires_grad_(False)
    student.train()

    x, mixed = draw("x", (batch, 1, side, side), 1.5), draw("mixed", (batch, 1, side, side), 1.5)
    f_t, f_t2 = teacher.features(x), teacher.features(mixed)
    f_s, f_s2 = student.features(x), student.features(mixed)
    phi = student.projector(f_s)
    student.projector(f_s2)  # its output is unused, but one network runs on both: its running statistics see X' too
    z_t, z_s = teacher.fc(f_t.mean((2, 3))), student.classifier(phi.mean((2, 3)))
    weights = torch.sigmoid((z_s - z_t + 1e-6).norm(dim=1)).detach()
    align = (weights[:, None, None, None] * (phi - f_t) ** 2).mean()
    con_s = ntxent(student.embed(f_s.mean((2, 3))), student.embed(f_s2.mean((2, 3))), 0.3)
    con_t = ntxent(embed_t(f_t.mean((2, 3))), embed_t(f_t2.mean((2, 3))), 0.3)
    (align + share * (con_s + con_t)).backward()

    out = {"teacher_logits": z_t, "student_logits": z_s, "weights": weights,
           "losses": torch.stack([align, con_s, con_t])}
    for name, parameter in student.named_parameters():
        if parameter.grad is not None:
            out["gradient/" + name] = parameter.grad
    for name, parameter in embed_t.named_parameters():
        out["gradient/embed_t." + name] = parameter.grad
    running_statistics(student, "after/", out)
    save(f"{HERE}/kd3_step.safetensors", out, {"batch": str(batch), "side": str(side), "embedding": str(embedding)})


def noisy(z, labels, noise, accuracy):
    """-log of the chance of each label: softmax(z) times a matrix of known diagonal and learnt rows (DFND)."""
    n = z.shape[1]
    off = (1 - accuracy) * F.softmax(noise, 1)
    rows = [torch.cat([off[k, :k], torch.tensor([accuracy]), off[k, k:]]) for k in range(n)]
    return F.nll_loss((F.softmax(z, 1) @ torch.stack(rows)).log(), labels)


def write_losses():
    batch, classes, dim = 9, 10, 24
    out = {}
    z, t = draw("z", (batch, classes), 4.0).requires_grad_(), draw("t", (batch, classes), 4.0)
    labels = torch.tensor([(7 * i + 3) % 10 for i in range(batch)])
    kd = F.kl_div(F.log_softmax(z / 4.0, 1), F.softmax(t / 4.0, 1), reduction="batchmean") * 16.0
    out["kd"], out["kd_gradient"] = kd.reshape(1), torch.autograd.grad(kd, z)[0]
    ce = F.cross_entropy(z, labels, label_smoothing=0.1)
    out["ce"], out["ce_gradient"] = ce.reshape(1), torch.autograd.grad(ce, z)[0]
    u, v = draw("u", (batch, dim)).requires_grad_(), draw("v", (batch, dim)).requires_grad_()
    contrast = ntxent(u, v, 0.3)
    out["ntxent"] = contrast.reshape(1)
    out["ntxent_gradient_u"], out["ntxent_gradient_v"] = torch.autograd.grad(contrast, (u, v))
    cross = F.cross_entropy(F.normalize(u) @ F.normalize(v).T / 0.3, torch.arange(batch))
    out["infonce"] = cross.reshape(1)
    out["infonce_gradient_u"], out["infonce_gradient_v"] = torch.autograd.grad(cross, (u, v))
    matrix = draw("noise", (classes, classes - 1), 2.0).requires_grad_()
    loss = noisy(z, labels, matrix, 0.9)
    out["noisy"] = loss.reshape(1)
    out["noisy_gradient"], out["noisy_gradient_matrix"] = torch.autograd.grad(loss, (z, matrix))
    w = draw("w", (batch,), 0.25, 0.75)
    align = (w[:, None] * (u - v.detach()) ** 2).mean()
    out["alignment"], out["alignment_gradient"] = align.reshape(1), torch.autograd.grad(align, u)[0]
    save(f"{HERE}/losses.safetensors", out, {"batch": str(batch), "classes": str(classes), "dim": str(dim)})


def ops():
    """Name, PyTorch's function: what tests/golden/test_ops_golden.c builds under the same name."""
    max_pool, mean_pool, resize = F.max_pool2d, F.avg_pool2d, F.interpolate
    return {
        "hard_swish": F.hardswish,
        "hard_sigmoid": F.hardsigmoid,
        "relu6": F.relu6,
        "leaky_relu": lambda x: F.leaky_relu(x, 0.1),
        "silu": F.silu,
        "tanh": torch.tanh,
        "softmax": lambda x: F.softmax(x, 1),
        "softmax_height": lambda x: F.softmax(x, 2),
        "max_pool_ceil": lambda x: max_pool(x, 3, 2, 1, ceil_mode=True),
        "max_pool_dilated": lambda x: max_pool(x, (2, 3), (1, 2), (0, 1), dilation=(3, 2)),
        "mean_pool_counted": lambda x: mean_pool(x, 3, 2, 1, count_include_pad=True),
        "mean_pool_ceil": lambda x: mean_pool(x, 3, 2, 1, ceil_mode=True, count_include_pad=False),
        "mean_pool_ceil_counted": lambda x: mean_pool(x, (3, 2), (2, 3), (1, 0), ceil_mode=True, count_include_pad=True),
        "mean_pool_ceil_counted_by_4": lambda x: mean_pool(x, 4, 4, 2, ceil_mode=True, count_include_pad=True),
        "nearest_twice": lambda x: resize(x, scale_factor=2, mode="nearest"),
        "nearest_down": lambda x: resize(x, size=(4, 5), mode="nearest"),
        "linear": lambda x: resize(x, size=(10, 5), mode="bilinear", align_corners=False),
        "linear_corners": lambda x: resize(x, size=(10, 5), mode="bilinear", align_corners=True),
        "reflect": lambda x: F.pad(x, (2, 1, 3, 0), mode="reflect"),
        "shuffle": lambda x: x.reshape(2, 2, 3, 7, 9).transpose(1, 2).reshape(2, 6, 7, 9),
    }


def write_ops():
    """Each op on one batch: its output, and the gradient of sum(c y) with a drawn c. Channels last, as the engine has them."""
    out = {}
    for name, f in ops().items():
        x = draw("x", (2, 6, 7, 9), 4.0).requires_grad_()
        y = f(x)
        c = draw(f"c/{name}", (y.permute(0, 2, 3, 1)).shape).permute(0, 3, 1, 2)
        out[name] = y.permute(0, 2, 3, 1)
        out[name + "/gradient"] = torch.autograd.grad((c * y).sum(), x)[0].permute(0, 2, 3, 1)
    save(f"{HERE}/ops.safetensors", out, {})


def write_zoo():
    """Logits of a net in each of its forms, in evaluation; and in training of the forms without dropout."""
    batch, out = 4, {}
    for arch in ("resnet50", "vgg11", "mobilenetv2", "shufflenetv2", "wrn-16-2"):
        for side in (32, 96):
            net = zoo_net(arch, side)
            fill_model(net, "zoo")
            x = draw("x", (batch, 3, side, side), 1.5)
            with torch.no_grad():
                out[f"{arch}_{side}"] = net.eval()(x)
                if side == 32:
                    for module in net.modules():
                        if isinstance(module, torch.nn.Dropout):
                            module.p = 0.0
                    out[f"{arch}_{side}_train"] = net.train()(x)
    save(f"{HERE}/zoo.safetensors", out, {"batch": str(batch)})


def write_names(arch):
    """torchvision's own list of tensors: one "name shape" a line."""
    model = getattr(torchvision.models, arch)(weights=None)
    with open(f"{HERE}/{arch}.names", "w") as f:
        for name, tensor in model.state_dict().items():
            if not name.endswith("num_batches_tracked"):
                f.write(f"{name} {'x'.join(map(str, tensor.shape))}\n")


def main():
    torch.manual_seed(0)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.set_default_dtype(torch.float64)
    write_resnet8(28, 1, 8, lambda parameter: True)
    write_resnet8(32, 3, 4, lambda parameter: parameter.numel() < 5000)
    write_optimisers()
    write_kd3()
    write_losses()
    write_ops()
    for arch in ("resnet18", "resnet34", "resnet50", "vgg11_bn", "mobilenet_v2", "shufflenet_v2_x1_0"):
        write_names(arch)


if __name__ == "__main__":
    main()

#!/usr/bin/python3
"""Medians of the bench's rounds, as a table and as JSON:  table.py OUT.json < lines of JSON"""
import json
import os
import platform
import statistics
import sys

JOBS = (("train", "resnet20 training step"), ("kd3", "KD3 step, resnet20 to resnet8"),
        ("frozen", "resnet20 forward, frozen"))


def cpu_name():
    with open("/proc/cpuinfo") as f:
        for line in f:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or "unknown processor"


def main():
    rounds = {}
    for line in sys.stdin:
        if line.strip():
            result = json.loads(line)
            rounds.setdefault(result["who"], []).append(result)
    who = sorted(rounds, key=lambda name: name != "webstill")
    threads = rounds[who[0]][0]["threads"]
    out = {"cpu": cpu_name(), "cores": os.cpu_count(), "threads": threads, "batch": 128, "input": "28x28x1",
           "rounds": {name: len(rounds[name]) for name in who}, "images_per_s": {}, "ratio": {}}
    print(f"{out['cpu']}, {threads} threads, batch 128 of 28x28x1, images per second (median of the rounds; spread)")
    print(f"{'':32}" + "".join(f"{name:>30}" for name in who) + f"{'ratio':>9}")
    for key, title in JOBS:
        medians, cells = {}, ""
        for name in who:
            values = [r[key] for r in rounds[name]]
            medians[name] = statistics.median(values)
            spread = (max(values) - min(values)) / medians[name]
            cells += f"{medians[name]:>20.0f} (±{50 * spread:4.1f} %)"
        others = [medians[name] for name in who if name != "webstill"]
        ratio = medians["webstill"] / max(others) if "webstill" in medians and others else None
        out["images_per_s"][key], out["ratio"][key] = medians, ratio
        print(f"{title:32}{cells}" + (f"{ratio:8.2f}x" if ratio else f"{'-':>9}"))
    print("ratio: webstill to the faster of PyTorch's memory formats")
    with open(sys.argv[1], "w") as f:
        json.dump(out, f, indent=1)
        f.write("\n")


if __name__ == "__main__":
    main()

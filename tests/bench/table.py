#!/usr/bin/python3
"""Medians of the benchmark's rounds, as a table and as JSON:  table.py OUT.json THREADS < lines of JSON"""
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys


def cpu_name():
    with open("/proc/cpuinfo") as f:
        for line in f:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or "unknown processor"


def git(*arguments):
    done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    return done.stdout.strip() or None


def median(lines, key):
    values = [line[key] for line in lines if key in line]
    return statistics.median(values) if values else None


def spread(lines):
    """Half the range of the rounds over their median."""
    values = [line["images_per_s"] for line in lines]
    return (max(values) - min(values)) / 2 / statistics.median(values)


def ratio(ours, others):
    others = [value for value in others if value]
    return ours / max(others) if others else None


def summarise(lines, threads):
    """One row: ours, PyTorch's formats, and what compares them."""
    def of(who, n=threads):
        return [line for line in lines if line["who"] == who and line["threads"] == n]

    ours, one = of("webstill"), of("webstill", 1)
    peers = [of("nchw"), of("nhwc")]
    speed = median(ours, "images_per_s")
    row = {"rounds": len(ours), "images_per_s": speed, "spread": spread(ours)}
    for key in ("gflop_per_step", "gflop_per_s", "sgemm_gflop_per_s", "share", "peak_rss_bytes", "planned_bytes"):
        row[key] = median(ours, key)
    for name, peer in zip(("nchw", "nhwc"), peers):
        row[f"torch_{name}"] = median(peer, "images_per_s")
        row[f"torch_{name}_scripted"] = median(peer, "scripted_images_per_s")
        row[f"torch_{name}_peak_rss_bytes"] = median(peer, "peak_rss_bytes")
    row["ratio"] = ratio(speed, [row["torch_nchw"], row["torch_nhwc"]])
    row["ratio_scripted"] = ratio(speed, [row["torch_nchw_scripted"], row["torch_nhwc_scripted"]])
    row["threads_gain"] = speed / median(one, "images_per_s") if one and threads != 1 else None
    return row


def cell(value, form, width):
    return format("-" if value is None else format(value, form), f">{width}")


def print_table(rows):
    print(f"{'':22}{'webstill':>10}{'±':>7}{'nchw':>9}{'nhwc':>9}{'ratio':>8}{'scripted':>10}{'ratio':>8}"
          f"{'GF/s':>8}{'sgemm':>8}{'share':>8}{'threads':>9}")
    for name, row in rows.items():
        scripted = max((row[f"torch_{f}_scripted"] or 0 for f in ("nchw", "nhwc")), default=0) or None
        print(f"{name:22}" + cell(row["images_per_s"], ".1f", 10) + cell(row["spread"], ".1%", 7) +
              cell(row["torch_nchw"], ".1f", 9) + cell(row["torch_nhwc"], ".1f", 9) + cell(row["ratio"], ".2f", 8) +
              cell(scripted, ".1f", 10) + cell(row["ratio_scripted"], ".2f", 8) + cell(row["gflop_per_s"], ".1f", 8) +
              cell(row["sgemm_gflop_per_s"], ".1f", 8) + cell(row["share"], ".1%", 8) + cell(row["threads_gain"], ".2f", 9))


def print_memory(row):
    peers = [row[f"torch_{f}_peak_rss_bytes"] for f in ("nchw", "nhwc")]
    peers = [peer for peer in peers if peer]
    text = f"peak memory of kd3-resnet34: webstill {row['peak_rss_bytes'] / 1e6:.0f} MB"
    text += f" (planned {row['planned_bytes'] / 1e6:.0f} MB)"
    if peers:
        text += f", PyTorch {min(peers) / 1e6:.0f} MB, webstill to PyTorch {row['peak_rss_bytes'] / min(peers):.2f}"
    print(text)


def main():
    threads = int(sys.argv[2])
    lines = [json.loads(line) for line in sys.stdin if line.strip()]
    first = next(line for line in lines if line["who"] == "webstill")
    torch = next((line["torch"] for line in lines if "torch" in line), None)
    out = {"commit": git("rev-parse", "HEAD"), "describe": git("describe", "--always", "--dirty"),
           "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
           "cpu": cpu_name(), "cores": os.cpu_count(), "threads": threads,
           "openblas": first["openblas"], "core": first["core"], "torch": torch, "rows": {}}
    for name in dict.fromkeys(line["row"] for line in lines):
        out["rows"][name] = summarise([line for line in lines if line["row"] == name], threads)
    print(f"{out['cpu']}, {threads} threads, {out['openblas']} ({out['core']}), PyTorch {torch}, {out['describe']}")
    print("images per second (median of the rounds); ratio: webstill to the faster of PyTorch's formats; sgemm: GF/s of "
          "2048 x 2048 products;\nshare: GF/s of the step over that; threads: gain over one thread")
    print_table(out["rows"])
    if "kd3-resnet34" in out["rows"]:
        print_memory(out["rows"]["kd3-resnet34"])
    with open(sys.argv[1], "w", encoding="utf-8") as f:
        json.dump(out, f, indent=1)
        f.write("\n")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
# Tenon against ONNX Runtime on the same models, in the same run, alternating: medians in ms for each number of threads.
# onnxruntime comes from a virtual environment outside of the repository (pip install onnxruntime numpy).
# usage: compare.py TENON MODEL.onnx… [--threads 1,2] [--runs N] [--json FILE]
import argparse
import json
import statistics
import subprocess
import time


def tenon_run(program, model, threads, runs):
    command = [program, "nn", "bench", model, "--json", f"--threads={threads}", f"--runs={runs}", "--batch=1"]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout)


def runtime_run(model, threads, runs):
    import numpy as np
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    start = time.perf_counter()
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    load = time.perf_counter() - start
    types = {"tensor(float)": np.float32, "tensor(uint8)": np.uint8, "tensor(int64)": np.int64}
    feeds = {}
    for i in session.get_inputs():
        shape = [d if isinstance(d, int) else 1 for d in i.shape]
        feeds[i.name] = np.random.default_rng(1).random(shape).astype(types[i.type])
    for _ in range(max(5, runs // 10)):
        session.run(None, feeds)
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        session.run(None, feeds)
        times.append(time.perf_counter() - start)
    return {"median_ms": statistics.median(times) * 1e3, "load_ms": load * 1e3}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("tenon")
    parser.add_argument("models", nargs="+")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json")
    arguments = parser.parse_args()
    rows = []
    for model in arguments.models:
        for threads in map(int, arguments.threads.split(",")):
            ours, theirs = [], []
            for _ in range(arguments.rounds):
                ours.append(tenon_run(arguments.tenon, model, threads, arguments.runs))
                theirs.append(runtime_run(model, threads, arguments.runs))
            row = {
                "model": model,
                "threads": threads,
                "tenon_ms": statistics.median(r["median_ms"] for r in ours),
                "onnxruntime_ms": statistics.median(r["median_ms"] for r in theirs),
                "tenon_load_ms": statistics.median(r["load_ms"] for r in ours),
                "onnxruntime_load_ms": statistics.median(r["load_ms"] for r in theirs),
            }
            rows.append(row)
            print(
                f"{model.split('/')[-2]:40} {threads} threads: tenon {row['tenon_ms']:8.3f} ms, "
                f"onnxruntime {row['onnxruntime_ms']:8.3f} ms, ratio {row['tenon_ms'] / row['onnxruntime_ms']:.2f}; "
                f"load {row['tenon_load_ms']:.0f} and {row['onnxruntime_load_ms']:.0f} ms",
                flush=True,
            )
    if arguments.json:
        with open(arguments.json, "w") as out:
            json.dump(rows, out, indent=2)


if __name__ == "__main__":
    main()

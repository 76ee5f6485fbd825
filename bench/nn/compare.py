#!/usr/bin/env python3
# Tenon against the runtime that a model's file belongs to, on the same models, in the same run, alternating: medians in ms
# for each number of threads. The runtimes come from a virtual environment outside of the repository
# (pip install numpy onnxruntime openvino ai-edge-litert); a model whose runtime is not there is measured in Tenon alone.
# With --alone the models themselves are compared: one after the other, in each round, in Tenon.
# usage: compare.py TENON MODEL… [--alone] [--threads 1,2] [--runs N] [--rounds N] [--json FILE]
import argparse
import json
import os
import statistics
import subprocess
import sys
import time


def tenon_run(program, model, threads, runs):
    command = [program, "nn", "bench", model, "--json", f"--threads={threads}", f"--runs={runs}", "--batch=1"]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout)


def random_tensor(shape, dtype):
    import numpy as np

    return np.random.default_rng(1).random([d if isinstance(d, int) and d > 0 else 1 for d in shape]).astype(dtype)


# Each loads a model and returns what runs one inference.
def onnxruntime(model, threads):
    import numpy as np
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    types = {"tensor(float)": np.float32, "tensor(uint8)": np.uint8, "tensor(int64)": np.int64}
    feeds = {i.name: random_tensor(i.shape, types[i.type]) for i in session.get_inputs()}
    return lambda: session.run(None, feeds)


def openvino(model, threads):
    import openvino as ov

    # Results of the same precision as ours.
    how = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
    compiled = ov.Core().compile_model(model, "CPU", how)
    request = compiled.create_infer_request()
    feeds = {i: random_tensor(list(i.partial_shape.get_min_shape()), i.element_type.to_dtype()) for i in compiled.inputs}
    return lambda: request.infer(feeds)


def litert(model, threads):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model, num_threads=threads)
    interpreter.allocate_tensors()
    feeds = [(i["index"], random_tensor(i["shape"].tolist(), i["dtype"])) for i in interpreter.get_input_details()]

    def run():
        for index, value in feeds:
            interpreter.set_tensor(index, value)
        interpreter.invoke()
        for output in interpreter.get_output_details():
            interpreter.get_tensor(output["index"])

    return run


RUNTIMES = {".onnx": onnxruntime, ".xml": openvino, ".tflite": litert}


def runtime_run(runtime, model, threads, runs):
    start = time.perf_counter()
    run = runtime(model, threads)
    load = time.perf_counter() - start
    for _ in range(max(5, runs // 10)):
        run()
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return {"median_ms": statistics.median(times) * 1e3, "load_ms": load * 1e3}


def measure(arguments, model, threads):
    runtime = RUNTIMES.get(os.path.splitext(model)[1])
    ours, theirs = [], []
    for _ in range(arguments.rounds):
        ours.append(tenon_run(arguments.tenon, model, threads, arguments.runs))
        try:
            if runtime:
                theirs.append(runtime_run(runtime, model, threads, arguments.runs))
        except ImportError as error:
            print(f"{error}: not compared", file=sys.stderr)
            runtime = None
    row = {"model": model, "threads": threads}
    for name, results in (("tenon", ours), (runtime.__name__ if runtime else "", theirs)):
        if results:
            row[f"{name}_ms"] = statistics.median(r["median_ms"] for r in results)
            row[f"{name}_load_ms"] = statistics.median(r["load_ms"] for r in results)
    line = f"{model.split('/')[-2]:42} {threads} threads: tenon {row['tenon_ms']:8.3f} ms"
    if theirs:
        other = row[f"{runtime.__name__}_ms"]
        line += f", {runtime.__name__} {other:8.3f} ms, ratio {row['tenon_ms'] / other:.2f}"
        line += f"; load {row['tenon_load_ms']:.0f} and {row[runtime.__name__ + '_load_ms']:.0f} ms"
    print(line, flush=True)
    return row


def measure_alone(arguments, threads):
    medians = {model: [] for model in arguments.models}
    for _ in range(arguments.rounds):
        for model, of_rounds in medians.items():
            of_rounds.append(tenon_run(arguments.tenon, model, threads, arguments.runs)["median_ms"])
    rows = [{"model": m, "threads": threads, "tenon_ms": statistics.median(v)} for m, v in medians.items()]
    least = min(row["tenon_ms"] for row in rows)
    for row in rows:
        print(f"{row['model'].split('/')[-2]:42} {threads} threads: {row['tenon_ms']:8.3f} ms, "
              f"{row['tenon_ms'] / least:.3f} of the fastest", flush=True)
    return rows


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("tenon")
    parser.add_argument("models", nargs="+")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json")
    parser.add_argument("--alone", action="store_true")
    arguments = parser.parse_args()
    counts = [int(count) for count in arguments.threads.split(",")]
    if arguments.alone:
        rows = [row for count in counts for row in measure_alone(arguments, count)]
    else:
        rows = [measure(arguments, model, count) for model in arguments.models for count in counts]
    if arguments.json:
        with open(arguments.json, "w") as out:
            json.dump(rows, out, indent=2)


if __name__ == "__main__":
    main()

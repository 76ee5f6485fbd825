#!/usr/bin/env python3
"""TensorFlow Lite models with operators that converters seldom write, with LiteRT's results: checked in below
tests/nn/cases, run by models_test.cpp.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install numpy flatbuffers ai-edge-litert
    /tmp/venv/bin/python tests/nn/make_tflite_cases.py tests/nn/cases [NAME…]

Not part of the build. Each case is one model with several operators on the same input, computed several times, since
what they keep between computes counts.
"""
import json
import pathlib
import shutil
import sys

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType

RANDOM = np.random.default_rng(13)
TYPES = {"float32": (schema.TensorType.FLOAT32, "f32"), "int8": (schema.TensorType.INT8, "i8"),
         "int16": (schema.TensorType.INT16, "i16"), "int32": (schema.TensorType.INT32, "i32")}
CASES = {}


def case(make):
    CASES[make.__name__] = make
    return make


def uniform(*dims, limit=1.0):
    return RANDOM.uniform(-limit, limit, dims).astype(np.float32)


class Net:
    def __init__(self):
        self.graph, self.model = schema.SubGraphT(), schema.ModelT()
        self.graph.tensors, self.graph.operators, self.graph.inputs, self.graph.outputs = [], [], [], []
        self.model.version, self.model.subgraphs, self.model.operatorCodes = 3, [self.graph], []
        self.model.buffers = [schema.BufferT()]

    def tensor(self, shape, dtype="float32", scale=None, zero=0, data=None, variable=False):
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.hasRank = f"t{len(self.graph.tensors)}".encode(), list(shape), True
        tensor.type, tensor.isVariable, tensor.buffer = TYPES[dtype][0], variable, 0
        if data is not None:
            tensor.buffer = len(self.model.buffers)
            self.model.buffers.append(schema.BufferT())
            self.model.buffers[-1].data = np.frombuffer(np.ascontiguousarray(data).tobytes(), np.uint8)
        if scale is not None:
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale, tensor.quantization.zeroPoint = [scale], [zero]
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def codes(self, values, dtype, scale):
        limits = np.iinfo(dtype)
        return self.tensor(values.shape, dtype, scale, data=np.clip(np.round(values / scale), -limits.max, limits.max).astype(dtype))

    def operator(self, name, version, inputs, output, options_type, **options):
        code = schema.OperatorCodeT()
        code.builtinCode = getattr(schema.BuiltinOperator, name)
        code.deprecatedBuiltinCode, code.version = code.builtinCode, version
        operator = schema.OperatorT()
        operator.opcodeIndex, operator.inputs, operator.outputs = len(self.model.operatorCodes), inputs, [output]
        operator.builtinOptionsType = getattr(schema.BuiltinOptions, options_type)
        operator.builtinOptions = getattr(schema, options_type + "T")()
        for key, value in options.items():
            setattr(operator.builtinOptions, key, value)
        self.model.operatorCodes.append(code)
        self.graph.operators.append(operator)
        self.graph.outputs.append(output)

    def write(self, folder, steps):
        (folder / "golden").mkdir(parents=True)
        builder = flatbuffers.Builder(1024)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        (folder / "model.tflite").write_bytes(bytes(builder.Output()))
        # Reference kernels, since results are to be exact.
        interpreter = Interpreter(str(folder / "model.tflite"), experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
        interpreter.allocate_tensors()
        cases = []
        for step, value in enumerate(steps):
            made = {"name": f"case{step}", "inputs": [], "outputs": []} | ({"continues": True} if step else {})
            given = interpreter.get_input_details()[0]
            interpreter.set_tensor(given["index"], value)
            interpreter.invoke()
            sides = [("input", given, value)] + [("output", o, interpreter.get_tensor(o["index"])) for o in interpreter.get_output_details()]
            for side, info, contents in sides:
                file = f"golden/step{step}-{side}{len(made[side + 's'])}.bin"
                (folder / file).write_bytes(np.ascontiguousarray(contents).tobytes())
                made[side + "s"].append({"name": info["name"], "dtype": TYPES[str(contents.dtype)][1],
                                         "shape": list(contents.shape), "file": file})
                if info["quantization"][0]:
                    made[side + "s"][-1]["quantization"] = {"scale": [info["quantization"][0]], "zero_point": [info["quantization"][1]]}
            cases.append(made)
        golden = {"model": "model.tflite", "encoding": "tensorflowlite", "tool": "LiteRT", "byte_order": "little", "cases": cases}
        (folder / "golden" / "golden.json").write_text(json.dumps(golden, indent=1) + "\n")


@case
def svdf(net):
    x = net.tensor((2, 8), "int8", 0.05, -3)
    net.graph.inputs = [x]
    for rank, units, memory in ((1, 5, 6), (2, 4, 3)):
        rows, state, time = units * rank, 0.001, 1 / 32768
        bias = np.round(uniform(units, limit=0.3) / (state * time)).astype(np.int32)
        operands = [x, net.codes(uniform(rows, 8), "int8", 1 / 127), net.codes(uniform(rows, memory), "int16", time),
                    net.tensor(bias.shape, "int32", state * time, data=bias),
                    net.tensor((2, rows * memory), "int16", state, variable=True)]
        net.operator("SVDF", 3, operands, net.tensor((2, units), "int8", 0.03, -128), "SVDFOptions", rank=rank,
                     fusedActivationFunction=schema.ActivationFunctionType.RELU)
    return [RANDOM.integers(-128, 127, (2, 8)).astype(np.int8) for _ in range(8)]


def main():
    out, names = pathlib.Path(sys.argv[1]), sys.argv[2:] or list(CASES)
    for name in names:
        folder = out / f"tflite_{name}"
        shutil.rmtree(folder, ignore_errors=True)
        net = Net()
        net.write(folder, CASES[name](net))
        print(f"{folder.name}: {sum(f.stat().st_size for f in folder.rglob('*') if f.is_file())} bytes", flush=True)


if __name__ == "__main__":
    main()

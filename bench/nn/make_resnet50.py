#!/usr/bin/env python3
# Writes ResNet-50 (v1.5) with random weights as an ONNX file: the structure for benchmarks, no trained network.
# Needs numpy only; the few protobuf fields are written by hand. usage: make_resnet50.py FILE [IMAGE_SIZE]
import sys

import numpy as np


def varint(n):
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    out.append(n)
    return bytes(out)


def field(number, payload):
    if isinstance(payload, int):
        return varint(number << 3) + varint(payload)
    if isinstance(payload, str):
        payload = payload.encode()
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def tensor(name, array):
    dims = b"".join(field(1, d) for d in array.shape)
    return dims + field(2, 1) + field(8, name) + field(9, array.astype("<f4").tobytes())


def value_info(name, dims):
    shape = b"".join(field(1, field(1, d)) for d in dims)
    return field(1, name) + field(2, field(1, field(1, 1) + field(2, shape)))


def node(op, inputs, output, **attributes):
    out = b"".join(field(1, i) for i in inputs) + field(2, output) + field(3, output) + field(4, op)
    for name, value in attributes.items():
        if isinstance(value, list):
            body = b"".join(field(8, v) for v in value) + field(20, 7)
        else:
            body = field(3, value) + field(20, 2)
        out += field(5, field(1, name) + body)
    return out


class Network:
    def __init__(self):
        self.nodes, self.constants, self.random, self.count = [], [], np.random.default_rng(1), 0

    def constant(self, array):
        name = f"c{len(self.constants)}"
        self.constants.append(tensor(name, array))
        return name

    def add(self, op, inputs, **attributes):
        self.count += 1
        name = f"{op.lower()}{self.count}"
        self.nodes.append(node(op, inputs, name, **attributes))
        return name

    def conv(self, x, channels, out, kernel, stride=1, relu=True, add=None):
        scale = (2 / (channels * kernel * kernel)) ** 0.5
        weights = self.random.standard_normal((out, channels, kernel, kernel)) * scale
        pad = kernel // 2
        y = self.add("Conv", [x, self.constant(weights)], kernel_shape=[kernel] * 2, pads=[pad] * 4, strides=[stride] * 2)
        statistics = [np.ones(out), self.random.standard_normal(out) * 0.1, np.zeros(out), np.ones(out)]
        if add:
            statistics[0] *= 0.3
        y = self.add("BatchNormalization", [y] + [self.constant(s) for s in statistics])
        if add:
            y = self.add("Add", [y, add])
        return self.add("Relu", [y]) if relu else y

    def block(self, x, channels, width, stride):
        y = self.conv(x, channels, width, 1)
        y = self.conv(y, width, width, 3, stride)
        short = x if stride == 1 and channels == 4 * width else self.conv(x, channels, 4 * width, 1, stride, relu=False)
        return self.conv(y, width, 4 * width, 1, add=short)


def main():
    size = int(sys.argv[2]) if len(sys.argv) > 2 else 224
    net = Network()
    x = net.conv("data", 3, 64, 7, 2)
    x = net.add("MaxPool", [x], kernel_shape=[3, 3], pads=[1] * 4, strides=[2, 2])
    channels = 64
    for stage, blocks in enumerate([3, 4, 6, 3]):
        width = 64 << stage
        for i in range(blocks):
            x = net.block(x, channels, width, 2 if i == 0 and stage > 0 else 1)
            channels = 4 * width
    x = net.add("Flatten", [net.add("GlobalAveragePool", [x])])
    weights = net.random.standard_normal((1000, 2048)) * 0.02
    logits = net.add("Gemm", [x, net.constant(weights), net.constant(np.zeros(1000))], transB=1)
    output = net.add("Softmax", [logits], axis=1)
    graph = b"".join(field(1, n) for n in net.nodes) + field(2, "resnet50")
    graph += b"".join(field(5, c) for c in net.constants)
    graph += field(11, value_info("data", [1, 3, size, size])) + field(12, value_info(output, [1, 1000]))
    model = field(1, 8) + field(2, "tenon bench") + field(7, graph) + field(8, field(1, "") + field(2, 13))
    with open(sys.argv[1], "wb") as out:
        out.write(model)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Trains the digits model and writes everything of examples/digits that is not source code.

The data is the "optical recognition of handwritten digits" test set that ships inside scikit-learn: 1,797 pictures of
8x8 pixels. The network and its training are plain numpy, and digits.onnx is encoded here by hand, so this needs only
Debian's python3-sklearn. The results are committed: the demo needs no Python at all.

    /usr/bin/python3 examples/digits/train.py [OUTPUT_FOLDER]

Writes digits.onnx, images/*.png (held-out pictures, enlarged, which a guest has to decode and reduce again) and
golden/ (the same pictures as tensors with the expected probabilities, in double precision rounded to f32).
"""
import json
import pathlib
import struct
import sys
import zlib

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from sklearn.datasets import load_digits

SEED = 20261122
EPOCHS = 40
BATCH = 32
LEARNING_RATE = 2e-3
HELD_OUT = 360
ENLARGE = 8  # images/*.png are 64x64


# ---- The network: conv 3x3x16, relu, conv 3x3x32, relu, max pool 2x2, fully connected, softmax ----


def patches(x):
    """[n, c, h, w] -> [n, h, w, c * 9]: the 3x3 neighbourhood of each pixel, zero outside."""
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = sliding_window_view(padded, (3, 3), axis=(2, 3))  # n, c, h, w, 3, 3
    n, c, h, w = x.shape
    return windows.transpose(0, 2, 3, 1, 4, 5).reshape(n, h, w, c * 9)


def conv(x, weight, bias):
    cols = patches(x)
    out = cols @ weight.reshape(len(weight), -1).T + bias
    return out.transpose(0, 3, 1, 2), cols


def conv_backward(grad, cols, weight, need_input):
    n, o, h, w = grad.shape
    rows = grad.transpose(0, 2, 3, 1).reshape(-1, o)
    grad_weight = (rows.T @ cols.reshape(-1, cols.shape[-1])).reshape(weight.shape)
    grad_bias = rows.sum(axis=0)
    if not need_input:
        return None, grad_weight, grad_bias
    c = weight.shape[1]
    spread = (rows @ weight.reshape(o, -1)).reshape(n, h, w, c, 3, 3).transpose(0, 3, 4, 5, 1, 2)
    padded = np.zeros((n, c, h + 2, w + 2), grad.dtype)
    for dy in range(3):
        for dx in range(3):
            padded[:, :, dy : dy + h, dx : dx + w] += spread[:, :, dy, dx]
    return padded[:, :, 1:-1, 1:-1], grad_weight, grad_bias


def max_pool(x):
    n, c, h, w = x.shape
    cells = x.reshape(n, c, h // 2, 2, w // 2, 2).transpose(0, 1, 2, 4, 3, 5).reshape(n, c, h // 2, w // 2, 4)
    best = cells.argmax(axis=-1)
    return np.take_along_axis(cells, best[..., None], axis=-1)[..., 0], best


def max_pool_backward(grad, best):
    n, c, h, w = grad.shape
    cells = np.zeros((n, c, h, w, 4), grad.dtype)
    np.put_along_axis(cells, best[..., None], grad[..., None], axis=-1)
    return cells.reshape(n, c, h, w, 2, 2).transpose(0, 1, 2, 4, 3, 5).reshape(n, c, h * 2, w * 2)


def softmax(logits):
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def initial_parameters(rng):
    def he(*shape):
        return (rng.standard_normal(shape) * np.sqrt(2 / np.prod(shape[1:]))).astype(np.float32)

    return {
        "conv1.weight": he(16, 1, 3, 3),
        "conv1.bias": np.zeros(16, np.float32),
        "conv2.weight": he(32, 16, 3, 3),
        "conv2.bias": np.zeros(32, np.float32),
        "fc.weight": he(10, 32 * 4 * 4),
        "fc.bias": np.zeros(10, np.float32),
    }


def forward(p, x):
    """Returns the probabilities and what the backward pass needs."""
    a1, cols1 = conv(x, p["conv1.weight"], p["conv1.bias"])
    r1 = np.maximum(a1, 0)
    a2, cols2 = conv(r1, p["conv2.weight"], p["conv2.bias"])
    pooled, best = max_pool(np.maximum(a2, 0))
    flat = pooled.reshape(len(x), -1)
    probabilities = softmax(flat @ p["fc.weight"].T + p["fc.bias"])
    return probabilities, (a1, cols1, a2, cols2, best, flat)


def gradients(p, x, labels):
    probabilities, (a1, cols1, a2, cols2, best, flat) = forward(p, x)
    grad = probabilities.copy()
    grad[np.arange(len(x)), labels] -= 1
    grad /= len(x)
    g = {"fc.weight": grad.T @ flat, "fc.bias": grad.sum(axis=0)}
    grad = max_pool_backward((grad @ p["fc.weight"]).reshape(len(x), 32, 4, 4), best) * (a2 > 0)
    grad, g["conv2.weight"], g["conv2.bias"] = conv_backward(grad, cols2, p["conv2.weight"], True)
    _, g["conv1.weight"], g["conv1.bias"] = conv_backward(grad * (a1 > 0), cols1, p["conv1.weight"], False)
    return g


def shifted(x, rng):
    """Moves each picture by up to one pixel, so that the network does not learn places by heart."""
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = sliding_window_view(padded, (8, 8), axis=(2, 3))
    dy, dx = rng.integers(0, 3, len(x)), rng.integers(0, 3, len(x))
    return windows[np.arange(len(x)), :, dy, dx]


def train(x, labels, rng):
    p = initial_parameters(rng)
    mean = {k: np.zeros_like(v) for k, v in p.items()}
    square = {k: np.zeros_like(v) for k, v in p.items()}
    step = 0
    for epoch in range(EPOCHS):
        rate = LEARNING_RATE * 0.5 * (1 + np.cos(np.pi * epoch / EPOCHS))
        order = rng.permutation(len(x))
        for at in range(0, len(x), BATCH):
            some = order[at : at + BATCH]
            g = gradients(p, shifted(x[some], rng), labels[some])
            step += 1
            for k in p:  # Adam
                mean[k] = 0.9 * mean[k] + 0.1 * g[k]
                square[k] = 0.999 * square[k] + 0.001 * g[k] ** 2
                m, s = mean[k] / (1 - 0.9**step), square[k] / (1 - 0.999**step)
                p[k] = (p[k] - rate * m / (np.sqrt(s) + 1e-8)).astype(np.float32)
    return p


# ---- ONNX: the few protobuf messages that this model needs ----


def varint(value):
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def field(number, value):
    """One protobuf field: integers as varint, text, bytes and messages with their length."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else bytes(value)
    return varint(number << 3 | 2) + varint(len(data)) + data


def attribute(name, value):
    if isinstance(value, int):
        return field(1, name) + field(3, value) + field(20, 2)  # AttributeProto.INT
    return field(1, name) + b"".join(field(8, v) for v in value) + field(20, 7)  # AttributeProto.INTS


def node(op, name, inputs, output, **attributes):
    body = b"".join(field(1, i) for i in inputs) + field(2, output) + field(3, name) + field(4, op)
    return body + b"".join(field(5, attribute(k, v)) for k, v in attributes.items())


def tensor(name, array):
    dims = b"".join(field(1, d) for d in array.shape)
    return dims + field(2, 1) + field(8, name) + field(9, array.astype("<f4").tobytes())


def value_info(name, shape):
    dims = b"".join(field(1, field(1, d)) for d in shape)
    return field(1, name) + field(2, field(1, field(1, 1) + field(2, dims)))


def onnx_model(p):
    same = {"kernel_shape": (3, 3), "pads": (1, 1, 1, 1), "strides": (1, 1)}
    nodes = [
        node("Conv", "conv1", ["image", "conv1.weight", "conv1.bias"], "conv1", **same),
        node("Relu", "relu1", ["conv1"], "relu1"),
        node("Conv", "conv2", ["relu1", "conv2.weight", "conv2.bias"], "conv2", **same),
        node("Relu", "relu2", ["conv2"], "relu2"),
        node("MaxPool", "pool", ["relu2"], "pool", kernel_shape=(2, 2), strides=(2, 2)),
        node("Flatten", "flatten", ["pool"], "flat", axis=1),
        node("Gemm", "fc", ["flat", "fc.weight", "fc.bias"], "logits", transB=1),
        node("Softmax", "softmax", ["logits"], "probabilities", axis=1),
    ]
    graph = b"".join(field(1, n) for n in nodes) + field(2, "digits")
    graph += b"".join(field(5, tensor(k, v)) for k, v in p.items())
    graph += field(11, value_info("image", (1, 1, 8, 8))) + field(12, value_info("probabilities", (1, 10)))
    opset = field(1, "") + field(2, 13)
    return field(1, 7) + field(2, "examples/digits/train.py") + field(7, graph) + field(8, opset)


# ---- PNG and golden files ----


def png(pixels):
    """8-bit greyscale PNG; the filters take turns, so that a reader has to know them all."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width = pixels.shape
    above, rows = np.zeros(width, np.int32), b""
    for y in range(height):
        row = pixels[y].astype(np.int32)
        left = np.concatenate(([0], row[:-1]))
        corner = np.concatenate(([0], above[:-1]))
        estimate = left + above - corner
        far = [np.abs(estimate - v) for v in (left, above, corner)]
        paeth = np.where((far[0] <= far[1]) & (far[0] <= far[2]), left, np.where(far[1] <= far[2], above, corner))
        guess = [0 * row, left, above, (left + above) // 2, paeth][y % 5]
        rows += bytes([y % 5]) + (row - guess).astype(np.uint8).tobytes()
        above = row
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")


def write_examples(folder, p, pixels, labels, accuracy):
    """One held-out picture of each digit: the first that the split gives, right or wrong."""
    (folder / "images").mkdir(exist_ok=True)
    (folder / "golden").mkdir(exist_ok=True)
    exact = {k: v.astype(np.float64) for k, v in p.items()}
    cases = []
    for digit in range(10):
        picture = pixels[np.flatnonzero(labels == digit)[0]]
        image = (picture / np.float32(255)).reshape(1, 1, 8, 8).astype(np.float32)
        probabilities, _ = forward(exact, image.astype(np.float64))
        (folder / f"images/digit-{digit}.png").write_bytes(png(np.kron(picture, np.ones((ENLARGE, ENLARGE), np.uint8))))
        (folder / f"golden/case{digit}_in_image.bin").write_bytes(image.astype("<f4").tobytes())
        (folder / f"golden/case{digit}_out0.bin").write_bytes(probabilities.astype("<f4").tobytes())
        cases.append({
            "name": f"digit-{digit}",
            "source": f"images/digit-{digit}.png, mean of each {ENLARGE}x{ENLARGE} block, x/255",
            "inputs": [{"dtype": "f32", "shape": [1, 1, 8, 8], "file": f"golden/case{digit}_in_image.bin", "name": "image"}],
            "outputs": [{"dtype": "f32", "shape": [1, 10], "file": f"golden/case{digit}_out0.bin", "name": "probabilities"}],
        })
    golden = {
        "model": "digits.onnx",
        "encoding": "onnx",
        "tool": "train.py: numpy in double precision, rounded to f32",
        "byte_order": "little",
        "held_out_accuracy": accuracy,
        "cases": cases,
    }
    (folder / "golden/golden.json").write_text(json.dumps(golden, indent=1) + "\n")


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent)
    rng = np.random.default_rng(SEED)
    data = load_digits()
    # 0..16 as the 8-bit grey of a PNG, so that training sees what a guest will read.
    pixels = np.round(data.images * 255 / 16).astype(np.uint8)
    x = (pixels / np.float32(255)).astype(np.float32)[:, None]
    order = rng.permutation(len(x))
    test, learn = order[:HELD_OUT], order[HELD_OUT:]
    p = train(x[learn], data.target[learn], rng)
    right = int((forward(p, x[test])[0].argmax(axis=1) == data.target[test]).sum())
    accuracy = round(right / HELD_OUT, 4)
    print(f"held-out accuracy: {right} of {HELD_OUT} = {accuracy:.2%}, {sum(v.size for v in p.values())} parameters")
    (folder / "digits.onnx").write_bytes(onnx_model(p))
    write_examples(folder, p, pixels[test], data.target[test], accuracy)


if __name__ == "__main__":
    main()

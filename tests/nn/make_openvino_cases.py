#!/usr/bin/env python3
"""Layers that OpenVINO itself writes, with its results: checked in below tests/nn/cases, run by models_test.cpp.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install openvino
    /tmp/venv/bin/python tests/nn/make_openvino_cases.py tests/nn/cases [NAME…]

Not part of the build. Each case is one IR with many layers of a kind, each between the inputs and a result of its own.
"""
import json
import pathlib
import shutil
import sys

import numpy as np
import openvino as ov
from openvino import opset1, opset2, opset3, opset4, opset5, opset6, opset7, opset8, opset9, opset10, opset11, opset12, opset13
from openvino import opset14, opset15, opset16

RANDOM = np.random.default_rng(11)
DTYPES = {"float32": "f32", "float64": "f64", "int32": "i32", "int64": "i64", "uint8": "u8", "bool": "bool"}
CASES = {}


def case(make):
    CASES[make.__name__] = make
    return make


def uniform(*dims, low=-1.0, high=1.0):
    return RANDOM.uniform(low, high, dims).astype(np.float32)


def ints(*values):
    return np.array(values, np.int64)


class Net:
    """Collects inputs with their values, and results."""

    def __init__(self):
        self.inputs, self.results, self.sinks = [], [], []
        self.steps = 1  # computes, of which each begins with what the one before it left

    def give(self, value):
        value = np.asarray(value)
        node = opset1.parameter(list(value.shape), {"float32": np.float32, "int32": np.int32, "int64": np.int64,
                                                    "bool": np.bool_, "uint8": np.uint8}[str(value.dtype)],
                                name=f"x{len(self.inputs)}")
        self.inputs.append((node, value))
        return node

    def take(self, node, count=None):
        self.results += list(node.outputs())[:count]

    def write(self, folder):
        model = ov.Model([opset1.result(output) for output in self.results], self.sinks, [node for node, _ in self.inputs],
                         folder.name)
        folder.mkdir(parents=True)
        ov.save_model(model, folder / "model.xml", compress_to_fp16=False)
        # What an IR says beside the network.
        text = (folder / "model.xml").read_text()
        start, end = text.find("<rt_info>", text.find("</edges>")), text.rfind("</rt_info>")
        if start > 0:
            text = text[:start].rstrip() + "\n" + text[end + len("</rt_info>"):].lstrip()
        (folder / "model.xml").write_text(text)
        core = ov.Core()
        compiled = core.compile_model(core.read_model(folder / "model.xml"), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        (folder / "golden").mkdir()
        golden = {"model": "model.xml", "encoding": "openvino", "tool": f"OpenVINO {ov.__version__.split('-')[0]}",
                  "byte_order": "little", "cases": []}
        request = compiled.create_infer_request()
        for step in range(self.steps):
            values = {node.get_friendly_name(): value * (step + 1) for node, value in self.inputs}
            results = request.infer([values[i.node.get_friendly_name()] for i in compiled.inputs])
            golden["cases"].append(self.case_of(folder, step, compiled, values, results))
        (folder / "golden" / "golden.json").write_text(json.dumps(golden, indent=1) + "\n")

    @staticmethod
    def case_of(folder, step, compiled, values, results):
        made = {"name": f"case{step}", "inputs": [], "outputs": []}
        if step > 0:
            made["continues"] = True

        def tensor(side, name, value):
            file = f"golden/{f'step{step}-' if step else ''}{side}{len(made[side + 's'])}.bin"
            (folder / file).write_bytes(np.ascontiguousarray(value).tobytes())
            made[side + "s"].append(
                {"name": name, "dtype": DTYPES[str(value.dtype)], "shape": list(value.shape), "file": file})

        for i in compiled.inputs:
            tensor("input", i.node.get_friendly_name(), values[i.node.get_friendly_name()])
        for i in range(len(compiled.outputs)):
            tensor("output", "", results[i])
        return made


@case
def recurrent(net):
    x, lengths = net.give(uniform(2, 4, 3)), np.array([4, 4], np.int32)
    shorter = np.array([4, 2], np.int32)

    def weights(gates, directions, biases=None):
        return uniform(directions, gates * 2, 3), uniform(directions, gates * 2, 2), uniform(directions, (biases or gates) * 2)

    for direction, n in (("FORWARD", 1), ("REVERSE", 1), ("BIDIRECTIONAL", 2)):
        h, c = uniform(2, n, 2), uniform(2, n, 2)
        net.take(opset5.lstm_sequence(x, h, c, lengths, *weights(4, n), 2, direction))
        net.take(opset5.gru_sequence(x, h, lengths, *weights(3, n), 2, direction))
        net.take(opset5.gru_sequence(x, h, lengths, *weights(3, n, 4), 2, direction, linear_before_reset=True))
        net.take(opset5.rnn_sequence(x, h, lengths, *weights(1, n), 2, direction))
    net.take(opset5.lstm_sequence(x, uniform(2, 1, 2), uniform(2, 1, 2), shorter, *weights(4, 1), 2, "forward"))
    net.take(opset5.gru_sequence(x, uniform(2, 1, 2), shorter, *weights(3, 1), 2, "reverse"))
    step = net.give(uniform(2, 3))
    h, c = uniform(2, 2), uniform(2, 2)
    flat = lambda gates, biases=None: [w[0] for w in weights(gates, 1, biases)]
    net.take(opset4.lstm_cell(step, h, c, *flat(4), 2))
    net.take(opset3.gru_cell(step, h, *flat(3), 2))
    net.take(opset3.gru_cell(step, h, *flat(3, 4), 2, linear_before_reset=True))
    net.take(opset3.rnn_cell(step, h, *flat(1), 2, ["relu"], [], []))


@case
def movement(net):
    x, pair, n = net.give(uniform(4, 4, 2, 3)), net.give(uniform(3, 5)), net.give(RANDOM.integers(0, 3, (3, 2)).astype(np.int32))
    net.take(opset7.roll(x, ints(1, -2), ints(0, 3)))
    net.take(opset7.roll(x, ints(3), ints(-1)))
    net.take(opset1.reverse_sequence(x, np.array([1, 2, 3, 4], np.int32), 0, 1))
    net.take(opset3.shuffle_channels(x, 1, 2))
    net.take(opset2.space_to_batch(x, ints(1, 2, 1, 2), ints(0, 1, 0, 0), ints(0, 1, 0, 1)))
    net.take(opset2.batch_to_space(x, ints(1, 2, 2, 1), ints(0, 1, 0, 0), ints(0, 2, 1, 0)))
    net.take(opset1.depth_to_space(x, "blocks_first", 2))
    net.take(opset1.depth_to_space(x, "depth_first", 2))
    net.take(opset1.space_to_depth(opset1.tile(x, ints(1, 1, 1, 2)), "blocks_first", 2))
    net.take(opset1.tile(pair, ints(2, 1, 3)))
    net.take(opset1.tile(x, ints(2)))
    for mode in ("constant", "edge", "reflect", "symmetric"):
        net.take(opset1.pad(pair, ints(1, 2), ints(2, 4), mode, np.float32(7)) if mode == "constant" else
                 opset1.pad(pair, ints(1, 2), ints(2, 4 if mode != "symmetric" else 3), mode))
    net.take(opset12.pad(pair, ints(-1, 2), ints(0, -1), "constant", np.float32(0)))
    net.take(opset8.gather(pair, n, np.int64(1)))
    net.take(opset8.gather(pair, n, np.int64(1), 1))
    net.take(opset8.gather(x, np.array([[0, 2], [1, 1], [2, 0], [0, 1]], np.int32), np.int64(3), 1))
    net.take(opset8.gather(pair, np.array([[-1, 0]], np.int32), np.int64(-1)))
    net.take(opset6.gather_elements(pair, n, 1))
    net.take(opset8.gather_nd(x, np.array([[[1, 0]], [[3, 1]], [[1, 1]], [[0, 0]]], np.int32), 1))
    net.take(opset3.scatter_update(pair, np.array([2, 0], np.int32), uniform(2, 5), np.int32(0)))
    net.take(opset3.scatter_update(x, np.array([[1, 0]], np.int32), uniform(4, 1, 2, 2, 3), np.int32(1)))
    net.take(opset3.scatter_elements_update(pair, n, uniform(3, 2), np.int32(0)))
    net.take(opset12.scatter_elements_update(pair, n, uniform(3, 2), np.int32(1), "sum"))
    net.take(opset4.scatter_nd_update(pair, np.array([[0, 1], [2, 4]], np.int32), uniform(2)))
    net.take(opset15.scatter_nd_update(pair, np.array([[0], [0]], np.int32), uniform(2, 5), "sum"))
    net.take(opset15.slice_scatter(pair, uniform(3, 2), ints(1), ints(4), ints(2), ints(1)))
    net.take(opset1.one_hot(n, np.int64(3), np.float32(2), np.float32(-1), 1))
    net.take(opset3.topk(pair, np.int32(2), 1, "max", "value"))
    net.take(opset3.topk(pair, np.int32(3), 1, "min", "index"))
    net.take(opset3.cum_sum(pair, np.int32(1), True, True))
    net.take(opset1.split(x, np.int64(1), 2))
    net.take(opset1.variadic_split(pair, np.int64(1), ints(1, -1, 2)))
    net.take(opset8.slice(pair, ints(-1), ints(-20), ints(-2), ints(1)))
    net.take(opset1.strided_slice(x, ints(0, 1, 0), ints(0, 0, 2), ints(1, 1, 1), [1, 0, 0], [1, 1, 0], [], [0, 0, 1], []))
    net.take(opset3.broadcast(pair, ints(2, 3, 4, 5), ints(1, 3), "EXPLICIT"))
    net.take(opset3.broadcast(pair, ints(2, 1, 5), None, "BIDIRECTIONAL"))
    net.take(opset3.non_zero(opset1.floor(pair)))
    net.take(opset9.eye(np.int32(3), np.int32(4), np.int32(1), "f32"))
    net.take(opset10.unique(n))
    net.take(opset10.unique(n, np.int32(0)))
    net.take(opset10.unique(n, None, False, "i32", "i32"))


@case
def network(net):
    x, odd, small = net.give(uniform(2, 4, 6, 6)), net.give(uniform(1, 3, 7, 5)), net.give(uniform(2, 3, 8))
    none = [0, 0]
    net.take(opset1.convolution(odd, uniform(2, 3, 3, 2), [2, 1], [1, 0], [0, 1], [1, 2]))
    net.take(opset1.convolution(odd, uniform(2, 3, 3, 2), [2, 2], none, none, [1, 1], "SAME_LOWER"))
    net.take(opset1.group_convolution(x, uniform(2, 3, 2, 3, 3), [1, 1], [1, 1], [1, 1], [1, 1]))
    net.take(opset1.convolution_backprop_data(odd, uniform(3, 2, 3, 3), [2, 2], None, [1, 1], [1, 1], [1, 1], "EXPLICIT", [1, 0]))
    net.take(opset1.convolution_backprop_data(odd, uniform(3, 2, 3, 3), [2, 2], ints(14, 9), none, none, [1, 1], "SAME_UPPER"))
    net.take(opset1.convolution_backprop_data(odd, uniform(3, 2, 3, 3), [2, 2], None, none, none, [1, 1], "SAME_LOWER"))
    net.take(opset1.group_convolution_backprop_data(x, uniform(2, 2, 3, 3, 3), [2, 2], None, [1, 1], [1, 1], [1, 1]))
    net.take(opset1.convolution_backprop_data(odd, uniform(3, 2, 3, 3), [3, 3], ints(20, 12), none, none, [1, 1], "EXPLICIT"))
    for exclude in (True, False):
        net.take(opset1.avg_pool(odd, [2, 2], [1, 1], [1, 1], [3, 3], exclude, "FLOOR", "EXPLICIT"))
        net.take(opset1.avg_pool(odd, [2, 2], [1, 0], [1, 1], [3, 2], exclude, "CEIL", "EXPLICIT"))
    net.take(opset1.max_pool(odd, [2, 2], [1, 0], [0, 1], [3, 3], "CEIL", "EXPLICIT"))
    net.take(opset1.max_pool(odd, [2, 3], none, none, [3, 2], "FLOOR", "SAME_UPPER"))
    net.take(opset8.max_pool(x, [2, 2], [1, 1], none, none, [2, 2], "FLOOR", "EXPLICIT", "i32"))
    net.take(opset14.max_pool(odd, [2, 2], [1, 1], [1, 1], [1, 1], [2, 2], "CEIL_TORCH",
                             index_element_type="i32"))
    net.take(opset8.adaptive_avg_pool(odd, ints(3, 2)))
    net.take(opset8.adaptive_avg_pool(small, ints(3)))
    net.take(opset8.adaptive_avg_pool(x, ints(2, 3)))
    net.take(opset8.adaptive_max_pool(odd, ints(3, 2), "i32"), 1)
    net.take(opset8.adaptive_max_pool(x, ints(1, 1), "i32"), 1)
    net.take(opset6.mvn(x, ints(2, 3), True, 1e-3, "INSIDE_SQRT"))
    net.take(opset6.mvn(x, ints(1, 2, 3), True, 1e-3, "OUTSIDE_SQRT"))
    net.take(opset2.mvn(x, True, True, 1e-3))
    net.take(opset1.normalize_l2(x, ints(1), 1e-2, "add"))
    net.take(opset1.normalize_l2(x, ints(1, 2, 3), 9.0, "max"))
    net.take(opset1.lrn(x, ints(1), 0.5, 0.75, 2.0, 3))
    net.take(opset12.group_normalization(x, uniform(4), uniform(4), 2, 1e-3))
    net.take(opset5.batch_norm_inference(x, uniform(4), uniform(4), uniform(4), uniform(4, low=0.1), 1e-3))
    net.take(opset1.grn(x, 0.5))
    net.take(opset1.prelu(x, uniform(4)))
    net.take(opset1.prelu(small, uniform(1)))
    net.take(opset1.matmul(small, net.give(uniform(2, 5, 8)), False, True))
    net.take(opset1.matmul(small, uniform(8), False, False))
    net.take(opset7.einsum([small, uniform(8, 2)], "abc,cd->adb"))
    q, k, v = net.give(uniform(1, 2, 3, 4)), net.give(uniform(1, 2, 5, 4)), net.give(uniform(1, 2, 5, 6))
    net.take(opset13.scaled_dot_product_attention(q, k, v))
    net.take(opset13.scaled_dot_product_attention(q, k, v, uniform(3, 5), np.float32(0.7)))
    net.take(opset13.scaled_dot_product_attention(q, k, v, RANDOM.random((3, 5)) < 0.7))
    net.take(opset13.scaled_dot_product_attention(q, k, v, causal=True))
    net.take(opset3.extract_image_patches(x, [2, 3], [2, 1], [1, 1], "valid"))
    net.take(opset3.extract_image_patches(odd, [3, 2], [2, 2], [1, 2], "same_upper"))
    net.take(opset3.extract_image_patches(odd, [3, 3], [3, 2], [1, 1], "same_lower"))


@case
def elements(net):
    x, y = net.give(uniform(2, 3, 4, low=-3, high=3)), net.give(uniform(3, 1, low=0.5, high=2))
    n, m = net.give(RANDOM.integers(-9, 9, (3, 4)).astype(np.int32)), net.give((RANDOM.integers(1, 5, (3, 4)) * RANDOM.choice([-1, 1], (3, 4))).astype(np.int32))
    for name in ("abs", "atan", "ceiling", "cos", "cosh", "erf", "exp", "floor", "negative", "relu", "sigmoid", "sign", "sin",
                 "sinh", "tan", "tanh"):
        net.take(getattr(opset1, name)(x))
    for node in (opset4.softplus(x), opset4.mish(x), opset4.hswish(x), opset5.hsigmoid(x), opset9.softsign(x),
                 opset4.swish(x), opset4.swish(x, np.float32(1.5)), opset7.gelu(x, "erf"), opset7.gelu(x, "tanh"),
                 opset5.round(opset1.multiply(x, np.float32(2)), "half_to_even"), opset5.round(x, "half_away_from_zero"),
                 opset1.elu(x, 0.7), opset1.selu(x, np.float32(1.2), np.float32(0.8)), opset1.clamp(x, -1.0, 0.5),
                 opset1.hard_sigmoid(x, np.float32(0.3), np.float32(0.4)), opset5.log_softmax(x, 1), opset8.softmax(x, -2),
                 opset1.floor_mod(x, y), opset1.mod(x, y), opset1.floor_mod(n, m), opset1.mod(n, m),
                 opset1.squared_difference(x, y), opset1.power(y, x), opset1.maximum(x, y), opset1.less_equal(x, y),
                 opset1.not_equal(n, m), opset1.select(opset1.greater(x, y), x, y), opset1.logical_xor(opset1.less(n, m), opset1.equal(n, m)),
                 opset13.bitwise_xor(n, m), opset13.bitwise_not(n),
                 opset15.bitwise_left_shift(n, opset1.absolute(m)), opset15.bitwise_right_shift(opset1.absolute(n), opset1.absolute(m)),
                 opset4.reduce_l1(x, ints(1), True), opset4.reduce_l2(x, ints(0, 2), False), opset1.reduce_prod(x, ints(-1), False),
                 opset1.reduce_logical_and(opset1.less(x, y), ints(2)), opset1.reduce_mean(x, ints(0)),
                 opset10.is_finite(opset1.divide(x, opset1.subtract(x, x))), opset10.is_nan(opset1.sqrt(x)),
                 opset1.convert(x, "i32"), opset1.convert_like(n, x), opset4.range(np.int64(2), np.int64(11), np.int64(3), "f32"),
                 opset3.bucketize(x, np.array([-1.0, 0.0, 1.5], np.float32), "i32", True),
                 opset3.bucketize(n, np.array([-3, 0, 5], np.int32), "i64", False),
                 opset15.search_sorted(opset1.constant(np.array([[-2, 0, 1, 2]] * 3, np.float32)), uniform(3, 2), True),
                 opset15.search_sorted(opset1.constant(np.array([-2.0, 0, 1, 2], np.float32)), y)):
        net.take(node)
    table, rows = uniform(6, 2), np.array([0, 2, 5, 1], np.int32)
    net.take(opset3.embedding_bag_packed_sum(table, net.give(np.array([[0, 2], [5, 1]], np.int32)), uniform(2, 2)))
    net.take(opset3.embedding_bag_offsets_sum(net.give(table), rows, np.array([0, 2, 2], np.int32)))
    net.take(opset3.embedding_bag_offsets_sum(net.give(table), net.give(rows), np.array([0, 3], np.int32),
                                              opset1.constant(np.int32(-1)), opset1.constant(uniform(4))))
    net.take(opset3.embedding_segments_sum(net.give(table), rows, np.array([0, 0, 2, 2], np.int32), np.int32(4)))


@case
def spectra(net):
    x, real = net.give(uniform(2, 4, 6, 2)), net.give(uniform(2, 4, 7))
    net.take(opset7.dft(x, ints(1, 2)))
    net.take(opset7.dft(x, ints(-1), ints(4)))
    net.take(opset7.idft(x, ints(2, 0), ints(8, -1)))
    net.take(opset9.rdft(real, ints(1, 2)))
    net.take(opset9.rdft(real, ints(-1), ints(6)))
    net.take(opset9.irdft(x, ints(1, 2)))
    net.take(opset9.irdft(x, ints(2), ints(9)))
    sound = net.give(uniform(2, 32))
    net.take(opset15.stft(sound, uniform(8), np.int32(8), np.int32(4), False))
    net.take(opset15.stft(sound, uniform(5), np.int32(8), np.int32(6), True))


@case
def regions(net):
    x = net.give(uniform(2, 4, 8, 10))
    boxes = net.give(np.array([[1, 1, 12, 9], [4, 0, 18, 15], [0, 3, 7, 7], [2, 2, 2.4, 2.6]], np.float32))
    batch = np.array([0, 1, 1, 0], np.int32)
    for mode in ("avg", "max"):
        net.take(opset3.roi_align(x, boxes, batch, 3, 2, 2, 0.5, mode))
        for aligned in ("asymmetric", "half_pixel_for_nn", "half_pixel"):
            net.take(opset9.roi_align(x, boxes, batch, 2, 3, 2, 0.5, mode, aligned))
    net.take(opset3.roi_align(x, boxes, batch, 2, 2, 0, 0.5, "avg"))
    five = net.give(np.array([[0, 1, 1, 12, 9], [1, 4, 0, 18, 15], [1, 0, 3, 7, 7]], np.float32))
    net.take(opset2.roi_pooling(x, five, [3, 2], 0.5, "max"))
    unit = net.give(np.array([[0, 0.1, 0.2, 0.9, 0.8], [1, 0, 0, 1, 1], [0, 0.3, 0.1, 0.4, 0.7]], np.float32))
    net.take(opset2.roi_pooling(x, unit, [3, 2], 1.0, "bilinear"))
    grid = net.give(uniform(2, 3, 5, 2, low=-1.2, high=1.2))
    for mode in ("bilinear", "nearest", "bicubic"):
        for padding in ("zeros", "border", "reflection")[::2 if mode == "bicubic" else 1]:
            net.take(opset9.grid_sample(x, grid, {"align_corners": padding == "border", "mode": mode, "padding_mode": padding}))
    offsets, mask = net.give(uniform(2, 2 * 2 * 9, 6, 8)), uniform(2, 2 * 9, 6, 8, low=0)
    net.take(opset8.deformable_convolution(x, offsets, uniform(2, 4, 3, 3), [1, 1], [0, 0], [0, 0], [1, 1], mask,
                                           "EXPLICIT", 1, 2, True))
    net.take(opset15.col2im(net.give(uniform(2, 12, 12)), ints(4, 5), ints(2, 2), [1, 1], [1, 1], [0, 0], [0, 0]))
    net.take(opset1.region_yolo(net.give(uniform(1, 3 * 7, 2, 3)), 4, 2, 3, True, [0, 1, 2], 1, 3))
    net.take(opset1.region_yolo(net.give(uniform(1, 2 * 7, 2, 3)), 4, 2, 6, False, [1, 2], 1, 3))
    net.take(opset2.reorg_yolo(x, [2]))


@case
def detection(net):
    low = RANDOM.uniform(0, 0.6, (1, 9, 2))
    boxes = net.give(np.concatenate([low, low + RANDOM.uniform(0.2, 0.4, (1, 9, 2))], 2).astype(np.float32))
    scores = net.give(RANDOM.permutation(27).reshape(1, 3, 9).astype(np.float32) / 27)
    most, overlap, least = np.int64(5), np.float32(0.4), np.float32(0.2)
    for sigma in (0.0, 0.5):
        net.take(opset5.non_max_suppression(boxes, scores, most, overlap, least, np.float32(sigma), "corner", True, "i64"))
        net.take(opset9.non_max_suppression(boxes, scores, most, overlap, least, np.float32(sigma), "center", True, "i32"))
    probabilities, deltas = net.give(uniform(1, 12, 4, 5, low=0)), net.give(uniform(1, 24, 4, 5, low=-0.3, high=0.3))
    attributes = {"base_size": np.uint32(16), "pre_nms_topn": np.uint32(60), "post_nms_topn": np.uint32(12),
                  "nms_thresh": np.float32(0.6), "feat_stride": np.uint32(16),
                  "min_size": np.uint32(6), "ratio": np.array([0.5, 2.0], np.float32), "scale": np.array([0.5, 1.0, 2.0], np.float32)}
    size = net.give(np.array([64, 80, 1], np.float32))
    net.take(opset1.proposal(probabilities, deltas, size, attributes))
    net.take(opset4.proposal(probabilities, deltas, size, {**attributes, "clip_after_nms": True, "clip_before_nms": False,
                                                           "normalize": True, "box_size_scale": np.float32(2.0), "box_coordinate_scale": np.float32(5.0)}))


@case
def suppression(net):
    low = RANDOM.uniform(0, 3, (2, 9, 2))
    boxes = net.give(np.concatenate([low, low + RANDOM.uniform(1, 2, (2, 9, 2))], 2).astype(np.float32))
    scores = net.give((RANDOM.permutation(54).reshape(2, 3, 9) / 54).astype(np.float32))
    least = np.float32(0.2)
    sorts = (("score", False, "i64"), ("score", True, "i32"), ("classid", True, "i32"), ("classid", False, "i64"), ("none", False, "i64"))
    for i, how in enumerate(sorts):
        limits = (least, 4, 5, 1) if i % 2 else (least, -1, -1, -1)
        pixels = i % 3 == 1
        net.take(opset8.matrix_nms(boxes, scores, *how, *limits, "gaussian" if i in (0, 1) else "linear", 1.5, 0.25, not pixels))
        net.take(opset9.multiclass_nms(boxes, scores, None, *how, 0.3 if i in (1, 2) else 0.6, *limits, 1.0 if i in (1, 2) else 0.9,
                                       not pixels))


@case
def greedy(net):
    net.take(opset1.ctc_greedy_decoder(net.give(uniform(7, 2, 4)), np.ones((7, 2), np.float32), True))
    net.take(opset6.ctc_greedy_decoder_seq_len(net.give(uniform(2, 9, 3)), np.array([9, 5], np.int32), np.int32(0), True))
    net.take(opset6.ctc_greedy_decoder_seq_len(net.give(uniform(2, 6, 3)), np.array([6, 6], np.int32), None, False, "i64", "i64"))


@case
def interpolation(net):
    x = net.give(uniform(1, 2, 5, 4))
    spatial = {"axes": ints(2, 3)}
    for mode in ("nearest", "linear_onnx", "cubic", "linear"):
        for place in ("half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel", "tf_half_pixel_for_nn"):
            for target in ((9, 7), (3, 2)):
                net.take(opset11.interpolate(x, ints(*target), mode, "sizes", [0, 0], [0, 0], place, **spatial))
    for nearest in ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil", "simple"):
        for scales in ((1.7, 1.3), (0.65, 0.55)):
            net.take(opset11.interpolate(x, np.array(scales, np.float32), "nearest", "scales", [0, 0], [0, 0], "half_pixel",
                                         nearest, **spatial))
    net.take(opset11.interpolate(x, ints(8, 8), "linear_onnx", "sizes", [0, 0, 1, 0], [0, 0, 0, 2], **spatial))
    for mode in ("bilinear_pillow", "bicubic_pillow"):
        for target in ((9, 7), (3, 2)):
            net.take(opset11.interpolate(x, ints(*target), mode, "sizes", [0, 0], [0, 0], "half_pixel", **spatial))
    for mode, corners in (("linear", True), ("nearest", False)):
        how = {"axes": [2, 3], "mode": mode, "align_corners": corners, "antialias": False}
        net.take(opset1.interpolate(x, ints(9, 7), {**how, "pads_begin": [0], "pads_end": [0]}))


@case
def variables(net):
    net.steps = 3
    x, n = net.give(uniform(1, 3)), net.give(RANDOM.integers(1, 5, (2,)).astype(np.int32))

    def keep(old, new, assign):
        net.take(old)
        net.take(new)
        net.sinks.append(assign(new, old.get_attributes()["variable_id"]))

    def variable(name, kind, shape, *first):
        return opset6.read_value(*first, name, kind, ov.PartialShape(shape))

    constant = opset3.read_value(uniform(1, 3), "old")
    keep(constant, opset1.add(constant, x), opset3.assign)
    computed = variable("computed", ov.Type.f32, [1, 3], opset1.multiply(x, np.float32(2)))
    keep(computed, opset1.subtract(computed, np.float32(1)), opset6.assign)
    zero = variable("zero", ov.Type.i32, [2])
    keep(zero, opset1.add(opset1.multiply(zero, np.int32(3)), n), opset6.assign)
    # What another one held before this compute.
    before = variable("before", ov.Type.f32, [1, 3], uniform(1, 3))
    net.take(before)
    net.sinks.append(opset6.assign(constant, "before"))
    h, c = (variable(name, ov.Type.f32, [1, 2], uniform(1, 2)) for name in "hc")
    cell = opset4.lstm_cell(x, h, c, uniform(8, 3), uniform(8, 2), uniform(8), 2)
    net.take(cell)
    net.sinks += [opset6.assign(opset1.relu(cell.output(i)), name) for i, name in enumerate("hc")]


def main():
    out, names = pathlib.Path(sys.argv[1]), sys.argv[2:] or list(CASES)
    for name in names:
        folder = out / f"openvino_{name}"
        shutil.rmtree(folder, ignore_errors=True)
        net = Net()
        CASES[name](net)
        net.write(folder)
        size = sum(f.stat().st_size for f in folder.rglob("*") if f.is_file())
        print(f"{folder.name}: {size} bytes, {len(net.results)} results", flush=True)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""SavedModels that TensorFlow itself writes, with its results: checked in below tests/nn/cases, run by models_test.cpp.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install tensorflow-cpu
    /tmp/venv/bin/python tests/nn/make_tensorflow_cases.py tests/nn/cases [NAME…]

Not part of the build. Weights are random; what matters is how TensorFlow 2 writes networks, functions and control flow.
"""
import json
import os
import pathlib
import shutil
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = ""
import numpy as np
import tensorflow as tf

RANDOM = np.random.default_rng(7)
DTYPES = {"float32": "f32", "int32": "i32", "int64": "i64", "uint8": "u8", "bool": "bool"}
CASES = {}


def case(make):
    CASES[make.__name__] = make
    return make


def uniform(*dims):
    return RANDOM.uniform(-1, 1, dims).astype(np.float32)


def write_tensor(folder, name, value):
    file = f"golden/{len(list((folder / 'golden').iterdir()))}.bin"
    (folder / file).write_bytes(np.ascontiguousarray(value).tobytes())
    return {"name": name, "dtype": DTYPES[str(value.dtype)], "shape": list(value.shape), "file": file}


def write_case(folder, data_sets):
    """Runs the signature of what was saved, so that the expected values are those of the file."""
    shutil.rmtree(folder / "assets", ignore_errors=True)
    (folder / "fingerprint.pb").unlink(missing_ok=True)
    (folder / "golden").mkdir()
    loaded = tf.saved_model.load(str(folder))
    run = loaded.signatures["serving_default"]
    cases = []
    for inputs in data_sets:
        results = run(**{name: tf.constant(value) for name, value in inputs.items()})
        cases.append({
            "name": f"case{len(cases)}",
            "inputs": [write_tensor(folder, name, inputs[name]) for name in sorted(inputs)],
            "outputs": [write_tensor(folder, name, results[name].numpy()) for name in sorted(results)],
        })
    golden = {"model": "saved_model.pb", "encoding": "tensorflow", "tool": f"TensorFlow {tf.__version__}",
              "byte_order": "little", "max_abs_difference": 1e-6, "cases": cases}
    (folder / "golden" / "golden.json").write_text(json.dumps(golden, indent=1) + "\n")


def export_keras(folder, model, shape, dtype=tf.float32):
    """As Keras' own export, without its second and third endpoint."""
    serve = tf.function(lambda x: model(x, training=False), input_signature=[tf.TensorSpec(shape, dtype, "x")])
    holder = tf.Module()
    holder.variables_of = model.variables
    values = [v.value if hasattr(v, "value") else v for v in model.variables]
    holder.kept = values
    tf.saved_model.save(holder, str(folder), signatures=serve)


def save(folder, function, **signature):
    holder = tf.Module()
    specs = [tf.TensorSpec(shape, dtype, name) for name, (shape, dtype) in signature.items()]
    holder.f = tf.function(function, input_signature=specs)
    tf.saved_model.save(holder, str(folder), signatures=holder.f.get_concrete_function())


@case
def keras_convolutions(folder):
    layers = tf.keras.layers
    model = tf.keras.Sequential([
        layers.Input((16, 16, 3)), layers.Conv2D(4, 3, padding="same", strides=2), layers.BatchNormalization(),
        layers.ReLU(6.0), layers.DepthwiseConv2D(3, padding="same"), layers.LeakyReLU(), layers.MaxPooling2D(),
        layers.Conv2DTranspose(3, 3, strides=2, padding="same"), layers.UpSampling2D(2, interpolation="bilinear"),
        layers.SeparableConv2D(4, 3), layers.GlobalAveragePooling2D(), layers.Dropout(0.5),
        layers.Dense(5, activation="softmax")])
    export_keras(folder, model, (None, 16, 16, 3))
    return [{"x": uniform(1, 16, 16, 3)}, {"x": uniform(2, 16, 16, 3)}]


@case
def keras_recurrent(folder):
    layers = tf.keras.layers
    model = tf.keras.Sequential([
        layers.Input((6, 4)), layers.Bidirectional(layers.LSTM(3, return_sequences=True)),
        layers.GRU(4, return_sequences=True), layers.LSTM(3), layers.Dense(2)])
    export_keras(folder, model, (None, 6, 4))
    return [{"x": uniform(1, 6, 4)}, {"x": uniform(3, 6, 4)}]


@case
def keras_attention(folder):
    layers = tf.keras.layers
    words = tf.keras.Input((None,), dtype="int32")
    x = layers.Embedding(20, 8)(words)
    x = layers.LayerNormalization()(x + layers.MultiHeadAttention(2, 4)(x, x))
    x = layers.Dense(8, activation="gelu")(x)
    model = tf.keras.Model(words, layers.Dense(3)(layers.GlobalMaxPooling1D()(x)))
    export_keras(folder, model, (None, None), tf.int32)
    return [{"x": RANDOM.integers(0, 20, (1, 5)).astype(np.int32)}, {"x": RANDOM.integers(0, 20, (2, 7)).astype(np.int32)}]


@case
def control_flow(folder):
    scale = tf.Variable(uniform(4))

    @tf.function
    def larger(x):
        return x * scale + 1.0

    def collatz(x, start):
        # As many rounds as the data say, a branch in each, a list of what was seen.
        steps, n = tf.constant(0), start
        seen = tf.TensorArray(tf.float32, size=0, dynamic_size=True, element_shape=[4])
        while n != 1:
            n = n // 2 if n % 2 == 0 else 3 * n + 1
            x = larger(x) if tf.reduce_sum(x) < 2.0 else x - 1.0
            seen = seen.write(steps, x)
            steps += 1
        return {"steps": steps, "last": x, "seen": seen.stack()}

    holder = tf.Module()
    holder.scale = scale
    specs = [tf.TensorSpec([4], tf.float32, "x"), tf.TensorSpec([], tf.int32, "start")]
    holder.f = tf.function(collatz, input_signature=specs)
    tf.saved_model.save(holder, str(folder), signatures=holder.f.get_concrete_function())
    return [{"x": uniform(4), "start": np.int32(6)}, {"x": uniform(4), "start": np.int32(5)}]


@case
def computed_shapes(folder):
    def f(x, rows):
        rank = tf.rank(x)
        n = tf.shape(x)[0]
        flat = tf.reshape(x, tf.stack([n, -1]))
        picked = tf.gather(flat, tf.range(tf.minimum(rows, n)))
        total = tf.reduce_sum(x, axis=rank - 1)
        turned = tf.transpose(x, tf.concat([[rank - 1], tf.range(rank - 1)], 0))
        first, rest = tf.split(x, [1, -1], axis=rank - 1)
        return {"picked": picked, "total": total, "turned": turned,
                "joined": tf.concat([rest, first], axis=rank - 1), "reversed": tf.reverse(x, [-1]),
                "rows": tf.slice(flat, [0, 1], [n - 1, -1]), "filled": tf.fill([n, rows], 2.5),
                "odd": flat[1::2, ::-1], "broad": tf.broadcast_to(tf.reduce_max(x), tf.shape(total))}

    save(folder, f, x=([None, 3, 4], tf.float32), rows=([], tf.int32))
    return [{"x": uniform(3, 3, 4), "rows": np.int32(2)}, {"x": uniform(2, 3, 4), "rows": np.int32(5)}]


@case
def images(folder):
    def f(x, boxes, scores):
        size = [9, 5]
        raw = tf.raw_ops
        half, old, corners = {"half_pixel_centers": True}, {}, {"align_corners": True}
        chosen, best = tf.image.non_max_suppression_with_scores(boxes, scores, 6, 0.5, 0.1, soft_nms_sigma=0.3)
        padded = raw.NonMaxSuppressionV4(boxes=boxes, scores=scores, max_output_size=8, iou_threshold=0.3,
                                         score_threshold=0.2, pad_to_max_output_size=True)
        result = {"chosen": chosen, "best": best, "padded": padded[0], "valid": padded[1]}
        for name, how in (("half", half), ("old", old), ("corners", corners)):
            result["bicubic_" + name] = raw.ResizeBicubic(images=x, size=size, **how)
            result["bilinear_" + name] = raw.ResizeBilinear(images=x, size=size, **how)
            result["nearest_" + name] = raw.ResizeNearestNeighbor(images=x, size=size, **how)
        result["bicubic_smaller"] = raw.ResizeBicubic(images=x, size=[3, 4])
        result["symmetric"] = tf.pad(x, [[0, 0], [2, 3], [1, 4], [0, 0]], "SYMMETRIC")
        result["reflected"] = tf.pad(x, [[0, 0], [2, 3], [1, 4], [0, 0]], "REFLECT")
        result["crops"] = tf.image.crop_and_resize(x, boxes[:2], [0, 0], [3, 3])
        result["blocks"] = tf.nn.space_to_depth(x, 2)
        result["patches"] = tf.image.extract_patches(x, [1, 2, 3, 1], [1, 2, 1, 1], [1, 1, 1, 1], "SAME")
        return result

    save(folder, f, x=([1, 6, 6, 2], tf.float32), boxes=([8, 4], tf.float32), scores=([8], tf.float32))
    low = RANDOM.uniform(0, 0.5, (8, 2))
    boxes = np.concatenate([low, low + RANDOM.uniform(0.2, 0.5, (8, 2))], 1).astype(np.float32)
    return [{"x": uniform(1, 6, 6, 2), "boxes": boxes, "scores": RANDOM.uniform(0, 1, 8).astype(np.float32)}]


@case
def mathematics(folder):
    def f(x, y, n, m):
        raw = tf.raw_ops
        result = {}
        for name in ("Erfc", "Expm1", "Log1p", "Rsqrt", "Round", "Rint", "Softplus", "Softsign", "Square"):
            op = getattr(raw, name)
            result[name.lower()] = op(features=x) if name.startswith("Soft") else op(x=x)
        for name in ("FloorDiv", "FloorMod", "TruncateDiv", "TruncateMod"):
            result["real_" + name.lower()] = getattr(raw, name)(x=x, y=y) if name != "TruncateDiv" else x
            result["whole_" + name.lower()] = getattr(raw, name)(x=n, y=m)
        result["div_no_nan"] = tf.math.divide_no_nan(x, tf.nn.relu(y - 1.0))
        result["atan2"] = tf.math.atan2(x, y)
        result["cumprod_free"] = tf.cumsum(x, axis=-1, exclusive=True, reverse=True)
        result["logsumexp"] = tf.reduce_logsumexp(x, axis=[-1])
        result["variance"] = tf.math.reduce_variance(x, axis=0)
        result["einsum"] = tf.einsum("ab,cb->ac", x, y)
        result["one_hot"] = tf.one_hot(n % 4, 4, 2.0, -1.0)
        result["top"], result["top_at"] = tf.math.top_k(x, 3)
        result["where"] = tf.where(x > y, x, 0.0)
        result["places"] = tf.where(x > 0.7)
        result["unique"] = tf.unique(tf.reshape(n, [-1]))[0]
        result["scattered"] = tf.scatter_nd([[1], [3], [1]], x, [5, 6])
        result["updated"] = tf.tensor_scatter_nd_update(x, [[0, 1], [2, 2]], [9.0, 8.0])
        result["batch_gather"] = tf.gather(x, n % 6, axis=1, batch_dims=1)
        result["segments"] = tf.math.unsorted_segment_sum(x, [0, 2, 0], 3)
        result["band"] = tf.linalg.band_part(x, 1, 0)
        result["masked"] = tf.boolean_mask(x, [True, False, True])
        result["bins"] = tf.searchsorted(tf.sort(x), y)
        result["norm"] = tf.norm(x, axis=1)
        result["clipped"] = tf.clip_by_norm(x, 1.0)
        result["l2"] = tf.math.l2_normalize(x, axis=1)
        result["swish"] = tf.nn.silu(x)
        return result

    save(folder, f, x=([3, 6], tf.float32), y=([3, 6], tf.float32), n=([3, 6], tf.int32), m=([3, 6], tf.int32))
    n, m = RANDOM.integers(-9, 9, (3, 6)), RANDOM.integers(1, 5, (3, 6)) * RANDOM.choice([-1, 1], (3, 6))
    x = RANDOM.uniform(0.1, 3, (3, 6)).astype(np.float32)
    return [{"x": x, "y": RANDOM.uniform(0.5, 2, (3, 6)).astype(np.float32), "n": n.astype(np.int32), "m": m.astype(np.int32)}]


def main():
    out, names = pathlib.Path(sys.argv[1]), sys.argv[2:] or list(CASES)
    for name in names:
        folder = out / f"tensorflow_{name}"
        shutil.rmtree(folder, ignore_errors=True)
        tf.random.set_seed(3)
        tf.keras.utils.set_random_seed(3)
        write_case(folder, CASES[name](folder))
        size = sum(f.stat().st_size for f in folder.rglob("*") if f.is_file())
        print(f"{folder.name}: {size} bytes, {len(list(folder.rglob('*')))} files", flush=True)


if __name__ == "__main__":
    main()

"""Makes ops.tsv: what PyTorch computes in float64 for the cases of framework/selftest/cases.txt.

    python3 tests/goldens/ops.py > tests/goldens/ops.tsv       (with a Python that has torch)

A line is: the case, the tensor ("y0", "d_x"), its norm, its products with the vectors
"projection0" to "projection2" of golden_values. Dropout is left out, for its mask is Lockstep's own.
"""

import pathlib
import sys

import numpy
import torch
import torch.nn.functional as F

from golden_values import golden_hash, golden_values

torch.set_default_dtype(torch.float64)
CASES = pathlib.Path(__file__).parents[2] / "framework" / "selftest" / "cases.txt"


def fill(kind, key, shape, classes):
    count = int(numpy.prod(shape, dtype=numpy.int64))
    value = golden_values(key, count)
    f = numpy.float32
    index = numpy.arange(count)
    if kind == "away":
        value = value * f(0.75) + numpy.where(value < 0, f(-0.25), f(0.25))
    elif kind == "distinct":
        value = (index * 97 % 251).astype(f) * f(0.25) - f(31)
    elif kind == "ties":
        value = numpy.floor(value * f(2))
    elif kind == "positive":
        value = numpy.abs(value) + f(0.25)
    elif kind == "far":
        value = numpy.where(value < 0, f(-6), f(6))
    elif kind == "weights":
        value = numpy.array([1, 0, 0.5, 2])[index % 4]
    elif kind == "labels":
        value = (golden_hash(key, count) % numpy.uint32(classes)).astype(numpy.int64)
    elif kind == "pixels":
        value = golden_hash(key, count).astype(numpy.uint8)
    tensor = torch.from_numpy(numpy.array(value)).reshape(shape)
    return tensor.to(torch.float64) if tensor.is_floating_point() else tensor


def parse_value(text):
    if text in ("true", "false"):
        return text == "true"
    if text.startswith("["):
        return [parse_value(item) for item in text[1:-1].split(",")]
    return float(text) if "." in text else int(text)


def parse_case(line):
    op, *words = line.split()
    inputs, attributes = {}, {}
    classes = 0
    for word in words:
        if "=" in word:
            key, text = word.split("=")
            attributes[key] = parse_value(text)
            continue
        name, rest = word.split("(")
        extents, _, kind = rest.partition(")")
        shape = [int(extent) for extent in extents.split(",") if extent]
        kind = kind.removeprefix(":") or "uniform"
        if not inputs:
            classes = shape[1] if len(shape) > 1 else 0
        inputs[name] = None if kind == "computed" else fill(kind, f"{op}.{name}", shape, classes)
    return op, inputs, attributes


def conv2d(i, a):
    options = {key: a[key] for key in ("stride", "padding", "dilation", "groups") if key in a}
    return [F.conv2d(i["x"], i["w"], i.get("b"), **options)]


def channel(v):
    return v.reshape(1, -1, 1, 1)


def finish_norm(i, a, y):
    if "residual" in i:
        y = y + i["residual"]
    return F.relu(y) if a.get("relu") else y


def batch_norm(i, a):
    x, epsilon = i["x"], a.get("epsilon", 1e-5)
    y = F.batch_norm(x, None, None, i["w"], i["b"], training=True, eps=epsilon)
    return [finish_norm(i, a, y), x.mean((0, 2, 3)), x.var((0, 2, 3), unbiased=False)]


def batch_norm_inference(i, a):
    y = F.batch_norm(i["x"], i["running_mean"], i["running_var"], i["w"], i["b"], training=False,
                     eps=a.get("epsilon", 1e-5))
    return [finish_norm(i, a, y)]


def conv2d_inference(i, a):
    y, = conv2d(i, a)
    if a.get("batch_norm"):
        y = F.batch_norm(y, i["bn_mean"], i["bn_var"], i["bn_w"], i["bn_b"], training=False,
                         eps=a.get("epsilon", 1e-5))
    return [finish_norm(i, a, y)]


def linear_inference(i, a):
    y = F.linear(i["x"], i["w"], i.get("b"))
    return [F.relu(y) if a.get("relu") else y]


def batch_statistics(i, a):
    n = a["count"]
    unbiased = n / (n - 1) if n > 1 else 1
    return [i["mean"] * i["fraction"], i["variance"] * unbiased * i["fraction"]]


def max_pool2d(i, a):
    x, kernel, stride, padding = i["x"], a["kernel"], a["stride"], a.get("padding", [0, 0])
    y, flat = F.max_pool2d(x, kernel, stride, padding, ceil_mode=a.get("ceil_mode", False),
                           return_indices=True)
    h, w = flat // x.shape[3], flat % x.shape[3]
    top = (torch.arange(y.shape[2]) * stride[0] - padding[0]).reshape(-1, 1)
    left = torch.arange(y.shape[3]) * stride[1] - padding[1]
    return [y, (h - top) * kernel[1] + w - left]


def avg_pool2d(i, a):
    return [F.avg_pool2d(i["x"], a["kernel"], a["stride"], a.get("padding", 0),
                         a.get("ceil_mode", False), a.get("count_include_pad", True))]


def slice_channels(i, a):
    return [i["x"][:, a["begin"]:a["begin"] + a["count"]]]


def pad_channels(i, a):
    return [F.pad(i["x"], (0, 0, 0, 0, a["begin"], a["count"]))]


def normalize(i, a):
    mean, std = torch.tensor(a["mean"]), torch.tensor(a["std"])
    return [(i["image"].to(torch.float64) / 255 - channel(mean)) / channel(std)]


def softmax_cross_entropy(i, a):
    losses = F.cross_entropy(i["logits"], i["labels"], reduction="none",
                             label_smoothing=float(a.get("label_smoothing", 0)))
    return [(i["weights"] * losses).sum(), losses, F.softmax(i["logits"], 1)]


def classification_metrics(i, a):
    logits, labels, weights = i["logits"].numpy(), i["labels"].numpy(), i["weights"].numpy()
    order = numpy.argsort(-logits, axis=1, kind="stable")  # ties: the lower class first
    rank = numpy.argmax(order == labels[:, None], axis=1)
    counts = weights != 0
    sums = [(weights * i["losses"].numpy()).sum(), weights.sum(), counts[rank < 1].sum(),
            counts[rank < 5].sum(), counts.sum()]
    return [torch.tensor([float(value) for value in sums])]


OPS = {
    "adaptive_avg_pool2d": lambda i, a: [F.adaptive_avg_pool2d(i["x"], a["out"])],
    "add": lambda i, a: [i["a"] + i["b"]],
    "avg_pool2d": avg_pool2d,
    "batch_norm": batch_norm,
    "batch_norm_apply": batch_norm,
    "batch_norm_inference": batch_norm_inference,
    "batch_statistics": batch_statistics,
    "classification_metrics": classification_metrics,
    "concat": lambda i, a: [torch.cat(list(i.values()), 1)],
    "conv2d": conv2d,
    "conv2d_inference": conv2d_inference,
    "linear": lambda i, a: [F.linear(i["x"], i["w"], i.get("b"))],
    "linear_inference": linear_inference,
    "max_pool2d": max_pool2d,
    "normalize": normalize,
    "pad_channels": pad_channels,
    "relu": lambda i, a: [F.relu(i["x"])],
    "reshape": lambda i, a: [i["x"].reshape(a["shape"])],
    "scale": lambda i, a: [float(a["factor"]) * i["x"]],
    "sigmoid": lambda i, a: [torch.sigmoid(i["x"])],
    "slice_channels": slice_channels,
    "softmax_cross_entropy": softmax_cross_entropy,
    "subsample": lambda i, a: [i["x"][:, :, ::a["stride"], ::a["stride"]]],
    "tanh": lambda i, a: [torch.tanh(i["x"])],
}
WITHOUT_GRADIENT = {"batch_statistics", "classification_metrics",
                    "conv2d_inference", "linear_inference", "normalize"}
CONSTANT_INPUTS = {"running_mean", "running_var", "weights"}


def write(line, name, tensor):
    values = tensor.detach().to(torch.float64).flatten().numpy()
    numbers = [numpy.linalg.norm(values)]
    for k in range(3):
        numbers.append(values @ golden_values(f"projection{k}", values.size).astype(numpy.float64))
    print(line, name, *(f"{number:.10g}" for number in numbers), sep="\t")


def main():
    for line in CASES.read_text().splitlines():
        if not line or line.startswith("#") or line.startswith("dropout "):
            continue
        op, inputs, attributes = parse_case(line)
        wanted = {}
        for name, value in inputs.items():
            if op not in WITHOUT_GRADIENT and name not in CONSTANT_INPUTS and value is not None \
                    and value.is_floating_point():
                wanted[name] = value.requires_grad_()
        outputs = OPS[op](inputs, attributes)
        for k, output in enumerate(outputs):
            write(line, f"y{k}", output)
        if wanted:
            y = outputs[0]
            dy = torch.from_numpy(golden_values(f"{op}.dy", y.numel()).astype(numpy.float64))
            gradients = torch.autograd.grad(y, list(wanted.values()), dy.reshape(y.shape))
            for name, gradient in zip(wanted, gradients):
                write(line, f"d_{name}", gradient)


if __name__ == "__main__":
    sys.exit(main())

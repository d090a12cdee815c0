"""Makes networks_classic.tsv: one training step and the logits of torchvision's networks.

    python3 tests/goldens/networks_classic.py > tests/goldens/networks_classic.tsv

Names as arguments give the lines of these networks alone. Computed in float64 (with torch,
torchvision). The lines are those of networks.tsv; "losses" has one number, and "logits" has all of
them, in evaluation mode before the step, with running statistics from the formula too. Dropout is
off. "float32" is the largest relative error of a gradient of PyTorch's own in float32: what
rounding does to such a network.

"relu": biases of batch norms are about -2 or 2, so that a channel is on or off. For every sign that
rounding flips at a ReLU changes all gradients before it: with biases about 0 they were off by up to
2.7e-2 in float32 PyTorch, on small pictures as on large. "smooth": tanh in place of ReLU and
average in place of max pooling, so that rounding flips nothing.

SMALL have both; their gradients are tensor by tensor. BIG have one; their gradients are in groups,
so that the file stays small: "gradients layer1.0" is the sketch's eight sums of that block's
gradients one after the other, by name, each divided by its norm; then the norms.
networks_classic_test.cpp and networks_big_test.cpp hold the same tables.
"""

import contextlib
import sys
from unittest import mock

import numpy
import torch
import torch.nn.functional as F
from torch import nn
from torchvision import models

from golden_values import golden_hash, golden_values
from networks import CLASSES, fill_parameters, images, sketch, write

def resnet34_every_stage():
    """A variant in use: a projection in every stage's first block, and wider early stages."""
    network = models.resnet34(num_classes=CLASSES)
    stages = [(64, 128, 1), (128, 256, 2), (256, 512, 2), (512, 512, 2)]
    for (before, width, stride), blocks in zip(stages, (3, 4, 6, 3)):
        layer = []
        for i in range(blocks):
            first = i == 0
            downsample = nn.Sequential(
                nn.Conv2d(before, width, 1, stride, bias=False), nn.BatchNorm2d(width)
            )
            layer.append(
                models.resnet.BasicBlock(
                    before if first else width,
                    width,
                    stride if first else 1,
                    downsample if first else None,
                )
            )
        setattr(network, f"layer{stages.index((before, width, stride)) + 1}", nn.Sequential(*layer))
    network.avgpool = nn.AvgPool2d(7)
    return network


def resnet50_first_version():
    """He et al.: a block halves the picture in its first 1x1 convolution; with biases here."""
    network = models.resnet50(num_classes=CLASSES)
    for name, module in list(network.named_modules()):
        if isinstance(module, models.resnet.Bottleneck):
            module.conv1.stride, module.conv2.stride = module.conv2.stride, module.conv1.stride
        if isinstance(module, nn.Conv2d):
            module.bias = nn.Parameter(torch.zeros(module.out_channels))
    return network


def torchvision(name, **options):
    return lambda: getattr(models, name)(num_classes=CLASSES, **options)


ONE_DROPOUT = {"dropout": 0.0}
GOOGLENET = {"dropout": 0.0, "dropout_aux": 0.0, "init_weights": False}
INCEPTION = {"dropout": 0.0, "init_weights": False}
SMALL = {
    "alexnet": (torchvision("alexnet", **ONE_DROPOUT), (2, 3, 64, 64)),
    "googlenet": (torchvision("googlenet", **GOOGLENET), (4, 3, 64, 64)),
    "inception_v3": (torchvision("inception_v3", aux_logits=False, **INCEPTION), (4, 3, 139, 139)),
    "resnet34_every_stage": (resnet34_every_stage, (2, 3, 224, 224)),
    "resnet50_first_version": (resnet50_first_version, (4, 3, 64, 64)),
    "resnext50_32x4d": (torchvision("resnext50_32x4d"), (3, 3, 64, 64)),
}
BIG = {
    "resnet34": (torchvision("resnet34"), (4, 3, 64, 64)),
    "resnet50": (torchvision("resnet50"), (4, 3, 64, 64)),
    "resnet101": (torchvision("resnet101"), (4, 3, 64, 64)),
    "resnet152": (torchvision("resnet152"), (4, 3, 64, 64)),
    "resnext101_32x8d": (torchvision("resnext101_32x8d"), (4, 3, 64, 64)),
    "wide_resnet50_2": (torchvision("wide_resnet50_2"), (4, 3, 64, 64)),
    "wide_resnet101_2": (torchvision("wide_resnet101_2"), (4, 3, 64, 64)),
}
for depth in (11, 13, 16, 19):
    for norm in ("", "_bn"):
        make = torchvision(f"vgg{depth}{norm}", **ONE_DROPOUT)
        BIG[f"vgg{depth}{norm}"] = (make, (4, 3, 32, 32))
# Its auxiliary head takes 299 pixels: with so many signs some flip in any case.
BIG["inception_v3_auxiliary"] = (torchvision("inception_v3", **INCEPTION), (4, 3, 299, 299))
AUXILIARY_WEIGHTS = {"googlenet": 0.3, "inception_v3_auxiliary": 0.4}  # of the loss, in training


def shift_norms(network):
    """Two deviations up or down: a channel is on or off, and rounding flips hardly a ReLU."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            with torch.no_grad():
                shifted = module.bias + torch.where(module.bias < 0, -2.0, 2.0)
                module.bias.copy_(shifted.to(torch.float32))  # all are float32 exactly


def fill_buffers(network):
    for name, buffer in network.named_buffers():
        if buffer.dim() == 0:
            continue  # num_batches_tracked
        values = golden_values(name, buffer.numel()) * numpy.float32(0.125)
        if name.endswith("running_var"):
            values = values + numpy.float32(1)
        buffer.copy_(torch.from_numpy(values))


def loss_of(name, outputs, labels):
    if torch.is_tensor(outputs):
        return F.cross_entropy(outputs, labels)
    logits, *auxiliary = outputs
    loss = F.cross_entropy(logits, labels)
    return loss + AUXILIARY_WEIGHTS[name] * sum(F.cross_entropy(a, labels) for a in auxiliary)


def one_step(name, network, x, labels):
    network.train()
    network.zero_grad()
    loss = loss_of(name, network(x), labels)
    loss.backward()
    gradients = [(n, parameter.grad.clone()) for n, parameter in network.named_parameters()]
    return loss.item(), gradients


def run(name, kind, make, shape, write_gradients):
    with smooth_functions() if kind == "smooth" else contextlib.nullcontext():
        run_kind(name, kind, make, shape, write_gradients)


def run_kind(name, kind, make, shape, write_gradients):
    network = make()
    if kind == "smooth":
        make_smooth(network)
    fill_parameters(network)
    if kind == "relu":
        shift_norms(network)
    fill_buffers(network)
    x = images("images", shape)
    network.eval()
    with torch.no_grad():
        write(name, kind, "logits", network(x).flatten().tolist())
    write_step(name, kind, network, x, write_gradients)


def write_step(name, kind, network, x, write_gradients):
    labels = golden_hash("labels", x.shape[0]) % numpy.uint32(CLASSES)
    labels = torch.from_numpy(labels.astype(numpy.int64))
    loss, gradients = one_step(name, network, x, labels)
    write(name, kind, "losses", [loss])
    largest = max(gradient.norm() for _, gradient in gradients)
    _, rounded = one_step(name, network.to(torch.float32), x.to(torch.float32), labels)
    errors = [
        ((exact - other).norm() / exact.norm()).item()
        for (_, exact), (_, other) in zip(gradients, rounded)
        if exact.norm() > 1e-6 * largest
    ]
    write(name, kind, "float32", [max(errors)], digits=2)
    # Those of biases before a batch norm are zero but for rounding.
    exact = [(n, g if g.norm() > 1e-6 * largest else torch.zeros_like(g)) for n, g in gradients]
    write_gradients(name, kind, exact)


def write_each(name, kind, gradients):
    for parameter_name, gradient in gradients:
        write(name, kind, f"gradient {parameter_name}", sketch(gradient), digits=6)


def write_groups(name, kind, gradients):
    groups = {}
    for parameter_name, gradient in sorted(gradients, key=lambda item: item[0]):
        modules = parameter_name.split(".")[:-1]
        groups.setdefault(".".join(modules[:2]), []).append(gradient.flatten())
    for group, tensors in groups.items():
        norms = [tensor.norm().item() for tensor in tensors]
        scaled = [tensor / (norm or 1) for tensor, norm in zip(tensors, norms)]
        sums = sketch(torch.cat(scaled))[1:]
        write(name, kind, f"gradients {group}", [*sums, *norms], digits=6)


def make_smooth(network):
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.ReLU):
                setattr(module, name, nn.Tanh())
            elif isinstance(child, nn.MaxPool2d):
                pool = nn.AvgPool2d(child.kernel_size, child.stride, child.padding, child.ceil_mode)
                setattr(module, name, pool)


@contextlib.contextmanager
def smooth_functions():
    """For networks that call functions instead of having modules."""
    with mock.patch.object(F, "relu", lambda x, inplace=False: torch.tanh(x)):
        with mock.patch.object(F, "max_pool2d", F.avg_pool2d):
            yield


def main():
    wanted = sys.argv[1:] or [*SMALL, *BIG]
    for name, (make, shape) in SMALL.items():
        for kind in ("relu", "smooth") if name in wanted else ():
            run(name, kind, make, shape, write_each)
    for name, (make, shape) in BIG.items():
        if name in wanted:
            kind = "smooth" if name.endswith("_auxiliary") else "relu"
            run(name, kind, make, shape, write_groups)


if __name__ == "__main__":
    sys.exit(main())

"""Makes networks_names.tsv: names and shapes of all tensors of torchvision's networks.

    python3 tests/goldens/networks_names.py > tests/goldens/networks_names.tsv

A line is: the network, a part of it (the name's first word), how many tensors it has (parameters
and running statistics), how many elements its parameters have, and the hash of its lines
"name (shape)", sorted; so that a difference is found in its part. networks_names_test.cpp holds the
same table of networks.
"""

import sys

import torch
from torchvision import models

NETWORKS = [
    "alexnet",
    *(f"vgg{depth}{norm}" for depth in (11, 13, 16, 19) for norm in ("", "_bn")),
    *("googlenet", "inception_v3"),
    *(f"resnet{depth}" for depth in (18, 34, 50, 101, 152)),
    *("resnext50_32x4d", "resnext101_32x8d", "wide_resnet50_2", "wide_resnet101_2"),
]


def fnv1a(text):
    value = 2166136261
    for byte in text.encode():
        value = (value ^ byte) * 16777619 & 0xFFFFFFFF
    return value


def parts(network):
    """By first word: [lines, elements of parameters]."""
    found = {}
    parameters = dict(network.named_parameters())
    for name, tensor in network.state_dict().items():
        if name.endswith("num_batches_tracked"):
            continue
        lines = found.setdefault(name.split(".")[0], [[], 0])
        lines[0].append(f"{name} ({', '.join(str(extent) for extent in tensor.shape)})")
        lines[1] += tensor.numel() if name in parameters else 0
    return found


def main():
    for name in NETWORKS:
        with torch.device("meta"):
            options = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
            network = getattr(models, name)(**options)
        for part, (lines, elements) in parts(network).items():
            text = "\n".join(sorted(lines))
            print(name, part, len(lines), elements, f"{fnv1a(text):08x}", sep="\t")


if __name__ == "__main__":
    sys.exit(main())

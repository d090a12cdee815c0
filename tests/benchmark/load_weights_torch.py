"""The other side of tests/benchmark/load_weights: torch.load; with --make FILE it writes the files first."""

import sys
import time

import torch


def make(path):
    """ResNet-50's state dict in torchvision's shapes: 25.6 million parameters."""
    import torchvision

    state = torchvision.models.resnet50(weights=None).state_dict()
    torch.save(state, f"{path}.zip.pth")
    torch.save(state, f"{path}.legacy.pth", _use_new_zipfile_serialization=False)


def main():
    if sys.argv[1] == "--make":
        return make(sys.argv[2])
    for line in sys.stdin:
        begin = time.perf_counter()
        for _ in range(int(line)):
            torch.load(sys.argv[1], map_location="cpu", weights_only=True)
        print(time.perf_counter() - begin, flush=True)


if __name__ == "__main__":
    main()

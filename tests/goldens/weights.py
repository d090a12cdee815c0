"""Makes tests/weights/files/*: tiny files of weights as PyTorch and safetensors write them, and weights.tsv with what
they hold.

    python tests/goldens/weights.py       needs torch and safetensors

Lines of weights.tsv: FILE, tensor, dtype, shape, and the sum of value[i] * ((i mod 7) + 1) over its elements in
row-major order, as float64.
"""

import collections
import io
import pathlib
import zipfile

import numpy
import torch
from safetensors.torch import save_file

from golden_values import golden_values

FILES = pathlib.Path(__file__).parent.parent / "weights" / "files"
DTYPES = {torch.float32: "f32", torch.float64: "f64", torch.float16: "f16", torch.bfloat16: "bf16", torch.int64: "i64",
          torch.int32: "i32", torch.uint8: "u8", torch.bool: "u8"}


def values(name, *shape):
    count = int(numpy.prod(shape))
    return torch.from_numpy(golden_values(name, count)).reshape(shape).clone()


def module():
    """Convolution, batch norm with its counter, and a linear layer."""
    net = torch.nn.Sequential(collections.OrderedDict(conv=torch.nn.Conv2d(2, 3, 3, bias=False),
                                                      bn=torch.nn.BatchNorm2d(3), fc=torch.nn.Linear(5, 2)))
    state = net.state_dict()
    for name, tensor in state.items():
        if tensor.dtype == torch.float32:
            tensor.copy_(values(name, *tensor.shape))
        else:
            tensor.fill_(12345678901)
    return net


def every_type():
    names = {"half": torch.float16, "bfloat16": torch.bfloat16, "double": torch.float64, "single": torch.float32}
    tensors = {name: values(name, 3, 5).to(dtype) for name, dtype in names.items()}
    tensors["long"] = torch.arange(-4, 4)
    tensors["int"] = torch.arange(6, dtype=torch.int32).reshape(2, 3)
    tensors["byte"] = torch.arange(250, 256).to(torch.uint8)
    tensors["bool"] = torch.tensor([True, False, True])
    tensors["scalar"] = torch.tensor(0.625)
    tensors["empty"] = torch.zeros(0, 4)
    tensors["half_special"] = torch.tensor([6e-8, -3e-5, 65504.0, -0.0, 1.0 / 3]).to(torch.float16)
    return tensors


def views():
    """Not contiguous, or sharing their storages."""
    base = values("base", 4, 6)
    return {"transposed": base.t(), "column": base[:, 2], "part": base[1:3, 1:6:2], "base": base,
            "expanded": base[:, :1].expand(4, 3), "channels_last": values("image", 2, 3, 4, 4).contiguous(
                memory_format=torch.channels_last)}


def described(file, tensors):
    for name in sorted(tensors):
        tensor = tensors[name]
        flat = tensor.detach().to(torch.float64).reshape(-1)
        total = (flat * (torch.arange(flat.numel()) % 7 + 1)).sum().item()
        shape = " ".join(map(str, tensor.shape)) or "-"
        yield f"{file}\t{name}\t{DTYPES[tensor.dtype]}\t{shape}\t{total!r}"


def save(lines, name, content, tensors, **options):
    for suffix, zipped in (("zip", True), ("legacy", False)):
        torch.save(content, FILES / f"{name}_{suffix}.pth", _use_new_zipfile_serialization=zipped, **options)
        lines += described(f"{name}_{suffix}.pth", tensors)


def deflated(lines, tensors):
    """The zip format, as a tool writes it that packs again what torch wrote."""
    stored = io.BytesIO()
    torch.save(tensors, stored)
    with zipfile.ZipFile(stored) as source, zipfile.ZipFile(FILES / "deflated.pth", "w", zipfile.ZIP_DEFLATED) as to:
        for item in source.infolist():
            to.writestr(zipfile.ZipInfo(item.filename), source.read(item), zipfile.ZIP_DEFLATED)
    lines += described("deflated.pth", tensors)


class Refused:
    """Whatever a pickle could call."""

    def __reduce__(self):
        return numpy.core.multiarray.scalar, (numpy.dtype("f8"), b"\0" * 8)


def main():
    FILES.mkdir(exist_ok=True)
    lines = []
    net = module()
    state = net.state_dict()
    save(lines, "module", state, state)
    save(lines, "types", every_type(), every_type())
    save(lines, "views", views(), views())
    parallel = {f"module.{name}": tensor for name, tensor in state.items()}
    nested = {"epoch": 3, "best": 0.5, "args": ["--lr", None, (1, 2)], "model_state_dict": parallel,
              "optimizer": {"state": {0: {"momentum": values("momentum", 3)}}, "param_groups": [{"lr": 0.1}]},
              "size": torch.Size([1, 2]), "device": torch.device("cpu"), "dtype": torch.float32, "kinds": {1, 2}}
    save(lines, "nested", nested, state)
    save(lines, "parameters", dict(net.named_parameters()), dict(net.named_parameters()))
    for protocol in (3, 4, 5):
        save(lines, f"protocol{protocol}", {"state_dict": state, "large": 1 << 70, "raw": b"123"}, state,
             pickle_protocol=protocol)
    deflated(lines, state)
    save_file({name: tensor.contiguous() for name, tensor in every_type().items()}, FILES / "types.safetensors",
              metadata={"format": "pt"})
    lines += described("types.safetensors", every_type())

    # Refused.
    torch.save({"best": Refused(), "weight": values("w", 2)}, FILES / "refused_numpy.pth")
    torch.save(module(), FILES / "refused_module.pth")
    torch.save({"short": torch.zeros(3, dtype=torch.int16)}, FILES / "refused_short.pth")
    torch.save(values("w", 2), FILES / "refused_tensor.pth")
    torch.save({"epoch": 3, "lr": 0.1}, FILES / "refused_numbers.pth")
    torch.jit.script(torch.nn.Linear(2, 1)).save(FILES / "refused_script.pt")
    (FILES / "weights.tsv").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()

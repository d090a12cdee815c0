"""Makes pictures/* and pictures.tsv: small pictures in every format, and what Pillow and torchvision make of them.

    python tests/goldens/pictures.py [DATA]       needs numpy, Pillow and torchvision

DATA is the folder with awkward/ and imagenet_sample/ ($LOCKSTEP_DATA otherwise); without it their lines stay as they
are. Pixels are compared by the CRC-32 of their planes (3, H, W). Lines of pictures.tsv:

    file             NAME                                              H W CRC
    exif             NAME                                              H W CRC after ImageOps.exif_transpose
    resample         C H W, window: top left height width, to: H W     CRC
    evaluation       H W, resize, center_crop                          CRC
    color_jitter     H W, which of the four, factor                    CRC after ColorJitter with that factor alone
    imagenet_classes                                                   CRC of torchvision's names, each ended by a newline
    awkward          FILE                                              H W CRC, or refused
    awkward_exif     FILE                                              H W CRC after ImageOps.exif_transpose, or refused
    imagenet_sample  FILE                                              H W CRC, CRC after Resize(256), CenterCrop(224)
"""

import io
import os
import pathlib
import struct
import sys
import warnings
import zlib

import numpy
from PIL import Image, ImageOps
from torchvision.models import ResNet50_Weights
from torchvision.transforms import CenterCrop, ColorJitter, Compose, Resize

from golden_values import golden_hash

HERE = pathlib.Path(__file__).parent
RESAMPLE_CASES = [
    (1, 8, 8, 0, 0, 8, 8, 4, 4),
    (1, 8, 8, 0, 0, 8, 8, 8, 8),
    (3, 17, 23, 0, 0, 17, 23, 5, 7),
    (3, 17, 23, 2, 3, 11, 13, 11, 13),
    (3, 17, 23, 2, 3, 11, 13, 29, 31),
    (3, 17, 23, 2, 3, 11, 13, 11, 6),
    (3, 17, 23, 16, 22, 1, 1, 9, 9),
    (3, 17, 23, 0, 0, 17, 23, 1, 1),
    (2, 301, 7, 0, 0, 301, 7, 3, 64),
    (1, 1, 4001, 0, 0, 1, 4001, 2, 3),
    (2, 61, 33, 0, 0, 61, 33, 40, 22),
    (2, 63, 33, 0, 0, 63, 33, 40, 22),
    (2, 62, 33, 0, 0, 62, 33, 40, 22),
    (2, 62, 21, 0, 0, 62, 21, 63, 22),
    (3, 375, 500, 0, 0, 375, 500, 256, 341),
    (3, 375, 500, 31, 57, 211, 333, 224, 224),
]
EVALUATION_CASES = [(37, 29, 32, 24), (29, 38, 32, 32), (29, 41, 16, 21), (9, 30, 9, 7), (12, 15, 8, 20),
                    (3, 50, 4, 31), (64, 64, 64, 64), (63, 40, 30, 47)]
COLOR_JITTER_FACTORS = {"brightness": (0, 0.5, 0.8734, 1.25, 3.7), "contrast": (0, 0.31, 0.9, 1.41, 2.5),
                        "saturation": (0, 0.25, 0.77, 1.3, 4), "hue": (-0.5, -0.1713, -0.002, 0.05, 0.31, 0.5)}


def generated(channels, height, width):
    """Planes of noise that the C++ test makes alike."""
    hashes = golden_hash(f"picture {height}x{width}", channels * height * width)
    return (hashes & 255).astype(numpy.uint8).reshape(channels, height, width)


def crc(planes):
    return f"{zlib.crc32(numpy.ascontiguousarray(planes).tobytes()):08x}"


def planes_of(image):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return numpy.asarray(image.convert("RGB")).transpose(2, 0, 1)


def resampled(case):
    channels, height, width, top, left, h, w, to_height, to_width = case
    planes = [Image.fromarray(plane).crop((left, top, left + w, top + h))
              .resize((to_width, to_height), Image.Resampling.BILINEAR)
              for plane in generated(channels, height, width)]
    return crc(numpy.stack([numpy.asarray(plane) for plane in planes]))


def evaluated(case):
    height, width, resize, crop = case
    image = Image.fromarray(generated(3, height, width).transpose(1, 2, 0).copy())
    return crc(planes_of(Compose([Resize(resize), CenterCrop(crop)])(image)))


def photograph(height, width):
    """Smooth enough for JPEG, with some noise."""
    y, x = numpy.mgrid[0:height, 0:width]
    waves = numpy.stack([numpy.sin(x / 5 + c) + numpy.cos(y / 4 - c) for c in range(3)]) * 50 + 128
    noise = generated(3, height, width).astype(float) / 8
    return Image.fromarray(numpy.clip(waves + noise, 0, 255).astype(numpy.uint8).transpose(1, 2, 0).copy())


def jpegs():
    picture = photograph(29, 37)
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: ignored
    ways = {
        "420": (picture, dict(subsampling="4:2:0")),
        "422": (picture, dict(subsampling="4:2:2")),
        "444": (picture, dict(subsampling="4:4:4")),
        "progressive": (picture, dict(progressive=True)),
        "restarts": (picture, dict(restart_marker_blocks=2)),
        "rgb": (picture, dict(keep_rgb=True)),
        "grey": (picture.convert("L"), {}),
        "cmyk": (picture.convert("CMYK"), {}),
        "exif": (picture, dict(exif=exif)),
        "1x1": (picture.resize((1, 1)), {}),
        "3x51": (picture.resize((3, 51)), {}),
    }
    for name, (image, options) in ways.items():
        file = io.BytesIO()
        image.save(file, "JPEG", quality=80, **options)
        yield f"{name}.jpg", file.getvalue()
        if name == "cmyk":  # Adobe's marker, whose last byte says how the colours are transformed
            yield "ycck.jpg", file.getvalue().replace(b"Adobe\0d\0\0\0\0\0", b"Adobe\0d\0\0\0\0\2")


def tiff(entries, order="<", values=b""):
    """An EXIF structure: entries are (tag, type, count, bytes of the value), values what follows them."""
    head = b"II*\0" if order == "<" else b"MM\0*"
    body = b"".join(struct.pack(order + "HHL", *entry[:3]) + entry[3].ljust(4, b"\0") for entry in entries)
    return head + struct.pack(order + "LH", 8, len(entries)) + body + struct.pack(order + "L", 0) + values


def with_markers(file, contents):
    """The JPEG file with these APP1 markers at its begin."""
    markers = b"".join(b"\xff\xe1" + struct.pack(">H", len(content) + 2) + content for content in contents)
    return file[:2] + markers + file[2:]


def oriented():
    """Pictures with orientations of every kind, sound and damaged."""
    file = io.BytesIO()
    photograph(9, 6).save(file, "JPEG", quality=80)
    jpeg = file.getvalue()
    prefix = b"Exif\0\0"
    for order, name in (("<", "ii"), (">", "mm")):
        for value in range(10):
            exif = tiff([(0x0112, 3, 1, struct.pack(order + "H", value))], order)
            yield f"{name}{value}.jpg", with_markers(jpeg, [prefix + exif])
    six = struct.pack("<H", 6)
    whole = tiff([(0x010F, 2, 9, struct.pack("<L", 38)), (0x0112, 3, 1, six)], values=b"a camera\0")
    xmp = b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta><tiff:Orientation>%d</tiff:Orientation></x:xmpmeta>"
    yield from {
        "with_maker.jpg": with_markers(jpeg, [prefix + whole]),
        "in_two_markers.jpg": with_markers(jpeg, [prefix + whole[:30], prefix + whole[30:]]),
        "long.jpg": with_markers(jpeg, [prefix + tiff([(0x0112, 4, 1, struct.pack("<L", 8))])]),
        "text.jpg": with_markers(jpeg, [prefix + tiff([(0x0112, 2, 2, b"6\0")])]),
        "two_values.jpg": with_markers(jpeg, [prefix + tiff([(0x0112, 3, 2, six + six)])]),
        "twice.jpg": with_markers(jpeg, [prefix + tiff([(0x0112, 3, 1, six), (0x0112, 3, 1, b"\3")])]),
        "no_values.jpg": with_markers(jpeg, [prefix + tiff([(0x0112, 3, 0, six)])]),
        "unknown_type.jpg": with_markers(jpeg, [prefix + tiff([(0x010F, 99, 9, six), (0x0112, 3, 1, six)])]),
        "value_beyond.jpg": with_markers(jpeg, [prefix + tiff([(0x010F, 2, 9, b"\xff\xff"), (0x0112, 3, 1, six)])]),
        "value_too_large.jpg": with_markers(jpeg, [prefix + tiff([(0x010F, 2, 900, b"\0"), (0x0112, 3, 1, six)])]),
        "cut_off.jpg": with_markers(jpeg, [prefix + whole[:30]]),
        "directory_beyond.jpg": with_markers(jpeg, [prefix + b"II*\0" + struct.pack("<L", 10**9)]),
        "xmp.jpg": with_markers(jpeg, [xmp % 3]),
        "xmp_attribute.jpg": with_markers(jpeg, [xmp[:29] + b'<a tiff:Orientation="5"/>']),
        "xmp_and_exif.jpg": with_markers(jpeg, [xmp % 3, prefix + whole]),
        "png.png": png(2, 8, png_chunk(b"eXIf", whole)),
    }.items()


def png_chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def packed(samples, depth):
    """Rows of samples (H, W * channels) as PNG stores them, without filters."""
    if depth == 16:
        rows = samples.astype(">u2").view(numpy.uint8)
    elif depth == 8:
        rows = samples.astype(numpy.uint8)
    else:
        bits = (samples[..., None] >> numpy.arange(depth - 1, -1, -1)) & 1
        rows = numpy.packbits(bits.reshape(len(samples), -1).astype(numpy.uint8), axis=1)
    return b"".join(b"\0" + row.tobytes() for row in rows)


def png(kind, depth, extra=b"", interlaced=False, height=13, width=19):
    """A picture of noise; kind is PNG's colour type."""
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[kind]
    hashes = golden_hash(f"png {kind} {depth}", height * width * channels) & ((1 << depth) - 1)
    if kind == 0 and depth == 16:
        hashes[::2] &= 0x1FF  # else hardly any is below 256
    samples = hashes.reshape(height, width, channels)
    passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    parts = [samples[y::dy, x::dx] for y, x, dy, dx in passes] if interlaced else [samples]
    rows = b"".join(packed(part.reshape(len(part), -1), depth) for part in parts if part.size)
    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, interlaced)
    return (b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + extra + png_chunk(b"IDAT", zlib.compress(rows, 9)) +
            png_chunk(b"IEND", b""))


def palette_chunk(colors):
    return png_chunk(b"PLTE", golden_hash("palette", 3 * colors).astype(numpy.uint8).tobytes())


def pngs():
    yield from ((f"grey{depth}.png", png(0, depth)) for depth in (1, 2, 4, 8, 16))
    transparent = png_chunk(b"tRNS", bytes(range(0, 200, 2)))
    for depth in (1, 2, 4, 8):
        yield f"palette{depth}.png", png(3, depth, palette_chunk(min(1 << depth, 200)))
    yield "palette_transparent.png", png(3, 8, palette_chunk(200) + transparent)
    yield "grey_transparent.png", png(0, 8, png_chunk(b"tRNS", b"\0\x80"))
    yield from ((f"grey_alpha{depth}.png", png(4, depth)) for depth in (8, 16))
    yield from ((f"rgb{depth}.png", png(2, depth)) for depth in (8, 16))
    yield from ((f"rgba{depth}.png", png(6, depth)) for depth in (8, 16))
    gamma = png_chunk(b"gAMA", struct.pack(">I", 100000)) + png_chunk(b"tEXt", b"Title\0a picture")
    yield "rgb_gamma.png", png(2, 8, gamma)
    yield "rgb_interlaced.png", png(2, 8, interlaced=True)
    yield "grey2_interlaced.png", png(0, 2, interlaced=True)
    yield "png_named.jpg", png(2, 8)
    yield "animated.png", animated(png(2, 8))


def animated(still):
    """An animation that begins with a picture, whose second frame is the same upside down."""
    frame = struct.pack(">IIIIHHBB", 19, 13, 0, 0, 1, 10, 0, 0)  # W, H, x, y, delay, disposal, blending
    begin, end = still.index(b"IDAT") - 4, still.index(b"IEND") - 4
    rows = zlib.decompress(still[begin + 8 : end - 4])
    row = len(rows) // 13
    flipped = zlib.compress(b"".join(rows[y * row : (y + 1) * row] for y in range(12, -1, -1)), 9)
    return (still[:begin] + png_chunk(b"acTL", struct.pack(">II", 2, 0)) +
            png_chunk(b"fcTL", struct.pack(">I", 0) + frame) + still[begin:end] +
            png_chunk(b"fcTL", struct.pack(">I", 1) + frame) +
            png_chunk(b"fdAT", struct.pack(">I", 2) + flipped) + still[end:])


def decoded(file):
    """(H W CRC), or "refused" where Pillow refuses the file or it is neither JPEG nor PNG."""
    try:
        with Image.open(file) as image:
            if image.format not in ("JPEG", "MPO", "PNG"):
                return "refused", None
            image.load()
            planes = planes_of(image)
    except (OSError, SyntaxError):
        return "refused", None
    return f"{planes.shape[1]} {planes.shape[2]} {crc(planes)}", Image.fromarray(planes.transpose(1, 2, 0).copy())


def upright(file):
    with Image.open(file) as image:
        if image.format not in ("JPEG", "MPO", "PNG"):
            return "refused"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            planes = planes_of(ImageOps.exif_transpose(image))
    return f"{planes.shape[1]} {planes.shape[2]} {crc(planes)}"


def jittered(height, width, name, factor):
    image = Image.fromarray(generated(3, height, width).transpose(1, 2, 0).copy())
    return crc(planes_of(ColorJitter(**{name: (factor, factor)})(image)))


def data_lines(data):
    for file in sorted((data / "awkward").iterdir()):
        if file.suffix not in (".txt", ".tsv"):
            verdict = decoded(file)[0]
            yield f"awkward\t{file.name}\t{verdict}"
            yield f"awkward_exif\t{file.name}\t{verdict if verdict == 'refused' else upright(file)}"
    transform = Compose([Resize(256), CenterCrop(224)])
    for file in sorted((data / "imagenet_sample" / "val").glob("*/*")):
        text, image = decoded(file)
        yield f"imagenet_sample\tval/{file.parent.name}/{file.name}\t{text} {crc(planes_of(transform(image)))}"


def main():
    table = HERE / "pictures.tsv"
    folder = HERE / "pictures"
    folder.mkdir(exist_ok=True)
    lines = []
    for name, content in sorted([*jpegs(), *pngs()]):
        (folder / name).write_bytes(content)
        lines.append(f"file\t{name}\t{decoded(folder / name)[0]}")
    (folder / "exif").mkdir(exist_ok=True)
    for name, content in sorted(oriented()):
        (folder / "exif" / name).write_bytes(content)
        lines.append(f"exif\t{name}\t{upright(folder / 'exif' / name)}")
    lines += ["resample\t" + " ".join(map(str, case)) + "\t" + resampled(case) for case in RESAMPLE_CASES]
    lines += ["evaluation\t" + " ".join(map(str, case)) + "\t" + evaluated(case) for case in EVALUATION_CASES]
    lines += [f"color_jitter\t29 41 {name} {factor}\t{jittered(29, 41, name, factor)}"
              for name, factors in COLOR_JITTER_FACTORS.items() for factor in factors]
    names = "".join(name + "\n" for name in ResNet50_Weights.DEFAULT.meta["categories"])
    lines.append(f"imagenet_classes\t\t{zlib.crc32(names.encode()):08x}")
    data = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("LOCKSTEP_DATA")
    if data:
        lines += data_lines(pathlib.Path(data))
    else:
        kept = table.read_text().splitlines() if table.exists() else []
        lines += [line for line in kept if line.startswith(("awkward\t", "awkward_exif\t", "imagenet_sample\t"))]
    table.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()

"""Numbers for weights and inputs that C++ and Python make alike, exactly.

The twin is framework/selftest/golden_values.hpp.
"""

import numpy


def golden_hash(name, count):
    """The hashes of elements 0 ... count - 1 of the tensor `name`, as uint32."""
    seed = 2166136261
    for byte in name.encode():
        seed = (seed ^ byte) * 16777619 & 0xFFFFFFFF
    with numpy.errstate(over="ignore"):
        h = numpy.uint32(seed) + numpy.arange(count, dtype=numpy.uint32) * numpy.uint32(0x9E3779B9)
        h = (h ^ (h >> numpy.uint32(16))) * numpy.uint32(0x85EBCA6B)
        h = (h ^ (h >> numpy.uint32(13))) * numpy.uint32(0xC2B2AE35)
        return h ^ (h >> numpy.uint32(16))


def golden_values(name, count):
    """Elements 0 ... count - 1, float32 in [-1, 1), each a multiple of 2^-23."""
    steps = (golden_hash(name, count) >> numpy.uint32(8)).astype(numpy.int64) - (1 << 23)
    return steps.astype(numpy.float32) / numpy.float32(1 << 23)

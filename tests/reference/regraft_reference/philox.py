"""Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011) and the normal numbers that `missing: normal`
makes of it."""
import numpy
import xxhash

MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
WEYL = (0x9E3779B9, 0xBB67AE85)
LOW = 0xFFFFFFFF


def philox(counter, key):
    """Four arrays of uint64 that hold 32 bits each, and two numbers: four arrays."""
    multipliers = [numpy.uint64(number) for number in MULTIPLIERS]
    low, half = numpy.uint64(LOW), numpy.uint64(32)
    for turn in range(10):
        first, second = multipliers[0] * counter[0], multipliers[1] * counter[2]
        keys = [numpy.uint64((word + turn * weyl) & LOW) for word, weyl in zip(key, WEYL)]
        counter = ((second >> half) ^ counter[1] ^ keys[0], second & low, (first >> half) ^ counter[3] ^ keys[1], first & low)
    return counter


def key_of(seed, name):
    number = xxhash.xxh3_64_intdigest(seed.to_bytes(8, "little", signed=True) + name, seed=0)
    return number & LOW, number >> 32


def normal(count, seed, name):
    """Standard normal numbers in double, for the elements 0..count-1 of a tensor in row-major order."""
    pair = numpy.arange((count + 1) // 2, dtype=numpy.uint64)
    zero = numpy.zeros_like(pair)
    x = philox((pair & numpy.uint64(LOW), pair >> numpy.uint64(32), zero, zero), key_of(seed, name))
    first, second = ((low | (high << numpy.uint64(32))) >> numpy.uint64(11) for low, high in (x[:2], x[2:]))
    radius = numpy.sqrt(-2 * numpy.log((first + numpy.uint64(1)).astype(numpy.float64) * 2.0**-53))
    angle = 2 * numpy.pi * (second.astype(numpy.float64) * 2.0**-53)
    return numpy.stack([radius * numpy.cos(angle), radius * numpy.sin(angle)], -1).reshape(-1)[:count]

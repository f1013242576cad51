"""Writes the f64 reference points that `runtime/tests/math.rs` reads (needs mpmath).

One line for each point: the function, its arguments' bits, and the exact value rounded to a float and
what that rounding left, both as bits. Usage: reference_points.py COUNT > ../data/math_f64.txt
"""
import random
import struct
import sys
from mpmath import mp, mpf
import mpmath as m

mp.prec = 2200
random.seed(20240817)


def bits(v):
    return format(struct.unpack('<Q', struct.pack('<d', v))[0], '016x')


def log_uniform(low, high, signed=True):
    v = 2.0 ** random.uniform(low, high)
    return -v if signed and random.random() < 0.5 else v


def mixed(*ranges):
    """Points by turns from uniform ('u', a, b) and log-uniform ('l', exponent, exponent, signed) ranges."""
    def draw():
        r = random.choice(ranges)
        return random.uniform(r[1], r[2]) if r[0] == 'u' else log_uniform(*r[1:])
    return draw


def near_multiples_of_half_pi():
    k = random.randint(1, 1 << random.randint(2, 40))
    return float(k * mp.pi / 2) * random.choice([1, -1])


def angle():
    if random.random() < 0.3:
        return near_multiples_of_half_pi()
    return mixed(('u', -7, 7), ('l', -30, 50, True), ('u', -1e6, 1e6))()


def pow_arguments():
    x = mixed(('l', -1022, 1023, False), ('u', 0, 3), ('l', -3, 3, False), ('u', 0.99, 1.01))()
    if random.random() < 0.3:
        return x, float(random.randint(-40, 40))
    limit = 700 / max(abs(float(m.log(mpf(x)))), 1e-300)
    return x, random.uniform(-min(limit, 1e18), min(limit, 1e18))


rows = {
    'exp': (m.exp, mixed(('u', -745, 709.7), ('u', -2, 2), ('l', -40, 6, True))),
    'expm1': (m.expm1, mixed(('u', -40, 709.7), ('u', -2, 2), ('l', -60, 5, True))),
    'log': (m.log, mixed(('l', -1074, 1023.9, False), ('u', 0.5, 2), ('u', 0.99, 1.01))),
    'log1p': (m.log1p, mixed(('u', -1, 3), ('l', -60, 1023, False), ('u', -0.5, 0.5), ('l', -60, -1, True))),
    'sin': (m.sin, angle),
    'cos': (m.cos, angle),
    'tan': (m.tan, angle),
    'tanh': (m.tanh, mixed(('u', -22, 22), ('u', -1, 1), ('l', -40, 4, True))),
    'sigmoid': (lambda x: 1 / (1 + m.exp(-x)), mixed(('u', -740, 40), ('u', -4, 4), ('l', -40, 5, True))),
    'softplus': (lambda x: m.log1p(m.exp(x)), mixed(('u', -740, 40), ('u', -4, 4), ('l', -40, 5, True))),
    'erf': (m.erf, mixed(('u', -6, 6), ('u', -1.2, 1.2), ('l', -60, 2, True))),
    'atan': (m.atan, mixed(('u', -5, 5), ('l', -40, 60, True), ('u', -1, 1))),
    'atan2': (m.atan2, lambda: (mixed(('u', -5, 5), ('l', -400, 400, True))(), mixed(('u', -5, 5), ('l', -400, 400, True))())),
    'pow': (lambda x, y: mpf(x) ** mpf(y), pow_arguments),
    'log2': (lambda x: m.log(x) / m.log(2), mixed(('l', -1074, 1023.9, False), ('u', 0.5, 2), ('u', 0.99, 1.01))),
    'log10': (m.log10, mixed(('l', -1074, 1023.9, False), ('u', 0.5, 2), ('u', 0.99, 1.01))),
    'cbrt': (lambda x: m.sign(x) * m.cbrt(abs(x)), mixed(('l', -1074, 1023.9, True), ('u', -8, 8))),
    'asin': (m.asin, mixed(('u', -1, 1), ('l', -40, 0, True), ('u', 0.99, 1), ('u', 0.4, 0.75))),
    'acos': (m.acos, mixed(('u', -1, 1), ('l', -40, 0, True), ('u', 0.99, 1), ('u', 0.4, 0.75))),
    'sinh': (m.sinh, mixed(('u', -710, 710), ('u', -2, 2), ('l', -40, 9, True))),
    'cosh': (m.cosh, mixed(('u', -710, 710), ('u', -2, 2), ('l', -40, 9, True))),
    'asinh': (m.asinh, mixed(('u', -4, 4), ('l', -40, 1023, True), ('l', -5, 40, True))),
    'acosh': (m.acosh, mixed(('u', 1, 4), ('u', 1, 1.01), ('l', 0, 1023, False), ('l', 0, 40, False))),
    'atanh': (m.atanh, mixed(('u', -1, 1), ('l', -40, 0, True), ('u', 0.99, 1))),
    'hypot': (m.hypot, lambda: (log_uniform(-800, 1000), log_uniform(-800, 1000)) if random.random() < 0.2 else (random.uniform(-3, 3), log_uniform(-30, 5))),
    'erfc': (m.erfc, mixed(('u', -6, 26), ('u', -1, 3), ('l', -40, 4, True))),
    'lgamma': (m.loggamma, mixed(('u', 0, 4), ('u', 0.9, 2.1), ('u', 2.5, 30), ('l', -300, 1000, False), ('l', 0, 40, False))),
    'digamma': (lambda x: m.psi(0, x), mixed(('u', 0, 1.4), ('u', 1.5, 12), ('l', -300, 1000, False), ('l', 0, 40, False))),
    'trigamma': (lambda x: m.psi(1, x), mixed(('u', 0, 12), ('l', -300, 400, False), ('l', 0, 40, False))),
    'tetragamma': (lambda x: m.psi(2, x), mixed(('u', 0, 12), ('l', -200, 200, False), ('l', 0, 40, False))),
}

if __name__ == '__main__':
    count = int(sys.argv[1])
    for name, (f, draw) in rows.items():
        if len(sys.argv) > 2 and name not in sys.argv[2:]:
            continue
        made = 0
        while made < count:
            arguments = draw()
            if not isinstance(arguments, tuple):
                arguments = (arguments,)
            mp.prec = 1200 if name in ('sinh', 'asinh', 'atanh', 'exp', 'expm1', 'log1p', 'sigmoid', 'softplus', 'tanh') else 300
            v = f(*(mpf(a) for a in arguments))
            high = float(v)
            # Below the normal range a rounding unit is no measure of the method.
            if high == 0 or abs(high) < 1e-300 or abs(high) == float('inf'):
                continue
            print(name, *(bits(a) for a in arguments), bits(high), bits(float(v - mpf(high))))
            made += 1

"""Fits the polynomials of `runtime/numerics/src/math` (needs mpmath; prints Rust arrays, lowest power first).

Each row below names a function, the interval, how the error is weighed, and the number of
coefficients for f64 and f32. A fit is a Remez exchange; coefficients are then rounded one after the
other, lowest power first, and the rest fitted again, so that rounding errors cancel.
"""
import struct
from mpmath import mp, mpf, matrix, lu_solve, exp, log, sin, cos, atan, atanh, erf, erfc, expm1, loggamma, psi, euler, sqrt, pi, tan

mp.dps = 60


def rounded(v, bits):
    """`v` rounded to the nearest float of the given width."""
    if v == 0:
        return mpf(0)
    with mp.workprec(53 if bits == 64 else 24):
        return +v


def remez(f, w, a, b, n):
    """Coefficients c minimising max |w(x) (f(x) - sum c_i x^i)| on [a, b]."""
    a, b = mpf(a), mpf(b)
    xs = [(a + b) / 2 - (b - a) / 2 * mp.cos(pi * (2 * i + 1) / (2 * (n + 1))) for i in range(n + 1)]
    grid_n = 40 * (n + 1)
    grid = [(a + b) / 2 - (b - a) / 2 * mp.cos(pi * i / grid_n) for i in range(grid_n + 1)]
    fg = [(f(x), w(x)) for x in grid]
    c = None
    for _ in range(12):
        m = matrix(n + 1, n + 1)
        r = matrix(n + 1, 1)
        for i, x in enumerate(xs):
            for j in range(n):
                m[i, j] = x ** j
            m[i, n] = (-1) ** i / w(x)
            r[i] = f(x)
        sol = lu_solve(m, r)
        c = [sol[j] for j in range(n)]
        err = [wx * (fx - mp.polyval(c[::-1], x)) for x, (fx, wx) in zip(grid, fg)]
        # One extreme point for each run of equal sign.
        runs, best = [], 0
        for i in range(1, len(grid)):
            if err[i] * err[best] < 0:
                runs.append(best)
                best = i
            elif abs(err[i]) > abs(err[best]):
                best = i
        runs.append(best)
        if len(runs) < n + 1:
            break
        while len(runs) > n + 1:
            runs.pop(0 if abs(err[runs[0]]) < abs(err[runs[-1]]) else -1)
        xs = [grid[i] for i in runs]
        levels = [abs(err[i]) for i in runs]
        if max(levels) < min(levels) * mpf('1.02'):
            break
    return c, max(abs(e) for e in err)


def fit(name, f, w, a, b, n, bits):
    """Rounds coefficient after coefficient, fitting the rest again."""
    done = []
    for i in range(n):
        if i < 4:
            g = lambda x: (f(x) - mp.polyval(done[::-1], x) if done else f(x)) / x ** i
            c, _ = remez(g, lambda x: w(x) * abs(x) ** i, a, b, n - i)
            rest = c
        else:
            c = rest[i - 3:]
        done.append(rounded(c[0], bits))
    grid = [mpf(a) + (mpf(b) - mpf(a)) * k / 400 for k in range(401)]
    worst = max(abs(w(x) * (f(x) - mp.polyval(done[::-1], x))) for x in grid)
    print(f"// {name}, {bits} bits, on [{mp.nstr(mpf(a), 6)}, {mp.nstr(mpf(b), 6)}]: weighted error 2^{mp.nstr(log(worst, 2), 4)}")
    for c in done:
        print("   ", repr(float(c)) + ",")


def fit_at_once(name, f, w, a, b, n, bits):
    """Rounds all coefficients of one exchange, for intervals around 0, on which the rest of `fit` has no unique best."""
    c, worst = remez(f, w, a, b, n)
    print(f"// {name}, {bits} bits, on [{mp.nstr(mpf(a), 6)}, {mp.nstr(mpf(b), 6)}]: weighted error 2^{mp.nstr(log(worst, 2), 4)} before rounding")
    for v in c:
        print("   ", repr(float(rounded(v, bits))) + ",")


def series(f, x, order):
    """f near zero by its Taylor series, where the closed form cancels."""
    return mp.polyval(mp.taylor(f, 0, order)[::-1], x)


tiny = mpf('1e-30')


def exp_q(r):
    return (expm1(r) - r) / r ** 2 if abs(r) > tiny else mpf(1) / 2


def log_q(z):
    s = sqrt(z)
    return (atanh(s) / s - 1) / z * 2 if z > tiny else mpf(2) / 3


def log_q2(z):
    s = sqrt(z)
    return ((atanh(s) / s - 1) / z - mpf(1) / 3) / z * 2 if z > mpf('1e-20') else mpf(2) / 5


def sin_q(z):
    s = sqrt(z)
    return (sin(s) / s - 1) / z if z > tiny else -mpf(1) / 6


def cos_q(z):
    return ((cos(sqrt(z)) - 1) / z + mpf(1) / 2) / z if z > mpf('1e-20') else mpf(1) / 24


def atan_q(z):
    s = sqrt(z)
    return (atan(s) / s - 1) / z if z > tiny else -mpf(1) / 3


def erf_q(z):
    s = sqrt(z)
    return erf(s) / s - 1 if z > tiny else 2 / sqrt(pi) - 1


def erfc_log(t):
    return -log(erfc(t))


def erfc_scaled(t):
    """`(1 + 2 x) exp(x^2) erfc(x)` with `t = (x - 3.75) / (x + 3.75)` (Shepherd and Laframboise 1981)."""
    x = mpf('3.75') * (1 + t) / (1 - t)
    return (1 + 2 * x) * exp(x * x) * erfc(x)


def lgamma_q(u):
    """`log Gamma(2 + u) / (u (1 + u))`."""
    if abs(u) < tiny:
        return psi(0, 2)
    if abs(1 + u) < tiny:
        return +euler
    return loggamma(2 + u) / (u * (1 + u))


half = log(mpf(2)) / 2 * mpf('1.0001')
z_log = ((sqrt(mpf(2)) - 1) / (sqrt(mpf(2)) + 1)) ** 2 * mpf('1.001')
z_trig = (pi / 4 * mpf('1.001')) ** 2
z_atan = (tan(pi / 8) * mpf('1.0001')) ** 2
eps = mpf('1e-12')
rows = {
    # name: (f, weight, a, b, n64, n32)
    'exp': (exp_q, lambda r: r ** 2, -half, half * mpf('1.0003'), 11, 5),
    'log': (log_q, lambda z: z, eps, z_log, 7, 3),
    'log_tail': (log_q2, lambda z: z ** 2, eps, z_log, 7, 3),
    'sin': (sin_q, lambda z: z, eps, z_trig, 6, 3),
    'cos': (cos_q, lambda z: z ** 2, eps, z_trig, 6, 3),
    'atan': (atan_q, lambda z: z, eps, z_atan, 12, 5),
    'erf': (erf_q, lambda z: 1, eps, mpf(1), 13, 7),
    'erfc64': (erfc_log, lambda t: erfc(t), mpf(1), mpf('5.94'), 22, 0),
    'erfc_scaled': (erfc_scaled, lambda t: 1 / erfc_scaled(t), mpf(-1), mpf('0.765'), 25, 13),
    'lgamma': (lgamma_q, lambda u: 1 / lgamma_q(u), mpf(-1), mpf(1), 29, 13),
    'erfc32': (erfc_log, lambda t: erfc(t), mpf(1), mpf('4'), 0, 10),
}

if __name__ == '__main__':
    import sys
    for name in sys.argv[1:] or rows:
        f, w, a, b, n64, n32 = rows[name]
        method = fit_at_once if a < 0 < b and w(mpf(0)) != 0 else fit
        if n64:
            method(name, f, w, a, b, n64, 64)
        if n32:
            method(name, f, w, a, b, n32, 32)

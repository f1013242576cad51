"""Compares `dp bench` with JAX, torch, NumPy and CasADi on the same work, interleaved, and prints tables.

    python3 compiler/benches/peers.py [--dp target/release/dp] [--rounds 3] [--seconds 0.5] [GROUPS]

Run with a Python that has the peers installed; one that is missing is left out, with a word. A round runs ours and then each
peer, each in a process of its own, on one thread pinned to one core; a ratio is the peer's time over ours, of the best and of
the median of all samples of all rounds. Above 1 we are faster. A peer gets its best form: what is worse is not listed.
"""

import argparse
import functools
import importlib.util
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PEERS = ["jax", "torch", "numpy", "casadi"]


# ---- measuring, in the process of a peer

def samples_of(call, seconds):
    """Times of single calls; very short ones are averaged over a batch of calls. `call` returns when the result is there."""
    call()
    call()
    start = time.perf_counter()
    call()
    count = max(1, int(2e-5 / max(time.perf_counter() - start, 1e-9)))
    times, begin = [], time.perf_counter()
    while len(times) < 5 or time.perf_counter() - begin < seconds:
        start = time.perf_counter()
        for _ in range(count):
            call()
        times.append((time.perf_counter() - start) / count)
    return times


class Peer:
    """What a library must do: make a function fast, and wait for its result. All arrays are row-major, of one precision."""

    def __init__(self, name):
        self.name = name
        self.memory = None  # the bytes of the intermediate values of the last function, where the library tells
        self.lib = __import__({"torch": "torch", "jax": "jax", "numpy": "numpy", "casadi": "casadi"}[name])
        if name == "jax":
            self.lib.config.update("jax_enable_x64", True)
        if name == "torch":
            self.lib.set_num_threads(1)

    def array(self, values, dtype="float32"):
        import numpy as np

        values = np.asarray(values, dtype)
        if self.name == "jax":
            return self.lib.numpy.asarray(values)
        return self.lib.from_numpy(values.copy()) if self.name == "torch" else values

    def ready(self, f, *inputs):
        """A call without arguments that computes f(*inputs)."""
        if self.name == "jax":
            compiled = self.lib.jit(f)
            self.memory = compiled.lower(*inputs).compile().memory_analysis().temp_size_in_bytes
            return lambda: self.lib.block_until_ready(compiled(*inputs))
        if self.name == "torch":
            def call():
                with self.lib.no_grad():
                    return f(*inputs)

            return call
        return lambda: f(*inputs)

    def gradient(self, f, *inputs, wrt):
        """A call that computes the value and the gradient of f in its arguments with the numbers `wrt`."""
        if self.name == "jax":
            compiled = self.lib.jit(self.lib.value_and_grad(f, argnums=wrt))
            self.memory = compiled.lower(*inputs).compile().memory_analysis().temp_size_in_bytes
            return lambda: self.lib.block_until_ready(compiled(*inputs))
        leaves = [x.clone().requires_grad_() if i in wrt else x for i, x in enumerate(inputs)]

        def call():
            for i in wrt:
                leaves[i].grad = None
            f(*leaves).backward()

        return call


def normal(*shape):
    import numpy as np

    return np.random.default_rng(sum(shape)).standard_normal(shape)


# ---- the work: for each group a generator of (name of the line of `dp bench`, call) for a library

def soft_of(peer):
    if peer.name == "jax":
        return lambda v, t: v - peer.lib.numpy.clip(v, -t, t)
    if peer.name == "torch":
        return lambda v, t: v - peer.lib.clamp(v, -t, t)
    return lambda v, t: v - peer.lib.clip(v, -t, t)


def lista_inputs(m, n, batch):
    import numpy as np

    A = normal(m, n) / np.sqrt(m)
    L = np.linalg.norm(A, 2) ** 2
    return A.T / L, np.eye(n) - A.T @ A / L, np.full(n, 0.05), normal(batch, m), normal(batch, n)


def lista_of(peer, scan):
    soft = soft_of(peer)

    def forward(W, S, theta, X):
        b = X @ W.T
        y = soft(b, theta)
        if scan:
            return peer.lib.lax.scan(lambda y, _: (soft(b + y @ S.T, theta), None), y, None, length=16)[0]
        for _ in range(16):
            y = soft(b + y @ S.T, theta)
        return y

    return forward, lambda W, S, theta, X, Y: 0.5 * ((forward(W, S, theta, X) - Y) ** 2).sum()


def lista(peer):
    if peer.name == "casadi":
        return
    for m, n, batch in [(64, 256, 64), (250, 500, 64), (64, 256, 1)]:
        inputs = [peer.array(v) for v in lista_inputs(m, n, batch)]
        for scan in [False, True] if peer.name == "jax" else [False]:
            forward, loss = lista_of(peer, scan)
            yield f"LISTA-16 forward, ({m}, {n}), batch {batch}", peer.ready(forward, *inputs[:4])
            if peer.name != "numpy":
                yield f"LISTA-16 value and gradient, ({m}, {n}), batch {batch}", peer.gradient(loss, *inputs, wrt=(0, 1, 2))


def first(peer):
    """From the Python function to the first result, with the cache of compiled code empty; the import is not counted."""
    if peer.name != "jax":
        return
    jax = peer.lib
    inputs = [peer.array(v) for v in lista_inputs(64, 256, 64)]
    jax.block_until_ready(jax.jit(lambda x: x * 2)(inputs[3]))

    def fresh(f, *inputs, wrt):
        def call():
            jax.clear_caches()
            jax.block_until_ready(jax.jit(jax.value_and_grad(f, argnums=wrt))(*inputs))

        return call

    for scan in [False, True]:
        loss = lista_of(peer, scan)[1]
        yield "first result: LISTA-16 value and gradient, (64, 256), batch 64", fresh(loss, *inputs, wrt=(0, 1, 2))
    a, b = peer.array(1.1, "float64"), peer.array(0.4, "float64")
    yield "first result: " + ODE, fresh(last_square_jax(jax), a, b, wrt=(0, 1))


ODE = "Lotka-Volterra, 1000 steps of Runge and Kutta, value and gradient"


def runge_kutta(rhs, x, y, h=0.01):
    p1, q1 = rhs(x, y)
    p2, q2 = rhs(x + h / 2 * p1, y + h / 2 * q1)
    p3, q3 = rhs(x + h / 2 * p2, y + h / 2 * q2)
    p4, q4 = rhs(x + h * p3, y + h * q3)
    return x + h / 6 * (p1 + 2 * p2 + 2 * p3 + p4), y + h / 6 * (q1 + 2 * q2 + 2 * q3 + q4)


def last_square_jax(jax):
    def loss(a, b):
        rhs = lambda x, y: (a * x - b * x * y, b * x * y - y)
        start = (jax.numpy.asarray(1.0), jax.numpy.asarray(0.5))
        (x, y), _ = jax.lax.scan(lambda s, _: (runge_kutta(rhs, *s), None), start, None, length=1000)
        return x * x + y * y

    return loss


def ode(peer):
    if peer.name == "jax":
        yield ODE, peer.gradient(last_square_jax(peer.lib), peer.array(1.1, "float64"), peer.array(0.4, "float64"), wrt=(0, 1))
    if peer.name == "casadi":
        ca = peer.lib
        s, p = ca.SX.sym("s", 2), ca.SX.sym("p", 2)
        rhs = lambda x, y: (p[0] * x - p[1] * x * y, p[1] * x * y - y)
        step = ca.Function("step", [s, p], [ca.vertcat(*runge_kutta(rhs, s[0], s[1]))]).fold(1000)
        P = ca.MX.sym("P", 2)
        loss = ca.sumsqr(step(ca.DM([1.0, 0.5]), P))
        both = ca.Function("both", [P], [loss, ca.gradient(loss, P)])
        point = ca.DM([1.1, 0.4])
        yield ODE, lambda: both(point)


def elementwise(peer):
    if peer.name != "jax":
        return
    jnp, soft = peer.lib.numpy, soft_of(peer)
    bodies = {
        "soft threshold": lambda x, y: soft(x, 0.1),
        "exp": lambda x, y: jnp.exp(x),
        "tanh": lambda x, y: jnp.tanh(x),
        "log": lambda x, y: jnp.log(1 + x * x),
        "a chain of ten": lambda x, y: x * y + 0.5 * x - jnp.maximum(y, x) * 0.25 + jnp.abs(x - y) * jnp.minimum(x, 0.5),
    }
    for precision, dtype in [("f32", "float32"), ("f64", "float64")]:
        x, y = peer.array(normal(4096), dtype), peer.array(normal(1, 4096)[0], dtype)
        for name, body in bodies.items():
            quarter = peer.array(0.25, dtype)
            f = lambda x, y, body=body, quarter=quarter: peer.lib.lax.fori_loop(0, 1000, lambda _, v: quarter * body(v, y), x)
            yield f"{name}, {precision}, 4096, 1000 passes", peer.ready(f, x, y)


def reduce(peer):
    if peer.name == "casadi":
        return
    lib = peer.lib.numpy if peer.name == "jax" else peer.lib
    largest = (lambda v: v.max())
    x, y, X = peer.array(normal(1000000)), peer.array(normal(1, 1000000)[0]), peer.array(normal(1000, 1000))
    for name, f, inputs in [
        ("sum of squares", lambda x: (x * x).sum(), [x]),
        ("sum of products with a shared difference", lambda x, y: ((x - y) * (x - y) / (1 + abs(x - y))).sum(), [x, y]),
        ("three sums of one chain", lambda x, y: ((x * y).sum(), abs(x * y).sum(), largest(x * y)), [x, y]),
        ("sums of squares of columns", lambda X: (X * X).sum(0), [X]),
        ("sums of squares of rows", lambda X: (X * X).sum(1), [X]),
    ]:
        yield f"{name}, f32, a million", peer.ready(f, *inputs)
        if name == "sum of squares" and peer.name != "jax":
            yield f"{name}, f32, a million", peer.ready(lambda x: lib.dot(x, x), x)


def products(peer):
    if peer.name == "casadi":
        return
    for precision, dtype in [("f32", "float32"), ("f64", "float64")]:
        for n in [64, 128, 256, 512, 1024]:
            yield f"{n} x {n} x {n}, {precision}", peer.ready(lambda A, B: A @ B, peer.array(normal(n, n), dtype), peer.array(normal(n, n).T, dtype))


def vector(peer):
    if peer.name == "casadi":
        return
    for n in [64, 128, 256, 512, 1024]:
        A, x = peer.array(normal(n, n)), peer.array(normal(n))
        yield f"A x, {n} x {n}, f32", peer.ready(lambda A, x: A @ x, A, x)
        yield f"A' x, {n} x {n}, f32", peer.ready(lambda A, x: A.T @ x, A, x)


def call(peer):
    if peer.name in ("jax", "torch"):
        x = peer.array(0.5, "float64")
        yield "one addition", peer.ready(lambda x: x + x, x)


GROUPS = {f.__name__: f for f in [first, lista, ode, elementwise, reduce, products, vector, call]}


# ---- rounds

def child(name, groups, seconds):
    peer = Peer(name)
    for group in groups:
        for work, run in GROUPS[group](peer):
            if name == "jax" and peer.memory is not None:
                print(json.dumps({"work": work, "arena": peer.memory}), flush=True)
            times = sorted(samples_of(run, seconds))
            print(json.dumps({"work": work, "best": times[0], "median": statistics.median(times)}), flush=True)


def lines_of(command):
    environment = dict(os.environ)
    for variable in ["OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"]:
        environment[variable] = "1"
    pin = functools.partial(os.sched_setaffinity, 0, {max(os.sched_getaffinity(0))}) if hasattr(os, "sched_setaffinity") else None
    done = subprocess.run(command, env=environment, preexec_fn=pin, stdout=subprocess.PIPE, check=True, text=True)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def show(seconds):
    for unit, size in [("s", 1.0), ("ms", 1e-3), ("us", 1e-6)]:
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dp", default=str(ROOT / "target" / "release" / "dp"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--child", choices=PEERS, help=argparse.SUPPRESS)
    parser.add_argument("groups", nargs="*", metavar="GROUPS", help=" ".join(GROUPS))
    given = parser.parse_args()
    unknown = [group for group in given.groups if group not in GROUPS]
    if unknown:
        parser.error(f"there is no group {unknown[0]}; the groups are {' '.join(GROUPS)}")
    groups = given.groups or list(GROUPS)
    if given.child:
        return child(given.child, groups, given.seconds)
    peers = [name for name in PEERS if importlib.util.find_spec(name)]
    for name in set(PEERS) - set(peers):
        print(f"{name} is not installed and left out", file=sys.stderr)
    found, memory = {}, {}
    for group in groups:
        for number in range(given.rounds):
            print(f"{group}, round {number + 1} of {given.rounds}", file=sys.stderr)
            ours = [given.dp, "bench", group, "--json", "--seconds", str(given.seconds)]
            theirs = [[sys.executable, __file__, "--child", peer, "--seconds", str(given.seconds), group] for peer in peers]
            for who, command in zip(["dp", *peers], [ours, *theirs]):
                this_round = {}
                for line in lines_of(command):
                    if "arena" in line:
                        memory.setdefault(line["work"], {})[who] = line["arena"]
                        continue
                    best, median = this_round.get(line["work"], (float("inf"), float("inf")))
                    this_round[line["work"]] = min(best, line["best"]), min(median, line["median"])
                for work, times in this_round.items():
                    found.setdefault((group, work), {}).setdefault(who, []).append(times)
        table(group, {work: times for (of, work), times in found.items() if of == group}, memory, peers)


def table(group, works, memory, peers):
    """Best of the rounds' bests; median of the rounds' medians; bytes of intermediate values where they are known."""
    print(f"\n| {group} | dp, best / median | " + " | ".join(f"{peer}, ratio of bests / medians" for peer in peers) + " | bytes, dp / jax |")
    print("| --- " * (3 + len(peers)) + "|")
    for work, who in works.items():
        if "dp" not in who:
            print(f"`dp bench` has no line `{work}`", file=sys.stderr)
            continue
        best, median = summary(who["dp"])
        cells = []
        for peer in peers:
            if peer in who:
                theirs = summary(who[peer])
                cells.append(f"{theirs[0] / best:.2f} / {theirs[1] / median:.2f}")
            else:
                cells.append("")
        bytes_of = memory.get(work, {})
        cells.append(f"{bytes_of['dp']} / {bytes_of['jax']}" if {"dp", "jax"} <= bytes_of.keys() else "")
        print(f"| {work} | {show(best)} / {show(median)} | " + " | ".join(cells) + " |")
    sys.stdout.flush()


def summary(rounds):
    return min(best for best, _ in rounds), statistics.median(median for _, median in rounds)


if __name__ == "__main__":
    print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}", file=sys.stderr)
    main()

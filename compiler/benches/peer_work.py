"""The groups of `dp bench` that are lines of arithmetic, products, and loops of them, as each library writes them best."""

from peer import Call

ODE = "Lotka-Volterra, 1000 steps of Runge and Kutta, value and gradient"


def lista_of(peer, scan):
    def forward(W, S, theta, X):
        b = X @ W.T
        return peer.fold(lambda y: peer.soft(b + y @ S.T, theta), peer.soft(b, theta), 16, scan)

    return forward, lambda W, S, theta, X, Y: 0.5 * ((forward(W, S, theta, X) - Y) ** 2).sum()


def lista(peer):
    if peer.name == "casadi":
        return
    for m, n, batch in [(64, 256, 64), (250, 500, 64), (64, 256, 1)]:
        value, both = [f"LISTA-16 {form}, ({m}, {n}), batch {batch}" for form in ["forward", "value and gradient"]]
        for scan in peer.loops():
            forward, loss = lista_of(peer, scan)
            yield value, peer.ready(forward, *peer.given(value, "W0", "S0", "theta0", "X"))
            if peer.name != "numpy":
                yield both, peer.gradient(loss, *peer.given(both, "W0", "S0", "theta0", "X", "Y"), wrt=(0, 1, 2))


def first(peer):
    """From the Python function to the first result, with the cache of compiled code empty; the import is not counted."""
    if not peer.jax:
        return
    jax = peer.lib
    jax.block_until_ready(jax.jit(lambda x: x * 2)(peer.scalar(1, "float64")))

    def fresh(f, *inputs, wrt):
        def call():
            jax.clear_caches()
            return jax.block_until_ready(jax.jit(jax.value_and_grad(f, argnums=wrt))(*inputs))

        return Call(call)

    work = "first result: LISTA-16 value and gradient, (64, 256), batch 64"
    for scan in [False, True]:
        yield work, fresh(lista_of(peer, scan)[1], *peer.given(work, "W0", "S0", "theta0", "X", "Y"), wrt=(0, 1, 2))
    yield "first result: " + ODE, fresh(last_square_jax(jax), peer.scalar(1.1, "float64"), peer.scalar(0.4, "float64"), wrt=(0, 1))


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
    if peer.jax:
        yield ODE, peer.gradient(last_square_jax(peer.lib), peer.scalar(1.1, "float64"), peer.scalar(0.4, "float64"), wrt=(0, 1))
    if peer.name == "casadi":
        ca = peer.lib
        s, p = ca.SX.sym("s", 2), ca.SX.sym("p", 2)
        rhs = lambda x, y: (p[0] * x - p[1] * x * y, p[1] * x * y - y)
        step = ca.Function("step", [s, p], [ca.vertcat(*runge_kutta(rhs, s[0], s[1]))]).fold(1000)
        P = ca.MX.sym("P", 2)
        loss = ca.sumsqr(step(ca.DM([1.0, 0.5]), P))
        both = ca.Function("both", [P], [loss, ca.gradient(loss, P)])
        point = ca.DM([1.1, 0.4])
        yield ODE, Call(lambda: both(point))


def elementwise(peer):
    if not peer.jax:
        return
    jnp = peer.np
    bodies = {
        "soft threshold": lambda x, y: peer.soft(x, 0.1),
        "exp": lambda x, y: jnp.exp(x),
        "tanh": lambda x, y: jnp.tanh(x),
        "log": lambda x, y: jnp.log(1 + x * x),
        "a chain of ten": lambda x, y: x * y + 0.5 * x - jnp.maximum(y, x) * 0.25 + jnp.abs(x - y) * jnp.minimum(x, 0.5),
    }
    for precision in ["f32", "f64"]:
        for name, body in bodies.items():
            work = f"{name}, {precision}, 4096, 1000 passes"
            f = lambda x, y, body=body: peer.lib.lax.fori_loop(0, 1000, lambda _, v: 0.25 * body(v, y), x)
            yield work, peer.ready(f, *peer.given(work, "x", "y"))


def reduce(peer):
    if peer.name == "casadi":
        return
    for name, f, inputs in [
        ("sum of squares", lambda x: (x * x).sum(), ["x"]),
        ("sum of products with a shared difference", lambda x, y: ((x - y) * (x - y) / (1 + abs(x - y))).sum(), ["x", "y"]),
        ("three sums of one chain", lambda x, y: ((x * y).sum(), abs(x * y).sum(), (x * y).max()), ["x", "y"]),
        ("sums of squares of columns", lambda X: (X * X).sum(0), ["X"]),
        ("sums of squares of rows", lambda X: (X * X).sum(1), ["X"]),
    ]:
        work = f"{name}, f32, a million"
        yield work, peer.ready(f, *peer.given(work, *inputs))
        if name == "sum of squares" and not peer.jax:
            yield work, peer.ready(lambda x: peer.lib.dot(x, x), *peer.given(work, "x"))


def products(peer):
    if peer.name == "casadi":
        return
    for precision in ["f32", "f64"]:
        for n in [64, 128, 256, 512, 1024]:
            work = f"{n} x {n} x {n}, {precision}"
            yield work, peer.ready(lambda A, B: A @ B, *peer.given(work, "A", "B"))


def vector(peer):
    if peer.name == "casadi":
        return
    for n in [64, 128, 256, 512, 1024]:
        for form, f in [("A x", lambda A, x: A @ x), ("A' x", lambda A, x: A.T @ x)]:
            work = f"{form}, {n} x {n}, f32"
            yield work, peer.ready(f, *peer.given(work, "A", "x"))


def call(peer):
    if peer.jax or peer.torch:
        yield "one addition", peer.ready(lambda x: x + x, *peer.given("one addition", "x"))


GROUPS = {f.__name__: f for f in [first, lista, ode, elementwise, reduce, products, vector, call]}

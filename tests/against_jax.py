"""Compares gradients of tests/programs with JAX, where it is installed: python3 tests/against_jax.py [path of dp]

Each program is run with a few lines behind it that save its inputs and derivatives; JAX differentiates the same function,
written anew here, at these inputs. The largest difference relative to the size of the numbers is printed and must be below 1e-12.
"""

import pathlib
import subprocess
import sys
import tempfile

try:
    import jax
    import jax.numpy as jnp
    import numpy as np
except ImportError:
    print("JAX is not installed: nothing was compared")
    sys.exit(0)

jax.config.update("jax_enable_x64", True)
ROOT = pathlib.Path(__file__).resolve().parent.parent
DP = sys.argv[1] if len(sys.argv) > 1 else str(ROOT / "target" / "debug" / "dp")


def outputs_of(program, saved):
    """Runs a program and gives the arrays that `saved` names: name to expression."""
    text = (ROOT / "tests" / "programs" / f"{program}.dp").read_text()
    with tempfile.TemporaryDirectory() as folder:
        lines = [f'save("{name}.npy", {expression})' for name, expression in saved.items()]
        script = pathlib.Path(folder) / "program.dp"
        script.write_text(text + "\n" + "\n".join(lines) + "\n")
        subprocess.run([DP, "run", str(script)], check=True, stdout=subprocess.DEVNULL)
        return {name: np.load(script.parent / f"{name}.npy") for name in saved}


def compare(program, what, found, expected):
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape, (program, what, found.shape, expected.shape)
    error = float(np.max(np.abs(found - expected)) / max(1.0, float(np.max(np.abs(expected)))))
    print(f"{program:20} {what:28} {error:.1e}")
    assert error < 1e-12, (program, what)
    return error


def log_sum_exp():
    o = outputs_of("logsumexp", {"x": "x", "g": "grad(lse)(x)", "h": "hessian(lse)(x)"})
    lse = lambda x: jax.nn.logsumexp(x)
    compare("logsumexp", "gradient", o["g"], jax.grad(lse)(o["x"]))
    compare("logsumexp", "Hessian", o["h"], jax.hessian(lse)(o["x"]))


def least_squares():
    o = outputs_of("least_squares", {"x": "x", "t": "t", "g": "grad(misfit)(x)", "h": "hessian(misfit)(x)"})
    misfit = lambda x: 0.5 * jnp.sum((jnp.sign(o["t"]) - jnp.polyval(x[::-1], o["t"])) ** 2)
    compare("least_squares", "gradient", o["g"], jax.grad(misfit)(o["x"]))
    compare("least_squares", "Hessian", o["h"], jax.hessian(misfit)(o["x"]))


def ode():
    o = outputs_of("ode", {"x": "x", "g": "grad(last)(x)", "j": "jacobian(swing)(1.5)"})

    def rk4(f, y, h, steps):
        def step(y, _):
            k1 = f(y)
            k2 = f(y + h / 2 * k1)
            k3 = f(y + h / 2 * k2)
            k4 = f(y + h * k3)
            return y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4), None

        return jax.lax.scan(step, y, None, length=steps)[0]

    chain = lambda x, y: x * jnp.concatenate([jnp.ones(1), y[:3]])
    last = lambda x: rk4(lambda y: chain(x, y), jnp.zeros(4), 0.05, 20)[3]
    pol = lambda mu, y: jnp.array([y[1], mu * (1 - y[0] ** 2) * y[1] - y[0]])
    swing = lambda mu: rk4(lambda y: pol(mu, y), jnp.array([2.0, 0.0]), 0.02, 200)
    compare("ode", "gradient of the last state", o["g"], jax.grad(last)(o["x"]))
    compare("ode", "Jacobian of the oscillator", o["j"], jax.jacfwd(swing)(1.5))


def kmeans():
    o = outputs_of("kmeans", {"C": "C", "P": "P", "g": "grad(cost)(C, P)", "h": "H"})
    cost = lambda C: jnp.sum(jnp.min(jnp.sum((o["P"][:, None, :] - C[None]) ** 2, axis=2), axis=1))
    compare("kmeans", "gradient", o["g"], jax.grad(cost)(o["C"]))
    diagonal = jax.jvp(jax.grad(cost), (o["C"],), (jnp.ones_like(o["C"]),))[1]
    compare("kmeans", "diagonal of the Hessian", o["h"], diagonal)


def gaussian_mixture():
    names = ["alpha", "mu", "q", "l"]
    saved = {name: f"p.{name}" for name in names} | {f"g_{name}": f"g.{name}" for name in names} | {"X": "X"}
    o = outputs_of("gaussian_mixture", saved)
    gamma, m, n = 1.2, 2, 60

    def likelihood(p):
        alpha, mu, q, l = p
        lower = jax.vmap(lambda l: jnp.zeros((3, 3)).at[jnp.array([1, 2, 2]), jnp.array([0, 0, 1])].set(l))(l)
        R = lower + jax.vmap(jnp.diag)(jnp.exp(q))
        u = jnp.einsum("jab,ijb->ija", R, o["X"][:, None, :] - mu[None])
        terms = alpha + jnp.sum(q, axis=1) - 0.5 * jnp.sum(u**2, axis=2)
        prior = gamma**2 / 2 * (jnp.sum(jnp.exp(2 * q)) + jnp.sum(l**2)) - m * jnp.sum(q)
        return jnp.sum(jax.nn.logsumexp(terms, axis=1)) - n * jax.nn.logsumexp(alpha) + prior

    gradient = jax.grad(likelihood)(tuple(o[name] for name in names))
    for name, expected in zip(names, gradient):
        compare("gaussian_mixture", f"gradient in {name}", o[f"g_{name}"], expected)


def lstm():
    names = ["W", "b", "scale", "out", "bias"]
    o = outputs_of("lstm", {n: f"p.{n}" for n in names} | {f"g_{n}": f"g.{n}" for n in names} | {"X": "X"})

    def loss(p):
        W, b, scale, out, bias = p
        X = o["X"]
        H, C, total = jnp.zeros((2, 3)), jnp.zeros((2, 3)), 0.0
        for t in range(11):
            x = X[t] * scale
            for i in range(2):
                forget = jax.nn.sigmoid(x * W[i, 0] + b[i, 0])
                ingate = jax.nn.sigmoid(H[i] * W[i, 1] + b[i, 1])
                outgate = jax.nn.sigmoid(x * W[i, 2] + b[i, 2])
                change = jnp.tanh(H[i] * W[i, 3] + b[i, 3])
                c = C[i] * forget + ingate * change
                x = outgate * jnp.tanh(c)
                H, C = H.at[i].set(x), C.at[i].set(c)
            y = x * out + bias
            total = total + X[t + 1] @ (y - jnp.log(jnp.sum(jnp.exp(y)) + 2))
        return -total / 33

    for name, expected in zip(names, jax.grad(loss)(tuple(o[n] for n in names))):
        compare("lstm", f"gradient in {name}", o[f"g_{name}"], expected)


def bundle_adjustment():
    saved = {"C": "C", "P": "P", "w": "w", "seen": "seen", "by": "by", "at": "at", "J": "J.camera", "K": "J.point"}
    o = outputs_of("bundle_adjustment", saved)

    def residual(camera, x, weight, seen):
        r, x = camera[:3], x - camera[3:6]
        theta = jnp.sqrt(r @ r)
        a = r / theta
        y = x * jnp.cos(theta) + jnp.cross(a, x) * jnp.sin(theta) + a * (a @ x) * (1 - jnp.cos(theta))
        p = y[:2] / y[2]
        s = p @ p
        return weight * (p * (1 + camera[9] * s + camera[10] * s**2) * camera[6] + camera[7:9] - seen)

    C, P = o["C"][o["by"]], o["P"][o["at"]]
    jacobian = jax.vmap(jax.jacrev(residual, argnums=(0, 1)))(C, P, o["w"], o["seen"])
    compare("bundle_adjustment", "Jacobian in the cameras", o["J"], jacobian[0])
    compare("bundle_adjustment", "Jacobian in the points", o["K"], jacobian[1])


def determinant():
    o = outputs_of("determinant", {"A": "A", "g": "grad(det)(A)", "h": "hessian(det)(A)"})
    compare("determinant", "gradient", o["g"], jax.grad(jnp.linalg.det)(o["A"]))
    compare("determinant", "Hessian", o["h"], jax.hessian(jnp.linalg.det)(o["A"]))


if __name__ == "__main__":
    for program in [log_sum_exp, least_squares, ode, kmeans, gaussian_mixture, lstm, bundle_adjustment, determinant]:
        program()

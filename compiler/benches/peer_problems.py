"""The groups of `dp bench` from clustering and splitting, as each library writes them best."""

from peer import Call

def kmeans(peer):
    if peer.name == "casadi":
        return
    for precision in ["f32", "f64"]:
        work = lambda form: f"k-means, 10000 points in 8 dimensions, 16 centres, {form}, {precision}"
        for cost in [by_differences(peer), by_dimensions(peer), by_products(peer)]:
            yield work("cost"), peer.ready(cost, *peer.given(work("cost"), "C", "X"))
            if peer.name == "numpy":
                continue
            both, second = work("value and gradient"), work("second derivative times a vector")
            yield both, peer.gradient(cost, *peer.given(both, "C", "X"), wrt=(0,))
            if peer.jax:
                grad = lambda C, X, cost=cost: peer.lib.grad(cost)(C, X)
                along = lambda C, X, V, grad=grad: peer.lib.jvp(lambda C: grad(C, X), (C,), (V,))[1]
                yield second, peer.ready(along, *peer.given(second, "C", "X", "V"))
            else:
                yield second, twice(peer, cost, *peer.given(second, "C", "X", "V"))


def twice(peer, cost, C, X, V):
    """The second derivative times V in torch: the gradient of the gradient times V."""
    grad = peer.lib.autograd.grad
    leaf = C.clone().requires_grad_()

    def call():
        [first] = grad(cost(leaf, X), leaf, create_graph=True)
        return grad((first * V).sum(), leaf)[0]

    return Call(call)


def smallest(peer, squares):
    """The sum of the smallest of each row."""
    return (squares.amin(1) if peer.torch else squares.min(1)).sum()


def by_differences(peer):
    return lambda C, X: smallest(peer, ((X[:, None] - C[None]) ** 2).sum(-1))


def by_dimensions(peer):
    return lambda C, X: smallest(peer, sum((X[:, i, None] - C[None, :, i]) ** 2 for i in range(X.shape[1])))


def by_products(peer):
    """The square multiplied out: less work, more rounding."""
    return lambda C, X: smallest(peer, (X * X).sum(1)[:, None] - 2 * (X @ C.T) + (C * C).sum(1))


def admm(peer):
    if peer.name == "casadi":
        return
    forward, both = [f"ADMM, 50 passes, n 200, batch 64, {form}, f64" for form in ["forward", "value and gradient"]]
    for scan in peer.loops():
        solve = splitting_of(peer, scan)
        K, X = peer.given(forward, "K", "X")
        quarter = peer.scalar(0.25, "float64")
        yield forward, peer.ready(solve, quarter, X, K)
        if peer.name != "numpy":
            loss = lambda c, X, Y, K, solve=solve: ((solve(c, X, K) - Y) ** 2).sum()
            X, Y, K = peer.given(both, "X", "Y", "K")
            yield both, peer.gradient(loss, quarter, X, Y, K, wrt=(0,))


def splitting_of(peer, scan, t=1.0):
    norm = peer.lib.linalg.matrix_norm if peer.torch else peer.np.linalg.norm

    def solve(c, X, K):
        s = t * norm(K, 2) ** 2

        def step(state):
            y, z, u = state
            y = ((y - t / s * ((y @ K.T - z + u) @ K)) + t * X) / (1 + t)
            moved = y @ K.T + u
            z = peer.soft(moved, s * c)
            return y, z, moved - z

        zero = peer.np.zeros_like(X[:, 1:])  # K takes differences of neighbours
        return peer.fold(step, (peer.np.zeros_like(X), zero, zero), 50, scan)[0]

    return solve


GROUPS = {f.__name__: f for f in [kmeans, admm]}

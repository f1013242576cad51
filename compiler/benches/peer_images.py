"""The groups of `dp bench` from imaging, as JAX and torch write them best: convolutions, diffusion, convolutional coding.

Each is tried with channels before rows, which is our order, and with channels last, which the libraries often do better. JAX then
gets its arrays turned, torch in another order of memory.
"""


class Images:
    """Convolutions of arrays (batch, channels, rows, columns) by kernels (to, from, rows, columns), in one of the orders."""

    def __init__(self, peer, last):
        self.peer, self.lib, self.last = peer, peer.lib, last
        self.names = ("NHWC", "HWIO", "NHWC") if last else ("NCHW", "OIHW", "NCHW")
        self.rows = -3 if last and peer.jax else -2  # the axis
        self.moved = last and peer.jax

    def of(self, array):
        """An image array of ours, with axes for batch and channels, as the library wants it."""
        return array.transpose(0, 2, 3, 1) if self.moved else array

    def kernel_of(self, array):
        return array.transpose(2, 3, 1, 0) if self.moved else array

    def ours(self, array):
        """Turns a result back."""
        return array.transpose(0, 3, 1, 2) if self.moved else array

    def kernel_ours(self, array):
        return array.transpose(3, 2, 0, 1) if self.moved else array

    def given(self, work, name, kind):
        """One of the arrays of a line: an `image`, a `bank` of images or of kernels, or already complete `layers`, `kernels`."""
        turn = {
            "image": lambda v: self.of(v[None, None]),
            "images": lambda v: self.of(v[None]),
            "layers": self.of,
            "bank": lambda v: self.kernel_of(v[:, None]),
            "kernels": self.kernel_of,
        }[kind]
        [array] = self.peer.given(work, name, turned=turn)
        if self.last and self.peer.torch:
            array = array.contiguous(memory_format=self.lib.channels_last)
        return array

    def conv(self, x, k, pad):
        """Zeros for `pad` elements beyond each edge."""
        if self.peer.torch:
            return self.lib.nn.functional.conv2d(x, k, padding=pad)
        return self.lib.lax.conv_general_dilated(x, k, (1, 1), [(pad, pad)] * 2, dimension_numbers=self.names)

    def adjoint(self, y, k, pad, turned=True):
        """The transpose of `conv`: for torch its own, or with `turned`, the convolution by the turned kernel."""
        if self.peer.torch:
            if not turned:
                return self.lib.nn.functional.conv_transpose2d(y, k, padding=pad)
            return self.conv(y, k.transpose(0, 1).flip(-1, -2), self.size(k) - 1 - pad)
        turned = k.transpose(0, 1, 3, 2)[::-1, ::-1] if self.last else k.transpose(1, 0, 2, 3)[:, :, ::-1, ::-1]
        return self.conv(y, turned, self.size(k) - 1 - pad)

    def size(self, k):
        """The rows of kernels."""
        return k.shape[0 if self.moved else -2]

    def zeros(self, x, k):
        """An array with the extents of x and the channels that the kernels k give."""
        rows, columns = x.shape[self.rows], x.shape[self.rows + 1]
        if self.moved:
            return self.peer.np.zeros((1, rows, columns, k.shape[-1]), x.dtype)
        return self.peer.np.zeros((1, k.shape[0], rows, columns), dtype=x.dtype)

    def channels(self, v):
        """A vector with an entry for each channel, along the axis of the channels."""
        return v if self.moved else v[:, None, None]


def forms(peer):
    return [Images(peer, last) for last in [False, True]]


def adjoints(peer):
    return [False, True] if peer.torch else [True]


def conv(peer):
    if not (peer.jax or peer.torch):
        return
    for h, p, q in [(180, 3, 24), (180, 5, 24), (180, 7, 48), (512, 5, 24)]:
        for form in forms(peer):
            yield from bank(peer, form, f"{h} x {h}, {q} filters {p} x {p}, f32", p // 2)
    for batch, h, p, q in [(1, 96, 3, 24), (16, 16, 3, 32), (64, 8, 3, 64)]:
        both = [f"{q} -> {q}, {h} x {h}, kernels {p} x {p}, batch {batch}, {form}, f32" for form in ["forward", "value and gradient"]]
        for form in forms(peer):
            layer = lambda X, k, form=form: form.conv(X, k, p // 2)
            value, derivative = [[form.given(work, "X", "layers"), form.given(work, "k", "kernels")] for work in both]
            yield both[0], peer.ready(layer, *value, ours=form.ours)
            ours = lambda result, form=form: [result[0], form.ours(leaves(result)[1]), form.kernel_ours(leaves(result)[2])]
            loss = lambda X, k: (layer(X, k) ** 2).sum()
            yield both[1], peer.gradient(loss, *derivative, wrt=(0, 1), ours=ours)


def leaves(result):
    """The arrays in nested tuples, in order."""
    if isinstance(result, (tuple, list)):
        return [leaf for part in result for leaf in leaves(part)]
    return [result]


def bank(peer, form, sizes, pad):
    """An image and a bank of filters: both directions, and the gradients of the filters."""
    image = lambda result: form.ours(result)[0]
    single = lambda result: form.ours(result)[0, 0]
    filters = lambda result: form.kernel_ours(result)[:, 0]
    one, many = f"1 -> q, {sizes}", f"q -> 1, {sizes}"
    x, k = form.given(one, "x", "image"), form.given(one, "k", "bank")
    yield one, peer.ready(lambda x, k: form.conv(x, k, pad), x, k, ours=image)
    for turned in adjoints(peer):
        u, k = form.given(many, "u", "images"), form.given(many, "k", "bank")
        yield many, peer.ready(lambda u, k: form.adjoint(u, k, pad, turned), u, k, ours=single)
    for work, f in [
        (f"gradient of {one}", lambda k, x, u: (form.conv(x, k, pad) * u).sum()),
        (f"gradient of {many}", lambda k, x, u: (form.adjoint(u, k, pad) * x).sum()),
    ]:
        k, x, u = form.given(work, "k", "bank"), form.given(work, "x", "image"), form.given(work, "u", "images")
        if peer.jax:
            yield work, peer.ready(peer.lib.grad(f), k, x, u, ours=filters)
        else:
            weight = peer.lib.nn.grad.conv2d_weight
            yield work, peer.ready(lambda k, x, u: weight(x, k.shape, u, padding=pad), k, x, u, ours=filters)


def tnrd(peer):
    if not (peer.jax or peer.torch):
        return
    forward, both = [f"diffusion stage, 180 x 180, {form}, f32" for form in ["forward", "value and gradient"]]
    for form in forms(peer):
        for phi in [phi_whole, phi_by_terms]:
            stage = stage_of(peer, form, phi)
            a = peer.scalar(-2, "float32")
            u, k = form.given(forward, "noisy", "image"), form.given(forward, "k", "bank")
            [r] = peer.given(forward, "r")
            yield forward, peer.ready(stage, u, u, k, r, a, ours=lambda result, form=form: form.ours(result)[0, 0])
            c = form.given(both, "clean", "image")
            loss = lambda k, r, a, u, c, stage=stage: 0.5 * ((stage(u, u, k, r, a) - c) ** 2).sum()

            def ours(result, form=form):
                value, dk, dr, da = leaves(result)
                return [value, form.kernel_ours(dk)[:, 0], dr, da]

            yield both, peer.gradient(loss, k, r, a, u, c, wrt=(0, 1, 2), ours=ours)


def stage_of(peer, form, phi):
    def stage(u, f, k, r, a):
        m = form.size(k) // 2
        v = phi(peer, form, form.conv(mirrored(form, u, m), k, 0), r)
        flow = folded(form, form.adjoint(v, k, 0), m)
        return u - flow - peer.np.exp(a) * (u - f)

    return stage


def centres(count):
    return [310 * (2 * i / (count - 1) - 1) for i in range(count)]


def phi_whole(peer, form, v, r):
    """All functions at once: an axis more."""
    count = r.shape[-1]
    at = peer.lib.tensor(centres(count)) if peer.torch else peer.np.asarray(centres(count), v.dtype)
    bumps = peer.np.exp(-0.5 * ((v[..., None] - at) / 10) ** 2)
    if peer.torch:
        return (bumps[0].flatten(1, 2) @ r[:, :, None]).reshape(v.shape)
    return (bumps * (r if form.moved else r[:, None, None, :])).sum(-1)


def phi_by_terms(peer, form, v, r):
    return sum(form.channels(r[:, i]) * peer.np.exp(-0.5 * ((v - c) / 10) ** 2) for i, c in enumerate(centres(r.shape[-1])))


def along(form, v, axis, start, stop):
    """v[start:stop] on an axis of the image: 0 for rows, 1 for columns."""
    where = [slice(None)] * v.ndim
    where[form.rows + axis] = slice(start, stop)
    return v[tuple(where)]


def mirrored(form, v, m):
    """The image goes on beyond its edges by m elements, mirrored with the edge."""
    if form.peer.jax:
        extra = [(0, 0)] * v.ndim
        extra[form.rows] = extra[form.rows + 1] = (m, m)
        return form.peer.np.pad(v, extra, mode="symmetric")
    for axis in [0, 1]:
        n, turned = v.shape[form.rows + axis], form.rows + axis
        parts = [along(form, v, axis, 0, m).flip(turned), v, along(form, v, axis, n - m, n).flip(turned)]
        v = form.lib.cat(parts, turned)
    return v


def folded(form, v, m):
    """The transpose of `mirrored`."""
    flip = form.peer.np.flip
    for axis in [0, 1]:
        n, turned = v.shape[form.rows + axis], (form.rows + axis,)
        low = along(form, v, axis, m, 2 * m) + flip(along(form, v, axis, 0, m), turned)
        high = along(form, v, axis, n - 2 * m, n - m) + flip(along(form, v, axis, n - m, n), turned)
        parts = [low, along(form, v, axis, 2 * m, n - 2 * m), high]
        v = form.lib.cat(parts, turned[0]) if form.peer.torch else form.peer.np.concatenate(parts, turned[0])
    return v


def coding(peer):
    if not (peer.jax or peer.torch):
        return
    sizes = "convolutional coding, 10 passes, 96 x 96, 16 filters 5 x 5"
    forward, both = [f"{sizes}, {form}, f32" for form in ["forward", "value and gradient"]]
    for form in forms(peer):
        for scan in peer.loops():
            for turned in adjoints(peer):
                codes, loss = coder_of(peer, form, scan, turned)
                x, k = form.given(forward, "x", "image"), form.given(forward, "k", "bank")
                yield forward, peer.ready(codes, k, x, ours=lambda result, form=form: form.ours(result)[0])

                def ours(result, form=form):
                    value, dk = leaves(result)
                    return [value, form.kernel_ours(dk)[:, 0]]

                yield both, peer.gradient(loss, k, x, wrt=(0,), ours=ours)


def coder_of(peer, form, scan, turned, t=0.05, c=0.1):
    def codes(k, x):
        pad = form.size(k) // 2

        def step(y):
            return peer.soft(y - t * form.conv(form.adjoint(y, k, pad, turned) - x, k, pad), t * c)

        return peer.fold(step, form.zeros(x, k), 10, scan)

    def loss(k, x):
        pad = form.size(k) // 2
        return ((form.adjoint(codes(k, x), k, pad, turned) - x) ** 2).sum()

    return codes, loss


GROUPS = {f.__name__: f for f in [conv, tnrd, coding]}

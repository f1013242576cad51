"""A library that dp is compared with: its arrays, and calls of its functions that can be timed and compared.

A line of work is yielded as its name, as `dp bench` prints it, and a `Call`; a name may come several times, with other forms of the
same mathematics. Arrays are those that `dp bench --save` wrote for the line.
"""

import json
import pathlib

NAMES = ["jax", "torch", "numpy", "casadi"]


class Call:
    """A function of nothing that returns when its result is there."""

    def __init__(self, run, bytes_of=None, ours=None):
        self.run = run
        self.bytes = bytes_of  # of intermediate values, where the library tells
        self.ours = ours or (lambda result: result)  # the result with its axes in our order


class Saved:
    """What `dp bench --save` wrote: a line of JSON for each line of work."""

    def __init__(self, file):
        lines = [json.loads(line) for line in pathlib.Path(file).read_text().splitlines()]
        self.lines = {line["work"]: line for line in lines}

    def data(self, work, name):
        import numpy as np

        return np.load(self.lines[work]["data"][name])

    def results(self, work):
        import numpy as np

        return [np.load(file) for file in self.lines[work]["results"]]


class Peer:
    """What a library must do: take our arrays, make a function fast, and wait for its result."""

    def __init__(self, name, saved):
        self.name = name
        self.saved = saved
        self.lib = __import__(name)
        self.jax, self.torch = name == "jax", name == "torch"
        if self.jax:
            self.lib.config.update("jax_enable_x64", True)
        if self.torch:
            self.lib.set_num_threads(1)
        self.np = self.lib.numpy if self.jax else self.lib

    def array(self, values):
        if self.jax:
            return self.lib.numpy.asarray(values)
        return self.lib.from_numpy(values.copy()) if self.torch else values

    def scalar(self, value, dtype):
        import numpy as np

        return self.array(np.asarray(value, dtype))

    def given(self, work, *names, turned=lambda array: array):
        """The arrays of a line of work, each turned before the library gets it."""
        import numpy as np

        return [self.array(np.array(turned(self.saved.data(work, name)), order="C")) for name in names]

    def ready(self, f, *inputs, ours=None):
        """f(*inputs), compiled if the library compiles."""
        if self.jax:
            compiled = self.lib.jit(f)
            temporary = compiled.lower(*inputs).compile().memory_analysis().temp_size_in_bytes
            return Call(lambda: self.lib.block_until_ready(compiled(*inputs)), temporary, ours)
        if self.torch:
            def call():
                with self.lib.no_grad():
                    return f(*inputs)

            return Call(call, ours=ours)
        return Call(lambda: f(*inputs), ours=ours)

    def gradient(self, f, *inputs, wrt, ours=None):
        """The value and the gradients of f in its arguments with the numbers `wrt`."""
        if self.jax:
            return self.ready(self.lib.value_and_grad(f, argnums=wrt), *inputs, ours=ours)
        leaves = [x.detach().clone().requires_grad_() if i in wrt else x for i, x in enumerate(inputs)]

        def call():
            for i in wrt:
                leaves[i].grad = None
            value = f(*leaves)
            value.backward()
            return value.detach(), *[leaves[i].grad for i in wrt]

        return Call(call, ours=ours)

    def fold(self, step, state, passes, scan):
        """`passes` steps from a state: written one after the other, or as the loop of JAX."""
        if scan:
            return self.lib.lax.scan(lambda state, _: (step(state), None), state, None, length=passes)[0]
        for _ in range(passes):
            state = step(state)
        return state

    def loops(self):
        """The ways to write a loop: one after the other, and as a loop of the library if it has one."""
        return [False, True] if self.jax else [False]

    def clip(self, v, low, high):
        return self.lib.clamp(v, low, high) if self.torch else self.np.clip(v, low, high)

    def soft(self, v, t):
        return v - self.clip(v, -t, t)

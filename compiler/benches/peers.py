"""Compares `dp bench` with JAX, torch, NumPy and CasADi on the same work, interleaved, and prints tables.

    python3 compiler/benches/peers.py [--dp target/release/dp] [--rounds 3] [--seconds 0.5] [GROUPS]
    python3 compiler/benches/peers.py --check [GROUPS]

Run with a Python that has the peers installed; one that is missing is left out, with a word. A round runs ours and then each
peer, each in a process of its own, on one thread pinned to one core; a ratio is the peer's time over ours, of the best and of
the median of all samples of all rounds. Above 1 we are faster. A peer gets its best form: what is worse is not listed.

All work on the same arrays, those that `dp bench --save` writes. With `--check` nothing is measured: the results of every form
of every peer are compared with ours, array by array, and the end is a failure if one is beyond the tolerance or no peer has a line.
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
import tempfile
import time

import peer_images
import peer_problems
import peer_work
from peer import NAMES, Peer, Saved

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
GROUPS = {**peer_work.GROUPS, **peer_images.GROUPS, **peer_problems.GROUPS}
# What results may differ by, relative to the largest element of an array, by the bytes of an element.
TOLERANCE = {4: 1e-4, 8: 1e-9}
# Where rounding may bring a number to the other side of a threshold, which moves a few elements of a gradient: there half of
# the elements must be as near as that, and the norm of the difference within this part of the norm.
KINKS = {"first", "lista", "kmeans", "admm", "coding"}
FEW = 1e-2


# ---- in the process of a peer

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


def difference(theirs, ours, kinks):
    """By how much arrays differ, relative to what is allowed; one array of ours may be several numbers of theirs."""
    import numpy as np

    theirs = [np.asarray(array) for array in peer_images.leaves(theirs)]
    if len(theirs) != len(ours):
        theirs = [np.concatenate([np.ravel(array) for array in theirs])]
        ours = [np.concatenate([np.ravel(array) for array in ours])]
    worst = []
    for their, our in zip(theirs, ours):
        if their.size != our.size or (their.ndim > 1 and their.squeeze().shape != our.squeeze().shape):
            raise ValueError(f"{their.shape} where ours is {our.shape}")
        their, our, allowed = their.ravel().astype("float64"), our.ravel().astype("float64"), TOLERANCE[our.dtype.itemsize]
        same = (their == our) | (np.isnan(their) & np.isnan(our))
        apart, size = np.where(same, 0.0, np.abs(np.subtract(their, our, where=~same, out=np.zeros_like(our)))), np.abs(our)
        scale = allowed * max(np.max(size[np.isfinite(size)], initial=0.0), 1e-300)
        by = np.max(apart) / scale
        if kinks and by > 1:
            by = max(np.median(apart) / scale, np.linalg.norm(apart) / (FEW * np.linalg.norm(our)))
        worst.append(by)
    return float(np.max(worst))


def child(name, group, seconds, saved, check):
    for work, call in GROUPS[group](Peer(name, saved)):
        if check:
            line = {"work": work, "difference": difference(call.ours(call.run()), saved.results(work), group in KINKS)}
        else:
            times = sorted(samples_of(call.run, seconds))
            line = {"work": work, "best": times[0], "median": statistics.median(times), "arena": call.bytes}
        print(json.dumps(line), flush=True)


# ---- rounds

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
    parser.add_argument("--check", action="store_true", help="compare results in place of times")
    parser.add_argument("--child", choices=NAMES, help=argparse.SUPPRESS)
    parser.add_argument("--saved", help=argparse.SUPPRESS)
    parser.add_argument("groups", nargs="*", metavar="GROUPS", help=" ".join(GROUPS))
    given = parser.parse_args()
    unknown = [group for group in given.groups if group not in GROUPS]
    if unknown:
        parser.error(f"there is no group {unknown[0]}; the groups are {' '.join(GROUPS)}")
    groups = given.groups or list(GROUPS)
    if given.child:
        return child(given.child, groups[0], given.seconds, Saved(given.saved), given.check)
    print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}", file=sys.stderr)
    peers = [name for name in NAMES if importlib.util.find_spec(name)]
    for name in set(NAMES) - set(peers):
        print(f"{name} is not installed and left out", file=sys.stderr)
    good = True
    with tempfile.TemporaryDirectory() as folder:
        for group in groups:
            saved = pathlib.Path(folder) / group
            lines = lines_of([given.dp, "bench", group, "--save", str(saved)])
            names = saved.with_suffix(".json")
            names.write_text("".join(json.dumps(line) + "\n" for line in lines))
            theirs = {
                peer: [sys.executable, __file__, "--child", peer, "--saved", str(names), "--seconds", str(given.seconds), group]
                for peer in peers
            }
            if given.check:
                good &= checked([line["work"] for line in lines], theirs)
            else:
                rounds(group, [given.dp, "bench", group, "--json", "--seconds", str(given.seconds)], theirs, given.rounds)
    sys.exit(0 if good else 1)


def checked(works, commands):
    """Whether every line has a peer, and all peers our results."""
    missing, good = set(works), True
    for peer, command in commands.items():
        for line in lines_of([*command, "--check"]):
            missing.discard(line["work"])
            fine = line["difference"] <= 1  # false for NaN
            good &= fine
            print(f"{'same ' if fine else 'WRONG'} {peer:6} {line['difference']:7.1e} {line['work']}", flush=True)
    for work in sorted(missing):
        print(f"WRONG no peer has `{work}`")
    return good and not missing


def rounds(group, ours, theirs, count):
    """Measures a group and prints its table."""
    found, memory = {}, {}
    for number in range(count):
        print(f"{group}, round {number + 1} of {count}", file=sys.stderr)
        for who, command in {"dp": ours, **theirs}.items():
            this_round = {}
            for line in lines_of(command):
                work = line["work"]
                if "best" not in line:
                    packed = f" ({line['packed']} packed)" if line.get("packed") else ""
                    memory.setdefault(work, {})[who] = f"{line['arena']}{packed}"
                    continue
                best, median = this_round.get(work, (float("inf"), float("inf")))
                if line["best"] < best and line.get("arena") is not None:
                    memory.setdefault(work, {})[who] = line["arena"]  # that of the form that is fastest
                this_round[work] = min(best, line["best"]), min(median, line["median"])
            for work, times in this_round.items():
                found.setdefault(work, {}).setdefault(who, []).append(times)
    table(group, found, memory, list(theirs))


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
    main()

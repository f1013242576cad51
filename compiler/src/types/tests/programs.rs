//! The eight programs of the language's design, with what the library lacks, and definitions of their data.

use super::accept;

#[test]
fn alista_with_support_selection() {
    accept(
        r#"
arg m: int = 250
arg n: int = 500
arg K: int = 16

let D = unit_columns(normal(m, n))
let S = solve(D @ D', D)
let W = S / sum(D * S, axis: 0)                     # w_j = s_j / (d_j . s_j)

solver alista(x: real[m], D: real[m, n], W: real[m, n], p: real = 0) -> y {
    let gamma: real = 1
    let theta: real = 0.1
    state y: real[n] = 0
    step k {
        let v = y + gamma * (W' @ (x - D @ y))
        let keep = min(p * (k + 1), 0.13)           # share of entries passed unshrunk
        let cut = stop_gradient(max(quantile(abs(v), 1 - keep), theta))
        y <- where(abs(v) > cut and keep > 0, v, soft(v, theta))
    }
}

fn draw(key: key) -> (real[m], real[n]) {
    let (k1, k2) = split(key, 2)
    let y = where(uniform(n, key: k1) < 0.1, normal(n, key: k2), 0)
    (D @ y, y)
}
let (Xv, Yv) = draw(each keys(1000))

network plain  = unroll alista(_, D, W) for K learn each gamma, each theta
network select = unroll alista(_, D, W, 0.012) for K learn each gamma, each theta
fn nmse(u: real[b, n], v: real[b, n]) = 10 * log10(sumsq(u - v) / sumsq(v))

let run = train plain {
    each (x, y) in draw batch 64                    # a function of a key: fresh samples
    minimize sumsq(plain(x) - y)
    using adam(0.01)
    steps 600
    record { val: nmse(plain(each Xv), Yv) } every 20
    keep lowest val
}
train select {
    each (x, y) in draw batch 64
    minimize sumsq(select(x) - y)
    using adam(3e-3)
    steps 160
    record { val: nmse(select(each Xv), Yv) } every 20
    keep lowest val
}
for s in K { print s + 1, nmse(first(plain, s + 1)(each Xv), Yv), plain.gamma[s], plain.theta[s] }
save("alista.safetensors", plain.params)
assert nmse(select(each Xv), Yv) <= -35
"#,
    );
}

#[test]
fn robust_pca() {
    accept(
        r#"
fn svt(A: real[m, n], t: real) -> real[m, n] {
    let f = svd(A)
    f.u @ (diag(soft(f.s, t)) @ f.v')
}
let X = normal(20, 30)
let D = normal(20, 5)
let Xs = normal(64, 20, 30)

problem rpca(X: real[m, n], D: real[m, r], a: real, b: real) {
    minimize over S: real[r, n], O: real[m, n]
        1/2 * sumsq(X - D @ S - O) + a/2 * sumsq(S) + b * norm1(O)
}
solver  pg  = derive rpca by proximal_gradient as layer # -> (S, O); lets W_S, W_O, S_S_S, S_S_O, ..., theta_O
network enc = unroll pg(_, D, 0.1, 0.2) for 5 learn W_S, W_O, each theta_O

solver ialm(X: real[m, n], b: real) -> (L, O) {
    state L: real[m, n] = 0, O: real[m, n] = 0, Y: real[m, n] = 0, mu: real = 1.25 / opnorm(X)
    step {
        L <- svt(X - O + Y / mu, 1 / mu)
        O <- soft(X - L + Y / mu, b / mu)
        Y <- Y + mu * (X - L - O)
        mu <- 1.2 * mu
    }
    until norm(X - L - O) <= 1e-7 * norm(X) within 1000
}
let m = 20
let n = 30
let (L, O) = ialm(X, 1 / sqrt(max(m, n)))
train enc {                                         # unsupervised: on the objective itself
    each x in Xs batch 16
    let (S, O) = enc(x)
    minimize rpca(x, D, 0.1, 0.2, S, O)
    using adam(1e-3)
    epochs 50
}
"#,
    );
}

#[test]
fn tnrd() {
    accept(
        r#"
fn conv2(u: real[h, w], k: real[p, p], pad: string = "zero") -> real[h, w] = u * sum(k)
fn conv2_adjoint(u: real[h, w], k: real[p, p], pad: string = "zero") -> real[h, w] = u * sum(k)
fn unit(v: real[p, p]) = v / norm(v)
fn dct_filters(p: int, skip: int) -> real[p^2 - skip, p, p] = normal(p^2 - skip, p, p, key: key(1))
fn rbf_start(p: int, j: int) = zeros(p^2 - 3, j)
let F = normal(16, 32, 32)
let U = normal(16, 32, 32)
fn psnr(u: real[b, h, w], v: real[b, h, w]) = -10 * log10(mean((u - v)^2))

arg stages: int = 3
fn centre(i: int, j: int) = 310 * (2 * i / (j - 1) - 1)
fn phi(v: real, w: real[j]) = sum(w[i] * exp(-1/2 * ((v - centre(i, j)) / 10)^2) for i in j)

solver tnrd(f: real[h, w], k: real[q, p, p], r: real[q, j], a: real) -> u {
    state u: real[h, w] = f
    step {
        let e = unit(each k - mean(k))
        let flow = sum(conv2_adjoint(phi(conv2(u, e[i], pad: "symmetric"), r[i]), e[i], pad: "symmetric") for i in q)
        u <- u - flow - exp(a) * (u - f)
    }
}
network net = unroll tnrd(_, dct_filters(8, 3), rbf_start(8, 31), log(0.1)) for stages learn each k, each r, each a

for s in stages {                                   # greedy: stage s alone, on its own output
    train net.k[s], net.r[s], net.a[s] {
        each (noisy, clean) in (F, U)
        minimize 1/2 * sumsq(first(net, s + 1)(noisy) - clean)
        using lbfgs
        steps 200
    }
    print "stage", s + 1, psnr(first(net, s + 1)(each F), U)
}
train net {                                         # joint
    each (noisy, clean) in (F, U)
    minimize 1/2 * sumsq(net(noisy) - clean)
    using lbfgs
    steps 200
}
"#,
    );
}

#[test]
fn redunet() {
    accept(
        r#"
fn inverse(A: real[n, n]) = solve(A, eye(n))
let Ztrain = normal(200, 6)
let labels = randint(200, below: 2)
let Ztest = normal(50, 6)

fn expand(Z: real[m, d], w: real[m], eps: real) -> real[d, d] {
    let a = d / (sum(w) * eps)
    a * inverse(eye(d) + a * (Z' @ (diag(w) @ Z)))
}
fn layer(z: real[d], E: real[d, d], C: real[k, d, d], g: real[k], eta: real) -> real[d] {
    let c = [C[j] @ z for j in k]
    let p = softmax([-500 * norm(c[j]) for j in k])
    unit(z + eta * (E @ z - sum(g[j] * p[j] * c[j] for j in k)))
}
solver reduce(Z0: real[m, d], P: real[m, k], eta: real, eps: real) -> Z {
    let g = mean(P, axis: 0)
    state Z: real[m, d] = Z0
    step {
        let E = expand(Z, ones(m), eps)
        let C = [expand(Z, P[:, j], eps) for j in k]
        Z <- layer(each Z, E, C, g, eta)
    }
}
network redunet = unroll reduce(_, _, 0.5, 0.1) for 2000 learn g, each E, each C from (Ztrain, one_hot(labels, 2))
let Ztest2 = redunet(Ztest)                         # P no longer reaches the output: it is not an input
assert all(redunet(Ztrain) == (unroll reduce(Ztrain, one_hot(labels, 2), 0.5, 0.1) for 2000))
"#,
    );
}

#[test]
fn closed_loop_transcription() {
    accept(
        r#"
fn logdet(A: real[n, n]) = sum(log(svd(A).s))
let X = normal(300, 20)
let labels = randint(300, below: 3)

arg d: int = 6
network f(x: real[20]) -> real[d] {
    param W1: real[64, 20] = glorot, b1: real[64] = 0
    param W2: real[d, 64] = glorot, b2: real[d] = 0
    unit(W2 @ relu(W1 @ x + b1) + b2)
}
network g(z: real[d]) -> real[20] {
    param W1: real[64, d] = glorot, b1: real[64] = 0
    param W2: real[20, 64] = glorot, b2: real[20] = 0
    W2 @ relu(W1 @ z + b1) + b2
}
fn rate(Z: real[m, d], w: real[m]) = 1/2 * logdet(eye(d) + d / (sum(w) * 0.5) * (Z' @ (diag(w) @ Z)))
fn gap(A: real[m, d], B: real[m, d], w: real[m]) = rate(concat(A, B), concat(w, w)) - 1/2 * rate(A, w) - 1/2 * rate(B, w)
fn dR(Z: real[m, d], P: real[m, k]) = rate(Z, ones(m)) - sum(mean(P[:, j]) * rate(Z, P[:, j]) for j in k)

train f, g {
    batch (x, P) in (X, one_hot(labels, 3)) of 500
    let Z = f(each x)
    let Y = f(each g(each Z))
    let value = dR(Z, P) + dR(Y, P) + sum(gap(Z, Y, P[:, j]) for j in 3)
    minimize value over g using adam(1e-3) repeat 4
    maximize value over f using adam(1e-3)
    steps 2000
}
"#,
    );
}

#[test]
fn deep_image_prior() {
    accept(
        r#"
fn conv2(u: real[a, h, w], F: real[b, a, k, k], stride: int = 1, pad: string = "zero") -> real[b, (h - 1) // stride + 1, (w - 1) // stride + 1] =
    zeros(b, (h - 1) // stride + 1, (w - 1) // stride + 1)
fn leaky(v: real, a: real = 0.01) = if v > 0 then v else a * v
fn standardize(u: real[h, w], gain: real[b], shift: real[b]) -> real[h, w] = u * sum(gain) + sum(shift)
fn resize2(u: real[a, h, w], p: int, q: int) -> real[a, p, q] = zeros(a, p, q)
let clean: real[h, w] = load("clean.png")
let sigma = 0.1

network conv_bn(a: int, b: int, k: int, s: int)(x: real[a, h, w]) -> real[b, (h - 1) // s + 1, (w - 1) // s + 1] {
    param F: real[b, a, k, k] = glorot, gain: real[b] = 1, shift: real[b] = 0
    let u = conv2(x, F, stride: s, pad: "reflect")
    leaky(standardize(each u, gain, shift), 0.2)
}
network scale(a: int, b: int)(x: real[a, h, w]) -> real[b, h, w] {       # one scale without an inner one
    param down = conv_bn(a, b, 3, 2), same = conv_bn(b, b, 3, 1), up = conv_bn(b, b, 3, 1)
    up(resize2(same(down(x)), h, w))
}
network hourglass(x: real[32, h, w]) -> real[h, w] {
    param d1 = conv_bn(32, 16, 3, 2), d2 = conv_bn(16, 16, 3, 2), mid = scale(16, 16)
    param s1 = conv_bn(32, 4, 1, 1), s2 = conv_bn(16, 4, 1, 1)
    param u2 = conv_bn(20, 16, 3, 1), u1 = conv_bn(20, 16, 3, 1)
    param out: real[1, 16, 1, 1] = glorot
    let a: real[16, h1, w1] = d1(x)                          # binds h1 and w1
    let c = u2(concat(resize2(mid(d2(a)), h1, w1), s2(a)))
    let e = u1(concat(resize2(c, h, w), s1(x)))
    sigmoid(conv2(e, out)[0])
}
let img: real[h, w] = load("noisy.png")
let z0 = 0.1 * uniform(32, h, w)
let run = train hourglass {
    state avg: real[h, w] = img
    let u = hourglass(z0 + 1/30 * normal(32, h, w))         # drawn anew at each step
    minimize mean((u - img)^2)
    using adam(0.01)
    steps 3000
    update { avg <- 0.99 * avg + 0.01 * u }
    record { psnr: psnr(avg, clean), loss: loss } every 50
    until loss < 0.9 * sigma^2
}
save("denoised.png", run.avg)
plot(run.psnr, label: "PSNR of the average", file: "dip.svg")
"#,
    );
}

#[test]
fn depth_n_windows() {
    accept(
        r#"
arg alpha: real = 0.005
solver gd(X: real[n, p], y: real[n], N: int, alpha: real, eta: real) -> u^N - v^N {
    state u: real[p] = alpha, v: real[p] = alpha
    step {
        let r = 2 / n * (X' @ (X @ (u^N - v^N) - y))
        let du = r * u^(N - 1)
        v <- v + eta * N * r * v^(N - 1)
        u <- u - eta * N * du
    }
}
let X = rademacher(100, 200)
let w = where(range(200) < 5, 1, 0)
let y = X @ w + 0.5 * normal(100)
for N in 2:5 {
    let t = trace gd(X, y, N, alpha, 0.01) for [3000, 50000, 3200000][N - 2] {
        on: max(abs(result - w)[0:5]),
        off: max(abs(result - w)[5:200])
    }
    let start = argmax(t.on <= 0.1)
    let stop = argmax(t.off > alpha^(N / 4))
    print "N =", N, "window", start, stop, stop - start
}
let path = trace gd(X, y, 3, alpha, 0.01) for 50000 every 50 { w: result }
plot(path.w[:, 0:10], file: "path.svg")
"#,
    );
}

#[test]
fn particle() {
    accept(
        r#"
fn potential(x: real[2], w: real) = 1 / norm(x - [10, 10 - w]) + 1 / norm(x - [10, 0])

fn crossing(w: real) -> real {
    let force = grad(fn(x) = potential(x, w))
    let s = loop x: real[2] = [0, 8], v: real[2] = [0.75, 0] until x[1] + 0.1 * v[1] <= 0 within 10000 {
        let a = force(x)
        x <- x + 0.1 * v
        v <- v - 0.1 * a
    }
    let t = -s.x[1] / s.v[1]
    (s.x[0] + t * s.v[0])^2
}
solver line_search(f: fn(real[p]) -> real, x0: real[p]) -> x {
    state x: real[p] = x0, eta: real = 1e-5, wins: int = 0, move: real = 1, size: real = 1
    step {
        let g = grad(f)(x)
        let next = x - eta * g
        let ok = f(next) < f(x)
        move <- norm(next - x)
        size <- norm(g)
        x <- if ok then next else x
        wins <- if ok then wins + 1 else 0
        eta <- if not ok then eta / 2 else if wins == 10 then 2 * eta else eta
        wins <- if wins == 10 then 0 else wins
    }
    until size <= 1e-5 or move <= 1e-5 within 1000
}
let w = line_search(fn(w) = crossing(w[0]), [0])
assert abs(w[0] - 0.2071918746486116) <= 1e-4
"#,
    );
}

#[test]
fn the_lasso_and_its_network() {
    accept(
        r#"
problem lasso(x: real[m], D: real[m, n], c: real) {
    minimize over y: real[n]
        1/2 * sumsq(x - D @ y) + c * norm1(y)
}
let D = unit_columns(normal(50, 100))
let X = normal(1000, 50)
let Y = normal(1000, 100)
solver  ista  = derive lasso by proximal_gradient as layer
network lista = unroll ista(_, D, 0.1) for 16 learn W, S, each theta
let run = train lista {
    each (x, y) in (X, Y) batch 64
    minimize sumsq(lista(x) - y)
    using adam(1e-3)
    epochs 20
}
solver written(x: real[m], D: real[m, n], c: real) -> y {
    let t = 1 / opnorm(D)^2
    let W = t * D'                     # L1 of  Y+ = N(L1(X) + L2(Y))
    let S = eye(n) - t * (D' @ D)      # L2
    let theta = t * c
    state y: real[n] = 0
    step  y <- soft(W @ x + S @ y, theta)
    until norm(y - previous y) <= tol * max(1, norm(y)) within 10000
}
network tied = unroll written(_, D, 0.1) for 16 learn W, S, each theta
fn top(A: real[n, n], k: key) -> real {
    let v = loop v = unit(normal(n, key: k)) for 50 { v <- unit(A @ v) }
    sum(v * (A @ v))
}
"#,
    );
}

//! Groups of work from imaging and clustering: convolutions, a stage of trained diffusion, k-means, ADMM, convolutional
//! sparse coding.

use super::{Settings, measured, program};
use dp_runtime::tensor::DType::{self, F32, F64};

/// Convolutions of an image with a bank of filters, back, and the gradient of the bank.
pub fn convolutions(settings: &Settings) {
    for (h, p, q) in [(180, 3, 24), (180, 5, 24), (180, 7, 48), (512, 5, 24)] {
        let data = format!("let x = normal({h}, {h})\nlet u = normal({q}, {h}, {h})\nlet k = normal({q}, {p}, {p})\n");
        let flops = (2 * q * p * p * h * h) as f64;
        let pad = "pad: \"same\"";
        for (form, body) in [
            ("1 -> q", format!("conv2(x, k, {pad})")),
            ("q -> 1", format!("conv2_adjoint(u, k, {pad})")),
            ("gradient of 1 -> q", format!("grad(fn(k: real[{q}, {p}, {p}]) = sum(conv2(x, k, {pad}) * u))(k)")),
            (
                "gradient of q -> 1",
                format!("grad(fn(k: real[{q}, {p}, {p}]) = sum(conv2_adjoint(u, k, {pad}) * x))(k)"),
            ),
        ] {
            let name = format!("{form}, {h} x {h}, {q} filters {p} x {p}, f32");
            measured(&program(&name, F32, &data, "", &body), Some(flops), settings);
        }
    }
    for (batch, h, p, q) in [(1, 96, 3, 24), (16, 16, 3, 32), (64, 8, 3, 64)] {
        let data = format!("let X = normal({batch}, {q}, {h}, {h})\nlet k = normal({q}, {q}, {p}, {p})\n");
        let text =
            format!("fn layer(x: real[{q}, {h}, {h}], k: real[{q}, {q}, {p}, {p}]) = conv2(x, k, pad: \"same\")\n");
        let flops = (2 * batch * q * q * p * p * h * h) as f64;
        for (form, body, times) in [
            ("forward", "layer(each X, k)", 1.0),
            ("value and gradient", "value_and_grad(fn(X, k) = sumsq(layer(each X, k)), wrt: (X, k))(X, k)", 3.0),
        ] {
            let name = format!("{q} -> {q}, {h} x {h}, kernels {p} x {p}, batch {batch}, {form}, f32");
            measured(&program(&name, F32, &data, &text, body), Some(times * flops), settings);
        }
    }
}

/// One stage of trained nonlinear reaction diffusion (Chen and Pock, IEEE Trans. Pattern Anal. Mach. Intell. 2017), with 24
/// filters and penalties of 31 radial functions.
pub fn diffusion(settings: &Settings) {
    let data = "let clean = 255 * uniform(180, 180)\nlet noisy = clean + 25 * normal(180, 180)\n\
                let k = normal(24, 5, 5) / 5\nlet r = normal(24, 31)\n";
    let text = "fn centre(i: int, j: int) = 310 * (2 * i / (j - 1) - 1)\n\
                fn phi(v: real, w: real[j]) = sum(w[i] * exp(-1/2 * ((v - centre(i, j)) / 10)^2) for i in j)\n\
                fn stage(u: real[h, w], f: real[h, w], k: real[q, p, p], r: real[q, j], a: real) -> real[h, w] {\n    \
                let v = conv2(u, k, pad: \"symmetric\")\n    \
                let flow = conv2_adjoint([phi(v[i], r[i]) for i in q], k, pad: \"symmetric\")\n    \
                u - flow - exp(a) * (u - f)\n}\n\
                fn loss(k: real[q, p, p], r: real[q, j], a: real, u: real[h, w], c: real[h, w]) =\n    \
                1/2 * sumsq(stage(u, u, k, r, a) - c)\n";
    for (form, body) in [
        ("forward", "stage(noisy, noisy, k, r, -2.0)"),
        ("value and gradient", "value_and_grad(loss, wrt: (k, r, a))(k, r, -2.0, noisy, clean)"),
    ] {
        let name = format!("diffusion stage, 180 x 180, {form}, f32");
        measured(&program(&name, F32, data, text, body), None, settings);
    }
}

/// The cost of k-means, its gradient, and a product with its second derivative.
pub fn clusters(settings: &Settings) {
    let data = "let X = normal(10000, 8)\nlet C = normal(16, 8)\nlet V = normal(16, 8)\n";
    let text = "fn cost(C: real[k, d], X: real[n, d]) = sum(min([sumsq(X[i] - C[j]) for j in k]) for i in n)\n";
    for precision in [F32, F64] {
        for (form, body) in [
            ("cost", "cost(C, X)"),
            ("value and gradient", "value_and_grad(cost)(C, X)"),
            ("second derivative times a vector", "hvp(fn(C: real[16, 8]) = cost(C, X))(C, V)"),
        ] {
            let name = format!("k-means, 10000 points in 8 dimensions, 16 centres, {form}, {}", precision.name());
            measured(&program(&name, precision, data, text, body), None, settings);
        }
    }
}

/// Fifty passes of ADMM on total variation in one dimension.
pub fn splitting(settings: &Settings) {
    let data = "let n = 200\nlet K = [if j == i + 1 then 1.0 else if j == i then -1.0 else 0.0 for i in n - 1, j in n]\n\
                let X = normal(64, n)\nlet Y = normal(64, n)\n";
    // As `derive` writes it.
    let text = "solver by_admm(x: real[n], K: real[k, n], c: real) -> y {\n    let t = 1\n    let s = t * opnorm(K)^2\n    \
                let theta = s * c\n    state y: real[n] = 0, z = zeros(k), u = zeros(k)\n    step {\n        \
                let point = K @ y - z + u\n        y <- ((y - t / s * K' @ point) + t * x) / (1 + t)\n        \
                z <- soft(K @ y + u, theta)\n        u <- u + K @ y - z\n    }\n}\n\
                fn loss(c: real, X: real[b, n], Y: real[b, n], K: real[k, n]) = sumsq((unroll by_admm(_, K, c) for 50)(each X) - Y)\n";
    both(
        "ADMM, 50 passes, n 200, batch 64",
        F64,
        data,
        text,
        ["(unroll by_admm(_, K, 0.25) for 50)(each X)", "value_and_grad(loss)(0.25, X, Y, K)"],
        settings,
    );
}

/// Ten passes of convolutional sparse coding.
pub fn coding(settings: &Settings) {
    let data = "let x = normal(96, 96)\nlet k = normal(16, 5, 5) / 10\n";
    let text = "solver coder(x: real[h, w], k: real[q, p, p], c: real, t: real) -> y {\n    state y: real[q, h, w] = 0\n    \
                step y <- soft(y - t * conv2(conv2_adjoint(y, k, pad: \"same\") - x, k, pad: \"same\"), t * c)\n}\n\
                fn loss(k: real[q, p, p], x: real[h, w]) =\n    \
                sumsq(conv2_adjoint((unroll coder(_, k, 0.1, 0.05) for 10)(x), k, pad: \"same\") - x)\n";
    both(
        "convolutional coding, 10 passes, 96 x 96, 16 filters 5 x 5",
        F32,
        data,
        text,
        ["(unroll coder(_, k, 0.1, 0.05) for 10)(x)", "value_and_grad(loss)(k, x)"],
        settings,
    );
}

fn both(what: &str, precision: DType, data: &str, text: &str, bodies: [&str; 2], settings: &Settings) {
    for (form, body) in ["forward", "value and gradient"].into_iter().zip(bodies) {
        measured(
            &program(&format!("{what}, {form}, {}", precision.name()), precision, data, text, body),
            None,
            settings,
        );
    }
}

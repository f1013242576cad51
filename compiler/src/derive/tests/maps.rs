//! Every linear map that the reader knows: its adjoint by the dot product, the bound of its norm by the power method, each also
//! changed so that it is wrong.

use super::{all_hold, cases_of, extents, library};
use crate::derive::normal::Kind;
use crate::derive::write;

/// Data, the block's shape, and a linear map of the block `v` whose adjoint is written by rules.
const BY_RULES: &[(&str, &str, &str)] = &[
    ("D: real[m, n]", "n", "D @ v"),
    ("D: real[n, m]", "n", "v @ D"),
    ("D: real[m, n]", "n", "D' @ (D @ v)"),
    ("D: real[m, n]", "n", "[sum(D[i, j] * v[j] for j in n) for i in m]"),
    ("s: real[n]", "n", "s * v"),
    ("s: real[n]", "n", "s @ v"),
    ("a: real", "n", "a * v - 2 * v"),
    ("", "n", "v[1:]"),
    ("", "n", "v[:n - 1]"),
    ("", "n", "v[1:] - v[:n - 1]"),
    ("", "n", "[v[i + 1] - v[i] for i in n - 1]"),
    ("", "n", "reverse(v)"),
    ("", "n", "sum(v)"),
    ("", "n", "mean(v)"),
    ("A: real[k, m]", "m, n", "A @ v"),
    ("B: real[n, k]", "m, n", "v @ B"),
    ("A: real[k, m], B: real[n, r]", "m, n", "A @ v @ B"),
    ("b: real[n]", "m, n", "v @ b"),
    ("a: real[m]", "m, n", "a @ v"),
    ("b: real[m, n]", "n", "b * v"),
    ("A: real[m, n], B: real[k, m, n]", "n", "A * v - 2 * v"),
    ("B: real[k, m]", "m", "[v[j] + B[i, j] * v[j] for i in k, j in m]"),
    ("a: real[m]", "m, n", "sum(a[i] * v[i] for i in m)"),
    ("a: real[m]", "m, n", "[a[i] * v[i] for i in m]"),
    ("a: real[m]", "m, n", "[v[i] / a[i] - 2 * v[i] for i in m]"),
    ("S: real[m, n]", "m, n", "S * v"),
    ("", "m, n", "v'"),
    ("", "m, n", "v[1:] - v[:m - 1]"),
    ("", "m, n", "v[:, 1:] - v[:, :n - 1]"),
    ("", "m, n", "v[:, 2:]"),
    ("", "m, n", "v[1:, 2:]"),
    ("", "m, n", "[v[1:, 1:] - v[:m - 1, 1:], 2 * v[:m - 1, :n - 1]]"),
    ("", "m, n", "sum(v, axis: 0)"),
    ("", "m, n", "sum(v, axis: 1)"),
    ("", "c, h, w", "sum(v, axis: 0)"),
    ("f: real[p]", "n", "conv1(v, f)"),
    ("f: real[p]", "n", "conv1(v, f, pad: \"same\")"),
    ("f: real[p]", "n", "conv1(v, f, pad: \"symmetric\")"),
    ("f: real[c, p]", "c, n", "conv1(v, f, pad: \"circular\")"),
    ("f: real[p]", "n", "conv1_adjoint(v, f)"),
    ("k: real[p, q]", "h, w", "conv2(v, k)"),
    ("k: real[p, q]", "h, w", "conv2(v, k, pad: \"same\")"),
    ("k: real[p, q]", "h, w", "conv2(v, k, pad: \"circular\")"),
    ("k: real[p, q]", "h, w", "conv2(v, k, pad: \"reflect\")"),
    ("k: real[p, q]", "h, w", "conv2(v, k, pad: \"symmetric\")"),
    ("k: real[p, q]", "h, w", "conv2(v, k, stride: 2)"),
    ("k: real[p, q]", "h, w", "conv2(v, k, dilation: 2)"),
    ("k: real[p, q]", "h, w", "conv2(v, k, stride: [2, 1], pad: \"same\")"),
    ("k: real[p, q], l: real[p, q]", "h, w", "conv2(conv2(v, k), l)"),
    ("k: real[p, q], l: real[p, q]", "h, w", "conv2(v, k, pad: \"same\") - 2 * conv2(v, l, pad: \"same\")"),
    ("k: real[c, p, q]", "h, w", "conv2(v, k)"),
    ("k: real[c, p, q]", "h, w", "[conv2(v, k[i], pad: \"circular\") for i in c]"),
    ("k: real[p, q]", "c, h, w", "conv2(v, k)"),
    ("k: real[c, p, q]", "c, h, w", "conv2(v, k)"),
    ("k: real[c, p, q]", "c, h, w", "sum(conv2(v[i], k[i]) for i in c)"),
    ("k: real[c, p, q]", "c, h, w", "sum(conv2(v[i], k[i], pad: \"same\") for i in c)"),
    ("k: real[c, p, q]", "c, h, w", "sum(conv2(v[i], k[i], pad: \"circular\", stride: 2) for i in c)"),
    ("k: real[c, p, q]", "c, h, w", "sum(conv2(each v, each k), axis: 0)"),
    ("k: real[c, p, q]", "c, h, w", "[conv2(v[i], k[i]) for i in c]"),
    ("k: real[o, c, p, q]", "c, h, w", "conv2(v, k, pad: \"reflect\")"),
    ("k: real[o, c, p, q]", "c, h, w", "[sum(conv2(v[i], k[j, i]) for i in c) for j in o]"),
    ("k: real[p, q]", "h, w", "conv2_adjoint(v, k)"),
    ("k: real[c, p, q]", "h, w", "conv2_adjoint(v, k)"),
    ("k: real[c, p, q]", "c, h, w", "conv2_adjoint(v, k)"),
    ("k: real[c, p, q]", "c, h, w", "sum(conv2_adjoint(v[i], k[i], pad: \"same\") for i in c)"),
    ("k: real[o, c, p, q]", "o, h, w", "conv2_adjoint(v, k, stride: 2)"),
    ("k: real[p, q]", "h, w", "conv2_adjoint(v, k, 2 * h + p - 1, 2 * w + q - 1, stride: 2)"),
];

/// The same, whose adjoint is the transpose by differentiation.
const BY_DIFFERENTIATION: &[(&str, &str, &str)] = &[
    ("", "n", "cumsum(v)"),
    ("", "n", "concat(v, 2 * v)"),
    ("", "m, n", "mean(v, axis: 0)"),
    ("", "m, n", "diag(v[:, :m])"),
];

#[test]
fn adjoints_and_norms_of_maps() {
    let library = library();
    let by = BY_RULES.iter().map(|row| (row, true)).chain(BY_DIFFERENTIATION[..3].iter().map(|row| (row, false)));
    let scripts = by.map(|((data, shape, map), by_rules)| {
        let text = format!(
            "problem of_map({data}) {{\n    minimize over v: real[{shape}]\n        sumsq({map})\n}}\n"
        );
        let mut cases = cases_of(&library, map, &text);
        assert_eq!(cases.len(), 1, "{map}: the problem is not right");
        let case = cases.remove(0);
        let mut analysis = case.analysis();
        let part = analysis.parts[0].clone();
        let terms = &mut analysis.terms;
        let var = terms.block(0);
        assert_eq!(part.kind, Kind::Square, "{map}");
        assert!(terms.is_affine(part.arg, var), "{map} is not found to be linear");
        let linear = terms.linear_part(part.arg, var);
        terms.declare_name(&"u".into(), None);
        let of_shape = terms.shape(linear).clone();
        terms.declare_name(&"u".into(), of_shape);
        let u = terms.name(&"u".into());
        let back = terms.adjoint(linear, var, u);
        let back = write::text(terms, back);
        assert_eq!(!back.contains("vjp"), by_rules, "{map}: {back}");
        let bound = terms.norm_bound(linear, var);
        assert!(bound.is_some() || !by_rules, "{map}: no bound of the norm");
        let bound = bound.map(|bound| format!("({})", write::text(terms, bound)));
        let map = write::text(terms, linear);
        let shape = extents(case.problem.over[0].ty.as_ref().expect("a type")).join(", ");
        let mut script = format!(
            "{}let map = fn(v) = {map}
let back = fn(u) = {back}
let length = fn(a) = sqrt(sum(a * a))
let v0 = normal({shape})
let u0 = sin(1 + 37 * map(normal({shape})))
fn fits(a: real, b: real) = abs(a - b) <= 1e-10 * (1 + length(v0) * length(u0))
print \"adjoint of {name}\", fits(sum(map(v0) * u0), sum(v0 * back(u0)))
print \"a longer one is noticed\", not fits(sum(map(v0) * u0), sum(v0 * (1.01 * back(u0))))
print \"a shorter one is noticed\", not fits(sum(map(v0) * u0), sum(v0 * (back(u0) - 0.01 * back(map(v0)))))
let top = loop v = v0 for 60 {{ v <- back(map(v)) / length(back(map(v))) }}
let gain = length(map(top)) / length(top)
",
            case.setup,
            name = map.replace('"', "'"),
        );
        if let Some(bound) = bound {
            script += &format!(
                "print \"bound of its norm\", gain, {bound}, gain <= {bound} * (1 + 1e-9) and length(map(v0)) <= {bound} * length(v0)
print \"a smaller one is noticed\", not gain <= {bound} / 4\n"
            );
        }
        (map, script)
    });
    all_hold(scripts.collect());
}

//! `dp check --data`: what it says of truncated solvers, held against objectives that plain programs print.

use crate::harness::{Ran, Told, run_text, with};
use dp_compiler::driver::Options;
use dp_compiler::run::Engine;

/// The warnings of a look at a program's data.
fn looked(name: &str, text: &str) -> Vec<Told> {
    let ran = run_text(name, text, &Options { look_at_data: true, ..with(Engine::Native) });
    assert!(!ran.failed() && ran.lines.is_empty(), "{name}: {}", ran.messages());
    ran.told
}

fn only(name: &str, text: &str) -> Told {
    let mut told = looked(name, text);
    assert_eq!(told.len(), 1, "{name}: {told:?}");
    assert_eq!(told[0].code, "E0358");
    told.swap_remove(0)
}

/// What a plain program prints, as arrays of numbers.
fn printed(name: &str, text: &str) -> Vec<Vec<f64>> {
    let ran: Ran = run_text(name, text, &with(Engine::Native));
    assert!(ran.told.is_empty(), "{}", ran.messages());
    let number = |word: &str| f64::from_bits(u64::from_str_radix(word, 16).expect("a number"));
    let rows = ran.bits.iter().map(|text| {
        let (_, numbers) = text.trim_end_matches(']').rsplit_once('[').expect("an array");
        numbers.split_whitespace().map(number).collect()
    });
    rows.collect()
}

/// What is to be said of `count` passes, from the objective after each pass and the values at the start.
fn expected(starts: &[f64], paths: &[Vec<f64>], count: usize) -> [String; 2] {
    let best = |path: &[f64]| path.iter().copied().fold(f64::INFINITY, f64::min);
    let share = |i: usize, passes: usize| {
        let (least, here) = (best(&paths[i]).min(starts[i]), best(&paths[i][..passes]).min(starts[i]));
        if here.is_finite() { (starts[i] - here) / (starts[i] - least) } else { 0.0 }
    };
    let mean = |passes: usize| (0..paths.len()).map(|i| share(i, passes)).sum::<f64>() / paths.len() as f64;
    let need = |part: f64| (1..=paths[0].len()).find(|&passes| mean(passes) >= part).expect("the passes arrive");
    let percent = |share: f64| format!("{:.1} %", (1000.0 * share).floor() / 10.0);
    let worst = (0..paths.len()).map(|i| share(i, count)).fold(1.0, f64::min);
    let worst = if paths.len() == 1 { String::new() } else { format!("{} at worst; ", percent(worst)) };
    [
        format!("{count} passes go {} of the way", percent(mean(count))),
        format!("{worst}90 % takes {} passes, 99 % takes {} passes", need(0.9), need(0.99)),
    ]
}

fn holds(told: &Told, wanted: &[String]) {
    for words in wanted {
        assert!(told.text.contains(words), "`{words}` is not in\n{}", told.rendered);
    }
}

const DATA: &str = "let D = cosine_dictionary(4, 6)\nlet X = normal(9, 16)\nlet c = 0.3\n";
const SPARSE: &str = "problem sparse(x: real[m], D: real[m, n], c: real) {\n    minimize over y: real[n]\n        \
                      1/2 * sumsq(x - D @ y) + c * norm1(y)\n}\nsolver ista = derive sparse by proximal_gradient as layer\n";

/// The same passes written by hand, and the objective after each.
const BY_HAND: &str = "solver hand(x: real[m], D: real[m, n], c: real) -> y {\n    let L = opnorm(D)^2\n    state y: real[n] = 0\n    \
                       step y <- soft(y - D' @ (D @ y - x) / L, c / L)\n}\n\
                       fn value(x: real[m], y: real[n]) = 0.5 * sum((x - D @ y)^2) + c * sum(abs(y))\n\
                       print 0.5 * sum(X^2, axis: 1)\n\
                       for i in 4 { print (trace hand(X[i], D, c) for 8000 { at: value(X[i], y) }).at }\n";

fn by_hand() -> (Vec<f64>, Vec<Vec<f64>>) {
    let mut rows = printed("by-hand", &format!("{DATA}{BY_HAND}"));
    let starts = rows.remove(0);
    (starts, rows)
}

#[test]
fn a_batch_that_stops_short() {
    let (starts, paths) = by_hand();
    let wanted = expected(&starts, &paths, 3);
    let batch = format!("{DATA}{SPARSE}let encode = unroll ista(_, D, c) for 3\nlet Y = encode(each X)\n");
    let told = only("batch", &batch);
    holds(&told, &wanted);
    holds(&told, &["first 4 of 9 samples".into(), "accelerated_proximal_gradient".into(), "learn it".into()]);
    assert_eq!(told.place.as_ref().map(|place| place.1), Some(9), "{}", told.rendered);
    // As many passes as it names are enough, and one less is not.
    let need: usize =
        wanted[1].split("99 % takes ").nth(1).and_then(|rest| rest.split(' ').next()?.parse().ok()).expect("a number");
    let of = |count: usize| format!("{DATA}{SPARSE}let Y = (unroll ista(_, D, c) for {count})(each X)\n");
    assert_eq!(looked("enough", &of(need)), []);
    holds(&only("nearly", &of(need - 1)), &[format!("{} passes go 98.9 %", need - 1)]);
    // The one sample of a call is all of its data.
    let one = only("one", &format!("{DATA}{SPARSE}print norm(unroll ista(X[1], D, c) for 3)\n"));
    holds(&one, &expected(&starts[1..2], &paths[1..2], 3));
}

#[test]
fn every_way_to_call_it() {
    let (starts, paths) = by_hand();
    let wanted = expected(&starts, &paths, 3);
    let form = "let encode = unroll ista(_, D, c) for 3\n";
    for (name, call) in [
        ("comprehension", format!("{form}let Y = [encode(X[i]) for i in 9]")),
        ("sum", format!("{form}print sum(norm1(encode(X[i])) for i in 9)")),
        ("nested", format!("{form}fn rows(B: real[s, 16]) = encode(each B)\nlet Y = rows(each reshape(X[0:8], 4, 2, 16))")),
        ("function", format!("{form}fn size(x: real[16]) = norm(encode(x))\nassert all(size(each X) > 100)")),
        ("inside", "fn code(x: real[16]) = (derive sparse by proximal_gradient)(x, D, c)\nfn cut(x: real[16]) = unroll (derive sparse by proximal_gradient)(x, D, c) for 3\nlet Y = cut(each X)".into()),
        ("network", "network net = unroll ista(_, D, c) for 3 learn each theta\nprint net(each X)".into()),
        ("trained", "network net = unroll ista(_, D, c) for 3 learn W, theta\ntrain net {\n    each x in X\n    minimize sumsq(net(x))\n    using adam(0.1)\n    steps 50000000\n}\nsave(\"not_there.npy\", net(each X))".into()),
    ] {
        holds(&only(name, &format!("{DATA}{SPARSE}{call}\n")), &wanted);
    }
    // One message for calls that are alike, with both places; in a loop the first call counts.
    let twice = format!(
        "{DATA}{SPARSE}{form}network net = unroll ista(_, D, c) for 3 learn W\nlet Y = encode(each X)\nlet Z = net(each X)\n"
    );
    holds(&only("twice", &twice), &[wanted[0].clone(), "the same here".into()]);
    let looped = format!("{DATA}{SPARSE}for k in 1:4 {{\n    let Y = (unroll ista(_, D, c) for k + 2)(each X)\n}}\n");
    holds(&only("looped", &looped), &wanted);
    // Signs turned round.
    let turned = "problem turned(x: real[m], D: real[m, n], c: real) {\n    maximize over y: real[n]\n        -1/2 * sumsq(x - D @ y) - c * norm1(y)\n}\nsolver up = derive turned by proximal_gradient\nlet Y = (unroll up(_, D, c) for 3)(each X)\n";
    let told = only("turned", &format!("{DATA}{turned}"));
    holds(&told, &[wanted[0].clone(), wanted[1].clone(), "to the greatest value of `turned`".into()]);
    holds(
        &told,
        &[format!(
            "the objective is -{}",
            format!("{:.4}", starts[..4].iter().sum::<f64>() / 4.0).trim_end_matches('0')
        )],
    );
}

const BOUNDED: &str = "problem bounded(x: real[m], D: real[m, n], r: real) {\n    minimize over y: real[n]\n        \
                       1/2 * sumsq(x - D @ y)\n    subject to max(abs(y)) <= r\n}\nsolver splitting = derive bounded by admm\n";

#[test]
fn points_outside_of_a_constraint_do_not_count() {
    // The passes of this method are outside of the set, and lower than the least value inside.
    let data = "let D = normal(12, 20)\nlet x = normal(12)\nlet r = 0.05\n";
    let plain = format!(
        "{data}{BOUNDED}print [0.5 * sumsq(x)]\nlet t = trace splitting(x, D, r) for 16000 {{ at: 0.5 * sumsq(x - D @ result), out: max(abs(result)) }}\nprint t.at\nprint t.out\n"
    );
    let rows = printed("outside", &plain);
    let (least, r) = (rows[1].last().copied().expect("values"), 0.05);
    assert!(rows[1].iter().any(|value| *value < 0.999 * least), "the data are to be such that passes fall below");
    let inside = |(value, out): (&f64, &f64)| if out - r <= 1e-4 * (1.0 + r) { *value } else { f64::INFINITY };
    let path: Vec<f64> = rows[1].iter().zip(&rows[2]).map(inside).collect();
    let told = only("bounded", &format!("{data}{BOUNDED}let y = unroll splitting(x, D, r) for 4\n"));
    if path[..4].iter().all(|value| value.is_infinite()) {
        holds(&told, &["no point of these passes is inside of the constraints".into()]);
    }
    holds(&told, &expected(&rows[0], &[path], 4));
    // The start itself is outside.
    let far = "problem far(x: real[n], A: real[n, n]) {\n    minimize over y: real[n]\n        1/2 * sumsq(x - y)\n    subject to A @ y in simplex\n}\nsolver near = derive far by admm\nlet y = unroll near(normal(5), eye(5) + 0.1 * normal(5, 5)) for 2\n";
    holds(
        &only("far", far),
        &["after 2 passes a point is still outside".into(), "counted from the first pass that meets them".into()],
    );
}

#[test]
fn what_cannot_be_known_is_said() {
    let learned = format!(
        "{DATA}{SPARSE}network net = unroll ista(_, D, _) for 3 learn theta from (X[0], c)\nprint net(each X)\n"
    );
    holds(&only("learned", &learned), &["it is not known how far".into(), "has no `c`".into()]);
    let endless = "problem endless(x: real[n]) {\n    minimize over y: real[n]\n        sum(exp(y)) + x @ y / x[0]\n}\nsolver s = derive endless by backtracking_proximal_gradient\nlet y = unroll s(zeros(3)) for 2\n";
    holds(&only("endless", endless), &["it is not known how far".into(), "no finite value".into()]);
    // Solvers that are not derived have no objective that could be looked at; nor has what is at its end from the start a way.
    let plain = "solver s(x: real[n]) -> y {\n    state y: real[n] = 0\n    step y <- (x + y) / 2\n}\nprint unroll s([1, 2]) for 1\n";
    assert_eq!(looked("plain", plain), []);
    assert_eq!(looked("still", &format!("{DATA}{SPARSE}print norm(unroll ista(zeros(16), D, c) for 1)\n")), []);
    // An error of the script is one.
    let text = format!("{DATA}{SPARSE}let Y = (unroll ista(_, D, c) for 3)(each X)\nprint load(\"none.npy\")\n");
    let ran = run_text("error", &text, &Options { look_at_data: true, ..with(Engine::Native) });
    assert!(ran.failed() && ran.told[0].code == "E0358" && ran.told[1].code == "E0806", "{}", ran.messages());
}

//! Programs of `tests/programs` on the data of ADBench and GradBench, where these are: `DP_GRADBENCH` names the folder with `gmm_1k` and
//! `lstm`, and without it nothing is done. The assertions of the programs hold their gradients against derivatives by hand.

use crate::harness::{Folder, root, run, with};
use dp_compiler::run::Engine;
use std::path::{Path, PathBuf};

fn folder() -> Option<PathBuf> {
    std::env::var_os("DP_GRADBENCH").map(PathBuf::from)
}

fn numbers(path: &Path) -> Vec<f64> {
    let text = std::fs::read_to_string(path).unwrap_or_else(|why| panic!("{}: {why}", path.display()));
    let number = |word: &str| word.parse().unwrap_or_else(|_| panic!("{}: `{word}` is no number", path.display()));
    text.split_whitespace().map(number).collect()
}

/// The next `rows` rows of `columns` numbers as an array of the language.
fn matrix(numbers: &mut impl Iterator<Item = f64>, rows: usize, columns: usize) -> String {
    let rows: Vec<String> = (0..rows).map(|_| vector(numbers, columns)).collect();
    format!("[{}]", rows.join(", "))
}

fn vector(numbers: &mut impl Iterator<Item = f64>, count: usize) -> String {
    let part: Vec<String> = numbers.take(count).map(|number| format!("{number:?}")).collect();
    assert_eq!(part.len(), count, "the file ends too early");
    format!("[{}]", part.join(", "))
}

/// A program with the lines from `first` to before `last` replaced, and without what begins at `end`.
fn program(name: &str, (first, last, end): (&str, &str, Option<&str>), data: &str) -> String {
    let text = std::fs::read_to_string(root().join("tests/programs").join(name)).expect("a program");
    let at = |mark: &str| text.find(mark).unwrap_or_else(|| panic!("{name} has no `{mark}`"));
    format!("{}{data}\n{}", &text[..at(first)], &text[at(last)..end.map_or(text.len(), at)])
}

fn holds(name: &str, text: String) {
    let folder = Folder::new(name);
    let ran = run(&folder.file("program.dp", text), &with(Engine::Native));
    assert!(!ran.failed(), "{name}: {}", ran.messages());
}

#[test]
fn gaussian_mixtures_of_adbench_have_the_gradient_by_hand() {
    let Some(folder) = folder() else { return };
    for file in ["gmm_d2_K5", "gmm_d10_K5"] {
        let mut all = numbers(&folder.join("gmm_1k").join(format!("{file}.txt"))).into_iter();
        let [d, k, n] = [0; 3].map(|_: usize| all.next().expect("a size") as usize);
        let alpha = vector(&mut all, k);
        let mu = matrix(&mut all, k, d);
        let below = d * (d - 1) / 2;
        let factors: Vec<Vec<f64>> = (0..k).map(|_| all.by_ref().take(d + below).collect()).collect();
        let part = |from: usize, to: usize| {
            matrix(&mut factors.iter().flat_map(|row| row[from..to].iter().copied()), k, to - from)
        };
        let (q, l) = (part(0, d), part(d, d + below));
        let x = matrix(&mut all, n, d);
        let [gamma, m] = [0; 2].map(|_: usize| all.next().expect("the prior"));
        let data = format!(
            "let n = {n}\nlet X = {x}\nlet p = {{ alpha: {alpha}, mu: {mu}, q: {q}, l: {l} }}\nlet gamma = {gamma:?}\nlet m = {}",
            m as usize
        );
        holds(
            file,
            program("gaussian_mixture.dp", ("let n = 60", "let g = grad", Some("# With one component")), &data),
        );
    }
}

#[test]
fn lstms_of_adbench_have_the_gradient_by_hand() {
    let Some(folder) = folder() else { return };
    let file = "lstm_l2_c1024";
    let mut all = numbers(&folder.join("lstm").join(format!("{file}.txt"))).into_iter();
    let [layers, count, b] = [0; 3].map(|_: usize| all.next().expect("a size") as usize);
    let gates: Vec<(String, String)> = (0..layers).map(|_| (matrix(&mut all, 4, b), matrix(&mut all, 4, b))).collect();
    let (weights, biases): (Vec<String>, Vec<String>) = gates.into_iter().unzip();
    let [scale, out, bias] = [0; 3].map(|_: usize| vector(&mut all, b));
    // The states to begin with; the program begins with zeros.
    all.by_ref().take(2 * layers * b).for_each(drop);
    let x = matrix(&mut all, count, b);
    let data = format!(
        "let p = {{ W: [{}], b: [{}], scale: {scale}, out: {out}, bias: {bias} }}\nlet X = {x}",
        weights.join(", "),
        biases.join(", ")
    );
    holds(file, program("lstm.dp", ("let p = start", "let g = grad", None), &data));
}

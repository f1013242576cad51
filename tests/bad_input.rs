//! What no one would keep in a folder: damaged files, programs of absurd depth and size, noise. Each gets a clear error
//! with its place, and nothing else.

use crate::harness::{Folder, Ran, check, complaints_of, expect_none, files_below, in_f32, root, run, run_text, with};
use dp_compiler::run::Engine;
use std::path::PathBuf;

/// The only message of a run: an error with this code and these words.
fn only_error(ran: &Ran, code: &str, words: &[&str]) -> Result<(), String> {
    match &ran.told[..] {
        [told] if told.error && told.code == code && words.iter().all(|word| told.text.contains(word)) => Ok(()),
        _ => Err(format!("expected only {code} {words:?}, found\n{}", ran.messages())),
    }
}

fn npy(header: &str, data: &[u8]) -> Vec<u8> {
    let mut header = header.to_string();
    while !(10 + header.len() + 1).is_multiple_of(64) {
        header.push(' ');
    }
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    bytes
}

fn header(kind: &str, shape: &str) -> String {
    format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}")
}

fn safetensors(header: &str, data: &[u8]) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    bytes
}

#[test]
fn damaged_files() {
    let good = npy(&header("<f8", "(2, 3)"), &[0; 48]);
    let tensors = r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#;
    let files: Vec<(&str, Vec<u8>)> = vec![
        ("empty.npy", Vec::new()),
        ("cut_in_magic.npy", good[..4].to_vec()),
        ("cut_in_header.npy", good[..40].to_vec()),
        ("cut_in_data.npy", good[..good.len() - 1].to_vec()),
        ("too_long.npy", [&good[..], &[0]].concat()),
        ("says_more.npy", npy(&header("<f8", "(2, 4)"), &[0; 48])),
        ("says_less.npy", npy(&header("<f8", "(2, 2)"), &[0; 48])),
        ("huge.npy", npy(&header("<f8", "(1000000, 1000000)"), &[0; 48])),
        ("overflow.npy", npy(&header("<f8", "(4294967296, 4294967296, 4294967296)"), &[0; 48])),
        ("negative.npy", npy(&header("<f8", "(-2, 3)"), &[0; 48])),
        ("objects.npy", npy(&header("|O", "(2, 3)"), &[0; 48])),
        ("no_dictionary.npy", npy("not a dictionary", &[0; 48])),
        ("a_picture.npy", b"\x89PNG\r\n\x1a\n and so on".to_vec()),
        ("text.npy", b"1, 2, 3\n".to_vec()),
        ("empty.png", Vec::new()),
        ("an_array.png", good.clone()),
        ("cut.png", b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR\x00\x00".to_vec()),
        ("huge.png", {
            let mut bytes = b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR".to_vec();
            bytes.extend(0x7fff_ffffu32.to_be_bytes());
            bytes.extend(0x7fff_ffffu32.to_be_bytes());
            bytes.extend([8, 0, 0, 0, 0, 0, 0, 0, 0]);
            bytes
        }),
        ("empty.safetensors", Vec::new()),
        ("huge_header.safetensors", u64::MAX.to_le_bytes().to_vec()),
        ("cut.safetensors", safetensors(tensors, &[0; 7])),
        ("too_long.safetensors", safetensors(tensors, &[0; 9])),
        ("outside.safetensors", safetensors(&tensors.replace("[0,8]", "[8,16]"), &[0; 8])),
        ("wrong_size.safetensors", safetensors(&tensors.replace("[2]", "[3]"), &[0; 8])),
        ("noise.safetensors", safetensors("{\"a\":", &[0; 8])),
        ("empty.npz", Vec::new()),
        ("an_array.npz", good.clone()),
        ("cut.npz", b"PK\x03\x04\x14\x00\x00\x00".to_vec()),
        ("empty.idx", Vec::new()),
        ("cut-ubyte", vec![0, 0, 8, 1, 0, 0, 0, 9, 1, 2]),
        ("huge-ubyte", [&[0, 0, 14, 3][..], &[0xff; 12], &[0; 8]].concat()),
        ("not_packed.idx.gz", vec![0, 0, 8, 1, 0, 0, 0, 1, 1]),
        ("packed.txt.gz", vec![0x1f, 0x8b]),
        ("quotes.csv", b"1,\"2\n3,4\n".to_vec()),
        ("ragged.csv", b"1,2\n3\n".to_vec()),
        ("words.csv", b"a,b\nc,d\n".to_vec()),
        ("array.txt", b"1 2 3".to_vec()),
        ("array", b"1 2 3".to_vec()),
    ];
    let complaints = complaints_of(&files, |(name, bytes)| {
        let folder = Folder::new("damaged");
        folder.file(name, bytes);
        let script =
            folder.file("program.dp", format!("print \"before\"\nlet a = load(\"{name}\")\nprint \"after\"\n"));
        let ran = run(&script, &with(Engine::Native));
        only_error(&ran, "E0806", &[name]).map_err(|e| format!("{name}: {e}"))?;
        if ran.lines != ["before"] || ran.told[0].place.as_ref().is_none_or(|(_, line)| *line != 2) {
            return Err(format!("{name}: {ran:?}"));
        }
        Ok(())
    });
    expect_none(&complaints);
}

#[test]
fn what_can_be_saved_can_be_loaded() {
    let text = "\
let a = normal(3, 4)
save(\"a.npy\", a)
let loaded = load(\"a.npy\")
assert all(loaded == a)
save(\"n.npy\", [1, 2, 3])
let n = load(\"n.npy\")
print n
save(\"t.safetensors\", { w: a, inner: { b: [1.5, 2] } })
let t = load(\"t.safetensors\")
assert all(t.w == a)
network net(x: real) -> real {
    param p: real[2] = [0.25, 0.5], q: real = 3
    x + p[0] + q
}
save(\"net.safetensors\", net.params)
let again = load(\"net.safetensors\")
print at(net, again)(1), again.p
let b: real[h, w] = load(\"a.npy\")
print h, w
save(\"picture.png\", [[0, 0.5], [1, 0.25]])
let picture = load(\"picture.png\")
print picture[1, 0], size(picture, 0)
plot(a, label: \"a\", title: \"all\", file: \"plot.svg\")
plot([1, 10, 100], log: true, file: \"plot.svg\")
let names = files(\".\")
print names
save(\"n.npy\", [4])
";
    for options in [with(Engine::Native), in_f32(Engine::Reference)] {
        let ran = run_text("saved", text, &options);
        let expected = [
            "[1, 2, 3]",
            "4.25 [0.25, 0.5]",
            "3 4",
            "1 2",
            "[a.npy, n.npy, net.safetensors, picture.png, plot.svg, program.dp, t.safetensors]",
        ];
        assert_eq!(ran.lines, expected, "{}", ran.messages());
        only_error(&ran, "E0806", &["n.npy", "exists"]).unwrap_or_else(|e| panic!("{e}"));
    }
}

#[test]
fn deep_nesting_is_refused() {
    let deep = 10_000;
    let programs = [
        ("parentheses", format!("print {}1{}", "(".repeat(deep), ")".repeat(deep))),
        ("arrays", format!("print {}1{}", "[".repeat(deep), "]".repeat(deep))),
        ("blocks", format!("let a = {}1{}", "{ ".repeat(deep), " }".repeat(deep))),
        ("calls", format!("print {}1{}", "sin(".repeat(deep), ")".repeat(deep))),
        ("minus", format!("print {}1", "- ".repeat(deep))),
        ("not", format!("print {}true", "not ".repeat(deep))),
        ("powers", format!("print 1{}", "^1".repeat(deep))),
        ("products", format!("print 1{}", " @ 1".repeat(deep))),
        ("conditions", format!("print {}1", "if true then 1 else ".repeat(deep))),
        ("functions", format!("let f = {}1", "fn(x) = ".repeat(deep))),
        ("indices", format!("let a = 1\nprint a{}", "[0]".repeat(deep))),
        ("fields", format!("let a = 1\nprint a{}", ".b".repeat(deep))),
        ("transposes", format!("let a = 1\nprint a{}", "'".repeat(deep))),
        ("types", format!("fn f(x: {}real{}) = 1", "(".repeat(deep), ",)".repeat(deep))),
        ("tests", format!("{}print 1{}", "if true then {\n".repeat(deep), "\n}".repeat(deep))),
        ("open", "(".repeat(deep)),
        ("records", format!("let a = {}1{}", "{ a: ".repeat(deep), " }".repeat(deep))),
    ];
    let complaints = complaints_of(&programs, |(name, text)| {
        let ran = run_text("deep", text, &with(Engine::Native));
        let refused = ran.told.iter().any(|told| told.error && told.code == "E0205" && told.place.is_some());
        if refused { Ok(()) } else { Err(format!("{name}: {}", ran.messages().chars().take(2000).collect::<String>())) }
    });
    expect_none(&complaints);
}

#[test]
fn long_programs_run() {
    let ran = run_text("long", &format!("print 0{}", " + 1".repeat(5_000)), &with(Engine::Native));
    assert_eq!(ran.lines, ["5000"], "{}", ran.messages());
    let many: String = (0..2_000).map(|i| format!("let a{i} = {i}\n")).collect();
    let ran = run_text("long", &format!("{many}print a0 + a1999"), &with(Engine::Native));
    assert_eq!(ran.lines, ["1999"], "{}", ran.messages());
    let list: Vec<String> = (0..20_000).map(|i| format!("{i}")).collect();
    let ran = run_text("long", &format!("print sum([{}])", list.join(", ")), &with(Engine::Native));
    assert_eq!(ran.lines, ["199990000"], "{}", ran.messages());
}

#[test]
fn texts_of_every_kind() {
    let run = |text: &[u8]| {
        let folder = Folder::new("text");
        run(&folder.file("program.dp", text), &with(Engine::Native))
    };
    assert_eq!(run(b""), Ran::default());
    assert_eq!(run(b"# only a comment"), Ran::default());
    assert_eq!(run(b"print 1\r\nprint 2\r\n").lines, ["1", "2"]);
    assert_eq!(run(b"\tprint\t1\t").lines, ["1"]);
    assert_eq!(run("\u{feff}print 1\n".as_bytes()).lines, ["1"]);
    for (bytes, words) in [(&b"print \xff"[..], "UTF-8"), (&b"print 1\0"[..], "")] {
        let ran = run(bytes);
        assert!(ran.failed() && ran.told.iter().any(|told| told.text.contains(words)), "{}", ran.messages());
    }
}

#[test]
fn scripts_that_cannot_be_read() {
    let folder = Folder::new("unreadable");
    only_error(&run(&folder.0.join("none.dp"), &with(Engine::Native)), "E0101", &["none.dp"])
        .unwrap_or_else(|e| panic!("{e}"));
    only_error(&run(&folder.0, &with(Engine::Native)), "E0101", &["folder"]).unwrap_or_else(|e| panic!("{e}"));
}

#[test]
fn sizes_are_refused_before_they_are_paid_for() {
    let solver = "solver s(x: real, a: real) -> y {\n    state y: real = x\n    step y <- a * y\n}\n";
    let programs = [
        ("zeros(1000000, 1000000)", "print zeros(1000000, 1000000)".to_string(), "E0602"),
        ("range", "print range(1000000000000)".to_string(), "E0602"),
        ("normal", "print normal(1000000000000)".to_string(), "E0602"),
        ("eye", "print eye(1000000)".to_string(), "E0602"),
        ("comprehension", "print [0.5 for i in 1000000000000]".to_string(), "E0602"),
        (
            "outer",
            "fn f(x: real[n]) = [x[i] * x[j] for i in n, j in n]\nprint sum(f(ones(1000000)))".to_string(),
            "E0602",
        ),
        ("one_hot", "print one_hot(range(1000), 10000000000)".to_string(), "E0602"),
        ("identity", "print sum(jacobian(fn(x) = 2 * x)(ones(1000000)))".to_string(), "E0602"),
        ("gradient", format!("{solver}print grad(fn(a) = unroll s(1, a) for 1000000000000)(1)"), "E0602"),
        ("network", format!("{solver}network n = unroll s(_, 1) for 1000000000000 learn each a\nprint n(1)"), "E0602"),
        ("overflow", "print zeros(4294967296, 4294967296)".to_string(), "E0602"),
    ];
    let complaints = complaints_of(&programs, |(name, text, code)| {
        let start = std::time::Instant::now();
        let ran = run_text("size", text, &with(Engine::Native));
        only_error(&ran, code, &[]).map_err(|e| format!("{name}: {e}"))?;
        match start.elapsed().as_secs() {
            0..20 => Ok(()),
            seconds => Err(format!("{name}: refused after {seconds} s only")),
        }
    });
    expect_none(&complaints);
}

/// Pseudorandom numbers below a bound.
fn random(state: &mut u64, below: usize) -> usize {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    ((*state >> 33) as usize) % below.max(1)
}

/// A program with a few small damages.
fn damaged(text: &str, state: &mut u64) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    for _ in 0..1 + random(state, 4) {
        if chars.is_empty() {
            break;
        }
        let at = random(state, chars.len());
        match random(state, 4) {
            0 => {
                chars.remove(at);
            }
            1 => {
                let end = (at + random(state, 30)).min(chars.len());
                chars.drain(at..end);
            }
            2 => {
                let other = chars[random(state, chars.len())];
                chars.insert(at, other);
            }
            _ => {
                let end = (at + random(state, 30)).min(chars.len());
                let copy: Vec<char> = chars[at..end].to_vec();
                let to = random(state, chars.len());
                chars.splice(to..to, copy);
            }
        }
    }
    chars.into_iter().collect()
}

#[test]
fn damaged_programs_are_checked_without_a_crash() {
    let mut programs: Vec<(PathBuf, u64)> = Vec::new();
    for folder in ["tests/run", "tests/errors"] {
        for (i, file) in files_below(&root().join(folder), "dp").into_iter().enumerate() {
            programs.extend((0..6).map(|n| (file.clone(), (i * 100 + n) as u64)));
        }
    }
    let complaints = complaints_of(&programs, |(file, seed)| {
        let text = std::fs::read_to_string(file).map_err(|e| e.to_string())?;
        let changed = damaged(&text, &mut seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let folder = Folder::new("noise");
        let path = folder.file("program.dp", &changed);
        let checked = std::panic::catch_unwind(|| check(&path));
        match checked {
            Ok(_) => Ok(()),
            Err(_) => Err(format!("{} damaged with seed {seed} crashes the checker:\n{changed}", file.display())),
        }
    });
    expect_none(&complaints);
}

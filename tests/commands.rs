//! Drives the binary `dp`: exit statuses, streams, options, Ctrl-C, resumed training.

use crate::harness::Folder;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

fn dp(folder: &Path, words: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dp"));
    command.args(words.split_whitespace()).current_dir(folder).stdin(Stdio::null());
    command
}

struct Said {
    status: Option<i32>,
    out: String,
    err: String,
}

fn said(output: Output) -> Said {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("dp writes text");
    Said { status: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

fn run(folder: &Folder, words: &str) -> Said {
    said(dp(&folder.0, words).output().expect("dp starts"))
}

/// A run that must end with this status and say these words on the two streams.
fn expect(folder: &Folder, words: &str, status: i32, out: &[&str], err: &[&str]) -> Said {
    let said = run(folder, words);
    let missing =
        |text: &str, words: &[&str]| words.iter().find(|word| !text.contains(**word)).map(|word| (*word).to_string());
    let wrong = said.status != Some(status) || missing(&said.out, out).or(missing(&said.err, err)).is_some();
    assert!(
        !wrong,
        "dp {words}: expected {status} {out:?} {err:?}, found {:?}\n{}\n{}",
        said.status, said.out, said.err
    );
    said
}

#[test]
fn statuses_and_streams() {
    let folder = Folder::new("statuses");
    folder.file("good.dp", "print 1 + 1\n");
    folder.file("wrong.dp", "print 1\nprint [1, 2][5]\n");
    folder.file("unknown.dp", "print nothing\n");
    let good = expect(&folder, "run good.dp", 0, &["2\n"], &[]);
    assert_eq!((good.out.as_str(), good.err.as_str()), ("2\n", ""));
    let wrong = expect(&folder, "run wrong.dp", 1, &[], &["error[E", "wrong.dp:2:"]);
    assert!(!wrong.out.contains("error"));
    expect(&folder, "run unknown.dp", 1, &[], &["error[E0301]", "nothing"]);
    expect(&folder, "run missing.dp", 1, &[], &["missing.dp"]);
    expect(&folder, "check good.dp", 0, &[], &[]);
    expect(&folder, "check good.dp unknown.dp", 1, &[], &["E0301"]);
    // Wrong use.
    expect(&folder, "", 2, &[], &["Usage"]);
    expect(&folder, "walk good.dp", 2, &[], &["walk"]);
    expect(&folder, "run", 2, &[], &["FILE"]);
    expect(&folder, "run good.dp --depth 3", 2, &[], &["--depth"]);
    expect(&folder, "run --precision f16 good.dp", 2, &[], &["f16"]);
    expect(&folder, "run good.dp --seed", 2, &[], &["seed"]);
    expect(&folder, "explain E9999", 2, &[], &["E9999"]);
    expect(&folder, "check", 2, &[], &["FILES"]);
}

#[test]
fn help_and_explanations() {
    let folder = Folder::new("help");
    folder.file("a.dp", "## How long it runs.\narg epochs: int = 20\narg rate: real = 0.5   # the step\narg name: string\nprint epochs, rate, name\n");
    expect(&folder, "--help", 0, &["run", "check", "test", "explain", "--precision"], &[]);
    expect(&folder, "--version", 0, &["dp 0."], &[]);
    expect(
        &folder,
        "run a.dp --help",
        0,
        &["--epochs <int>", "How long it runs.", "[default: 20]", "--rate <real>", "--name <string>", "[required]"],
        &[],
    );
    expect(&folder, "run a.dp --name x", 0, &["20 0.5 x\n"], &[]);
    expect(&folder, "run a.dp --name=x --epochs 3 --rate -1", 0, &["3 -1 x\n"], &[]);
    expect(&folder, "run a.dp", 1, &[], &["--name"]);
    expect(&folder, "run a.dp --name x --epoch 3", 2, &[], &["--epoch", "--epochs"]);
    expect(&folder, "run a.dp --name x --epochs many", 1, &[], &["E0802", "many", "int"]);
    expect(&folder, "explain E0201", 0, &["E0201", "grammar"], &[]);
    expect(&folder, "explain", 0, &["E0201", "E0301"], &[]);
}

#[test]
fn solvers_on_the_data_of_a_script() {
    let folder = Folder::new("data");
    let script = "arg passes: int = 2\nproblem sparse(x: real[m], D: real[m, n]) {\n    minimize over y: real[n]\n        \
                  1/2 * sumsq(x - D @ y) + 0.1 * norm1(y)\n}\nsolver ista = derive sparse by proximal_gradient\n\
                  let table = load(\"x.csv\")\nlet x = flat(table)\nlet y = unroll ista(x, [[2.0, 1], [0, 1]]) for passes\nsave(\"y.npy\", y)\n\
                  print norm(y)\nassert norm(y) > 100\n";
    folder.file("a.dp", script);
    folder.file("x.csv", "1\n2\n");
    let looked =
        expect(&folder, "check --data a.dp", 0, &[], &["warning[E0358]", "2 passes go", "a.dp:9:", "unroll ista"]);
    assert_eq!(looked.out, "");
    assert!(!folder.0.join("y.npy").exists());
    assert_eq!(expect(&folder, "check --data a.dp --passes 1000 --seed 3", 0, &[], &[]).err, "");
    // What is left out is told where it may matter.
    folder.file("b.dp", "save(\"z.npy\", [1, 2])\nprint load(\"z.npy\")\n");
    expect(&folder, "check --data b.dp", 1, &[], &["E0806", "no file is written"]);
    expect(&folder, "check --data a.dp --help", 0, &["--passes <int>"], &[]);
    expect(&folder, "check --data a.dp --layers 3", 2, &[], &["--layers"]);
    expect(&folder, "check --data a.dp a.dp", 2, &[], &["a.dp"]);
    expect(&folder, "check --help", 0, &["--data", "99 percent"], &[]);
    assert_eq!(expect(&folder, "check a.dp", 0, &[], &[]).err, "");
    // A run says nothing of it.
    assert!(!expect(&folder, "run a.dp", 1, &[], &["E0509"]).err.contains("E0358"));
    expect(&folder, "explain E0358", 0, &["dp check --data", "warning[E0358]"], &[]);
}

#[test]
fn sessions_and_texts() {
    let folder = Folder::new("session");
    folder.file("a.dp", "fn twice(x: real) = 2 * x\nlet a = twice(4)\n");
    folder.file("plain.txt", "1 + 1\nfn f(x: real[n]) {\n    sum(x)\n}\nf([1, 2])\n:type f\n:load a.dp\na\n");
    let enter = |words: &str, input: &str| {
        let file = std::fs::File::open(folder.0.join(input)).expect("the input is there");
        said(dp(&folder.0, words).stdin(file).output().expect("dp starts"))
    };
    let good = enter("repl", "plain.txt");
    let expected = "2 : int\nf : fn(x: real[n]) -> real\n3 : real\nfn(x: real[n]) -> real\n\
                    twice : fn(x: real) -> real\na = 8 : real\n8 : real\n";
    assert_eq!((good.status, good.out.as_str(), good.err.as_str()), (Some(0), expected, ""));
    folder.file("wrong.txt", "print 1\nnothing\nprint 2\n");
    let wrong = enter("repl", "wrong.txt");
    assert_eq!((wrong.status, wrong.out.as_str()), (Some(1), "1\n2\n"));
    assert!(
        wrong.err.contains("E0301") && wrong.err.contains("entry 2:1:1") && !wrong.err.contains('\u{1b}'),
        "{}",
        wrong.err
    );
    folder.file("empty.txt", "a\n");
    assert_eq!(enter("repl a.dp", "empty.txt").out.lines().last(), Some("8 : real"));
    assert_eq!(enter("repl none.dp", "empty.txt").status, Some(1));
    // A text on the command line.
    let text = |text: &str| said(dp(&folder.0, "-e").arg(text).output().expect("dp starts"));
    assert_eq!((text("1 + 1").out.as_str(), text("let a = 2; a^10").out.as_str()), ("2\n", "1024\n"));
    assert_eq!(text("print soft(3, 1)").out, "2\n");
    let wrong = text("let x = [1, 2]; x[2]");
    assert!(wrong.status == Some(1) && wrong.err.contains("expression:1:"), "{}", wrong.err);
    expect(&folder, "--precision f32 -e eps", 0, &["1.19209e-7"], &[]);
    expect(&folder, "--time", 2, &[], &["--help"]);
    for shell in ["bash", "zsh", "fish"] {
        expect(&folder, &format!("completions {shell}"), 0, &["explain", "precision"], &[]);
    }
}

#[test]
fn scripts_that_hold_their_output() {
    let folder = Folder::new("literate");
    let text = "let a = 2\nprint a\n\nfor k in 2 { print k }\n#= old\nprint [[1, 2], [3, 4]]\n# the end\n";
    folder.file("a.dp", text);
    expect(&folder, "run a.dp --quick", 2, &[], &["quick"]);
    expect(&folder, "run --check a.dp", 1, &["a.dp:4: the output differs", "- old", "+ 0", "+ 1"], &[]);
    expect(&folder, "run --update a.dp", 0, &[], &["1 expectations changed"]);
    let updated = std::fs::read_to_string(folder.0.join("a.dp")).expect("the script");
    let expected = "let a = 2\nprint a\n#= 2\n\nfor k in 2 { print k }\n#= 0\n#= 1\nprint [[1, 2], [3, 4]]\n#= [[1, 2],\n\
                    #=  [3, 4]]\n# the end\n";
    assert_eq!(updated, expected);
    expect(&folder, "run --check a.dp", 0, &["5 lines as expected, 0 statements differ"], &[]);
    // The common form leaves expectations alone.
    expect(&folder, "fmt a.dp", 0, &[], &[]);
    expect(&folder, "run --check a.dp", 0, &["5 lines as expected"], &[]);
    // A script that fails is not written.
    folder.file("b.dp", "print 1\nprint [1][3]\n");
    expect(&folder, "run --update b.dp", 1, &[], &["b.dp:2"]);
    assert_eq!(std::fs::read_to_string(folder.0.join("b.dp")).expect("the script"), "print 1\nprint [1][3]\n");
    expect(&folder, "run --check --update a.dp", 2, &[], &["--update"]);
}

#[test]
fn explanations_show_programs() {
    let folder = Folder::new("explain");
    expect(&folder, "explain e0405", 0, &["This program gets the message", "error[E0405]", "D' @ x"], &[]);
    expect(&folder, "explain E0506", 0, &["Ctrl-C"], &[]);
    expect(&folder, "explain E040", 2, &[], &["did you mean"]);
    folder.file("t.dp", "test \"one\" { assert true }\ntest \"two\" { assert false }\n");
    expect(&folder, "test --name one t.dp", 0, &["t.dp: one  ", " ms\n", "1 passed, 0 failed in "], &[]);
}

#[test]
fn options_of_a_run() {
    let folder = Folder::new("options");
    folder.file("draw.dp", "print eps\nprint normal(3)\n");
    let first = expect(&folder, "run draw.dp", 0, &["2.22045e-16"], &[]);
    assert_eq!(first.out, run(&folder, "run draw.dp --seed 1").out);
    assert_ne!(first.out, run(&folder, "run draw.dp --seed 2").out);
    assert_eq!(first.out, run(&folder, "run --engine reference draw.dp").out);
    expect(&folder, "run draw.dp --precision f32", 0, &["1.19209e-7"], &[]);
    let timed = expect(&folder, "run draw.dp --time", 0, &[], &["parse", "compile", "run"]);
    assert_eq!(timed.out, first.out);
    let dumped = expect(&folder, "run draw.dp --dump graph", 0, &[], &["normal"]);
    assert_eq!(dumped.out, first.out);
    // Not a number, and where it comes from.
    folder.file("nan.dp", "fn f(x: real) = 1 + log(x)\nprint f(-1)\n");
    expect(&folder, "run nan.dp", 0, &["nan"], &[]);
    expect(&folder, "run nan.dp --check-nan", 1, &[], &["E0504", "nan.dp:1:", "log"]);
    // Files are replaced only when that is asked for, and only in folders that are allowed.
    folder.file("save.dp", "save(\"a.npy\", [1, 2])\n");
    expect(&folder, "run save.dp", 0, &[], &[]);
    expect(&folder, "run save.dp", 1, &[], &["a.npy", "exists"]);
    expect(&folder, "run save.dp --overwrite", 0, &[], &[]);
    let other = Folder::new("other");
    other.file("b.csv", "1,2\n3,4\n");
    folder.file("load.dp", format!("print load(\"{}\")\n", other.0.join("b.csv").display()));
    expect(&folder, "run load.dp", 1, &[], &["outside"]);
    expect(&folder, "run load.dp --allow-dir nowhere", 1, &[], &["E0805", "nowhere"]);
    expect(&folder, &format!("run load.dp --allow-dir {}", other.0.display()), 0, &["[[1, 2],\n [3, 4]]"], &[]);
    // Memory.
    folder.file("large.dp", "print sum(ones(1000000))\n");
    expect(&folder, "run large.dp", 0, &["1e6"], &[]);
    expect(&folder, "run large.dp --max-mem 1M", 1, &[], &["E0602"]);
}

#[test]
fn tests_of_scripts() {
    let folder = Folder::new("tests");
    folder.file("a.dp", "fn f(x: real) = 2 * x\ntest \"doubles\" { assert f(2) == 4 }\ntest \"wrong\" { assert f(2) == 5 }\nprint \"not shown\"\n");
    folder.file("b.dp", "test \"fine\" { assert true }\n");
    let both = expect(
        &folder,
        "test",
        1,
        &["a.dp: doubles", "FAILED", "a.dp: wrong", "b.dp: fine", "2 passed, 1 failed"],
        &["E0509"],
    );
    assert!(!both.out.contains("not shown"));
    expect(&folder, "test b.dp", 0, &["1 passed, 0 failed"], &[]);
    expect(&folder, "test none", 2, &[], &["none"]);
    // A script that has one is run in its quick form, unless it is asked for in full.
    folder.file("claim.dp", "arg quick: bool = false\nassert quick or abs(uniform()) < 2\nassert quick\n");
    expect(&folder, "test claim.dp", 0, &["0 passed, 0 failed"], &[]);
    expect(&folder, "test --full claim.dp", 1, &["script", "seconds", "FAILED", "0 passed, 2 failed"], &["E0509"]);
    expect(&folder, "test --full b.dp", 0, &["script", "seconds", "holds", "2 passed, 0 failed"], &[]);
}

#[test]
fn ways_to_compute_the_same_are_compared() {
    let folder = Folder::new("costs");
    folder.file(
        "costs.dp",
        "solver halves(a: real[n]) -> x {\n    state x: real[n] = 0\n    step x <- x - (x - a) / 2\n    until norm(x - previous x) <= 1e-3 * tol\n}\n\
         compare_costs(gradient_ways(halves, sumsq, passes: 60, last: 2), [1, 2])\n\
         compare_costs({ one: fn(x) = 2 * x, two: fn(x) = x * x, three: 3 }, [1, 2], to: \"one\")\n",
    );
    let said = expect(&folder, "run costs.dp", 0, &["difference", "time", "memory"], &[]);
    // A line for each way, with the difference that is known: the last two of 60 halvings contribute 3/4.
    let line = |name: &str| {
        let found =
            said.out.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name}: {}", said.out));
        found.split_whitespace().map(str::to_string).collect::<Vec<_>>()
    };
    for name in ["exact", "checkpointed", "implicit"] {
        assert!(line(name)[1].parse::<f64>().expect("a number") < 1e-6, "{:?}", line(name));
    }
    assert_eq!((line("truncated")[1].as_str(), line("one")[1].as_str()), ("2.5e-1", "0.0e0"));
    // [1, 4] against [2, 4]: 1 / sqrt(20).
    assert_eq!(line("two")[1], "2.2e-1");
    assert!(line("exact").len() == 6 && !said.out.contains("three"), "{}", said.out);
    folder.file("wrong.dp", "compare_costs([1, 2], 3)\n");
    expect(&folder, "run wrong.dp", 1, &[], &["E0310", "record of functions"]);
    folder.file("name.dp", "compare_costs({ a: fn(x) = x }, 3, to: \"b\")\n");
    expect(&folder, "run name.dp", 1, &[], &["E0302", "`b`", "a"]);
}

#[test]
fn deep_nesting_does_not_overflow_the_stack() {
    let folder = Folder::new("stack");
    for depth in [200, 255, 300, 10_000] {
        folder.file("deep.dp", format!("print {}1{}\n", "(".repeat(depth), ")".repeat(depth)));
        let said = run(&folder, "run deep.dp");
        assert!(matches!(said.status, Some(0 | 1)), "{depth}: {:?} {}", said.status, said.err);
    }
    // Calls inside calls, deeper than they are allowed.
    let chain: String = (1..300).map(|i| format!("fn f{i}(x: real) = f{}(x) + 1\n", i - 1)).collect();
    folder.file("calls.dp", format!("fn f0(x: real) = x\n{chain}print f299(0)\n"));
    let said = run(&folder, "run calls.dp");
    assert!(said.status == Some(1) && said.err.contains("E0603"), "{:?} {}", said.status, said.err);
}

#[test]
fn derivations_are_told() {
    let folder = Folder::new("derive");
    let lasso = "problem lasso(x: real[m], D: real[m, n], c: real) {\n    minimize over y: real[n]\n        \
                 1/2 * sumsq(x - D @ y) + c * norm1(y)\n}\n";
    folder.file("lasso.dp", lasso);
    let source = expect(&folder, "derive lasso.dp lasso --by proximal_gradient", 0, &["step y <- soft("], &[]);
    assert!(source.out.starts_with("solver lasso_by_proximal_gradient(") && source.err.is_empty(), "{}", source.out);
    let told = [
        "method   proximal_gradient: it was asked for",
        "4 untrained layers differ from 4 passes by 0",
        "step y <- soft(",
    ];
    expect(&folder, "derive lasso.dp lasso --by proximal_gradient --explain", 0, &told, &[]);
    let set = expect(&folder, "derive lasso.dp lasso --as layer --latex", 0, &["\\mathcal{S}_{\\theta}"], &[]);
    assert!(set.out.starts_with("\\begin{align*}\n\\operatorname*{argmin}"), "{}", set.out);
    expect(&folder, "derive lasso.dp lasso --latex --explain", 2, &[], &["--latex"]);
    expect(&folder, "derive lasso.dp lass", 1, &[], &["E0301", "`lasso`"]);
    // What its data come from is not run for the story; what it computes is.
    let shared = lasso.replace("sumsq(x", "sumsq(shift + x");
    folder.file("file.dp", format!("let shift = sum(load(\"nothing.npy\"))\n{shared}"));
    expect(&folder, "derive file.dp lasso --explain", 0, &["not tried: it needs `load`"], &[]);
    folder.file("computed.dp", format!("let shift = exp(0.5) / 2\nlet other = load(\"nothing.npy\")\n{shared}"));
    expect(&folder, "derive computed.dp lasso --explain", 0, &["4 untrained layers differ from 4 passes by 0"], &[]);
}

#[test]
fn damaged_checkpoints_are_refused() {
    let folder = Folder::new("checkpoint");
    folder.file("training.dp", TRAINING);
    let at = TRAINING.find("train net {").expect("the program trains");
    for step in ["000000000010", "000000000020"] {
        folder.file(&format!("training.train-{at}.{step}.safetensors"), b"no checkpoint at all");
    }
    expect(&folder, "run training.dp --resume", 1, &[], &["E0705", "training.dp:"]);
    // Without the option it starts anew.
    expect(&folder, "run training.dp --steps 3", 0, &[], &[]);
}

fn signal(child: &Child) {
    let status = Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill starts");
    assert!(status.success());
}

fn start(folder: &Folder, words: &str) -> Child {
    dp(&folder.0, words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("dp starts")
}

#[test]
fn output_that_nobody_reads_ends_a_command_without_a_word() {
    let folder = Folder::new("unread");
    folder.file("long.dp", "for i in 100000 { print i }\n");
    for words in ["bench call elementwise --seconds 0.01", "run long.dp"] {
        let mut child = start(&folder, words);
        wait_for_line(&mut child);
        drop(child.stdout.take());
        let done = child.wait_with_output().expect("dp ends");
        assert_eq!((done.status.code(), String::from_utf8_lossy(&done.stderr).as_ref()), (Some(0), ""), "{words}");
    }
}

/// Waits for the first line of output.
fn wait_for_line(child: &mut Child) {
    use std::io::Read;
    let out = child.stdout.as_mut().expect("the output is piped");
    let mut byte = [0];
    while out.read(&mut byte).expect("the output can be read") == 1 && byte[0] != b'\n' {}
}

#[cfg(unix)]
#[test]
fn an_interrupted_loop_stops_at_once() {
    let programs = [
        ("scalar", "print 0\nprint loop s: real = 0 until false within 1000000000000 { s <- s + sin(s + 1) }\n"),
        ("arrays", "print 0\nprint sum(loop v = ones(1000) until false within 1000000000000 { v <- 0.5 * v + 1 })\n"),
        (
            "products",
            "print 0\nlet A = eye(300)\nprint sum(loop v = A until false within 1000000000000 { v <- A @ v })\n",
        ),
        (
            "inner",
            "print 0\nprint loop s: real = 0 until false within 1000000000000 { s <- loop t = s for 100000000 { t <- 0.5 * t + 1 } }\n",
        ),
        ("statements", "print 0\nfor k in 1000000000 { let a = k }\n"),
    ];
    for (name, text) in programs {
        let folder = Folder::new("interrupt");
        folder.file("long.dp", text);
        // A busy machine may delay a process: the best of a few attempts counts.
        let mut best = Duration::MAX;
        for _ in 0..4 {
            let mut child = start(&folder, "run long.dp");
            wait_for_line(&mut child);
            std::thread::sleep(Duration::from_millis(500));
            let sent = Instant::now();
            signal(&child);
            let output = said(child.wait_with_output().expect("dp ends"));
            best = best.min(sent.elapsed());
            assert_eq!(output.status, Some(130), "{name}: {}", output.err);
            assert!(output.err.contains("E0506") && output.err.contains("long.dp:"), "{name}: {}", output.err);
            if best < Duration::from_millis(200) {
                break;
            }
        }
        assert!(best < Duration::from_millis(200), "{name} stopped after {best:?}");
    }
}

const TRAINING: &str = "\
arg steps: int = 3000
network net(x: real[8]) -> real[8] {
    param W: real[8, 8] = glorot, b: real[8] = 0
    tanh(W @ x + b)
}
let X = normal(64, 8)
print 0
let first = train net {
    each x in X batch 8
    minimize sumsq(net(x) - x) + 1e-3 * sumsq(net.W * uniform(8, 8))
    using adam(1e-3)
    steps steps
    record { norm: norm(net.W) } every 100
}
let second = train net.b {
    state total: real = 0
    each x in X batch 16
    minimize sumsq(net(x) + x)
    using adam(1e-3)
    steps steps
    update { total <- total + norm(net.b) }
    keep lowest loss
}
save(\"end.npy\", concat(flat(net.params), first.loss, first.norm, second.loss, [second.total]))
";

#[cfg(unix)]
#[test]
fn an_interrupted_entry_leaves_the_session() {
    use std::io::Write;
    let folder = Folder::new("interrupted-entry");
    let mut command = dp(&folder.0, "repl");
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("dp starts");
    let mut input = child.stdin.take().expect("the input is piped");
    let endless = "loop s: real = 0 until false within 1000000000000 { s <- s + sin(s + 1) }";
    writeln!(input, "let a = 5;\nprint 0\nlet a = {endless}").expect("dp reads");
    wait_for_line(&mut child);
    std::thread::sleep(Duration::from_millis(500));
    signal(&child);
    writeln!(input, "a").expect("dp reads");
    drop(input);
    let output = said(child.wait_with_output().expect("dp ends"));
    assert!(output.out.ends_with("5 : int\n") && output.err.contains("interrupted"), "{}\n{}", output.out, output.err);
}

#[cfg(unix)]
#[test]
fn an_interrupted_training_goes_on_with_the_same_bits() {
    let whole = Folder::new("whole");
    whole.file("training.dp", TRAINING);
    let begun = Instant::now();
    expect(&whole, "run training.dp", 0, &[], &[]);
    let total = begun.elapsed();
    let wanted = std::fs::read(whole.0.join("end.npy")).expect("the run saved its end");

    let parts = Folder::new("parts");
    parts.file("training.dp", TRAINING);
    let mut interrupted = 0;
    let mut resumed = "run training.dp";
    // Each time a little later; the last run is left alone.
    for part in 1..=6 {
        let mut child = start(&parts, resumed);
        wait_for_line(&mut child);
        std::thread::sleep(total.mul_f64(0.15));
        signal(&child);
        let said = said(child.wait_with_output().expect("dp ends"));
        if said.status == Some(0) {
            break;
        }
        assert_eq!(said.status, Some(130), "{}", said.err);
        if said.err.contains("after step") {
            interrupted += 1;
            assert!(said.err.contains("--resume"), "{}", said.err);
            resumed = "run training.dp --resume";
        }
        assert!(part < 6 || interrupted > 0, "no part was interrupted in training");
    }
    if !parts.0.join("end.npy").exists() {
        expect(&parts, resumed, 0, &[], &[]);
    }
    assert!(interrupted > 0, "the training was too short to be interrupted");
    let found = std::fs::read(parts.0.join("end.npy")).expect("the run saved its end");
    assert!(found == wanted, "interrupted {interrupted} times, the end differs");
    let left: Vec<String> = std::fs::read_dir(&parts.0)
        .expect("the folder can be read")
        .map(|entry| entry.expect("the folder can be read").file_name().to_string_lossy().to_string())
        .collect();
    assert_eq!(left.len(), 2, "files are left behind: {left:?}");
}

/// Interrupts a run in training. A busy machine may take long to begin it: it is tried with longer waits.
#[cfg(unix)]
fn interrupted(folder: &Folder, words: &str) -> Said {
    let mut last = None;
    for seconds in [1, 3, 9, 20] {
        let mut child = start(folder, words);
        wait_for_line(&mut child);
        std::thread::sleep(Duration::from_secs(seconds));
        signal(&child);
        let said = said(child.wait_with_output().expect("dp ends"));
        if said.err.contains("after step") {
            return said;
        }
        last = Some(said);
    }
    last.expect("there was an attempt")
}

#[cfg(unix)]
#[test]
fn a_training_is_not_resumed_with_other_settings() {
    let folder = Folder::new("settings");
    let script = TRAINING.replace("arg steps", "arg rate: real = 0.5\narg steps");
    folder.file("training.dp", script);
    let begun = interrupted(&folder, "run training.dp --steps 100000000");
    assert!(begun.status == Some(130) && begun.err.contains("--resume"), "{:?} {}", begun.status, begun.err);
    let refused = |words: &str, err: &[&str]| {
        let said = expect(&folder, &format!("run training.dp --resume {words}"), 1, &[], &["E0705", "other settings"]);
        let missing: Vec<&&str> = err.iter().filter(|word| !said.err.contains(**word)).collect();
        assert!(missing.is_empty(), "{words}: {missing:?} is missing in {}", said.err);
        said
    };
    let said = refused("--steps 100000001", &["`--steps` was `100000000`, now it is `100000001`"]);
    assert!(!said.err.contains("--seed") && !said.err.contains("--rate"), "{}", said.err);
    refused("--steps 100000000 --rate 0.25 --seed 7", &["`--seed` was `1`, now it is `7`", "`--rate` was `0.5`"]);
    refused("--steps 100000000 --precision f32", &["`--precision` was `f64`, now it is `f32`"]);
    // With the settings that it had, it goes on.
    let again = interrupted(&folder, "run training.dp --resume --steps 100000000 --rate 0.5");
    assert!(again.status == Some(130) && again.err.contains("after step"), "{:?} {}", again.status, again.err);
}

#[test]
fn trainings_are_logged() {
    let folder = Folder::new("log");
    folder.file(
        "training.dp",
        "arg n: int = 12\nnetwork net(x: real) -> real {\n    param a: real = 5\n    a * x\n}\nlet run = train net {\n    \
         each x in [1.0, 2.0]\n    minimize net(x)^2\n    using sgd(1e-2)\n    epochs n\n    \
         record { a: net.a, both: [net.a, 1 / 0.0] } every 5\n    keep lowest loss patience 9\n}\n\
         let more = train net { minimize net.a^2; using sgd(0.1); steps 50; until net.a < 1 }\n",
    );
    expect(&folder, "run training.dp --log log.jsonl", 0, &[], &[]);
    let text = std::fs::read_to_string(folder.0.join("log.jsonl")).expect("the log was written");
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect();
    let events: Vec<&str> = lines.iter().map(|line| line["event"].as_str().expect("an event")).collect();
    assert_eq!(events[..5], ["start", "record", "record", "record", "end"], "{text}");
    let (start, record, end) = (&lines[0], &lines[1], &lines[4]);
    assert_eq!(
        (start["steps"].as_u64(), start["trained"].as_u64(), start["seed"].as_u64()),
        (Some(12), Some(1), Some(1))
    );
    assert_eq!((start["arguments"]["n"].as_str(), start["precision"].as_str()), (Some("12"), Some("f64")));
    assert_eq!((record["step"].as_u64(), record["epoch"].as_f64()), (Some(5), Some(5.0)));
    // Each step multiplies the parameter by 1 - 0.01 * (1 + 4).
    let a = record["a"].as_f64().expect("a number");
    assert!((a - 5.0 * 0.95f64.powi(5)).abs() < 1e-12, "{a}");
    assert!((record["both"][0].as_f64(), record["both"][1].is_null()) == (Some(a), true), "{record}");
    assert_eq!(
        (lines[3]["step"].as_u64(), end["step"].as_u64(), end["reason"].as_str()),
        (Some(12), Some(12), Some("steps"))
    );
    assert!(end["best"].as_f64().is_some_and(|best| Some(best) == lines[3]["loss"].as_f64()), "{end}");
    assert_eq!(lines.last().and_then(|line| line["reason"].as_str()), Some("until"));
    // It is not replaced unless told.
    expect(&folder, "run training.dp --log log.jsonl", 1, &[], &["E0806", "log.jsonl", "--overwrite"]);
    expect(&folder, "run training.dp --log log.jsonl --overwrite --n 5", 0, &[], &[]);
    expect(&folder, "run training.dp --log no/such/folder.jsonl", 1, &[], &["E0806", "folder.jsonl"]);
}

#[test]
fn pictures_are_written_and_shown() {
    let folder = Folder::new("pictures");
    folder.file(
        "pictures.dp",
        "let x = range(20) / 20\nplot(x, x^2, label: [\"line\", \"square\"])\nscatter(x, x^2, file: \"a.svg\")\n\
         hist(x, bins: 4, file: \"b.png\")\nheatmap([x, x^2], file: \"c.png\")\nimage([x, x^2], file: \"d.svg\")\n",
    );
    expect(&folder, "run pictures.dp", 0, &["a line   b square", "┤", "└"], &[]);
    for (name, start) in [("a.svg", &b"<svg"[..]), ("b.png", b"\x89PNG"), ("c.png", b"\x89PNG"), ("d.svg", b"<svg")] {
        let bytes = std::fs::read(folder.0.join(name)).expect("the picture was written");
        assert!(bytes.starts_with(start), "{name}");
    }
    for (wrong, words) in [
        ("plot([1, 2], file: \"a.gif\")", &["E0807", ".svg or .png"][..]),
        ("scatter([1, 2], [1, 2, 3])", &["E0412", "2", "3"]),
        ("scatter([1, 2])", &["E0321", "pairs"]),
        ("hist([1, 2], bins: 0)", &["E0310", "bins"]),
        ("heatmap([1, 2])", &["E0310", "matrix"]),
        ("image(zeros(2, 2, 2, 2))", &["E0310", "[2, 2, 2, 2]"]),
        ("image(zeros(2, 2), colour: 1)", &["E0321", "colour", "columns: n"]),
        ("heatmap(zeros(0, 2))", &["E0807"]),
        ("plot(log([0.0 - 1]))", &["E0807", "no finite point"]),
        ("fn f(x: real[2]) = heatmap(x)", &["E0331"]),
    ] {
        folder.file("wrong.dp", format!("{wrong}\n"));
        let said = run(&folder, "run wrong.dp");
        let missing: Vec<&&str> = words.iter().filter(|word| !said.err.contains(**word)).collect();
        assert!(said.status == Some(1) && missing.is_empty(), "{wrong}: {missing:?} is missing in\n{}", said.err);
    }
}

#[test]
fn files_of_a_folder_are_loaded_one_after_another() {
    let folder = Folder::new("folder");
    std::fs::create_dir(folder.0.join("data")).expect("a folder");
    for (name, text) in [("data/a.csv", "1,2\n"), ("data/b.csv", "x,y\n3,4\n"), ("data/c.csv", "\"5\",6\n")] {
        folder.file(name, text);
    }
    folder.file("all.dp", "for f in files(\"data\") {\n    let t = load(f)\n    print f, t[0]\n}\n");
    expect(&folder, "run all.dp", 0, &["data/a.csv [1, 2]\ndata/b.csv [3, 4]\ndata/c.csv [5, 6]\n"], &[]);
    folder.file("data/d.csv", "7,x\n");
    expect(&folder, "run all.dp", 1, &["data/c.csv"], &["E0806", "d.csv", "line 1, field 2", "`x`"]);
}

#[test]
fn parameters_of_instances_are_saved_and_loaded() {
    let folder = Folder::new("instances");
    folder.file(
        "save.dp",
        "network two(x: real[3]) -> real[3] {\n    param a = dense(3, 3), b = dense(3, 3)\n    b(tanh(a(x)))\n}\n\
         save(\"two.safetensors\", two.params)\nsave(\"two.npz\", two.params)\n\
         let stored = load(\"two.safetensors\")\nlet packed = load(\"two.npz\")\nnetwork again = at(two, stored)\n\
         assert all(again([1, 2, 3]) == two([1, 2, 3]))\nassert all(at(two, packed)([1, 2, 3]) == two([1, 2, 3]))\n\
         assert all(stored.a.W == two.a.W)\nprint size(flat(stored))\n",
    );
    expect(&folder, "run save.dp", 0, &["24\n"], &[]);
}

#[test]
fn networks_are_drawn() {
    let folder = Folder::new("graph");
    folder.file(
        "net.dp",
        "network net(x: real[4]) -> real[2] {\n    param inner = dense(4, 3)\n    param W: real[2, 3] = glorot\n    W @ relu(inner(x))\n}\n\
         problem p(x: real[n]) { minimize over y: real[n]\n sumsq(x - y) }\nassert false\n",
    );
    // Nothing is run.
    let shown =
        expect(&folder, "graph net.dp net", 0, &["network net(x)", "inner(x)", "relu(·)", "learned: W", "▶"], &[]);
    assert!(!shown.out.contains('\x1b'), "{}", shown.out);
    expect(&folder, "graph net.dp net --to mermaid", 0, &["flowchart LR", "-->"], &[]);
    expect(&folder, "graph net.dp net -o net.svg", 0, &[], &[]);
    expect(&folder, "graph net.dp net.inner -o inner.png", 0, &[], &[]);
    let file = |name: &str| std::fs::read(folder.0.join(name)).expect("the picture is written");
    assert!(file("net.svg").starts_with(b"<svg") && file("inner.png").starts_with(b"\x89PNG"));
    // Mistakes.
    expect(&folder, "graph net.dp nett", 1, &[], &["E0301", "did you mean `net`"]);
    expect(&folder, "graph net.dp p", 1, &[], &["E0360", "derive p"]);
    expect(&folder, "graph net.dp net.outer", 1, &[], &["E0361", "`inner`"]);
    expect(&folder, "graph net.dp net --inputs z", 1, &[], &["E0362", "`x`"]);
    expect(&folder, "graph net.dp net -o net.pdf", 2, &[], &["net.pdf", ".svg"]);
    expect(&folder, "graph net.dp net --to png", 2, &[], &["-o FILE"]);
    expect(&folder, "graph net.dp net -o missing/net.svg", 1, &[], &["missing/net.svg"]);
    expect(&folder, "graph missing.dp net", 1, &[], &["missing.dp"]);
    folder.file(
        "deep.dp",
        "solver s(x: real) -> y {\n    state y: real = 0\n    step y <- sin(y + x)\n}\nlet deep = unroll s(_) for 5000\n",
    );
    expect(&folder, "graph deep.dp deep --layers all", 1, &[], &["E0363", "--layers ends"]);
    expect(&folder, "graph deep.dp deep --layers ends", 0, &["layer 1", "· · ·", "layer 5000"], &[]);
}

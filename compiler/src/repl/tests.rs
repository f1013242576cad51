//! Sessions as texts: what is typed, and what is shown.

use super::*;
use crate::driver::Options;

/// Collects what a session shows.
#[derive(Default)]
struct Paper {
    text: String,
}

impl Console for Paper {
    fn print(&mut self, text: &str) {
        self.text += &format!("{text}\n");
    }

    fn tell(&mut self, text: &str) {
        self.text += &format!("! {text}\n");
    }

    fn color(&self) -> bool {
        false
    }

    fn interactive(&self) -> bool {
        false
    }

    fn width(&self) -> usize {
        80
    }
}

/// Runs entries on a thread with the stack that `dp` has; gives what was shown, and whether all was good.
fn session(input: &'static str) -> (String, bool) {
    let work = move || {
        let workspace = Rc::new(RefCell::new(Workspace::new(&Options::default())));
        let mut paper = Paper::default();
        let good = run(&workspace, &mut Lines::new(input.as_bytes()), &mut paper);
        (paper.text, good)
    };
    let thread = std::thread::Builder::new().stack_size(256 << 20).spawn(work).expect("a thread starts");
    thread.join().expect("the session ends")
}

fn shown(input: &'static str) -> String {
    let (text, good) = session(input);
    assert!(good, "{text}");
    text
}

#[test]
fn values_have_types() {
    assert_eq!(shown("1 + 1\n"), "2 : int\n");
    assert_eq!(shown("let x = [1, 2.5]\nx\n"), "x = [1, 2.5] : real[2]\n[1, 2.5] : real[2]\n");
    assert_eq!(shown("fn f(x: real[n]) = 2 * x\nf([1, 2])"), "f : fn(x: real[n]) -> real[n]\n[2, 4] : real[2]\n");
    assert_eq!(shown("1;\nans + 1"), "2 : int\n");
    assert_eq!(shown("zeros(20, 5)"), "real[20, 5], min 0, mean 0, max 0, 100 % zero\n");
    assert_eq!(shown("print 1, 2\n\n# a comment\n"), "1 2\n");
    assert_eq!(shown("dp> 1 +\ndp> 2\n"), "3 : int\n");
}

#[test]
fn std_is_there_when_it_is_used() {
    assert_eq!(shown("soft([3, 0.5], 1)"), "[2, 0] : real[2]\n");
    let text = shown(":doc soft\n:source relu\n:doc sum\n:doc unroll\n:type soft\n");
    for part in
        ["fn(v: real, t: real) -> real", "Soft threshold", "fn relu(v: real)", "along an axis", "exactly K passes"]
    {
        assert!(text.contains(part), "{part} in\n{text}");
    }
    assert!(session(":doc sofd\n").0.contains("did you mean `soft`?"));
    assert!(session("sofd(1, 2)\n").0.contains("did you mean `soft`?"));
}

#[test]
fn entries_of_several_lines() {
    for text in
        ["(1 +", "let x =", "fn f(x: real) {", "[1,", "if true then 1", "solver s(x: real) -> y {\n\nstate y = 0"]
    {
        assert!(incomplete(text), "{text}");
    }
    for text in ["1", "let x = 1", "1 2", ")", ":type (", "(1 +\n\n", "if true then 1\n", "", "# a"] {
        assert!(!incomplete(text), "{text}");
    }
    let text = shown("fn f(x: real) {\n    let y = x + 1\n\n    y * y\n}\nf(2)\n(1 +\n2)\n");
    assert!(text.ends_with("9 : real\n3 : int\n"), "{text}");
}

#[test]
fn a_failed_entry_changes_nothing() {
    let (text, good) = session("let a = 1\nlet b = 2 let a = 3\nlet a = 5; print [1][a]\na\nlet c = a + nothing\nc\n");
    assert!(!good);
    assert!(text.contains("E0502") || text.contains("E04"), "{text}");
    assert!(text.contains("1 : int"), "a is what it was:\n{text}");
    assert!(text.contains("`nothing` is not defined") && text.contains("`c` is not defined"), "{text}");
    // Parameters of networks, and random numbers.
    let (text, _) = session(
        "network net(x: real) -> real { \n param a: real = 1\n a * x }\n\
         if true then { train net { minimize (net(1) - 3)^2\n using sgd(0.1)\n steps 5 }\n print [1, 2][7] }\n\
         net(1)\n",
    );
    assert!(text.contains("out of range") || text.contains("E0502") || text.contains("E04"), "{text}");
    assert!(text.ends_with("1 : real\n"), "the parameter is what it was:\n{text}");
}

#[test]
fn redefining_a_function_updates_its_users() {
    let text = shown("fn f(x: real) = x + 1\nfn g(x: real) = 10 * f(x)\ng(1)\nfn f(x: real) = x + 2\ng(1)\n");
    assert!(text.contains("20 : real\n") && text.ends_with("30 : real\n"), "{text}");
    // A user that no longer fits is told of, and the new definition stays.
    let (text, good) = session("fn f(x: real) = x\nfn g(x: real) = f(x)\nfn f(x: real, y: real) = x + y\nf(1, 2)\n");
    assert!(good && text.contains("no longer fits") && text.ends_with("3 : real\n"), "{text}");
    // The result's type follows.
    let text = shown("fn f(x: real) = x\nfn g(x: real) = f(x)\nfn f(x: real) = [x, x]\n:type g\n");
    assert!(text.ends_with("fn(x: real) -> real[2]\n"), "{text}");
    // A rule belongs to the definition that it was written for.
    let text =
        shown("fn f(x: real) = x^2\nderivative f(x; dx) = 100 * dx\ngrad(f)(1)\nfn f(x: real) = x^2\ngrad(f)(1)\n");
    assert!(text.contains("100 : real") && text.ends_with("2 : real\n"), "{text}");
    // What stands in std stays as it is, and a rule of std is not for another function of that name.
    let text = shown("fn soft(v: real, t: real) = 5 * v\nsoft(1, 2)\ngrad(soft)(1, 2)\n");
    assert!(text.ends_with("5 : real\n5 : real\n"), "{text}");
}

#[test]
fn commands() {
    let start = "fn f(x: real[n], a: real) = a * sumsq(x)\nlet v = [1.0, 2.0]\n";
    let all = |rest: &str| {
        let input: &'static str = Box::leak(format!("{start}{rest}").into_boxed_str());
        let (text, good) = session(input);
        assert!(good, "{rest}: {text}");
        text
    };
    assert!(all(":type f(v, 2)\n").ends_with("real\n"));
    assert!(all(":shape { a: v, b: f(v, 1) }\n").ends_with("{ a: real[2], b: real }\n"));
    let text = all(":grad f([1.0, 3.0], 2)\n");
    assert!(text.contains("value = 20 : real\nd/dx = [4, 12] : real[2]\nd/da = 10 : real\n"), "{text}");
    let text = all("fn h(x: real[n]) = 3 * x\n:grad h([1.0, 2.0])\n");
    assert!(text.contains("d/dx =\n[[3, 0],\n [0, 3]] : real[2, 2]\n"), "{text}");
    let text = all(":grad f\n");
    assert!(text.contains("for n = 3") && text.contains("f64[3]"), "{text}");
    assert_eq!(all(":check f\n").matches("derivatives agree").count(), 2);
    assert!(all(":graph sum(v * v)\n").contains("f64[2]"));
    let drawn = shown(
        "solver s(x: real[n]) -> y {\n    state y: real[n] = 0\n    step y <- soft(y, 1) + x\n    until norm(y) > 1\n}\n:graph s\n",
    );
    assert!(drawn.contains("soft(y, 1)") && drawn.contains("until norm(y) > 1") && drawn.contains('▶'), "{drawn}");
    assert!(shown(":graph soft\n").contains("function soft"));
    for (command, word) in [(":time", "compile"), (":bench", "median"), (":mem", "equations")] {
        let text = all(&format!("{command} sum(v * v)\n"));
        assert!(text.contains(word), "{command}: {text}");
    }
    assert!(all(":plot range(10)\n").contains('│'));
    assert!(all(":names\n").contains("v : real[2]\n"));
    assert!(all(":help\n").contains(":bench e"));
    assert!(all(":set precision f32\nv\n:set precision\n").ends_with("[1, 2] : real[2]\nf32\n"));
    assert!(all(":set seed 3\n:set\n").contains("seed       3"));
    assert!(all(":reset\nlet v = 3\n").ends_with("v = 3 : int\n"));
    assert!(all(":quit\nnothing\n").ends_with("real[2]\n"), "nothing is read after the end");
    for (wrong, said) in [(":tyqe v", "did you mean `:type`?"), (":set sed 3", "`seed`?"), (":s", ":shape or :source")]
    {
        let input: &'static str = Box::leak(format!("{wrong}\n").into_boxed_str());
        let (text, good) = session(input);
        assert!(!good && text.contains(said), "{wrong}: {text}");
    }
}

#[test]
fn a_session_is_saved_as_a_script() {
    let folder = std::env::temp_dir().join(format!("dp-session-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("the folder for temporary files can be written");
    let file = folder.join("session.dp");
    let input = format!(
        "## Doubles.\nfn f(x: real) = 3 * x\nlet x = 1\nlet x = x + 1\nx * 10\nans + 1\nfn f(x: real) = 2 * x\nf(x)\nlet y = 4;\n\
         nothing\n:save {0}\n:save {0}\n",
        file.display()
    );
    let (text, _) = session(Box::leak(input.into_boxed_str()));
    assert!(text.contains("lines in") && text.contains("exists"), "{text}");
    let saved = std::fs::read_to_string(&file).expect("the script");
    let expected = "let x_1 = 1\nlet x = x_1 + 1\nlet ans_1 = x * 10\nprint ans_1 + 1\nfn f(x: real) = 2 * x\nprint f(x)\nlet y = 4\n";
    assert_eq!(saved, expected);
    let load = format!(":load {}\n:names\n", file.display());
    let text = shown(Box::leak(load.into_boxed_str()));
    assert!(text.contains("21") && text.contains("x : int") && text.contains("y : int"), "{text}");
    std::fs::remove_dir_all(&folder).expect("the folder can be removed");
}

#[test]
fn completions() {
    let work = || {
        let mut workspace = Workspace::new(&Options::default());
        let mut paper = Paper::default();
        assert!(workspace.enter("let data = { loss: [1, 2], left: 1 }", &mut paper), "{}", paper.text);
        let texts = |line: &str| -> Vec<String> {
            complete::complete(&workspace, line).1.into_iter().map(|found| found.text).collect()
        };
        assert_eq!(texts("print dat"), ["data"]);
        assert_eq!(texts("data.l"), ["loss", "left"]);
        assert_eq!(texts("data.lo"), ["loss"]);
        assert!(
            texts("unit_").contains(&"unit_columns".to_string())
                && texts("value_an").contains(&"value_and_grad".to_string())
        );
        assert_eq!(texts("unro"), ["unroll"]);
        assert_eq!(texts(":ty"), [":type"]);
        assert_eq!(texts(":set pre"), ["precision"]);
        assert_eq!(texts(":type dat"), ["data"]);
        assert_eq!(complete::complete(&workspace, "let \\lambda").1[0].text, "λ");
        assert_eq!(texts("1.5"), Vec::<String>::new());
        assert!(texts("load(\"/").iter().any(|name| name.ends_with('/')));
    };
    let thread = std::thread::Builder::new().stack_size(256 << 20).spawn(work).expect("a thread starts");
    thread.join().expect("completions are found");
}

#[test]
fn problems_are_derived() {
    let lasso = "problem lasso(x: real[m], D: real[m, n], c: real) {\n    minimize over y: real[n]\n        1/2 * sumsq(x - D @ y) + c * norm1(y)\n}\n";
    let input = |rest: &str| -> &'static str { Box::leak(format!("{lasso}{rest}").into_boxed_str()) };
    let text = shown(input(":derive lasso by proximal_gradient\n:explain lasso\n"));
    assert!(
        text.contains("solver lasso_solver(x: real[m], D: real[m, n], c: real)") && text.contains("step"),
        "{text}"
    );
    let text = shown(input("solver s = derive lasso\ns([1.0, 2.0], eye(2), 0.5)\n"));
    assert!(text.ends_with("[0.5, 1.5] : real[2]\n"), "{text}");
    assert!(session(input(":derive lass\n")).0.contains("not a problem"), "an unknown problem");
    assert!(session(input("solver s = derive lasso by nothing\n")).0.contains("nothing"), "an unknown method");
}

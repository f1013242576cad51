//! For each code a small program that gets the message, and one that does what was meant. `dp explain` shows both, with the
//! message as it is made now; the tests run them.

use crate::driver::Options;

/// One page.
pub struct Page {
    pub code: &'static str,
    pub wrong: &'static str,
    pub right: &'static str,
}

impl Page {
    /// How the programs are run so that they show it: some messages are of another command than `dp run`.
    pub fn options(&self) -> Options {
        Options { look_at_data: self.code == "E0358", ..Options::default() }
    }
}

/// The page of a code. What needs several files, a signal or a mistake of the compiler has none.
pub fn find(code: &str) -> Option<&'static Page> {
    PAGES.iter().find(|page| page.code == code)
}

macro_rules! pages {
    ($($code:literal $wrong:literal => $right:literal)*) => {
        /// All pages, in the order of the codes.
        pub const PAGES: &[Page] = &[$(Page { code: $code, wrong: $wrong, right: $right }),*];
    };
}

pages! {
    "E0101" "use not_there\nprint 1" => "print 1"
    "E0201" "let x = 1 2" => "let x = 12"
    "E0202" "print true && false" => "print true and false"
    "E0203" "print 1. + .5" => "print 1.0 + 0.5"
    "E0204" "print \"a\\q\"" => "print \"a\\\\q\""
    "E0206" "let x = (1 + 2\nlet y = 3" => "let x = (1 + 2)\nlet y = 3"
    "E0207" "fn f(x: real) {\n    x <- x + 1\n    x\n}" => "fn f(x: real) {\n    let y = x + 1\n    y\n}"
    "E0208" "fn f(x: float) = x" => "fn f(x: real) = x"
    "E0209" "fn f(x) = 2 * x" => "fn f(x: real) = 2 * x"
    "E0210" "solver s(x: real) -> y {\n    state y: real = 0\n}" => "solver s(x: real) -> y {\n    state y: real = 0\n    step  y <- (x + y) / 2\n    until abs(y - x) < 1e-6\n}\nprint s(1)"
    "E0301" "let rate = 0.1\nprint rat * 2" => "let rate = 0.1\nprint rate * 2"
    "E0302" "let r = { loss: 1.5 }\nprint r.los" => "let r = { loss: 1.5 }\nprint r.loss"
    "E0303" "print a\nlet a = 1" => "let a = 1\nprint a"
    "E0304" "let a = 1\nlet a = 2" => "let a = 1\nlet b = 2"
    "E0305" "fn f(n: real) -> real = if n < 1 then 1 else n * f(n - 1)\nprint f(3)" => "print loop p: real = 1, n: real = 3 until n < 1 within 100 {\n    p <- p * n\n    n <- n - 1\n}"
    "E0310" "print 1 + true" => "print 1 + real(true)"
    "E0311" "fn f(n: int) = 2 * n\nprint f(1.5)" => "fn f(n: int) = 2 * n\nprint f(1)"
    "E0312" "fn area(r: real) = pi * ?\nprint area(2)" => "fn area(r: real) = pi * r^2\nprint area(2)"
    "E0313" "let a = 1\ntrain a {\n    minimize a\n    using sgd(0.1)\n    steps 1\n}" => "network a(x: real) -> real {\n    param w: real = 1\n    w * x\n}\ntrain a {\n    minimize a(1)^2\n    using sgd(0.1)\n    steps 1\n}"
    "E0314" "network net(x: real) -> real {\n    param a: real = 1\n    a * x\n}\nfn f(x: real) = train net { minimize net(x)\n using sgd(0.1)\n steps 1 }" => "network net(x: real) -> real {\n    param a: real = 1\n    a * x\n}\ntrain net {\n    minimize (net(1) - 2)^2\n    using sgd(0.1)\n    steps 1\n}"
    "E0316" "fn f(x: real) {\n    param a: real = 1\n    a * x\n}" => "network f(x: real) -> real {\n    param a: real = 1\n    a * x\n}"
    "E0317" "solver s(x: real) -> y {\n    state y: real = 0\n    step  x <- y + 1\n}\nprint unroll s(1) for 2" => "solver s(x: real) -> y {\n    state y: real = 0\n    step  y <- x + 1\n}\nprint unroll s(1) for 2"
    "E0318" "let (a, b) = (1, 2, 3)" => "let (a, b, c) = (1, 2, 3)"
    "E0319" "fn f(x: real) = if x > 0 then [1.0, 2.0] else (1.0, 2.0)" => "fn f(x: real) = if x > 0 then [1.0, 2.0] else [2.0, 1.0]"
    "E0321" "fn f(x: real, t: real) = x * t\nprint f(1)" => "fn f(x: real, t: real) = x * t\nprint f(1, 2)"
    "E0322" "fn f(x: real, y: real) = x * y\nderivative f(x, y; dx) = y * dx" => "fn f(x: real, y: real) = x * y\nderivative f(x, y; dx, dy) = y * dx + x * dy"
    "E0323" "fn f(x: real) = x / 2\nprint unroll f(1) for 3" => "solver f(x: real) -> y {\n    state y = x\n    step  y <- y / 2\n}\nprint unroll f(1) for 3"
    "E0324" "fn f(b: bool, x: real) = if b then x else 0\nprint grad(f)(true, 2)" => "fn f(b: bool, x: real) = if b then x else 0\nprint grad(f, wrt: x)(true, 2)"
    "E0326" "fn f(x: real[n]) = 2 * x\nprint grad(f)([1, 2])" => "fn f(x: real[n]) = sum(2 * x)\nprint grad(f)([1, 2])"
    "E0327" "solver s(x: real) -> y {\n    state y: real = 0\n    step  y <- (x + y) / 2\n}\nprint s(1)" => "solver s(x: real) -> y {\n    state y: real = 0\n    step  y <- (x + y) / 2\n}\nprint unroll s(1) for 20"
    "E0328" "network net(x: real) -> real {\n    param w: real = 1\n    w * x\n}\nprint at(net, { v: 2.0 })(1)" => "network net(x: real) -> real {\n    param w: real = 1\n    w * x\n}\nprint at(net, { w: 2.0 })(1)"
    "E0329" "solver s(x: real) -> y {\n    let t = 0.5\n    state y: real = 0\n    step  y <- y + t * (x - y)\n}\nnetwork net = unroll s(_) for 3 learn rate" => "solver s(x: real) -> y {\n    let t = 0.5\n    state y: real = 0\n    step  y <- y + t * (x - y)\n}\nnetwork net = unroll s(_) for 3 learn each t"
    "E0330" "fn noise(n: int) = normal(n)\nprint noise(3)" => "fn noise(n: int, k: key) = normal(n, key: k)\nprint noise(3, key(1))"
    "E0331" "fn f(x: real) = load(\"a.npy\")" => "fn f(x: real) = 2 * x"
    "E0332" "precision f16" => "precision f32"
    "E0350" "problem shares(x: real[m], D: real[m, n]) {\n    minimize over y: real[n]\n        1/2 * sumsq(x - D @ y)\n}\nsolver s = derive shares by mirror_descent" => "problem shares(x: real[m], D: real[m, n]) {\n    minimize over y: real[n]\n        1/2 * sumsq(x - D @ y)\n    subject to y in simplex\n}\nsolver s = derive shares by mirror_descent\nprint s([1, 0], eye(2))"
    "E0355" "problem least(x: real[m], D: real[m, n]) {\n    minimize over y: real[n]\n        1/2 * sumsq(x - D @ y)\n}\nsolver s = derive least by gradient_descent\nnetwork net = unroll s(_, eye(2)) for 3 learn t" => "problem least(x: real[m], D: real[m, n]) {\n    minimize over y: real[n]\n        1/2 * sumsq(x - D @ y)\n}\nsolver s = derive least by gradient_descent\nnetwork net = unroll s(_, eye(2)) for 3 learn D"
    "E0356" "problem near(x: real[n]) {\n    minimize over y: real[n]\n        1/2 * sumsq(x - y)\n}\nmethod mine(f: smooth) over v {\n    let t = 2.5\n    state v = start\n    step v <- v - t * grad(f)(v)\n    until norm(v - previous v) <= tol within 100\n}\nsolver s = derive near by mine" => "problem near(x: real[n]) {\n    minimize over y: real[n]\n        1/2 * sumsq(x - y)\n}\nmethod mine(f: smooth) over v {\n    let t = 1 / lipschitz(f)\n    state v = start\n    step v <- v - t * grad(f)(v)\n    until norm(v - previous v) <= tol within 100\n}\nsolver s = derive near by mine"
    "E0357" "solver s(x: real) -> y {\n    state y: real = 0\n    step y <- (x + y) / 2\n}\nfn f(y: real) = (trace s(1) for 3 { gap: abs(y - y) }).gap\nprint f(2)" => "solver s(x: real) -> y {\n    state y: real = 0\n    step y <- (x + y) / 2\n}\nfn f(goal: real) = (trace s(1) for 3 { gap: abs(y - goal) }).gap\nprint f(2)"
    "E0358" "problem sparse(x: real[m], D: real[m, n]) {\n    minimize over y: real[n]\n        1/2 * sumsq(x - D @ y) + 0.1 * norm1(y)\n}\nsolver ista = derive sparse by proximal_gradient\nlet D = cosine_dictionary(4, 6)\nlet x = normal(16)\nprint norm1(unroll ista(x, D) for 4)" => "problem sparse(x: real[m], D: real[m, n]) {\n    minimize over y: real[n]\n        1/2 * sumsq(x - D @ y) + 0.1 * norm1(y)\n}\nsolver ista = derive sparse by proximal_gradient\nlet D = cosine_dictionary(4, 6)\nlet x = normal(16)\nprint norm1(unroll ista(x, D) for 2000)"
    "E0402" "let A = zeros(2, 3)\nlet v = zeros(2)\nprint A + v" => "let A = zeros(2, 3)\nlet v = zeros(3)\nprint A + v"
    "E0403" "fn f(x: real) = zeros(x)" => "fn f(n: int) = zeros(n)\nprint f(2)"
    "E0404" "print zeros(0 - 1)" => "print zeros(1)"
    "E0405" "let D = zeros(20, 40)\nlet x = zeros(20)\nprint D @ x" => "let D = zeros(20, 40)\nlet x = zeros(20)\nprint D' @ x"
    "E0406" "let a: real[2, 3] = zeros(3, 2)" => "let a: real[3, 2] = zeros(3, 2)"
    "E0407" "let v = [1, 2, 3]\nprint v[3]" => "let v = [1, 2, 3]\nprint v[2]"
    "E0408" "print max(zeros(0))" => "print max(zeros(1))"
    "E0409" "fn f(x: real[n], y: real) = y * x\nprint f(each zeros(3, 2), each ones(4))" => "fn f(x: real[n], y: real) = y * x\nprint f(each zeros(3, 2), each ones(3))"
    "E0410" "fn f(x: real) = [x, x]\nprint f([1, 2, 3])" => "fn f(x: real) = [x, x]\nprint f(each [1, 2, 3])"
    "E0411" "solver s(x: real[n]) -> y {\n    state y: real[n] = 0\n    step  y <- concat(y, x)\n}\nprint unroll s([1, 2]) for 2" => "solver s(x: real[n]) -> y {\n    state y: real[n] = 0\n    step  y <- y + x\n}\nprint unroll s([1, 2]) for 2"
    "E0412" "print reshape(zeros(6), 4, 2)" => "print reshape(zeros(6), 3, 2)"
    "E0501" "let n = sum([0, 0])\nprint [1, 2] // n" => "let n = sum([1, 1])\nprint [1, 2] // n"
    "E0502" "let i = argmax([1, 5, 2]) + 2\nprint [4, 5, 6][i]" => "let i = argmax([1, 5, 2])\nprint [4, 5, 6][i]"
    "E0503" "solver s(x: real) -> y {\n    state y: real = 0\n    step  y <- x - y\n    until abs(y - previous y) < 1e-9 within 20\n}\nprint s(1)" => "solver s(x: real) -> y {\n    state y: real = 0\n    step  y <- (x + y) / 2\n    until abs(y - previous y) < 1e-9 within 100\n}\nprint s(1)"
    "E0505" "print solve([[1.0, 2.0], [2.0, 4.0]], [1.0, 1.0])" => "print solve([[1.0, 2.0], [2.0, 5.0]], [1.0, 1.0])"
    "E0507" "solver s(x: real) -> y {\n    state y: real = 0\n    step  y <- x - y\n    until abs(y - previous y) < 1e-9 within 20\n}\nprint implicit s(1)" => "solver s(x: real) -> y {\n    state y: real = 0\n    step  y <- (x + y) / 2\n    until abs(y - previous y) < 1e-9 within 100\n}\nprint implicit s(1)"
    "E0509" "assert 1 + 1 == 3" => "assert 1 + 1 == 2"
    "E0510" "fn f(x: real[n]) = sum(x^2)\nderivative f(x; dx) = sum(x * dx)\nprint check_grad(f, [1, 2])" => "fn f(x: real[n]) = sum(x^2)\nderivative f(x; dx) = sum(2 * x * dx)\nprint check_grad(f, [1, 2])"
    "E0512" "fn halved(A: fn(real[n]) -> real[n], b: real[n]) -> real[n] = b / 2\nprint solve_by(halved, fn(x: real[2]) = x * x, [1, 4])" => "fn halved(A: fn(real[n]) -> real[n], b: real[n]) -> real[n] = b / 2\nprint solve_by(halved, fn(x: real[2]) = 2 * x, [1, 4])"
    "E0513" "fn halved(A: fn(real[n]) -> real[n], b: real[n]) -> real[n] = b / 2\nprint solve_by(halved, fn(x: real[2]) = x[0:1], [1, 4])" => "fn halved(A: fn(real[n]) -> real[n], b: real[n]) -> real[n] = b / 2\nprint solve_by(halved, fn(x: real[2]) = 2 * x, [1, 4])"
    "E0602" "print sum(normal(1000000, 1000000))" => "print sum(normal(1000, 1000)) < 1e6"
    "E0702" "network net(x: real) -> real {\n    param w: real = 1\n    w * x\n}\ntrain net, net.w {\n    minimize net(1)^2\n    using sgd(0.1)\n    steps 1\n}" => "network net(x: real) -> real {\n    param w: real = 1\n    w * x\n}\ntrain net {\n    minimize net(1)^2\n    using sgd(0.1)\n    steps 1\n}"
    "E0703" "network a(x: real) -> real {\n    param w: real = 1\n    w * x\n}\ntrain a { minimize a(1)^2\n using sgd(0.1) }" => "network a(x: real) -> real {\n    param w: real = 1\n    w * x\n}\ntrain a { minimize a(1)^2\n using sgd(0.1)\n steps 10 }"
    "E0801" "arg epochs: int\nprint epochs" => "arg epochs: int = 20\nprint epochs"
    "E0806" "print load(\"not_there.npy\")" => "let a = zeros(2)\nprint a"
    "E0807" "plot([0 / 0.0], file: \"curve.svg\")" => "plot([1, 2], file: \"curve.svg\")"
}

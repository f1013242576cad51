//! Short documentation of what has no definition in dp: the functions that the compiler knows, and the words of the
//! language. `:doc` and editors show it.

use crate::builtins;

/// What a built-in function or constant does; nothing for other names.
pub fn function(name: &str) -> Option<String> {
    let row = builtins::ROWS.iter().find(|row| row.name == name);
    let text = FUNCTIONS.iter().find(|(known, _)| *known == name).map(|(_, text)| *text);
    match (row, text) {
        (Some(row), Some(text)) => Some(format!("{}\n\n{text}", row.usage)),
        (Some(row), None) => Some(row.usage.to_string()),
        (None, Some(text)) => Some(text.to_string()),
        (None, None) => None,
    }
}

/// What a word of the language is for.
pub fn word(word: &str) -> Option<&'static str> {
    WORDS.iter().find(|(known, _)| *known == word).map(|(_, text)| *text)
}

const FUNCTIONS: &[(&str, &str)] = &[
    ("exp", "Exponential, elementwise."),
    ("expm1", "exp(x) - 1 without loss of digits near 0, elementwise."),
    ("log", "Natural logarithm, elementwise; NaN below 0, -inf at 0."),
    ("log1p", "log(1 + x) without loss of digits near 0, elementwise."),
    ("sqrt", "Square root, elementwise; NaN below 0."),
    ("sin", "Sine of an angle in radians, elementwise."),
    ("cos", "Cosine of an angle in radians, elementwise."),
    ("tan", "Tangent of an angle in radians, elementwise."),
    ("tanh", "Hyperbolic tangent, elementwise."),
    ("sigmoid", "1 / (1 + exp(-x)), elementwise."),
    ("softplus", "log(1 + exp(x)), elementwise, without overflow."),
    ("erf", "Error function, elementwise."),
    ("atan", "Inverse tangent in radians, elementwise."),
    ("atan2", "Angle of the point (x, y) in radians, from -pi to pi."),
    ("abs", "Absolute value, elementwise; its derivative at 0 is 0."),
    ("sign", "-1, 0 or 1, elementwise."),
    ("floor", "The int below or at each element."),
    ("ceil", "The int above or at each element."),
    ("round", "The nearest int of each element, ties to even."),
    ("max", "Of two values elementwise, or of all elements, of an axis, or over generators."),
    ("min", "Of two values elementwise, or of all elements, of an axis, or over generators."),
    ("where", "Picks from `a` where the mask is true, else from `b`; nothing of the other side reaches a derivative."),
    ("sum", "Sum of all elements, along an axis, or over generators; bools are counted."),
    ("prod", "Product of all elements, along an axis, or over generators."),
    ("mean", "Mean of all elements, along an axis, or over generators; of bools the part that is true."),
    ("all", "Whether all bools are true."),
    ("any", "Whether some bool is true."),
    ("sumsq", "Sum of the squares of all elements."),
    ("norm", "Square root of the sum of squares of all elements: the 2-norm, of matrices the Frobenius norm."),
    ("norm1", "Sum of the absolute values of all elements."),
    ("count", "Number of elements that are not 0."),
    ("argmax", "Index of the greatest element along the last axis, or `axis: i`; the first of equals."),
    ("argmin", "Index of the least element along the last axis, or `axis: i`; the first of equals."),
    ("logsumexp", "log(sum(exp(x))) along the last axis, or `axis: i`, without overflow."),
    ("softmax", "exp(x) / sum(exp(x)) along the last axis, or `axis: i`, without overflow."),
    ("cumsum", "Running sums along the last axis, or `axis: i`."),
    ("sort", "Ascending along the last axis."),
    ("argsort", "The indices that sort along the last axis."),
    ("quantile", "The q-quantile along the last axis, by linear interpolation; q from 0 to 1."),
    ("zeros", "An array of zeros with these extents."),
    ("ones", "An array of ones with these extents."),
    ("eye", "The identity matrix of n rows."),
    ("range", "The ints from 0 (or a) up to, not including, the end."),
    ("reshape", "The same elements in row-major order, with these extents."),
    ("flat", "All reals of an array, tuple or record as one vector."),
    ("concat", "Arrays one after another along axis 0, or `axis: i`."),
    ("permute", "The axes in this order."),
    ("reverse", "The elements of an axis in reverse order."),
    ("broadcast", "Stretched to these extents, which end in its own."),
    ("diag", "The diagonal matrix of a vector, or the diagonal of a matrix."),
    ("one_hot", "For each int the vector of k zeros with a one at its index."),
    ("gather", "The rows of x at the ints of an array."),
    (
        "scatter_add",
        "x with the parts of u added at the places i of its leading axis; a place that occurs twice gets both.",
    ),
    ("opnorm", "The largest singular value of a matrix."),
    (
        "singular_values",
        "The singular values of A, descending, without the vectors: less work and memory than `svd(A).s`.",
    ),
    ("svd", "The record { u, s, v } with A = u @ diag(s) @ v', s descending."),
    ("lu", "The record { p, l, u } with A[p] = l @ u: elimination with row exchanges; l has ones on the diagonal."),
    ("solve", "The x with A @ x = b, for a square matrix A and a vector or matrix b."),
    (
        "solve_by",
        "The x with A(x) = b that method(A, b) finds, for a linear function A. Differentiated by the equation: the method runs again, for A or its adjoint.",
    ),
    (
        "compare_costs",
        "A table of the functions of a record at the same arguments: how far from the last one, time, memory.",
    ),
    ("normal", "Standard normal random numbers with these extents; inside functions they need `key:`."),
    ("uniform", "Random numbers uniform in [0, 1) with these extents; inside functions they need `key:`."),
    ("rademacher", "Random signs -1 and 1 with these extents; inside functions they need `key:`."),
    ("permutation", "A random order of the ints from 0 to n - 1."),
    ("randint", "Random ints from 0 to below, not including it, with these extents."),
    ("key", "The random key of an int."),
    ("split", "n keys made of one."),
    ("keys", "n keys as an array, for `each`."),
    ("fold_in", "The key that a key and an int name."),
    ("draw_key", "A key of the run's own, at the top level."),
    ("grad", "The gradient of a real function in its first argument, or in those that `wrt:` names."),
    ("value_and_grad", "A function that gives the value and the gradient as a tuple."),
    ("jvp", "The value, and the derivative along the direction dx."),
    ("vjp", "The transposed derivative: a function of the cotangent dy."),
    ("jacobian", "All derivatives, with shape [out..., in...]."),
    ("hessian", "All second derivatives of a real function."),
    ("hvp", "The Hessian at x times the vector v, without making the Hessian."),
    ("stop_gradient", "The same value, with derivative 0."),
    ("real", "Ints and bools as reals."),
    ("int", "Bools as ints."),
    ("size", "The number of elements, or the extent of axis i; an int that is known before the run."),
    ("isfinite", "Whether each element is neither NaN nor infinite."),
    ("at", "The same network at other parameters: a record, or the flat vector of one."),
    ("first", "The first k layers of an unrolled network, sharing its parameters."),
    ("load", "What a file holds: .npy and .csv an array, .png reals from 0 to 1, .safetensors a record."),
    ("load_images", "Grey images in [0, 1] as one array [count, h, w]."),
    ("save", "Writes an array or a record of arrays to a .npy, .csv, .png or .safetensors file."),
    ("plot", "Draws vectors, and the columns of matrices, as curves."),
    ("files", "The sorted names of a folder's files."),
    ("check_grad", "The greatest relative error between derivatives and differences; an error if they disagree."),
    ("pi", "The ratio of a circle's circumference to its diameter."),
    ("inf", "Infinity."),
    ("tol", "The tolerance for stop rules: 1e-8, in 32 bits 1e-4."),
    ("eps", "The distance from 1 to the next real of the precision."),
];

const WORDS: &[(&str, &str)] = &[
    ("let", "let x = e            names a value; let (a, b) = e takes a tuple apart"),
    ("fn", "fn f(x: real[n]) -> real = e    defines a function; fn(x) = e is one without a name"),
    ("if", "if c then a else b   evaluates one side"),
    ("then", "if c then a else b   evaluates one side"),
    ("else", "if c then a else b   evaluates one side"),
    ("for", "for k in n { ... }   repeats statements; [e for i in n] makes an array"),
    ("in", "for k in n { ... }   repeats statements; [e for i in n] makes an array"),
    ("loop", "loop a = 0 for 10 { a <- a + 1 }    repeats, for a number of passes or until a rule holds"),
    ("until", "until C within N     ends a loop or solver after the pass in which C holds, after N passes at most"),
    ("within", "until C within N     ends a loop or solver after the pass in which C holds, after N passes at most"),
    ("each", "f(each X, D)         calls f for each element of the leading axis of X; after `learn`, one copy a layer"),
    ("and", "a and b              both hold, elementwise"),
    ("or", "a or b               one holds, elementwise"),
    ("not", "not a                the opposite, elementwise"),
    ("problem", "problem p(data) { minimize over y: real[n] ... }    an objective, for `derive`"),
    ("solver", "solver s(x: real[m]) -> y { state y = 0   step y <- ...   until ... }    an iteration"),
    ("network", "network net = unroll s(_, D) for 16 learn W, or network net(x: real[m]) { param W = glorot ... }"),
    ("method", "method m(f: smooth, g: proximable) over v { ... }    a template that `derive` fills in"),
    ("prox", "prox f(v; t) = e     declares the proximal operator of f"),
    ("derivative", "derivative f(x; dx) = e    declares the derivative of f, linear in dx"),
    ("state", "state y: real[n] = 0    what a solver changes from pass to pass, with its start"),
    ("step", "step y <- e, or step { ... }    one pass of a solver"),
    ("previous", "previous y           y when the pass began"),
    ("unroll", "unroll s(x, D) for K    exactly K passes; `backprop J`, `checkpoint`, `learn` may follow"),
    ("implicit", "implicit s(x, D)     run to the fixed point, differentiated by the implicit function theorem"),
    ("trace", "trace s(x, D) for K { obj: e }    K passes, recording expressions of the states"),
    ("backprop", "unroll s(x) for K backprop J    derivatives through the last J passes only"),
    (
        "checkpoint",
        "unroll s(x) for K checkpoint    few states are kept for the reverse pass, the others computed again",
    ),
    ("learn", "unroll s(_, D) for K learn W, each theta    which lets and arguments become parameters"),
    ("derive", "derive p by m [as layer]    makes a solver of a problem"),
    ("param", "param W: real[m, n] = glorot    a parameter of a network written by hand"),
    ("train", "train net { each (x, y) in (X, Y) batch 64  minimize ...  using adam(1e-3)  epochs 20 }"),
    ("minimize", "minimize e [over paths] [using optimizer]    an objective of a problem or training"),
    ("maximize", "maximize e [over paths] [using optimizer]    an objective of a problem or training"),
    ("using", "using adam(1e-3)     the optimizer of a training"),
    ("batch", "each x in X batch 64    samples of one step; batch x in X of 64: their arrays"),
    ("epochs", "epochs 20            passes over the samples"),
    ("steps", "steps 1000           steps of a training"),
    ("record", "record { test: e } every 100    what a training notes down"),
    ("keep", "keep lowest test patience 5    restores the best parameters, and may end a training"),
    ("test", "test \"name\" { assert ... }    runs under `dp test`, and at once in a session"),
    ("assert", "assert c             stops if c does not hold"),
    ("print", "print a, b           shows values"),
    ("arg", "arg n: int = 20      a value from the command line: dp run a.dp --n 5"),
    ("use", "use helpers          the names of helpers.dp beside the script"),
    ("precision", "precision f32        the precision of `real` for the whole run"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_documented_exists() {
        for (name, text) in FUNCTIONS {
            let known = builtins::find(name).is_some() || builtins::CONSTANTS.contains(name);
            assert!(known && text.ends_with('.'), "{name}");
        }
        assert!(function("sum").is_some_and(|text| text.starts_with("sum(x)") && text.contains("along an axis")));
        assert!(function("nothing").is_none() && word("unroll").is_some() && word("sum").is_none());
    }
}

//! The functions that the compiler knows by itself: those that cannot be written in std because they take
//! any rank, a static argument, a function, or have an effect. One row each; the checker (`types`) and
//! `lower` each match on `Builtin` without a wildcard.

/// A function known to the compiler.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Builtin {
    // Elementwise on reals of any shape (int arguments widen).
    Exp,
    Expm1,
    Log,
    Log1p,
    Sqrt,
    Sin,
    Cos,
    Tan,
    Tanh,
    Sigmoid,
    Softplus,
    Erf,
    Atan,
    Atan2,
    Log2,
    Log10,
    Cbrt,
    Asin,
    Acos,
    Sinh,
    Cosh,
    Asinh,
    Acosh,
    Atanh,
    Hypot,
    Erfc,
    Lgamma,
    Digamma,
    /// `polygamma(n, x)`, n a static int: the derivative of order n of `digamma`.
    Polygamma,
    /// Also on int.
    Abs,
    Sign,
    /// Real to int, elementwise.
    Floor,
    Ceil,
    Round,
    /// `max(a, b)` elementwise with broadcasting, `max(x)`, `max(x, axis: i)`, `max(e for i in n)`.
    Max,
    Min,
    /// `where(mask, a, b)` with broadcasting.
    Where,
    /// Reductions: `f(x)`, `f(x, axis: i)`, `f(e for i in n)`. Sum, mean of bool count.
    Sum,
    Prod,
    Mean,
    All,
    Any,
    /// Of the whole array: sum of squares, 2-norm (Frobenius), 1-norm (sum of absolute values), number of nonzeros.
    Sumsq,
    Norm,
    Norm1,
    Count,
    /// `f(x)` along the last axis, or `axis: i`; int result.
    Argmax,
    Argmin,
    /// `f(x)` along the last axis, or `axis: i`.
    Logsumexp,
    Softmax,
    Cumsum,
    /// Along the last axis, ascending. `sort(x)`, `argsort(x)` (int), `quantile(x, q)` (drops the axis, linear interpolation).
    Sort,
    Argsort,
    Quantile,
    /// `top_k(x, k)`: the k largest and their places, a tuple; `keep_top(x, k)`: x with all but the k largest in size set to 0.
    TopK,
    KeepTop,
    /// Running products, like `Cumsum`; `var(x)`, `std(x)`: of everything, or along `axis: i`, divided by the number of elements.
    Cumprod,
    Var,
    Std,
    /// `zeros(m, n)`, `ones(m, n)`, `eye(n)`, `range(n)`, `range(a, b)` (int vector).
    Zeros,
    Ones,
    Eye,
    Range,
    /// `reshape(x, m, n)`; `flat(x)`: an array, tuple or record of reals as one vector; `concat(a, b, ..., axis: 0)`;
    /// `permute(x, 1, 0, 2)`; `reverse(x, axis: 0)`; `broadcast(x, m, n)` (suffix rule); `diag(v)`: a matrix from a vector, a vector from a matrix.
    Reshape,
    Flat,
    Concat,
    Permute,
    Reverse,
    Broadcast,
    Diag,
    /// `one_hot(i, k)`: int[...] to real[..., k].
    OneHot,
    /// `pad(x, n)`, `pad(x, before, after)`, `mode:` "zero", "circular", "reflect", "symmetric"; `roll(x, by)`: element i
    /// moves to i + by. Along the last axis, or `axis: i`.
    Pad,
    Roll,
    /// Convolution without flipping the kernel, `stride:`, `dilation:`, `pad:` "valid", "same", "circular", "reflect", "symmetric";
    /// `conv2_adjoint(y, k)`, `conv2_adjoint(y, k, h, w)`: its transpose as a function of the image.
    Conv1,
    Conv2,
    Conv1Adjoint,
    Conv2Adjoint,
    /// Over the last two axes: `pool_max(x, p)`, `pool_mean(x, p)`, `stride:` (p); `pool_top(x, p, k)`: the k largest in size of
    /// each window stay; `resize2(x, h, w)`, `mode:` "bilinear", "nearest".
    PoolMax,
    PoolMean,
    PoolTop,
    Resize2,
    /// `gather(x, i)`: rows of x at an int array's indices, checked; shape of i ++ rest of x.
    Gather,
    /// `opnorm(A)` largest singular value; `svd(A)` the record {u, s, v}; `singular_values(A)` s alone; `solve(A, b)`, b a vector or
    /// matrix.
    Opnorm,
    Svd,
    SingularValues,
    Solve,
    /// `solve_lower(L, b)`, `solve_upper(U, b)`: with one triangle. `cholesky(A)`, `det(A)`, `slogdet(A)`: {sign, log}, `qr(A)`: {q, r},
    /// `eigh(A)`: {w, v}.
    SolveLower,
    SolveUpper,
    Cholesky,
    Det,
    Slogdet,
    Qr,
    Eigh,
    Lu,
    ScatterAdd,
    SolveBy,
    /// `fft(z)`, `ifft(z)`, along the last axis or `axis: i`, of reals or of a record {re, im}; a record.
    Fft,
    Ifft,
    /// `normal(m, n, key: k)`, `uniform(m, n, key: k)` in [0, 1), `rademacher(m, n, key: k)` (-1 or 1), `permutation(n, key: k)`
    /// (int), `randint(m, n, below: b, key: k)`. At the top level `key:` may be left out.
    Normal,
    Uniform,
    Rademacher,
    Permutation,
    /// `bernoulli(m, n, p: q, key: k)` (true with probability q), `exponential` and `laplace` of mean size 1.
    Bernoulli,
    Exponential,
    Laplace,
    Randint,
    /// `key(7)` from an int, `split(k, n)`: n keys as a tuple when destructured, else key[n]; `keys(n)` or `keys(n, key: k)`: key[n]; `fold_in(k, i)`; `draw_key()`.
    Key,
    Split,
    Keys,
    FoldIn,
    DrawKey,
    /// `grad(f)(x)`, `grad(f, wrt: D)`, `value_and_grad(f)` (a tuple), `jvp(f)(x, dx)` (value, tangent), `vjp(f)(x)(dy)`,
    /// `jacobian(f)(x)`, `hessian(f)(x)`, `hvp(f)(x, v)`.
    Grad,
    ValueAndGrad,
    Jvp,
    Vjp,
    Jacobian,
    Hessian,
    Hvp,
    StopGradient,
    /// `prox(f)(v, ..., t)`: the declared proximal operator of `f`.
    Prox,
    /// Conversions: `real(x)` from int or bool, `int(x)` from bool (or int).
    Real,
    Int,
    /// `size(x)`: number of elements, `size(x, i)`: extent of axis i; static ints. `isfinite(x)`: bool, elementwise.
    Size,
    IsFinite,
    /// `at(net, p)`: the network at other parameters; `first(net, k)`: its first k layers.
    At,
    First,
    /// Effects, top level only: `load(file)`, `save(file, x)`, `plot(y, ..., file:)`, `files(folder)`: sorted list of paths,
    /// `patches(img, p, stride: s)` lives in std. `check_grad(f, x)`: compares derivatives, error if they disagree.
    Load,
    LoadImages,
    Save,
    Plot,
    Scatter,
    Hist,
    Heatmap,
    Image,
    Files,
    CheckGrad,
    CompareCosts,
    /// `check_prox(f, v, .., t)`: an error if a point is better than what the proximal operator of `f` gives.
    CheckProx,
    /// `explain_layer(relu, W, b)`: prints the objective on which a layer takes one step; its numbers as a record.
    ExplainLayer,
}

/// One row: the name in source, the function, how it is called.
pub struct Row {
    pub name: &'static str,
    pub builtin: Builtin,
    pub usage: &'static str,
}

macro_rules! rows {
    ($($name:literal $builtin:ident $usage:literal;)*) => {
        /// All rows.
        pub const ROWS: &[Row] = &[$(Row { name: $name, builtin: Builtin::$builtin, usage: $usage }),*];
    };
}

rows! {
    "exp" Exp "exp(x)"; "expm1" Expm1 "expm1(x)"; "log" Log "log(x)"; "log1p" Log1p "log1p(x)"; "sqrt" Sqrt "sqrt(x)";
    "sin" Sin "sin(x)"; "cos" Cos "cos(x)"; "tan" Tan "tan(x)"; "tanh" Tanh "tanh(x)"; "sigmoid" Sigmoid "sigmoid(x)";
    "softplus" Softplus "softplus(x)"; "erf" Erf "erf(x)"; "atan" Atan "atan(x)"; "atan2" Atan2 "atan2(y, x)";
    "log2" Log2 "log2(x)"; "log10" Log10 "log10(x)"; "cbrt" Cbrt "cbrt(x)"; "asin" Asin "asin(x)"; "acos" Acos "acos(x)";
    "sinh" Sinh "sinh(x)"; "cosh" Cosh "cosh(x)"; "asinh" Asinh "asinh(x)"; "acosh" Acosh "acosh(x)"; "atanh" Atanh "atanh(x)";
    "hypot" Hypot "hypot(a, b)"; "erfc" Erfc "erfc(x)"; "lgamma" Lgamma "lgamma(x)"; "digamma" Digamma "digamma(x)";
    "polygamma" Polygamma "polygamma(n, x)";
    "abs" Abs "abs(x)"; "sign" Sign "sign(x)"; "floor" Floor "floor(x)"; "ceil" Ceil "ceil(x)"; "round" Round "round(x)";
    "max" Max "max(a, b), max(x), max(x, axis: i), max(e for i in n)"; "min" Min "min(a, b), min(x), min(x, axis: i), min(e for i in n)";
    "where" Where "where(mask, a, b)";
    "sum" Sum "sum(x), sum(x, axis: i), sum(e for i in n)"; "prod" Prod "prod(x), prod(x, axis: i), prod(e for i in n)";
    "mean" Mean "mean(x), mean(x, axis: i), mean(e for i in n)"; "all" All "all(x), all(x, axis: i), all(e for i in n)";
    "any" Any "any(x), any(x, axis: i), any(e for i in n)";
    "sumsq" Sumsq "sumsq(x)"; "norm" Norm "norm(x)"; "norm1" Norm1 "norm1(x)"; "count" Count "count(x)";
    "argmax" Argmax "argmax(x), argmax(x, axis: i)"; "argmin" Argmin "argmin(x), argmin(x, axis: i)";
    "logsumexp" Logsumexp "logsumexp(x), logsumexp(x, axis: i)"; "softmax" Softmax "softmax(x), softmax(x, axis: i)";
    "cumsum" Cumsum "cumsum(x), cumsum(x, axis: i)"; "sort" Sort "sort(x)"; "argsort" Argsort "argsort(x)"; "quantile" Quantile "quantile(x, q)";
    "top_k" TopK "top_k(x, k)"; "keep_top" KeepTop "keep_top(x, k)"; "cumprod" Cumprod "cumprod(x), cumprod(x, axis: i)";
    "var" Var "var(x), var(x, axis: i)"; "std" Std "std(x), std(x, axis: i)";
    "zeros" Zeros "zeros(m, n)"; "ones" Ones "ones(m, n)"; "eye" Eye "eye(n)"; "range" Range "range(n), range(a, b)";
    "reshape" Reshape "reshape(x, m, n)"; "flat" Flat "flat(x)"; "concat" Concat "concat(a, b), concat(a, b, axis: i)";
    "permute" Permute "permute(x, 1, 0, 2)"; "reverse" Reverse "reverse(x), reverse(x, axis: i)"; "broadcast" Broadcast "broadcast(x, m, n)";
    "diag" Diag "diag(v), diag(A)"; "one_hot" OneHot "one_hot(i, k)"; "gather" Gather "gather(x, i)"; "scatter_add" ScatterAdd "scatter_add(x, i, u)";
    "pad" Pad "pad(x, n), pad(x, before, after), pad(x, n, mode: \"reflect\", axis: i)"; "roll" Roll "roll(x, by), roll(x, by, axis: i)";
    "conv1" Conv1 "conv1(x, k, stride: 1, dilation: 1, pad: \"valid\")"; "conv2" Conv2 "conv2(x, k, stride: 1, dilation: 1, pad: \"valid\")";
    "conv1_adjoint" Conv1Adjoint "conv1_adjoint(y, k), conv1_adjoint(y, k, n)"; "conv2_adjoint" Conv2Adjoint "conv2_adjoint(y, k), conv2_adjoint(y, k, h, w)";
    "pool_max" PoolMax "pool_max(x, p), pool_max(x, p, stride: s)"; "pool_mean" PoolMean "pool_mean(x, p), pool_mean(x, p, stride: s)";
    "pool_top" PoolTop "pool_top(x, p, k)"; "resize2" Resize2 "resize2(x, h, w), resize2(x, h, w, mode: \"nearest\")";
    "opnorm" Opnorm "opnorm(A)"; "svd" Svd "svd(A)"; "singular_values" SingularValues "singular_values(A)"; "solve" Solve "solve(A, b)";
    "solve_by" SolveBy "solve_by(method, A, b)"; "solve_lower" SolveLower "solve_lower(L, b)"; "solve_upper" SolveUpper "solve_upper(U, b)"; "cholesky" Cholesky "cholesky(A)";
    "det" Det "det(A)"; "slogdet" Slogdet "slogdet(A)"; "lu" Lu "lu(A)"; "qr" Qr "qr(A)"; "eigh" Eigh "eigh(A)";
    "fft" Fft "fft(z), fft(z, axis: i)"; "ifft" Ifft "ifft(z), ifft(z, axis: i)";
    "normal" Normal "normal(m, n, key: k)"; "uniform" Uniform "uniform(m, n, key: k)"; "rademacher" Rademacher "rademacher(m, n, key: k)";
    "permutation" Permutation "permutation(n, key: k)"; "randint" Randint "randint(m, n, below: b, key: k)";
    "bernoulli" Bernoulli "bernoulli(m, n, p: q, key: k)"; "exponential" Exponential "exponential(m, n, key: k)"; "laplace" Laplace "laplace(m, n, key: k)";
    "key" Key "key(seed)"; "split" Split "split(k, n)"; "keys" Keys "keys(n), keys(n, key: k)"; "fold_in" FoldIn "fold_in(k, i)"; "draw_key" DrawKey "draw_key()";
    "grad" Grad "grad(f)(x), grad(f, wrt: D)(x, D)"; "value_and_grad" ValueAndGrad "value_and_grad(f)(x)"; "jvp" Jvp "jvp(f)(x, dx)"; "vjp" Vjp "vjp(f)(x)(dy)";
    "jacobian" Jacobian "jacobian(f)(x)"; "hessian" Hessian "hessian(f)(x)"; "hvp" Hvp "hvp(f)(x, v)";
    "prox" Prox "prox(f)(v, t)"; "stop_gradient" StopGradient "stop_gradient(x)"; "real" Real "real(x)"; "int" Int "int(x)"; "size" Size "size(x), size(x, i)"; "isfinite" IsFinite "isfinite(x)";
    "at" At "at(net, p)"; "first" First "first(net, k)";
    "load" Load "load(file)"; "load_images" LoadImages "load_images(path)"; "save" Save "save(file, x)"; "plot" Plot "plot(y, label: s, file: f)"; "scatter" Scatter "scatter(x, y, label: s, file: f)";
    "hist" Hist "hist(x, bins: n, file: f)"; "heatmap" Heatmap "heatmap(A, file: f)"; "image" Image "image(X, columns: n, file: f)"; "files" Files "files(folder)"; "check_grad" CheckGrad "check_grad(f, x)"; "compare_costs" CompareCosts "compare_costs(ways, x, to: name)";
    "check_prox" CheckProx "check_prox(f, v, t)"; "explain_layer" ExplainLayer "explain_layer(relu, W, b)";
}

/// Named real constants: `pi`, `inf`, and those of the precision: `tol` (1e-8 or 1e-4), `eps` (machine epsilon).
pub const CONSTANTS: &[&str] = &["pi", "inf", "tol", "eps"];

/// The function of a name.
pub fn find(name: &str) -> Option<Builtin> {
    ROWS.iter().find(|row| row.name == name).map(|row| row.builtin)
}

//! The programs of the field in `tests/programs`, with what is timed of each: its value and its derivative.

/// A published program. Its text runs from top to bottom, with its assertions; then both expressions stand for themselves.
pub struct Published {
    pub name: &'static str,
    pub text: &'static str,
    pub value: &'static str,
    pub derivative: &'static str,
}

macro_rules! published {
    ($($name:literal $file:literal: $value:literal, $derivative:literal;)*) => {
        /// All of them.
        pub const PUBLISHED: &[Published] = &[$(Published {
            name: $name,
            text: include_str!(concat!("../../../tests/programs/", $file, ".dp")),
            value: $value,
            derivative: $derivative,
        }),*];
    };
}

published! {
    "log-sum-exp, gradient" "logsumexp": "lse(x)", "grad(lse)(x)";
    "linear least squares, gradient" "least_squares": "misfit(x)", "grad(misfit)(x)";
    "determinant by permutations, gradient" "determinant": "det(A)", "grad(det)(A)";
    "Runge and Kutta, gradient" "ode": "last(x)", "grad(last)(x)";
    "k-means, gradient" "kmeans": "cost(C, P)", "grad(cost)(C, P)";
    "Gaussian mixture, gradient" "gaussian_mixture": "likelihood(p, X, gamma, m)", "grad(likelihood)(p, X, gamma, m)";
    "LSTM, gradient" "lstm": "loss(p, X)", "grad(loss)(p, X)";
    "bundle adjustment, sparse Jacobian" "bundle_adjustment": "residuals(C, P, w)", "blocks(each C[by], each P[at], each w, each seen)";
    "hand tracking, Jacobian" "hand_tracking": "distances(p)", "(fn(v: real[14]) = jvp(distances)(p, v)[1])(each eye(14))";
    "saddle point, gradient of a maximum" "nestings": "greatest(reverse_mode, [0.3, -0.4])", "grad(fn(a: real[2]) = greatest(reverse_mode, a))([0.3, -0.4])";
    "charged particle, gradient of a flight" "nestings": "crossing(reverse_mode, 0.1)", "grad(fn(w) = crossing(reverse_mode, w))(0.1)";
}

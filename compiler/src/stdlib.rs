//! The standard library's modules, embedded; their names are visible everywhere.

/// Name and text, in the order in which they are loaded.
pub const MODULES: &[(&str, &str)] = &[
    ("prelude", include_str!("../../std/prelude.dp")),
    ("linalg", include_str!("../../std/linalg.dp")),
    ("krylov", include_str!("../../std/krylov.dp")),
    ("fourier", include_str!("../../std/fourier.dp")),
    ("losses", include_str!("../../std/losses.dp")),
    ("layers", include_str!("../../std/layers.dp")),
    ("optim", include_str!("../../std/optim.dp")),
    ("image", include_str!("../../std/image.dp")),
];

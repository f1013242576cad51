//! The standard library's modules, embedded; their names are visible everywhere.

/// Name and text, in the order in which they are loaded.
pub const MODULES: &[(&str, &str)] = &[
    ("prelude", include_str!("../../std/prelude.dp")),
    ("optim", include_str!("../../std/optim.dp")),
    ("image", include_str!("../../std/image.dp")),
];

//! Letters that no keyboard has: `\lambda` and Tab gives λ. The names are those of TeX.

/// Name and character. In names of dp all of these may be used but the operators, which only strings hold.
pub const SYMBOLS: &[(&str, &str)] = &[
    ("alpha", "α"),
    ("beta", "β"),
    ("gamma", "γ"),
    ("delta", "δ"),
    ("epsilon", "ϵ"),
    ("varepsilon", "ε"),
    ("zeta", "ζ"),
    ("eta", "η"),
    ("theta", "θ"),
    ("vartheta", "ϑ"),
    ("iota", "ι"),
    ("kappa", "κ"),
    ("lambda", "λ"),
    ("mu", "μ"),
    ("nu", "ν"),
    ("xi", "ξ"),
    ("pi", "π"),
    ("rho", "ρ"),
    ("varrho", "ϱ"),
    ("sigma", "σ"),
    ("tau", "τ"),
    ("upsilon", "υ"),
    ("phi", "ϕ"),
    ("varphi", "φ"),
    ("chi", "χ"),
    ("psi", "ψ"),
    ("omega", "ω"),
    ("Gamma", "Γ"),
    ("Delta", "Δ"),
    ("Theta", "Θ"),
    ("Lambda", "Λ"),
    ("Xi", "Ξ"),
    ("Pi", "Π"),
    ("Sigma", "Σ"),
    ("Upsilon", "Υ"),
    ("Phi", "Φ"),
    ("Psi", "Ψ"),
    ("Omega", "Ω"),
    ("ell", "ℓ"),
    ("hbar", "ħ"),
    ("infty", "∞"),
    ("partial", "∂"),
    ("nabla", "∇"),
    ("sum", "∑"),
    ("approx", "≈"),
    ("leq", "≤"),
    ("geq", "≥"),
    ("neq", "≠"),
    ("pm", "±"),
    ("times", "×"),
    ("cdot", "·"),
    ("to", "→"),
    ("circ", "°"),
];

/// The symbols whose names begin so; the one that is named exactly stands first.
pub fn beginning(name: &str) -> Vec<(&'static str, &'static str)> {
    let mut found: Vec<(&str, &str)> = SYMBOLS.iter().copied().filter(|(known, _)| known.starts_with(name)).collect();
    found.sort_by_key(|(known, _)| (*known != name, *known));
    found
}

/// `\lambda` at the end of a text: where it begins, and the name.
pub fn at_end(text: &str) -> Option<(usize, &str)> {
    let start = text.rfind('\\')?;
    let name = &text[start + 1..];
    name.chars().all(|c| c.is_alphanumeric() || c == '_').then_some((start, name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn names_are_unique_and_found() {
        let names: HashSet<&str> = SYMBOLS.iter().map(|(name, _)| *name).collect();
        assert_eq!(names.len(), SYMBOLS.len());
        assert_eq!(beginning("lambda"), [("lambda", "λ")]);
        assert_eq!(beginning("eta")[0], ("eta", "η"));
        assert!(beginning("the").contains(&("theta", "θ")) && beginning("xyz").is_empty());
        assert_eq!(at_end("let \\lam"), Some((4, "lam")));
        assert_eq!((at_end("a \\b c"), at_end("none")), (None, None));
    }
}

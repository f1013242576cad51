//! Numbers, arrays and tables as plain text.

use crate::tensor::{DType, Tensor};

/// Up to this many elements an array is printed in full.
const SMALL: usize = 64;

/// A real number with 6 significant digits, as short as they allow: `0.125`, `1e-9`, `-12.3457`.
pub fn format_number(value: f64) -> String {
    if !value.is_finite() || value == 0.0 {
        return special(value);
    }
    // Rounded to 6 digits first, since rounding may raise the exponent.
    let scientific = format!("{value:.5e}");
    let (digits, exponent) = scientific.split_once('e').expect("the format has an exponent");
    let exponent: i32 = exponent.parse().expect("the exponent is a number");
    if (-5..6).contains(&exponent) {
        trimmed(&format!("{value:.*}", (5 - exponent) as usize)).to_string()
    } else {
        format!("{}e{exponent}", trimmed(digits))
    }
}

/// A decimal fraction without trailing zeros.
fn trimmed(digits: &str) -> &str {
    if digits.contains('.') { digits.trim_end_matches('0').trim_end_matches('.') } else { digits }
}

fn special(value: f64) -> String {
    if value.is_nan() {
        "nan".into()
    } else if value.is_infinite() {
        if value > 0.0 { "inf" } else { "-inf" }.into()
    } else if value.is_sign_negative() {
        "-0".into()
    } else {
        "0".into()
    }
}

/// The shortest text that reads back as the same f64.
pub fn format_exactly(value: f64) -> String {
    if value.is_finite() && value != 0.0 { shorter(&format!("{value:?}")) } else { special(value) }
}

/// The shortest text that reads back as the same f32.
fn format_exactly_f32(value: f32) -> String {
    if value.is_finite() && value != 0.0 { shorter(&format!("{value:?}")) } else { special(value.into()) }
}

/// Rust's text of a number without the `.0` of whole ones.
fn shorter(text: &str) -> String {
    text.strip_suffix(".0").unwrap_or(text).to_string()
}

/// A tensor for people: a scalar as a number, a small array in full, a large one by its shape and range.
/// `exact` gives every real digit.
pub fn format_tensor(tensor: &Tensor, exact: bool) -> String {
    if tensor.len() > SMALL || (tensor.is_empty() && tensor.shape().len() > 1) {
        return summary(tensor);
    }
    let mut elements = texts(tensor, exact);
    if tensor.shape().is_empty() {
        return elements.swap_remove(0);
    }
    if tensor.shape().len() > 1 {
        align(&mut elements, *tensor.shape().last().expect("there are axes"));
    }
    let mut out = String::new();
    write_nested(&mut out, tensor.shape(), &elements, 1);
    out
}

/// The elements of a tensor in row-major order, each as its own text.
pub fn texts(tensor: &Tensor, exact: bool) -> Vec<String> {
    match tensor {
        Tensor::F32(a) if exact => a.iter().map(|&v| format_exactly_f32(v)).collect(),
        Tensor::F64(a) if exact => a.iter().map(|&v| format_exactly(v)).collect(),
        Tensor::F32(a) => a.iter().map(|&v| format_number(v.into())).collect(),
        Tensor::F64(a) => a.iter().map(|&v| format_number(v)).collect(),
        Tensor::I64(a) => a.iter().map(i64::to_string).collect(),
        Tensor::Bool(a) => a.iter().map(bool::to_string).collect(),
        Tensor::Key(a) => a.iter().map(|v| format!("key:{v:016x}")).collect(),
    }
}

/// Pads the elements so that each column has one width, right aligned.
fn align(elements: &mut [String], columns: usize) {
    for column in 0..columns {
        let cells = || (column..elements.len()).step_by(columns);
        let width = cells().map(|i| elements[i].chars().count()).max().unwrap_or(0);
        for i in cells().collect::<Vec<_>>() {
            elements[i] = format!("{:>width$}", elements[i]);
        }
    }
}

/// Brackets around each axis; every row of the last axis on a line of its own.
fn write_nested(out: &mut String, shape: &[usize], elements: &[String], depth: usize) {
    out.push('[');
    match shape {
        [] | [_] => out.push_str(&elements.join(", ")),
        [n, inner @ ..] => {
            let size = elements.len() / n;
            for (i, part) in elements.chunks(size).enumerate() {
                if i > 0 {
                    out.push_str(",\n");
                    out.push_str(&" ".repeat(depth));
                }
                write_nested(out, inner, part, depth + 1);
            }
        }
    }
    out.push(']');
}

fn summary(tensor: &Tensor) -> String {
    let shape: Vec<String> = tensor.shape().iter().map(usize::to_string).collect();
    let head = format!("{}[{}]", tensor.dtype().name(), shape.join(", "));
    if tensor.is_empty() {
        return format!("{head}, empty");
    }
    let values = tensor.to_f64_vec();
    match tensor.dtype() {
        DType::Key => head,
        DType::Bool => format!("{head}, {} true", values.iter().filter(|&&v| v != 0.0).count()),
        DType::F32 | DType::F64 | DType::I64 => {
            let numbers: Vec<f64> = values.iter().copied().filter(|v| !v.is_nan()).collect();
            let missing = match values.len() - numbers.len() {
                0 => String::new(),
                n => format!(", {n} nan"),
            };
            if numbers.is_empty() {
                return format!("{head}{missing}");
            }
            let least = numbers.iter().copied().fold(f64::INFINITY, f64::min);
            let most = numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            // Divided first, so that large numbers do not overflow.
            let mean: f64 = numbers.iter().map(|v| v / numbers.len() as f64).sum();
            let [least, mean, most] = [least, mean, most].map(format_number);
            format!("{head}, min {least}, mean {mean}, max {most}{missing}")
        }
    }
}

/// A table with a head: columns of numbers right aligned, others left; two spaces between columns. Short rows
/// are filled up with empty cells.
pub fn format_table(head: &[&str], rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).chain([head.len()]).max().unwrap_or(0);
    let cell = |row: &[String], c: usize| row.get(c).cloned().unwrap_or_default();
    let head: Vec<String> = head.iter().map(|h| (*h).to_string()).collect();
    let mut lines = vec![String::new(); rows.len() + 1];
    for c in 0..columns {
        let cells: Vec<String> = std::iter::once(cell(&head, c)).chain(rows.iter().map(|r| cell(r, c))).collect();
        let width = cells.iter().map(|t| t.chars().count()).max().unwrap_or(0);
        let numeric = rows.iter().all(|r| r.get(c).is_none_or(|t| t.is_empty() || t.parse::<f64>().is_ok()));
        for (line, text) in lines.iter_mut().zip(&cells) {
            if c > 0 {
                line.push_str("  ");
            }
            line.push_str(&if numeric { format!("{text:>width$}") } else { format!("{text:<width$}") });
        }
    }
    lines.iter().map(|line| format!("{}\n", line.trim_end())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_six_digits() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (0.125, "0.125"),
            (-12.345678, "-12.3457"),
            (999_999.5, "1e6"),
            (999_999.4, "999999"),
            (123_456_789.0, "1.23457e8"),
            (0.00001, "0.00001"),
            (0.0000012345, "1.2345e-6"),
            (1e-9, "1e-9"),
            (f64::NAN, "nan"),
            (f64::NEG_INFINITY, "-inf"),
            (5e-324, "4.94066e-324"),
        ] {
            assert_eq!(format_number(value), text);
        }
        assert_eq!(format_exactly(0.1 + 0.2), "0.30000000000000004");
        assert_eq!(format_exactly(3.0), "3");
    }

    #[test]
    fn tensors_small_and_large() {
        assert_eq!(format_tensor(&Tensor::scalar(0.1f32), false), "0.1");
        assert_eq!(format_tensor(&Tensor::scalar(0.1f32), true), "0.1");
        assert_eq!(format_tensor(&Tensor::from_vec(&[3], vec![1i64, -2, 3]), false), "[1, -2, 3]");
        assert_eq!(format_tensor(&Tensor::from_vec::<f64>(&[0], vec![]), false), "[]");
        let matrix = Tensor::from_vec(&[2, 2], vec![1.0, -2.5, 10.0, 4.0]);
        assert_eq!(format_tensor(&matrix, false), "[[ 1, -2.5],\n [10,    4]]");
        let cube = Tensor::from_vec(&[2, 1, 2], vec![true, false, true, true]);
        assert_eq!(format_tensor(&cube, false), "[[[true, false]],\n [[true,  true]]]");
        let large = Tensor::from_vec(&[10, 10], (0..100).map(f64::from).collect());
        assert_eq!(format_tensor(&large, false), "f64[10, 10], min 0, mean 49.5, max 99");
        let gaps = Tensor::from_vec(&[65], std::iter::repeat_n(f64::NAN, 65).collect());
        assert_eq!(format_tensor(&gaps, false), "f64[65], 65 nan");
        assert_eq!(format_tensor(&Tensor::from_vec::<f64>(&[0, 3], vec![]), false), "f64[0, 3], empty");
        assert_eq!(format_tensor(&Tensor::full(DType::Bool, &[100], 1.0), false), "bool[100], 100 true");
    }

    #[test]
    fn tables_are_aligned() {
        let rows = vec![vec!["ISTA".into(), "1".into(), "-5.4".into()], vec!["LISTA".into(), "16".into()]];
        let expected = "solver  layers  NMSE\nISTA         1  -5.4\nLISTA       16\n";
        assert_eq!(format_table(&["solver", "layers", "NMSE"], &rows), expected);
        assert_eq!(format_table(&[], &[]), "\n");
    }
}

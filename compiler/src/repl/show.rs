//! Values for the person at the prompt: small ones in full with their type, large ones by shape and range.

use crate::lower::value::{Value, kind_name};
use crate::script;
use dp_runtime::table::format_number;
use dp_runtime::tensor::{DType, Tensor};

/// Up to this many elements an array is shown in full.
const SMALL: usize = 64;
/// Up to this many characters values stand on one line.
const LINE: usize = 100;

/// A value with its type: `[1, 2] : real[2]`, `x = [1, 2] : real[2]`. Functions are described by the type that the
/// checker knows.
pub fn result(name: Option<&str>, value: &Value, checked: Option<&str>, color: bool) -> String {
    let ty = type_of(value).or_else(|| checked.map(str::to_string));
    let grey = |text: String| if color && !text.is_empty() { format!("\u{1b}[90m{text}\u{1b}[0m") } else { text };
    let head = name.map(|name| format!("{name} = ")).unwrap_or_default();
    match value {
        Value::Func(_) => match (name, ty) {
            (Some(name), Some(ty)) => format!("{name} : {ty}"),
            (None, Some(ty)) => ty,
            (_, None) => format!("{head}{}", script::show(value)),
        },
        Value::Net(net) => {
            let title = format!("{} : {}", name.unwrap_or(&net.name), ty.unwrap_or_else(|| "network".to_string()));
            let params = net.params.borrow();
            let count = numbers_in(&params);
            let mut text = format!("{title}\n  {} parameters", grouped(count));
            for (name, value) in leaves("", &params) {
                text += &format!("\n  {}", one_line(&name, &value, &grey));
            }
            text
        }
        Value::Tensor(t) if is_large(t) => format!("{}{}", named(name), summary(t)),
        Value::Record(fields) if fields.is_empty() => format!("{head}{{}}"),
        Value::Record(fields) => {
            let lines: Vec<String> =
                fields.iter().map(|(name, value)| format!("  {}", one_line(name, value, &grey))).collect();
            format!("{head}{{\n{}\n}}", lines.join("\n"))
        }
        Value::Tuple(items) | Value::List(items) if script::show(value).len() > LINE => {
            let shown = items.iter().take(SMALL);
            let mut lines: Vec<String> =
                shown.enumerate().map(|(i, item)| format!("  {}", one_line(&format!("[{i}]"), item, &grey))).collect();
            if items.len() > SMALL {
                lines.push(format!("  ... {} in all", items.len()));
            }
            format!("{head}\n{}", lines.join("\n")).trim_start().to_string()
        }
        value => {
            let text = script::show(value);
            let head = if text.contains('\n') && !head.is_empty() { format!("{}\n", head.trim_end()) } else { head };
            let text = if let Value::Str(s) = value { format!("\"{s}\"") } else { text };
            format!("{head}{text}{}", grey(ty.map(|ty| format!(" : {ty}")).unwrap_or_default()))
        }
    }
}

/// The type of a value that holds numbers or texts; functions and networks have none here.
pub fn type_of(value: &Value) -> Option<String> {
    Some(match value {
        Value::Int(_) => "int".to_string(),
        Value::Bool(_) => "bool".to_string(),
        Value::Str(_) => "string".to_string(),
        Value::Tensor(t) => tensor_type(t),
        Value::Tuple(items) => {
            format!("({})", items.iter().map(type_of).collect::<Option<Vec<String>>>()?.join(", "))
        }
        Value::List(items) => format!("list of {}", items.len()),
        Value::Record(fields) => {
            let fields: Option<Vec<String>> =
                fields.iter().map(|(name, value)| Some(format!("{name}: {}", type_of(value)?))).collect();
            format!("{{ {} }}", fields?.join(", "))
        }
        Value::Func(_) | Value::Net(_) | Value::Unit | Value::Var { .. } | Value::Blank | Value::Leaf(_) => {
            return None;
        }
    })
}

fn tensor_type(t: &Tensor) -> String {
    let kind = kind_name(t.dtype());
    match t.shape() {
        [] => kind.to_string(),
        shape => format!("{kind}[{}]", shape.iter().map(usize::to_string).collect::<Vec<_>>().join(", ")),
    }
}

fn is_large(t: &Tensor) -> bool {
    t.len() > SMALL || (t.is_empty() && t.shape().len() > 1)
}

fn named(name: Option<&str>) -> String {
    name.map(|name| format!("{name} : ")).unwrap_or_default()
}

/// Shape and range of a large array, and what part of it is zero, if any is.
pub fn summary(t: &Tensor) -> String {
    let ty = tensor_type(t);
    if t.is_empty() {
        return format!("{ty}, empty");
    }
    let values = t.to_f64_vec();
    match t.dtype() {
        DType::Key => ty,
        DType::Bool => format!("{ty}, {} true", grouped(values.iter().filter(|v| **v != 0.0).count())),
        DType::F32 | DType::F64 | DType::I64 => {
            let finite: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
            let rest = values.len() - finite.len();
            let mut text = ty;
            if !finite.is_empty() {
                let least = finite.iter().copied().fold(f64::INFINITY, f64::min);
                let most = finite.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                // Divided first, so that large numbers do not overflow.
                let mean: f64 = finite.iter().map(|v| v / finite.len() as f64).sum();
                let [least, mean, most] = [least, mean, most].map(format_number);
                text += &format!(", min {least}, mean {mean}, max {most}");
            }
            let zeros = finite.iter().filter(|v| **v == 0.0).count();
            if zeros > 0 {
                text += &format!(
                    ", {} % zero",
                    format_number((1000.0 * zeros as f64 / values.len() as f64).round() / 10.0)
                );
            }
            if rest > 0 {
                text += &format!(", {} not finite", grouped(rest));
            }
            text
        }
    }
}

/// `name = value : type` on one line; arrays of several axes by their range.
fn one_line(name: &str, value: &Value, grey: &dyn Fn(String) -> String) -> String {
    match value {
        Value::Tensor(t) if is_large(t) || t.shape().len() > 1 => format!("{name} : {}", summary(t)),
        value => {
            let mut text = script::show(value).replace('\n', " ");
            if text.chars().count() > LINE {
                text = text.chars().take(LINE - 4).collect::<String>() + " ...";
            }
            let ty = type_of(value).filter(|_| !matches!(value, Value::Record(_)));
            format!("{name} = {text}{}", grey(ty.map(|ty| format!(" : {ty}")).unwrap_or_default()))
        }
    }
}

/// The arrays in a record of records, by dotted names.
fn leaves(prefix: &str, value: &Value) -> Vec<(String, Value)> {
    match value {
        Value::Record(fields) => fields
            .iter()
            .flat_map(|(name, value)| {
                let name = if prefix.is_empty() { name.to_string() } else { format!("{prefix}.{name}") };
                leaves(&name, value)
            })
            .collect(),
        other => vec![(prefix.to_string(), other.clone())],
    }
}

/// How many numbers a value holds.
pub fn numbers_in(value: &Value) -> usize {
    match value {
        Value::Tensor(t) => t.len(),
        Value::Int(_) | Value::Bool(_) => 1,
        Value::Record(fields) => fields.iter().map(|(_, value)| numbers_in(value)).sum(),
        Value::Tuple(items) | Value::List(items) => items.iter().map(numbers_in).sum(),
        Value::Str(_) | Value::Func(_) | Value::Net(_) | Value::Unit => 0,
        Value::Var { .. } | Value::Blank | Value::Leaf(_) => 0,
    }
}

/// `12 345 678`
pub fn grouped(n: usize) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(value: &Value) -> String {
        result(None, value, None, false)
    }

    fn tensor(shape: &[usize], values: Vec<f64>) -> Value {
        Value::Tensor(Tensor::from_vec(shape, values))
    }

    #[test]
    fn small_values_have_their_type() {
        assert_eq!(plain(&Value::Int(2)), "2 : int");
        assert_eq!(plain(&Value::Str("a".into())), "\"a\" : string");
        assert_eq!(plain(&tensor(&[3], vec![1.0, 2.5, 3.0])), "[1, 2.5, 3] : real[3]");
        assert_eq!(plain(&tensor(&[2, 2], vec![1.0, 0.0, 0.0, 1.0])), "[[1, 0],\n [0, 1]] : real[2, 2]");
        let named = result(Some("x"), &tensor(&[2, 1], vec![1.0, 2.0]), None, false);
        assert_eq!(named, "x =\n[[1],\n [2]] : real[2, 1]");
        let record = Value::Record(vec![("a".into(), Value::Int(1)), ("b".into(), tensor(&[1], vec![0.5]))].into());
        assert_eq!(plain(&record), "{\n  a = 1 : int\n  b = [0.5] : real[1]\n}");
        assert!(result(None, &Value::Int(2), None, true).contains("\u{1b}["));
    }

    #[test]
    fn large_values_are_summarised() {
        let values: Vec<f64> = (0..100).map(|i| if i < 25 { 0.0 } else { f64::from(i) }).collect();
        assert_eq!(plain(&tensor(&[10, 10], values)), "real[10, 10], min 0, mean 46.5, max 99, 25 % zero");
        let mut gaps = vec![1.0; 100];
        gaps[0] = f64::NAN;
        assert_eq!(plain(&tensor(&[100], gaps)), "real[100], min 1, mean 1, max 1, 1 not finite");
        assert_eq!(plain(&tensor(&[0, 3], Vec::new())), "real[0, 3], empty");
        assert_eq!(grouped(1_234_567), "1 234 567");
    }
}

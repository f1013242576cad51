//! Values for people.

use crate::lower::value::Value;
use dp_runtime::table::{format_table, format_tensor, texts};
use std::time::Duration;

/// A value as `print` shows it.
pub fn show(value: &Value) -> String {
    match value {
        Value::Int(i) => i.to_string(),
        Value::Bool(b) => b.to_string(),
        Value::Str(s) => s.to_string(),
        Value::Tensor(t) => format_tensor(t, false),
        Value::Tuple(items) => format!("({})", items.iter().map(show).collect::<Vec<_>>().join(", ")),
        Value::List(items) => format!("[{}]", items.iter().map(show).collect::<Vec<_>>().join(", ")),
        Value::Record(fields) => {
            let fields: Vec<String> = fields.iter().map(|(name, v)| format!("{name}: {}", show(v))).collect();
            format!("{{{}}}", fields.join(", "))
        }
        Value::Func(f) => f.name(),
        Value::Net(net) => format!("network {}", net.name),
        Value::Unit => "()".to_string(),
        Value::Var { .. } | Value::Blank | Value::Leaf(_) => "_".to_string(),
    }
}

/// A record of at least two equally long vectors or lists as a table, one column a field; other values have none.
pub fn table(value: &Value) -> Option<String> {
    let Value::Record(fields) = value else { return None };
    let columns: Vec<Vec<String>> = fields
        .iter()
        .map(|(_, value)| match value {
            Value::Tensor(t) if t.shape().len() == 1 => Some(texts(t, false)),
            Value::List(items) => Some(items.iter().map(show).collect()),
            _ => None,
        })
        .collect::<Option<_>>()?;
    let rows = columns.first()?.len();
    if columns.len() < 2 || rows == 0 || columns.iter().any(|c| c.len() != rows) {
        return None;
    }
    let head: Vec<&str> = fields.iter().map(|(name, _)| &**name).collect();
    let rows: Vec<Vec<String>> = (0..rows).map(|i| columns.iter().map(|c| c[i].clone()).collect()).collect();
    Some(format_table(&head, &rows))
}

/// A time with a fitting unit: `1.23 ms`.
pub fn duration(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    let (value, unit) = match seconds {
        s if s >= 1.0 => (s, "s"),
        s if s >= 1e-3 => (s * 1e3, "ms"),
        s if s >= 1e-6 => (s * 1e6, "us"),
        s => (s * 1e9, "ns"),
    };
    let digits = if value >= 100.0 {
        0
    } else if value >= 10.0 {
        1
    } else {
        2
    };
    format!("{value:.digits$} {unit}")
}

/// A number of bytes with a fitting unit.
pub fn bytes(count: u64) -> String {
    match count {
        c if c >= 1 << 30 => format!("{:.2} GiB", c as f64 / (1u64 << 30) as f64),
        c if c >= 1 << 20 => format!("{:.2} MiB", c as f64 / (1u64 << 20) as f64),
        c if c >= 1 << 10 => format!("{:.2} KiB", c as f64 / 1024.0),
        c => format!("{c} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dp_runtime::tensor::Tensor;

    #[test]
    fn a_record_of_vectors_is_a_table() {
        let names = Value::List(["a", "bb"].iter().map(|s| Value::Str((*s).into())).collect());
        let numbers = Value::Tensor(Tensor::from_vec(&[2], vec![1.5, 10.0]));
        let record = Value::Record(vec![("name".into(), names.clone()), ("x".into(), numbers)].into());
        assert_eq!(table(&record).as_deref(), Some("name    x\na     1.5\nbb     10\n"));
        assert_eq!(table(&Value::Record(vec![("name".into(), names), ("n".into(), Value::Int(2))].into())), None);
    }

    #[test]
    fn units_fit() {
        assert_eq!(duration(Duration::from_micros(1230)), "1.23 ms");
        assert_eq!(duration(Duration::from_nanos(456)), "456 ns");
        assert_eq!(duration(Duration::from_secs(75)), "75.0 s");
        assert_eq!((bytes(12), bytes(2048), bytes(3 << 20)), ("12 B".into(), "2.00 KiB".into(), "3.00 MiB".into()));
    }
}

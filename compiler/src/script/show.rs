//! Values for people.

use crate::lower::value::Value;
use dp_runtime::table::format_tensor;

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

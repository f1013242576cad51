//! Tables of numbers as text: rows are lines, numbers are separated by commas and may stand in quotes.
//!
//! A first line of which no field is a number is taken as names of the columns and skipped, as are empty lines.

use crate::tensor::Tensor;
use std::fmt::Write;

/// The table, as `F64` of shape `[rows, columns]`.
///
/// # Errors
/// In words, with the line's number: a field that is no number, or a row of another length.
pub fn decode(bytes: &[u8]) -> Result<Tensor, String> {
    let text = std::str::from_utf8(bytes).map_err(|e| {
        format!("expected text, found byte {:#04x} at position {}", bytes[e.valid_up_to()], e.valid_up_to())
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut values = Vec::new();
    let (mut rows, mut columns, mut first) = (0, 0, true);
    let mut reader = csv::ReaderBuilder::new();
    let mut reader = reader.has_headers(false).flexible(true).trim(csv::Trim::All).from_reader(text.as_bytes());
    for record in reader.records() {
        let record = record.map_err(|e| format!("the table is malformed ({e})"))?;
        let line = record.position().map_or(0, csv::Position::line);
        if record.iter().all(str::is_empty) && record.len() == 1 {
            continue;
        }
        if std::mem::take(&mut first) && record.iter().all(|f| f.parse::<f64>().is_err()) {
            columns = record.len();
            continue;
        }
        if columns == 0 {
            columns = record.len();
        }
        if record.len() != columns {
            return Err(format!("line {line} has {} fields, the lines before it have {columns}", record.len()));
        }
        for (at, field) in record.iter().enumerate() {
            let value = field.parse::<f64>().map_err(|_| {
                let shown: String = field.chars().take(40).collect();
                format!("line {line}, field {}: expected a number, found `{shown}`", at + 1)
            })?;
            values.push(value);
        }
        rows += 1;
    }
    Ok(Tensor::from_vec(&[rows, columns], values))
}

/// The table's text; numbers are written so that reading them gives the same bits.
///
/// # Errors
/// For more than two axes and for random keys.
pub fn encode(tensor: &Tensor) -> Result<Vec<u8>, String> {
    let columns = match *tensor.shape() {
        [] | [_] => 1,
        [_, columns] => columns,
        ref shape => return Err(format!("a .csv file holds a table, but the array has {} axes", shape.len())),
    };
    let fields: Vec<String> = match tensor {
        Tensor::F32(a) => a.iter().map(|v| format!("{v:?}")).collect(),
        Tensor::F64(a) => a.iter().map(|v| format!("{v:?}")).collect(),
        Tensor::I64(a) => a.iter().map(|v| v.to_string()).collect(),
        Tensor::Bool(a) => a.iter().map(|v| u8::from(*v).to_string()).collect(),
        Tensor::Key(_) => return Err("a random key cannot be saved as an array".into()),
    };
    let mut text = String::new();
    for row in fields.chunks(columns.max(1)) {
        writeln!(text, "{}", row.join(",")).expect("writing to a string");
    }
    Ok(text.into_bytes())
}

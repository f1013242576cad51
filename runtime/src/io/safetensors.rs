//! Named tensors in `.safetensors` files: a JSON header with names, kinds, shapes and places, then the bytes.
//!
//! The header is written here, so that the same content always gives the same bytes.

use super::half::{from_bf16, from_f16};
use super::npy::append_little_endian;
use super::{Named, elements_within};
use crate::tensor::Tensor;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use std::fmt::Write;

/// The named tensors of a file, sorted by name as the metadata is. Reals of 16 bits become `F32`, integers of every
/// width `I64`.
///
/// # Errors
/// In words: not such a file, damaged, or an element kind that is not read.
pub fn decode(bytes: &[u8]) -> Result<Named, String> {
    decode_with(bytes, |name, view| Err(format!("`{name}` has elements of kind {}, which are not read", view.dtype())))
}

/// As `decode`, with random keys as they are written here, in 64 bits without sign.
pub(crate) fn decode_with_keys(bytes: &[u8]) -> Result<Named, String> {
    decode_with(bytes, |name, view| match view.dtype() {
        Dtype::U64 => Ok(Tensor::from_vec(view.shape(), chunks(view.data(), |b| Ok(u64::from_le_bytes(b)))?)),
        other => Err(format!("`{name}` has elements of kind {other}, which are not read")),
    })
}

fn decode_with(bytes: &[u8], other: impl Fn(&str, &TensorView<'_>) -> Result<Tensor, String>) -> Result<Named, String> {
    check_numbers(bytes)?;
    let damaged = |e| format!("expected a .safetensors file, found none or a damaged one ({e})");
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(damaged)?;
    let file = SafeTensors::deserialize(bytes).map_err(damaged)?;
    let mut tensors = Vec::new();
    for (name, view) in file.iter() {
        elements_within(view.shape(), 1, bytes.len())
            .ok_or_else(|| format!("`{name}` states the shape {:?}, which its bytes cannot hold", view.shape()))?;
        tensors.push((name.to_string(), tensor(name, &view, &other)?));
    }
    let mut metadata: Vec<(String, String)> = header.metadata().clone().unwrap_or_default().into_iter().collect();
    tensors.sort_by(|a, b| a.0.cmp(&b.0));
    metadata.sort();
    Ok(Named { tensors, metadata })
}

/// Refuses a header with a number longer than any real size: sums of such sizes could overflow.
fn check_numbers(bytes: &[u8]) -> Result<(), String> {
    let length = bytes.first_chunk::<8>().map_or(0, |b| u64::from_le_bytes(*b));
    let end = usize::try_from(length).unwrap_or(usize::MAX).saturating_add(8).min(bytes.len());
    let (mut in_text, mut escaped, mut digits) = (false, false, 0);
    for &byte in bytes.get(8..end).unwrap_or_default() {
        digits = if byte.is_ascii_digit() && !in_text { digits + 1 } else { 0 };
        if digits > 15 {
            return Err("the header states a size of more than 15 digits".into());
        }
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            _ => {}
        }
    }
    Ok(())
}

fn tensor(
    name: &str,
    view: &TensorView<'_>,
    other: impl Fn(&str, &TensorView<'_>) -> Result<Tensor, String>,
) -> Result<Tensor, String> {
    let (shape, data) = (view.shape(), view.data());
    macro_rules! integers {
        ($ty:ty) => {
            Tensor::from_vec(shape, chunks(data, |b| Ok(i64::from(<$ty>::from_le_bytes(b))))?)
        };
    }
    Ok(match view.dtype() {
        Dtype::F64 => Tensor::from_vec(shape, chunks(data, |b| Ok(f64::from_le_bytes(b)))?),
        Dtype::F32 => Tensor::from_vec(shape, chunks(data, |b| Ok(f32::from_le_bytes(b)))?),
        Dtype::F16 => Tensor::from_vec(shape, chunks(data, |b| Ok(from_f16(u16::from_le_bytes(b))))?),
        Dtype::BF16 => Tensor::from_vec(shape, chunks(data, |b| Ok(from_bf16(u16::from_le_bytes(b))))?),
        Dtype::I64 => integers!(i64),
        Dtype::I32 => integers!(i32),
        Dtype::I16 => integers!(i16),
        Dtype::I8 => integers!(i8),
        Dtype::U32 => integers!(u32),
        Dtype::U16 => integers!(u16),
        Dtype::U8 => integers!(u8),
        Dtype::BOOL => {
            let read = |b: [u8; 1]| match b[0] {
                0 => Ok(false),
                1 => Ok(true),
                found => Err(format!("`{name}`: expected the bytes 0 and 1 for a bool, found {found}")),
            };
            Tensor::from_vec(shape, chunks(data, read)?)
        }
        _ => other(name, view)?,
    })
}

fn chunks<const N: usize, T>(data: &[u8], read: impl Fn([u8; N]) -> Result<T, String>) -> Result<Vec<T>, String> {
    data.as_chunks::<N>().0.iter().map(|chunk| read(*chunk)).collect()
}

/// A file's bytes: tensors with wide elements first, so that all are aligned; keys in 64 bits without sign.
///
/// # Errors
/// If a name occurs twice or is `__metadata__`, which the format keeps for itself.
pub fn encode(named: &Named) -> Result<Vec<u8>, String> {
    let mut header = String::from("{");
    if !named.metadata.is_empty() {
        header.push_str("\"__metadata__\":{");
        for (i, (key, value)) in named.metadata.iter().enumerate() {
            if named.metadata[..i].iter().any(|(earlier, _)| earlier == key) {
                return Err(format!("the remark `{key}` is given twice"));
            }
            let comma = if i == 0 { "" } else { "," };
            write!(header, "{comma}{}:{}", json_text(key), json_text(value)).expect("writing to a string");
        }
        header.push_str("},");
    }
    let mut seen = std::collections::HashSet::new();
    let mut offset = 0;
    let mut tensors: Vec<&(String, Tensor)> = named.tensors.iter().collect();
    tensors.sort_by_key(|(_, tensor)| std::cmp::Reverse(tensor.dtype().size()));
    for (name, tensor) in &tensors {
        if name == "__metadata__" {
            return Err("a tensor cannot be named `__metadata__`".into());
        }
        if !seen.insert(name) {
            return Err(format!("the tensor `{name}` is given twice"));
        }
        let kind = match tensor {
            Tensor::F32(_) => "F32",
            Tensor::F64(_) => "F64",
            Tensor::I64(_) => "I64",
            Tensor::Bool(_) => "BOOL",
            Tensor::Key(_) => "U64",
        };
        let end = offset + tensor.len() * tensor.dtype().size();
        let shape: Vec<String> = tensor.shape().iter().map(usize::to_string).collect();
        write!(
            header,
            "{}:{{\"dtype\":\"{kind}\",\"shape\":[{}],\"data_offsets\":[{offset},{end}]}},",
            json_text(name),
            shape.join(",")
        )
        .expect("writing to a string");
        offset = end;
    }
    if header.ends_with(',') {
        header.pop();
    }
    header.push('}');
    // Elements start at a multiple of 8.
    header.push_str(&" ".repeat(header.len().next_multiple_of(8) - header.len()));
    let mut bytes = Vec::with_capacity(8 + header.len() + offset);
    bytes.extend_from_slice(&(header.len() as u64).to_le_bytes());
    bytes.extend_from_slice(header.as_bytes());
    for (_, tensor) in tensors {
        append_little_endian(tensor, &mut bytes);
    }
    Ok(bytes)
}

/// A JSON string.
fn json_text(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            c if u32::from(c) < 32 => write!(quoted, "\\u{:04x}", u32::from(c)).expect("writing to a string"),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

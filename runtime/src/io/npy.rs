//! NumPy's `.npy` files (format versions 1 to 3): a header in Python's notation, then the elements.
//!
//! Read here and not by a library, because the size in the header must be held against the file's
//! length before anything is allocated, and because the header may nest only as deep as ours does.

use super::elements_within;
use super::half::from_f16;
use crate::tensor::{Element, Tensor};

const MAGIC: &[u8] = b"\x93NUMPY";

/// What a header says.
#[derive(PartialEq, Debug)]
struct Header {
    big_endian: bool,
    /// NumPy's letter: `f`, `i`, `u` or `b`.
    kind: char,
    size: usize,
    fortran: bool,
    shape: Vec<usize>,
}

/// The array in a file's bytes. Reals of 16 bits become `F32`, integers of every width `I64`.
///
/// # Errors
/// In words: no `.npy` file, an element kind that is not read, or a length that does not fit the shape.
pub fn decode(bytes: &[u8]) -> Result<Tensor, String> {
    if bytes.len() < 10 || !bytes.starts_with(MAGIC) {
        return Err("expected a .npy file (starting with \\x93NUMPY), found something else".into());
    }
    let (start, length) = match bytes[6] {
        1 => (10, usize::from(u16::from_le_bytes([bytes[8], bytes[9]]))),
        2 | 3 => {
            let word = bytes.get(8..12).ok_or("the header is cut off")?;
            (12, u32::from_le_bytes([word[0], word[1], word[2], word[3]]) as usize)
        }
        version => return Err(format!("expected .npy version 1, 2 or 3, found version {version}")),
    };
    let header = bytes.get(start..start + length).ok_or_else(|| {
        format!("the header should have {length} bytes, but only {} are left in the file", bytes.len() - start)
    })?;
    let header = std::str::from_utf8(header).map_err(|_| "the header is not text".to_string())?;
    let header = parse_header(header)?;
    let data = &bytes[start + length..];
    let wanted = || {
        let shape: Vec<String> = header.shape.iter().map(usize::to_string).collect();
        format!("an array of shape [{}] with {} bytes for each element", shape.join(", "), header.size)
    };
    let count = elements_within(&header.shape, header.size, data.len()).ok_or_else(|| {
        format!("the header states {}, but the file holds only {} bytes of elements", wanted(), data.len())
    })?;
    if data.len() != count * header.size {
        return Err(format!(
            "the header states {}, which is {} bytes, but the file holds {}",
            wanted(),
            count * header.size,
            data.len()
        ));
    }
    elements(&header, data)
}

/// The elements by their kind.
fn elements(header: &Header, data: &[u8]) -> Result<Tensor, String> {
    macro_rules! integers {
        ($ty:ty) => {
            arranged(header, chunks(header, data, |b| Ok(i64::from(<$ty>::from_le_bytes(b))))?)
        };
    }
    Ok(match (header.kind, header.size) {
        ('f', 8) => arranged(header, chunks(header, data, |b| Ok(f64::from_le_bytes(b)))?),
        ('f', 4) => arranged(header, chunks(header, data, |b| Ok(f32::from_le_bytes(b)))?),
        ('f', 2) => arranged(header, chunks(header, data, |b| Ok(from_f16(u16::from_le_bytes(b))))?),
        ('i', 8) => integers!(i64),
        ('i', 4) => integers!(i32),
        ('i', 2) => integers!(i16),
        ('i', 1) => integers!(i8),
        ('u', 4) => integers!(u32),
        ('u', 2) => integers!(u16),
        ('u', 1) => integers!(u8),
        ('u', 8) => {
            let read = |b| {
                let value = u64::from_le_bytes(b);
                i64::try_from(value).map_err(|_| format!("the element {value} is too large for an integer of 64 bits"))
            };
            arranged(header, chunks(header, data, read)?)
        }
        ('b', 1) => {
            let read = |b: [u8; 1]| match b[0] {
                0 => Ok(false),
                1 => Ok(true),
                other => Err(format!("expected the bytes 0 and 1 for a bool, found {other}")),
            };
            arranged(header, chunks(header, data, read)?)
        }
        (kind, size) => {
            return Err(format!("expected real, integer or bool elements, found NumPy's kind `{kind}{size}`"));
        }
    })
}

/// Reads elements of `N` bytes, first brought to little-endian order.
fn chunks<const N: usize, T>(
    header: &Header,
    data: &[u8],
    read: impl Fn([u8; N]) -> Result<T, String>,
) -> Result<Vec<T>, String> {
    data.chunks_exact(N)
        .map(|chunk| {
            let mut bytes = [0; N];
            bytes.copy_from_slice(chunk);
            if header.big_endian {
                bytes.reverse();
            }
            read(bytes)
        })
        .collect()
}

/// The tensor, with columns-first order turned around.
fn arranged<T: Element>(header: &Header, values: Vec<T>) -> Tensor {
    if !header.fortran || header.shape.len() < 2 {
        return Tensor::from_vec(&header.shape, values);
    }
    let reversed: Vec<usize> = header.shape.iter().rev().copied().collect();
    let array = ndarray::ArrayD::from_shape_vec(ndarray::IxDyn(&reversed), values).expect("the length was checked");
    Tensor::from_array(array.reversed_axes())
}

/// Reads `{'descr': '<f8', 'fortran_order': False, 'shape': (3, 4), }`, with the keys in any order.
fn parse_header(text: &str) -> Result<Header, String> {
    let malformed = |why: &str| format!("the header is malformed ({why}): {}", shortened(text));
    let mut rest = text.trim().strip_prefix('{').ok_or_else(|| malformed("no `{`"))?;
    let (mut descr, mut fortran, mut shape) = (None, None, None);
    loop {
        rest = rest.trim_start();
        if let Some(after) = rest.strip_prefix('}') {
            if !after.trim().is_empty() {
                return Err(malformed("text after `}`"));
            }
            break;
        }
        let (key, after) = quoted(rest).ok_or_else(|| malformed("a key is missing"))?;
        let after = after.trim_start().strip_prefix(':').ok_or_else(|| malformed("no `:`"))?.trim_start();
        rest = match key {
            "descr" => {
                let (value, after) = quoted(after).ok_or_else(|| {
                    "expected an array of numbers, found an array of records, which are not read".to_string()
                })?;
                descr = Some(value);
                after
            }
            "fortran_order" => {
                let (value, after) = if let Some(after) = after.strip_prefix("True") {
                    (true, after)
                } else if let Some(after) = after.strip_prefix("False") {
                    (false, after)
                } else {
                    return Err(malformed("fortran_order is neither True nor False"));
                };
                fortran = Some(value);
                after
            }
            "shape" => {
                let after = after.strip_prefix('(').ok_or_else(|| malformed("the shape is no tuple"))?;
                let (inside, after) = after.split_once(')').ok_or_else(|| malformed("the shape has no end"))?;
                let mut extents = Vec::new();
                for part in inside.split(',').map(str::trim).filter(|p| !p.is_empty()) {
                    let part = part.strip_suffix('L').unwrap_or(part);
                    let extent = part.parse::<usize>().map_err(|_| malformed("an extent is no size"))?;
                    extents.push(extent);
                }
                if extents.len() > 32 {
                    return Err(malformed("more than 32 axes"));
                }
                shape = Some(extents);
                after
            }
            _ => return Err(malformed("an unknown key")),
        };
        rest = rest.trim_start();
        rest = rest.strip_prefix(',').unwrap_or(rest);
    }
    let (Some(descr), Some(fortran), Some(shape)) = (descr, fortran, shape) else {
        return Err(malformed("descr, fortran_order or shape is missing"));
    };
    let unread = || format!("expected real, integer or bool elements, found NumPy's kind `{}`", shortened(descr));
    let mut letters = descr.chars();
    let (big_endian, kind) = match letters.next() {
        Some('<' | '|') => (false, letters.next()),
        Some('>') => (true, letters.next()),
        Some('=') => (cfg!(target_endian = "big"), letters.next()),
        other => (false, other),
    };
    let kind = kind.ok_or_else(unread)?;
    let size = match letters.as_str() {
        "1" => 1,
        "2" => 2,
        "4" => 4,
        "8" => 8,
        "" if kind == '?' => 1,
        _ => return Err(unread()),
    };
    let kind = if kind == '?' { 'b' } else { kind };
    if !matches!(kind, 'f' | 'i' | 'u' | 'b') {
        return Err(unread());
    }
    Ok(Header { big_endian, kind, size, fortran, shape })
}

/// A quoted word at the start of the text, and what follows it.
fn quoted(text: &str) -> Option<(&str, &str)> {
    let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    text[1..].split_once(quote)
}

/// At most the first 80 characters, for messages.
fn shortened(text: &str) -> String {
    let mut short: String = text.chars().take(80).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(80).is_some() {
        short.push('…');
    }
    short
}

/// A file's bytes (version 1, row-major order, little-endian).
///
/// # Errors
/// For random keys, which are no numbers, and shapes too long for the header.
pub fn encode(tensor: &Tensor) -> Result<Vec<u8>, String> {
    let descr = match tensor {
        Tensor::F32(_) => "<f4",
        Tensor::F64(_) => "<f8",
        Tensor::I64(_) => "<i8",
        Tensor::Bool(_) => "|b1",
        Tensor::Key(_) => return Err("a random key cannot be saved as an array".into()),
    };
    let shape = match tensor.shape() {
        [] => "()".to_string(),
        [n] => format!("({n},)"),
        many => format!("({})", many.iter().map(usize::to_string).collect::<Vec<_>>().join(", ")),
    };
    let mut header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
    // Padded so that the elements start at a multiple of 64, and ended by a new line.
    let padded = (10 + header.len() + 1).next_multiple_of(64);
    header.push_str(&" ".repeat(padded - 10 - header.len() - 1));
    header.push('\n');
    let length = u16::try_from(header.len()).map_err(|_| "the shape is too long for a .npy header".to_string())?;
    let mut bytes = Vec::with_capacity(padded + tensor.len() * tensor.dtype().size());
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&[1, 0]);
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(header.as_bytes());
    append_little_endian(tensor, &mut bytes);
    Ok(bytes)
}

/// The elements' bytes in row-major order.
pub(super) fn append_little_endian(tensor: &Tensor, bytes: &mut Vec<u8>) {
    match tensor {
        Tensor::F32(a) => a.iter().for_each(|v| bytes.extend_from_slice(&v.to_le_bytes())),
        Tensor::F64(a) => a.iter().for_each(|v| bytes.extend_from_slice(&v.to_le_bytes())),
        Tensor::I64(a) => a.iter().for_each(|v| bytes.extend_from_slice(&v.to_le_bytes())),
        Tensor::Bool(a) => a.iter().for_each(|v| bytes.push(u8::from(*v))),
        Tensor::Key(a) => a.iter().for_each(|v| bytes.extend_from_slice(&v.to_le_bytes())),
    }
}

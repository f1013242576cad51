//! IDX files, the format of the MNIST digits: two zero bytes, the element kind, the number of axes, the extents in 32 bits, the
//! elements, all in big-endian order. LeCun, Cortes and Burges, "The MNIST database".

use super::elements_within;
use crate::tensor::Tensor;

/// The array. Integers of every width become `I64`.
///
/// # Errors
/// In words: no IDX file, an element kind that does not exist, or a length that does not fit the extents.
pub fn decode(bytes: &[u8]) -> Result<Tensor, String> {
    let [0, 0, kind, axes, rest @ ..] = bytes else {
        return Err("expected an IDX file (starting with two zero bytes), found something else".into());
    };
    let size = match kind {
        0x08 | 0x09 => 1,
        0x0b => 2,
        0x0c | 0x0d => 4,
        0x0e => 8,
        other => return Err(format!("expected an IDX element kind (8, 9, 11 to 14), found {other}")),
    };
    let axes = usize::from(*axes);
    if axes > MOST_AXES {
        return Err(format!("states {axes} axes; at most {MOST_AXES} are read"));
    }
    let Some((extents, data)) = rest.split_at_checked(4 * axes) else {
        return Err(format!("states {axes} axes, but ends before their extents"));
    };
    let shape: Vec<usize> = extents.as_chunks::<4>().0.iter().map(|b| u32::from_be_bytes(*b) as usize).collect();
    let fits = elements_within(&shape, size, data.len()).filter(|count| count * size == data.len());
    if fits.is_none() {
        return Err(format!(
            "states the shape {shape:?} with {size} bytes for each element, but holds {} bytes of elements",
            data.len()
        ));
    }
    macro_rules! integers {
        ($ty:ty, $n:literal) => {
            data.as_chunks::<$n>().0.iter().map(|b| i64::from(<$ty>::from_be_bytes(*b))).collect()
        };
    }
    Ok(match kind {
        0x08 => Tensor::from_vec::<i64>(&shape, integers!(u8, 1)),
        0x09 => Tensor::from_vec::<i64>(&shape, integers!(i8, 1)),
        0x0b => Tensor::from_vec::<i64>(&shape, integers!(i16, 2)),
        0x0c => Tensor::from_vec::<i64>(&shape, integers!(i32, 4)),
        0x0d => Tensor::from_vec(&shape, data.as_chunks::<4>().0.iter().map(|b| f32::from_be_bytes(*b)).collect()),
        _ => Tensor::from_vec(&shape, data.as_chunks::<8>().0.iter().map(|b| f64::from_be_bytes(*b)).collect()),
    })
}

/// No array of ours has more.
const MOST_AXES: usize = 16;

//! NumPy's `.npz` files: zip archives with a `.npy` file for each named array.

use super::{Named, npy};
use std::io::{Cursor, Read, Write};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

/// More arrays than any model has.
const MOST_ARRAYS: usize = 100_000;
/// What deflate can shrink at most: 1032 bytes to one.
const MOST_SHRUNK: u64 = 1032;

/// The arrays of an archive, in its order, by their names without `.npy`.
///
/// # Errors
/// In words: no archive, a damaged one, an entry that is no array, is given twice, or states a size that its bytes cannot hold.
pub fn decode(bytes: &[u8]) -> Result<Named, String> {
    let damaged = |e: zip::result::ZipError| format!("expected a .npz file, found none or a damaged one ({e})");
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(damaged)?;
    if archive.len() > MOST_ARRAYS {
        return Err(format!("holds {} entries; at most {MOST_ARRAYS} are read", archive.len()));
    }
    let mut named = Named::default();
    let mut seen = std::collections::HashSet::new();
    for i in 0..archive.len() {
        let entry = archive.by_index(i).map_err(damaged)?;
        let full = entry.name().map_err(damaged)?.to_string();
        let Some(name) = full.strip_suffix(".npy").map(str::to_string) else {
            return Err(format!("its entry `{full}` is no .npy file"));
        };
        if !seen.insert(name.clone()) {
            return Err(format!("holds the array `{name}` twice"));
        }
        let (stated, packed) = (entry.size(), entry.compressed_size());
        if packed > bytes.len() as u64 || stated > packed.saturating_mul(MOST_SHRUNK).saturating_add(MOST_SHRUNK) {
            return Err(format!(
                "the array `{name}` states {stated} bytes, but its {packed} packed bytes cannot hold them"
            ));
        }
        let mut content = Vec::new();
        let wanted = usize::try_from(stated).unwrap_or(usize::MAX);
        if content.try_reserve_exact(wanted).is_err() {
            return Err(format!("the array `{name}` of {stated} bytes does not fit in memory"));
        }
        // One byte more than stated tells a longer entry.
        entry.take(stated + 1).read_to_end(&mut content).map_err(|e| format!("the array `{name}` is damaged ({e})"))?;
        if content.len() as u64 != stated {
            return Err(format!("the array `{name}` states {stated} bytes, but has others"));
        }
        let tensor = npy::decode(&content).map_err(|problem| format!("the array `{name}`: {problem}"))?;
        named.tensors.push((name, tensor));
    }
    Ok(named)
}

/// An archive's bytes, not compressed, as NumPy's `savez` writes them; the same content always gives the same bytes.
///
/// # Errors
/// For a name given twice, and for random keys.
pub fn encode(named: &Named) -> Result<Vec<u8>, String> {
    let failed = |e: &dyn std::fmt::Display| format!("the archive cannot be written ({e})");
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for (name, tensor) in &named.tensors {
        let content = npy::encode(tensor)?;
        let options = options.large_file(content.len() as u64 >= u64::from(u32::MAX));
        archive.start_file(format!("{name}.npy"), options).map_err(|e| failed(&e))?;
        archive.write_all(&content).map_err(|e| failed(&e))?;
    }
    Ok(archive.finish().map_err(|e| failed(&e))?.into_inner())
}

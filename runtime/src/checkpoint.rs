//! Checkpoints of a training: named tensors, the step and remarks, exact to the bit.
//!
//! A checkpoint `NAME` at step 1200 is the file `NAME.000000001200.safetensors`, which any reader of that format
//! opens. Its header begins with a checksum of the whole file. The last two are kept; a damaged one is refused
//! and the one before it used.

use crate::io::{IoError, Named, Sandbox, error, safetensors};
use crate::tensor::Tensor;

/// What a training needs to go on as if it had never stopped.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    pub step: u64,
    pub tensors: Vec<(String, Tensor)>,
    pub metadata: Vec<(String, String)>,
}

/// The checkpoint found, and what was wrong with later ones.
#[derive(Clone, Debug)]
pub struct Recovered {
    pub checkpoint: Checkpoint,
    pub refused: Vec<IoError>,
}

/// How many checkpoints of a name are kept.
pub const KEPT: usize = 2;

/// Where the checksum stands: it is the header's first value, in 8 hexadecimal digits.
const BEFORE_CHECKSUM: &[u8] = b"{\"__metadata__\":{\"dp.checksum\":\"";
const CHECKSUM: &str = "dp.checksum";
const STEP: &str = "dp.step";
const UNKNOWN: &str = "00000000";

/// Writes a checkpoint and removes those of the same name that are no longer needed: all but the last
/// two, and any of a later step, since training has gone on from an earlier one.
///
/// # Errors
/// If the path leads out of the allowed folders or writing fails; earlier checkpoints are then untouched.
pub fn save(files: &Sandbox, name: &str, checkpoint: &Checkpoint) -> Result<(), IoError> {
    let path = path_of(name, checkpoint.step);
    let bytes = encode(checkpoint).map_err(|problem| error(&path, problem))?;
    files.write(&path, &bytes, true)?;
    let steps = steps(files, name)?;
    let earlier: Vec<u64> = steps.iter().copied().filter(|&s| s <= checkpoint.step).collect();
    let kept = &earlier[earlier.len().saturating_sub(KEPT)..];
    for step in steps.iter().filter(|s| !kept.contains(s)) {
        files.remove(&path_of(name, *step))?;
    }
    Ok(())
}

/// The last checkpoint of this name that is undamaged, or none if there is none at all.
///
/// # Errors
/// If there are checkpoints but all are damaged, or the folder cannot be read.
pub fn load_last(files: &Sandbox, name: &str) -> Result<Option<Recovered>, IoError> {
    let mut refused = Vec::new();
    for step in steps(files, name)?.into_iter().rev() {
        let path = path_of(name, step);
        let decoded = files.read(&path).and_then(|bytes| decode(&bytes).map_err(|problem| error(&path, problem)));
        match decoded {
            Ok(checkpoint) if checkpoint.step == step => return Ok(Some(Recovered { checkpoint, refused })),
            Ok(checkpoint) => {
                refused.push(error(&path, format!("holds step {}, not the one in its name", checkpoint.step)))
            }
            Err(e) => refused.push(e),
        }
    }
    match refused.into_iter().next() {
        None => Ok(None),
        Some(first) => Err(first),
    }
}

/// Removes every checkpoint of this name.
///
/// # Errors
/// If the folder cannot be read or a file not removed.
pub fn remove_all(files: &Sandbox, name: &str) -> Result<(), IoError> {
    steps(files, name)?.into_iter().try_for_each(|step| files.remove(&path_of(name, step)))
}

fn path_of(name: &str, step: u64) -> String {
    format!("{name}.{step:012}.safetensors")
}

/// The steps of which there are files, ascending.
fn steps(files: &Sandbox, name: &str) -> Result<Vec<u64>, IoError> {
    let (folder, file) = name.rsplit_once('/').unwrap_or((".", name));
    let folder = if folder.is_empty() { "/" } else { folder };
    if !files.exists(folder)? {
        return Ok(Vec::new());
    }
    let mut steps: Vec<u64> = files
        .files(folder)?
        .iter()
        .filter_map(|found| found.strip_prefix(file)?.strip_prefix('.')?.strip_suffix(".safetensors")?.parse().ok())
        .filter(|&step| files.exists(&path_of(name, step)).unwrap_or(false))
        .collect();
    steps.sort_unstable();
    Ok(steps)
}

fn encode(checkpoint: &Checkpoint) -> Result<Vec<u8>, String> {
    let mut metadata =
        vec![(CHECKSUM.to_string(), UNKNOWN.to_string()), (STEP.to_string(), checkpoint.step.to_string())];
    metadata.extend(checkpoint.metadata.iter().cloned());
    let mut bytes = safetensors::encode(&Named { tensors: checkpoint.tensors.clone(), metadata })?;
    let sum = crc32(&bytes);
    let place = 8 + BEFORE_CHECKSUM.len();
    bytes[place..place + UNKNOWN.len()].copy_from_slice(format!("{sum:08x}").as_bytes());
    Ok(bytes)
}

fn decode(bytes: &[u8]) -> Result<Checkpoint, String> {
    let place = 8 + BEFORE_CHECKSUM.len();
    let stated = bytes.get(place..place + UNKNOWN.len()).filter(|_| bytes[8..].starts_with(BEFORE_CHECKSUM));
    let stated = stated.ok_or("expected a checkpoint, found something else")?;
    let mut unsigned = bytes.to_vec();
    unsigned[place..place + UNKNOWN.len()].copy_from_slice(UNKNOWN.as_bytes());
    let found = format!("{:08x}", crc32(&unsigned));
    if found.as_bytes() != stated {
        let stated = String::from_utf8_lossy(stated);
        return Err(format!("the checkpoint is damaged: its checksum should be {stated}, found {found}"));
    }
    let mut named = safetensors::decode_with_keys(bytes)?;
    named.metadata.retain(|(key, _)| key != CHECKSUM);
    let at = named.metadata.iter().position(|(key, _)| key == STEP).ok_or("the checkpoint states no step")?;
    let (_, step) = named.metadata.remove(at);
    let step = step.parse().map_err(|_| format!("the checkpoint's step is no number: `{step}`"))?;
    Ok(Checkpoint { step, tensors: named.tensors, metadata: named.metadata })
}

/// The cyclic redundancy check of 32 bits that PNG and zip use (ISO 3309).
pub fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |sum, &byte| CRC_TABLE[((sum ^ u32::from(byte)) & 0xff) as usize] ^ (sum >> 8))
}

/// The remainder of each byte.
const CRC_TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let (mut sum, mut bit) = (byte as u32, 0);
        while bit < 8 {
            sum = if sum & 1 == 1 { 0xedb8_8320 ^ (sum >> 1) } else { sum >> 1 };
            bit += 1;
        }
        table[byte] = sum;
        byte += 1;
    }
    table
};

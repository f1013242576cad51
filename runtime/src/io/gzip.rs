//! Files compressed by gzip (RFC 1952).

use flate2::read::MultiGzDecoder;
use std::io::{ErrorKind, Read};

/// The most bytes that are unpacked: a small file could state any number.
const MOST: u64 = 1 << 31;

/// The content; its checksum is held against the file's.
///
/// # Errors
/// In words: not compressed by gzip, cut off, damaged, or more than 2 GiB.
pub fn decode(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let mut content = Vec::new();
    let read = MultiGzDecoder::new(bytes).take(MOST + 1).read_to_end(&mut content);
    match read {
        Ok(_) if content.len() as u64 > MOST => Err(format!("unpacks to more than {} MiB", MOST >> 20)),
        Ok(_) => Ok(content),
        Err(e) if e.kind() == ErrorKind::UnexpectedEof => Err("the compressed file is cut off".to_string()),
        Err(e) if e.kind() == ErrorKind::OutOfMemory => Err("what it unpacks to does not fit in memory".to_string()),
        Err(e) => Err(format!("expected a file compressed by gzip, found none or a damaged one ({e})")),
    }
}

//! Writing text files so that a reader sees the old text or the new one, never a part.

use std::io::Write;
use std::path::{Path, PathBuf};

/// Writes a text to a temporary file beside the place, and renames it. A link is followed, and the file keeps its permissions.
///
/// # Errors
/// If the folder cannot be written; the file is then as it was.
pub fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    let place = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let temporary = beside(&place);
    let written = write(&temporary, &place, text);
    if written.is_err() {
        // What is left behind does no harm; the first error tells more than a second.
        let _ = std::fs::remove_file(&temporary);
    }
    written
}

fn write(temporary: &Path, place: &Path, text: &str) -> std::io::Result<()> {
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).open(temporary)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    drop(file);
    if let Ok(known) = std::fs::metadata(place) {
        std::fs::set_permissions(temporary, known.permissions())?;
    }
    std::fs::rename(temporary, place)
}

/// A name in the same folder that no one else uses.
fn beside(place: &Path) -> PathBuf {
    let name = place.file_name().map_or_else(String::new, |name| name.to_string_lossy().to_string());
    place.with_file_name(format!(".{name}.{}.tmp", std::process::id()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_replaced_as_a_whole() {
        let folder = std::env::temp_dir().join(format!("dp-files-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("the folder for temporary files can be written");
        let file = folder.join("a.dp");
        replace(&file, "one\n").expect("a new file");
        replace(&file, "two\n").expect("an old file");
        assert_eq!(std::fs::read_to_string(&file).expect("it is there"), "two\n");
        assert!(replace(&folder.join("none/a.dp"), "x").is_err());
        assert_eq!(std::fs::read_dir(&folder).expect("a folder").count(), 1, "nothing is left behind");
        std::fs::remove_dir_all(&folder).expect("the folder can be removed");
    }
}

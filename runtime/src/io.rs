//! Reading and writing files, only below folders that were allowed.
//!
//! A script reads and writes below its own folder and the folders given on the command line. Folders are
//! held as open handles (`cap-std`), and every path is walked below one of them, so neither `..` nor a link
//! leads out. Nothing is overwritten without being told. Files are written to a temporary name, synced and
//! renamed, so that a reader never sees half of one. Readers hold every size a file states against the
//! file's real length before they allocate.

pub mod csv;
pub mod gzip;
mod half;
pub mod idx;
pub mod npy;
pub mod npz;
pub mod png;
pub mod safetensors;

use crate::tensor::Tensor;
use cap_std::ambient_authority;
use cap_std::fs::Dir;
use std::fmt;
use std::io::{ErrorKind, Read, Write};
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// What went wrong with a file, in words for the user.
#[derive(Clone, PartialEq, Debug)]
pub struct IoError {
    /// The path as the program gave it.
    pub path: String,
    /// What was expected and what was found.
    pub problem: String,
}

impl fmt::Display for IoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}", self.path, self.problem)
    }
}

impl std::error::Error for IoError {}

/// Named tensors with remarks, as a `.safetensors` file holds them. Order is kept.
#[derive(Clone, Debug, Default)]
pub struct Named {
    pub tensors: Vec<(String, Tensor)>,
    pub metadata: Vec<(String, String)>,
}

/// What a path held.
#[derive(Clone, Debug)]
pub enum Loaded {
    Array(Tensor),
    Named(Named),
    /// The names of a folder's files, sorted.
    Folder(Vec<String>),
}

/// What is to be written.
#[derive(Clone, Copy, Debug)]
pub enum Content<'a> {
    Array(&'a Tensor),
    Named(&'a Named),
}

/// An allowed folder.
struct Root {
    /// Absolute, as given, without `.` and `..`.
    given: PathBuf,
    /// Absolute, without links.
    real: PathBuf,
    dir: Dir,
}

/// The folders a program may use. The first is where relative paths start.
pub struct Sandbox {
    roots: Vec<Root>,
}

impl Sandbox {
    /// Opens the script's folder and the other allowed folders.
    ///
    /// # Errors
    /// If one of them does not exist, is no folder or may not be read.
    pub fn new(script_folder: &Path, allowed: &[PathBuf]) -> Result<Sandbox, IoError> {
        let mut roots = Vec::new();
        for folder in std::iter::once(script_folder).chain(allowed.iter().map(PathBuf::as_path)) {
            let fail = |e: std::io::Error| error(&folder.display().to_string(), explain(&e, "folder"));
            let real = folder.canonicalize().map_err(fail)?;
            let given = without_dots(&std::path::absolute(folder).map_err(fail)?);
            let dir = Dir::open_ambient_dir(&real, ambient_authority()).map_err(fail)?;
            roots.push(Root { given, real, dir });
        }
        Ok(Sandbox { roots })
    }

    /// The allowed folder that holds `path`, and the path below it.
    fn locate(&self, path: &str) -> Result<(&Dir, PathBuf), IoError> {
        let first = &self.roots[0];
        let given = Path::new(path);
        if path.is_empty() {
            return Err(error(path, "the path is empty".into()));
        }
        for base in [&first.given, &first.real] {
            let whole = without_dots(&base.join(given));
            for root in &self.roots {
                for prefix in [&root.given, &root.real] {
                    if let Ok(below) = whole.strip_prefix(prefix) {
                        let below = if below.as_os_str().is_empty() { Path::new(".") } else { below };
                        return Ok((&root.dir, below.to_path_buf()));
                    }
                }
            }
        }
        let folders: Vec<String> = self.roots.iter().map(|r| format!("`{}`", r.given.display())).collect();
        Err(error(
            path,
            format!(
                "lies outside the folders this program may use ({}); allow its folder on the command line",
                folders.join(", ")
            ),
        ))
    }

    /// A regular file's bytes.
    ///
    /// # Errors
    /// If the path leads out, does not exist, is no regular file, or cannot be read.
    pub fn read(&self, path: &str) -> Result<Vec<u8>, IoError> {
        let (dir, below) = self.locate(path)?;
        let fail = |e: std::io::Error| error(path, explain(&e, "file"));
        // Asked before opening: opening a pipe would wait for its writer.
        let kind = dir.metadata(&below).map_err(fail)?;
        if kind.is_dir() {
            return Err(error(path, "expected a file, found a folder".into()));
        }
        if !kind.is_file() {
            return Err(error(path, "expected a regular file, found a device, pipe or socket".into()));
        }
        let file = dir.open(&below).map_err(fail)?;
        let length = file.metadata().map_err(fail)?.len();
        let mut bytes = Vec::new();
        let wanted = usize::try_from(length).ok().and_then(|n| n.checked_add(1));
        if wanted.is_none_or(|n| bytes.try_reserve_exact(n).is_err()) {
            return Err(error(path, format!("its {length} bytes do not fit in memory")));
        }
        file.take(length).read_to_end(&mut bytes).map_err(fail)?;
        if bytes.len() as u64 != length {
            return Err(error(
                path,
                format!("expected {length} bytes, found {}: the file changed while it was read", bytes.len()),
            ));
        }
        Ok(bytes)
    }

    /// The names of the files (not folders) in a folder, sorted; names starting with a dot are left out.
    ///
    /// # Errors
    /// If the path leads out, is no folder or cannot be read, or a name is not Unicode.
    pub fn files(&self, path: &str) -> Result<Vec<String>, IoError> {
        let (dir, below) = self.locate(path)?;
        let fail = |e: std::io::Error| error(path, explain(&e, "folder"));
        let mut names = Vec::new();
        for entry in dir.read_dir(&below).map_err(fail)? {
            let entry = entry.map_err(fail)?;
            let name = entry.file_name();
            let Some(name) = name.to_str() else {
                return Err(error(path, format!("the file name {name:?} is not Unicode")));
            };
            // A link counts as what it leads to; one that leads out or nowhere is left out.
            let is_file = dir.metadata(below.join(name)).is_ok_and(|m| m.is_file());
            if is_file && !name.starts_with('.') {
                names.push(name.to_string());
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    /// True if something has this name.
    ///
    /// # Errors
    /// If the path leads out.
    pub fn exists(&self, path: &str) -> Result<bool, IoError> {
        let (dir, below) = self.locate(path)?;
        Ok(dir.symlink_metadata(&below).is_ok())
    }

    /// Reads a file by its ending: `.npy`, `.npz`, `.csv`, `.png`, `.safetensors`, or `.idx` and `-ubyte` for IDX files, each
    /// also with `.gz`; or lists a folder's files.
    ///
    /// Real arrays keep their width. Integers of every width become `I64` with their values. Images become `F64`
    /// in `[0, 1]`, of shape `[height, width]` or `[3, height, width]`. Tables become `F64` of shape `[rows, columns]`.
    ///
    /// # Errors
    /// What `read` refuses, another ending, and a file that is not what its ending says, is cut off, longer than
    /// it states, or states a size that it cannot hold.
    pub fn load(&self, path: &str) -> Result<Loaded, IoError> {
        let (dir, below) = self.locate(path)?;
        if dir.metadata(&below).is_ok_and(|m| m.is_dir()) {
            return self.files(path).map(Loaded::Folder);
        }
        let plain = path.len().checked_sub(3).filter(|&n| path.get(n..).is_some_and(|e| e.eq_ignore_ascii_case(".gz")));
        let format = Format::of(plain.map_or(path, |n| &path[..n])).map_err(|e| error(path, e.problem))?;
        let mut bytes = self.read(path)?;
        if plain.is_some() {
            bytes = gzip::decode(&bytes).map_err(|problem| error(path, problem))?;
        }
        let loaded = match format {
            Format::Npz => npz::decode(&bytes).map(Loaded::Named),
            Format::Idx => idx::decode(&bytes).map(Loaded::Array),
            Format::Npy => npy::decode(&bytes).map(Loaded::Array),
            Format::Csv => csv::decode(&bytes).map(Loaded::Array),
            Format::Png => png::decode(&bytes).map(Loaded::Array),
            Format::Safetensors => safetensors::decode(&bytes).map(Loaded::Named),
        };
        loaded.map_err(|problem| error(path, problem))
    }

    /// Writes an array (`.npy`, `.csv`, `.png`, `.npz`, `.safetensors`) or named tensors (`.npz`, `.safetensors`).
    ///
    /// # Errors
    /// If the ending does not suit the content, the path leads out, the file exists and `overwrite` is false, or
    /// writing fails.
    pub fn save(&self, path: &str, content: Content<'_>, overwrite: bool) -> Result<(), IoError> {
        let format = Format::of(path)?;
        let bytes = match (format, content) {
            (Format::Npy, Content::Array(tensor)) => npy::encode(tensor),
            (Format::Csv, Content::Array(tensor)) => csv::encode(tensor),
            (Format::Png, Content::Array(tensor)) => png::encode(tensor),
            (Format::Safetensors | Format::Npz, Content::Array(tensor)) => {
                let named = Named { tensors: vec![("value".into(), tensor.clone())], metadata: Vec::new() };
                if let Format::Npz = format { npz::encode(&named) } else { safetensors::encode(&named) }
            }
            (Format::Npz, Content::Named(named)) => npz::encode(named),
            (Format::Idx, _) => Err("IDX files are read, not written; use `.npy`".to_string()),
            (Format::Safetensors, Content::Named(named)) => safetensors::encode(named),
            (Format::Npy | Format::Csv | Format::Png, Content::Named(named)) => Err(format!(
                "holds one array, but {} named arrays were given; use `.safetensors` or `.npz`",
                named.tensors.len()
            )),
        };
        let bytes = bytes.map_err(|problem| error(path, problem))?;
        self.write(path, &bytes, overwrite)
    }

    /// Writes a whole file; folders on the way to it are made.
    ///
    /// # Errors
    /// If the path leads out, the file exists and `overwrite` is false, or writing fails. The file that was
    /// there, if any, is then untouched.
    pub fn write(&self, path: &str, bytes: &[u8], overwrite: bool) -> Result<(), IoError> {
        let (dir, below) = self.locate(path)?;
        let fail = |e: std::io::Error| error(path, explain(&e, "file"));
        let exists = || error(path, "exists already; give `overwrite: true` to replace it".into());
        match dir.symlink_metadata(&below) {
            Ok(found) if found.is_dir() => return Err(error(path, "is a folder".into())),
            Ok(_) if !overwrite => return Err(exists()),
            Ok(_) | Err(_) => {}
        }
        let Some(name) = below.file_name() else {
            return Err(error(path, "names no file".into()));
        };
        let parent = match below.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => {
                dir.create_dir_all(parent).map_err(fail)?;
                dir.open_dir(parent).map_err(fail)?
            }
            Some(_) | None => dir.try_clone().map_err(fail)?,
        };
        let temporary = temporary_name();
        let written = write_and_rename(&parent, &temporary, Path::new(name), bytes, overwrite);
        if written.is_err() {
            let _ = parent.remove_file(&temporary);
        }
        written.map_err(|e| if e.kind() == ErrorKind::AlreadyExists && !overwrite { exists() } else { fail(e) })
    }

    /// Removes a file.
    ///
    /// # Errors
    /// If the path leads out or nothing can be removed there.
    pub(crate) fn remove(&self, path: &str) -> Result<(), IoError> {
        let (dir, below) = self.locate(path)?;
        dir.remove_file(&below).map_err(|e| error(path, explain(&e, "file")))
    }
}

/// A name no one else uses, in the folder of the file to be written.
fn temporary_name() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    format!(".dp-{}-{}.tmp", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

fn write_and_rename(dir: &Dir, temporary: &str, name: &Path, bytes: &[u8], overwrite: bool) -> std::io::Result<()> {
    let mut options = cap_std::fs::OpenOptions::new();
    let mut file = dir.open_with(temporary, options.write(true).create_new(true))?;
    file.write_all(bytes)?;
    file.sync_all()?;
    drop(file);
    if overwrite {
        dir.rename(temporary, dir, name)?;
    } else {
        // A link fails where a rename would replace what another process wrote meanwhile.
        match dir.hard_link(temporary, dir, name) {
            Ok(()) => dir.remove_file(temporary)?,
            Err(e) if e.kind() == ErrorKind::AlreadyExists => return Err(e),
            // A file system without hard links.
            Err(_) => dir.rename(temporary, dir, name)?,
        }
    }
    // The new name itself is on disk when the folder is. Some systems cannot sync a folder.
    if let Ok(folder) = dir.open_dir(".") {
        let _ = folder.into_std_file().sync_all();
    }
    Ok(())
}

/// The kinds of files by their endings.
#[derive(Clone, Copy)]
enum Format {
    Npy,
    Npz,
    Idx,
    Csv,
    Png,
    Safetensors,
}

impl Format {
    fn of(path: &str) -> Result<Format, IoError> {
        let ending = Path::new(path).extension().map(|e| e.to_string_lossy().to_lowercase());
        match ending.as_deref() {
            Some("npy") => Ok(Format::Npy),
            Some("npz") => Ok(Format::Npz),
            Some("idx") => Ok(Format::Idx),
            // `train-images-idx3-ubyte`, `train-images.idx3-ubyte`
            _ if path.to_lowercase().ends_with("-ubyte") => Ok(Format::Idx),
            Some("csv") => Ok(Format::Csv),
            Some("png") => Ok(Format::Png),
            Some("safetensors") => Ok(Format::Safetensors),
            other => {
                let found = other.map_or("no ending".to_string(), |e| format!("`.{e}`"));
                let known = ".npy, .npz, .csv, .png, .safetensors, .idx or -ubyte";
                Err(error(path, format!("expected a file ending in {known}, found {found}")))
            }
        }
    }
}

pub(crate) fn error(path: &str, problem: String) -> IoError {
    IoError { path: path.to_string(), problem }
}

/// An operating system's error in words; `wanted` is "file" or "folder".
fn explain(e: &std::io::Error, wanted: &str) -> String {
    match e.kind() {
        ErrorKind::NotFound => format!("no such {wanted}"),
        ErrorKind::PermissionDenied if e.to_string().contains("outside") => {
            "a link or `..` on this path leads outside the folders this program may use".to_string()
        }
        ErrorKind::PermissionDenied => "permission denied".to_string(),
        ErrorKind::NotADirectory => "a part of this path is no folder".to_string(),
        _ => e.to_string(),
    }
}

/// The path without `.` and `..`, by its text alone.
fn without_dots(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                clean.pop();
            }
            Component::Prefix(_) | Component::RootDir | Component::Normal(_) => clean.push(part),
        }
    }
    clean
}

/// The number of elements of a shape, if its bytes at `size` each fit in `available`.
fn elements_within(shape: &[usize], size: usize, available: usize) -> Option<usize> {
    // Extents of zero make any product small, but the others still count for strides.
    let nonzero = shape.iter().filter(|&&n| n != 0).try_fold(1usize, |a, &n| a.checked_mul(n))?;
    if nonzero > isize::MAX as usize / 8 {
        return None;
    }
    let count = if shape.contains(&0) { 0 } else { nonzero };
    (count.checked_mul(size)? <= available).then_some(count)
}

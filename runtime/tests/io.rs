//! Files: round trips, the sandbox, and bad input of every kind.

use dp_runtime::io::{Content, IoError, Loaded, Named, Sandbox, csv, gzip, idx, npy, npz, png, safetensors};
use dp_runtime::random;
use dp_runtime::tensor::Tensor;
use std::io::Write;
use std::path::{Path, PathBuf};

/// A new folder, removed when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("dp-io-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).expect("a temporary folder");
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn sandbox(folder: &Path) -> Sandbox {
    Sandbox::new(folder, &[]).expect("the folder exists")
}

fn array(loaded: Result<Loaded, IoError>) -> Tensor {
    match loaded.expect("readable") {
        Loaded::Array(tensor) => tensor,
        other => panic!("expected an array, found {other:?}"),
    }
}

fn problem<T: std::fmt::Debug>(result: Result<T, IoError>) -> String {
    result.expect_err("an error").to_string()
}

fn samples() -> Vec<Tensor> {
    vec![
        Tensor::from_vec(&[2, 3], vec![1.5, -0.0, f64::INFINITY, f64::NAN, 5e-324, -1e300]),
        Tensor::from_vec(&[4], vec![1.5f32, -0.0, f32::MIN_POSITIVE, 3e38]),
        Tensor::from_vec(&[2, 1, 2], vec![i64::MIN, -1, 0, i64::MAX]),
        Tensor::from_vec(&[3], vec![true, false, true]),
        Tensor::scalar(2.5),
        Tensor::from_vec::<f64>(&[0, 3], vec![]),
    ]
}

#[test]
fn npy_round_trips_exactly() {
    let folder = Folder::new("npy");
    let files = sandbox(&folder.0);
    for (i, tensor) in samples().into_iter().enumerate() {
        let path = format!("deep/er/{i}.npy");
        files.save(&path, Content::Array(&tensor), false).expect("writable");
        assert!(array(files.load(&path)).same_bits(&tensor), "{tensor:?}");
    }
    assert_eq!(files.files("deep/er").expect("readable").len(), samples().len(), "no temporary file is left");
}

/// A `.npy` file with the given header text.
fn npy_file(header: &str, data: &[u8]) -> Vec<u8> {
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    bytes
}

#[test]
fn npy_reads_byte_orders_fortran_order_and_every_integer() {
    let header = |descr: &str, fortran: &str, shape: &str| {
        format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}\n")
    };
    let f: Vec<u8> = [1.0f64, 2.0, 3.0, 4.0, 5.0, 6.0].iter().flat_map(|v| v.to_be_bytes()).collect();
    let read = npy::decode(&npy_file(&header(">f8", "True", "(2, 3)"), &f)).expect("readable");
    assert!(read.same_bits(&Tensor::from_vec(&[2, 3], vec![1.0, 3.0, 5.0, 2.0, 4.0, 6.0])));
    let read = npy::decode(&npy_file(&header(">f4", "False", "(1,)"), &1.5f32.to_be_bytes())).expect("readable");
    assert!(read.same_bits(&Tensor::from_vec(&[1], vec![1.5f32])));
    let read =
        npy::decode(&npy_file(&header("<f2", "False", "(4,)"), &[0, 0x3c, 0, 0xc0, 1, 0, 0, 0x7c])).expect("readable");
    assert!(read.same_bits(&Tensor::from_vec(&[4], vec![1.0f32, -2.0, 5.9604645e-8, f32::INFINITY])));
    for (descr, bytes, value) in [
        ("|u1", vec![200], 200),
        ("|i1", vec![200], -56),
        ("<u2", vec![0xfe, 0xff], 65534),
        (">i2", vec![0xff, 0xfe], -2),
        ("<i4", vec![0xfe, 0xff, 0xff, 0xff], -2),
        (">u4", vec![0xff, 0xff, 0xff, 0xfe], 4_294_967_294),
        (">i8", vec![0, 0, 0, 0, 0, 0, 1, 0], 256),
        ("<u8", vec![1, 0, 0, 0, 0, 0, 0, 0], 1),
    ] {
        let read = npy::decode(&npy_file(&header(descr, "False", "()"), &bytes)).expect(descr);
        assert!(read.same_bits(&Tensor::scalar::<i64>(value)), "{descr}: {read:?}");
    }
    let read = npy::decode(&npy_file(&header("|b1", "False", "(2,)"), &[1, 0])).expect("readable");
    assert!(read.same_bits(&Tensor::from_vec(&[2], vec![true, false])));
}

#[test]
fn npy_refuses_what_it_does_not_read() {
    for (header, data, expected) in [
        ("{'descr': '<c16', 'fortran_order': False, 'shape': (1,), }\n", 16, "found NumPy's kind `<c16`"),
        ("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }\n", 8, "found NumPy's kind `|O`"),
        ("{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (1,), }\n", 8, "array of records"),
        ("{'descr': '<f8', 'fortran_order': False, 'shape': (2,), }\n", 8, "holds only 8 bytes"),
        ("{'descr': '<f8', 'fortran_order': False, 'shape': (1,), }\n", 12, "which is 8 bytes, but the file holds 12"),
        (
            "{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999999, 99999999999999), }\n",
            8,
            "holds only 8 bytes",
        ),
        ("{'descr': '<f8', 'fortran_order': False, 'shape': (0, 9223372036854775807, 2), }\n", 0, "holds only 0 bytes"),
        ("{'descr': '<f8', 'fortran_order': Maybe, 'shape': (1,), }\n", 8, "fortran_order"),
        ("{'descr': '<f8', 'shape': (1,), }\n", 8, "missing"),
        ("((((((((((((((((((((((((", 8, "malformed"),
        ("{'descr': '|b1', 'fortran_order': False, 'shape': (1,), }\n", 1, "found 7"),
    ] {
        let problem = npy::decode(&npy_file(header, &vec![7; data])).expect_err(header);
        assert!(problem.contains(expected), "{header}: {problem}");
    }
    assert!(npy::decode(b"hello").expect_err("no array").contains("expected a .npy file"));
    assert!(npy::encode(&Tensor::scalar(1u64)).is_err(), "a key is no array");
}

#[test]
fn csv_round_trips_and_names_the_bad_line() {
    let table = Tensor::from_vec(&[2, 3], vec![1.5, -2e-300, 3.0, 0.1, 1e22, -0.0]);
    let text = csv::encode(&table).expect("writable");
    assert!(csv::decode(&text).expect("readable").same_bits(&table));
    let read = csv::decode(b"time, value\r\n\r\n1, 2.5\r\n2,-3\r\n").expect("readable");
    assert!(read.same_bits(&Tensor::from_vec(&[2, 2], vec![1.0, 2.5, 2.0, -3.0])));
    assert_eq!(csv::decode(b"1,2\n3\n").expect_err("ragged"), "line 2 has 1 fields, the lines before it have 2");
    assert_eq!(csv::decode(b"1,2\n3,x\n").expect_err("no number"), "line 2, field 2: expected a number, found `x`");
    assert!(csv::decode(b"1,\xff").expect_err("no text").contains("0xff"));
    assert_eq!(csv::decode(b"").expect("empty").shape(), [0, 0]);
}

#[test]
fn png_round_trips_grey_and_colour() {
    let steps: Vec<f64> = (0..6).map(|i| f64::from(i * 51) / 255.0).collect();
    let grey = Tensor::from_vec(&[2, 3], steps.clone());
    assert!(png::decode(&png::encode(&grey).expect("writable")).expect("readable").same_bits(&grey));
    let colour = Tensor::from_vec(&[3, 1, 2], steps);
    assert!(png::decode(&png::encode(&colour).expect("writable")).expect("readable").same_bits(&colour));
    let wild = Tensor::from_vec(&[1, 3], vec![-0.5f32, 0.501, 7.0]);
    let read = png::decode(&png::encode(&wild).expect("writable")).expect("readable");
    assert!(read.same_bits(&Tensor::from_vec(&[1, 3], vec![0.0, 128.0 / 255.0, 1.0])));
    assert!(png::encode(&Tensor::from_vec(&[1, 2], vec![0.0, f64::NAN])).expect_err("NaN").contains("row 0, column 1"));
    assert!(png::encode(&Tensor::scalar(1.0)).is_err());
    assert!(png::encode(&Tensor::from_vec::<f64>(&[0, 3], vec![])).is_err());
}

#[test]
fn png_reads_16_bits_and_opaque_alpha() {
    use ::png::{BitDepth, ColorType, Encoder};
    let write = |samples: &[u8], width, kind, depth| {
        let mut bytes = Vec::new();
        let mut encoder = Encoder::new(&mut bytes, width, 1);
        encoder.set_color(kind);
        encoder.set_depth(depth);
        encoder.write_header().and_then(|mut writer| writer.write_image_data(samples)).expect("writable");
        bytes
    };
    let deep: Vec<u8> = [0u16, 1, 65535].iter().flat_map(|v| v.to_be_bytes()).collect();
    let read = png::decode(&write(&deep, 3, ColorType::Grayscale, BitDepth::Sixteen)).expect("readable");
    assert!(read.same_bits(&Tensor::from_vec(&[1, 3], vec![0.0, 1.0 / 65535.0, 1.0])));
    let read = png::decode(&write(&[255, 0, 51, 255], 1, ColorType::Rgba, BitDepth::Eight)).expect("readable");
    assert!(read.same_bits(&Tensor::from_vec(&[3, 1, 1], vec![1.0, 0.0, 0.2])));
    // One bit for each sample, eight in a byte.
    let read = png::decode(&write(&[0b1010_0000], 3, ColorType::Grayscale, BitDepth::One)).expect("readable");
    assert!(read.same_bits(&Tensor::from_vec(&[1, 3], vec![1.0, 0.0, 1.0])));
    assert!(
        png::decode(&write(&[255, 0, 51, 254], 1, ColorType::Rgba, BitDepth::Eight))
            .expect_err("alpha")
            .contains("transparent")
    );
}

#[test]
fn a_picture_that_states_a_huge_size_is_refused() {
    let mut bytes = png::encode(&Tensor::from_vec(&[1, 1], vec![0.5])).expect("writable");
    // Width and height follow the signature and the chunk's head; then comes the chunk's checksum.
    bytes[16..24].copy_from_slice(&[0, 1, 0x86, 0xa0, 0, 1, 0x86, 0xa0]);
    let crc = dp_runtime::checkpoint::crc32(&bytes[12..29]);
    bytes[29..33].copy_from_slice(&crc.to_be_bytes());
    let problem = png::decode(&bytes).expect_err("too large");
    assert!(problem.contains("states 100000 by 100000 pixels"), "{problem}");
}

fn named() -> Named {
    let tensors = samples().into_iter().enumerate().map(|(i, t)| (format!("t\"{i}\\.ü"), t)).collect();
    Named { tensors, metadata: vec![("a".into(), "x\ny\"".into()), ("b".into(), "1234567890123456789012".into())] }
}

#[test]
fn safetensors_round_trip_and_are_deterministic() {
    let (folder, named) = (Folder::new("safetensors"), named());
    let files = sandbox(&folder.0);
    files.save("m.safetensors", Content::Named(&named), false).expect("writable");
    let Loaded::Named(read) = files.load("m.safetensors").expect("readable") else { panic!("expected names") };
    assert_eq!(read.metadata, named.metadata);
    assert_eq!(read.tensors.len(), named.tensors.len());
    for ((a, x), (b, y)) in read.tensors.iter().zip(&named.tensors) {
        assert!(a == b && x.same_bits(y), "{a}: {x:?} against {b}: {y:?}");
    }
    assert_eq!(safetensors::encode(&named), safetensors::encode(&read));
    assert!(
        safetensors::encode(&Named { tensors: vec![("a".into(), Tensor::scalar(1.0)); 2], metadata: vec![] }).is_err()
    );
    let problem = problem(files.save("m.npy", Content::Named(&named), false));
    assert!(problem.contains("use `.safetensors`"), "{problem}");
}

#[test]
fn safetensors_with_false_sizes_are_refused() {
    let file = |header: &str, data: &[u8]| [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), data].concat();
    for (header, data) in [
        (r#"{"a":{"dtype":"F64","shape":[2],"data_offsets":[0,16]}}"#, 8),
        (r#"{"a":{"dtype":"F64","shape":[2],"data_offsets":[0,8]}}"#, 8),
        (r#"{"a":{"dtype":"F64","shape":[1],"data_offsets":[8,16]}}"#, 16),
        (r#"{"a":{"dtype":"U8","shape":[18446744073709551600],"data_offsets":[0,18446744073709551600]}}"#, 0),
        (r#"{"a":{"dtype":"U8","shape":[0,999999999999999,999999999999999],"data_offsets":[0,0]}}"#, 0),
        (r#"{"a":{"dtype":"C64","shape":[1],"data_offsets":[0,8]}}"#, 8),
        (r#"{"a":"#, 0),
        ("[[[[[[[[[[", 0),
    ] {
        assert!(safetensors::decode(&file(header, &vec![0; data])).is_err(), "{header}");
    }
    assert!(safetensors::decode(&u64::MAX.to_le_bytes()).is_err());
}

#[test]
fn npz_round_trips_and_is_deterministic() {
    let (folder, named) = (Folder::new("npz"), named());
    let files = sandbox(&folder.0);
    files.save("m.npz", Content::Named(&named), false).expect("writable");
    let Loaded::Named(read) = files.load("m.npz").expect("readable") else { panic!("expected names") };
    assert_eq!(read.tensors.len(), named.tensors.len());
    for ((a, x), (b, y)) in read.tensors.iter().zip(&named.tensors) {
        assert!(a == b && x.same_bits(y), "{a}: {x:?} against {b}: {y:?}");
    }
    assert_eq!(npz::encode(&named), npz::encode(&read));
    let twice = Named { tensors: vec![("a".into(), Tensor::scalar(1.0)); 2], metadata: vec![] };
    assert!(npz::encode(&twice).is_err());
}

/// A zip archive with one packed entry of a million zeros, its stated sizes replaced.
fn zip_of_zeros(name: &str, stated: Option<u32>) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    archive.start_file(name, zip::write::SimpleFileOptions::default()).expect("writable");
    archive.write_all(&vec![0; 1_000_000]).expect("writable");
    let mut bytes = archive.finish().expect("writable").into_inner();
    if let Some(stated) = stated {
        let old = 1_000_000u32.to_le_bytes();
        let places: Vec<usize> = (0..bytes.len() - 4).filter(|&i| bytes[i..i + 4] == old).collect();
        assert!(!places.is_empty(), "the size stands in the headers");
        places.iter().for_each(|&at| bytes[at..at + 4].copy_from_slice(&stated.to_le_bytes()));
    }
    bytes
}

#[test]
fn npz_with_false_sizes_are_refused() {
    for (name, stated, expected) in [
        ("a.npy", None, "expected a .npy file"),
        ("a.txt", None, "no .npy file"),
        ("a.npy", Some(u32::MAX - 1), "cannot hold them"),
        ("a.npy", Some(1000), "`a`"),
        ("a.npy", Some(1_000_001), "`a`"),
    ] {
        let problem = npz::decode(&zip_of_zeros(name, stated)).expect_err(expected);
        assert!(problem.contains(expected), "{name} {stated:?}: {problem}");
    }
    assert!(npz::decode(b"PK no archive").expect_err("no archive").contains("expected a .npz file"));
}

/// An IDX file.
fn idx_file(kind: u8, extents: &[u32], data: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, kind, extents.len() as u8];
    bytes.extend(extents.iter().flat_map(|n| n.to_be_bytes()));
    bytes.extend(data);
    bytes
}

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all(bytes).expect("writable");
    packed.finish().expect("writable")
}

#[test]
fn idx_files_are_read_with_and_without_gzip() {
    let folder = Folder::new("idx");
    let files = sandbox(&folder.0);
    let wanted = Tensor::from_vec::<i64>(&[2, 3], vec![0, 1, 2, 127, 128, 255]);
    let plain = idx_file(0x08, &[2, 3], &[0, 1, 2, 127, 128, 255]);
    for (name, bytes) in [
        ("digits.idx", plain.clone()),
        ("train-images-idx3-ubyte", plain.clone()),
        ("train-images.idx3-ubyte", plain.clone()),
        ("digits.IDX.gz", gzipped(&plain)),
        ("t10k-images-idx3-ubyte.gz", gzipped(&plain)),
        // Members one after another are one content.
        ("two.idx.gz", [gzipped(&plain[..7]), gzipped(&plain[7..])].concat()),
    ] {
        std::fs::write(folder.0.join(name), bytes).expect("writable");
        assert!(array(files.load(name)).same_bits(&wanted), "{name}");
    }
    std::fs::write(folder.0.join("a.npy.gz"), gzipped(&npy::encode(&wanted).expect("writable"))).expect("writable");
    assert!(array(files.load("a.npy.gz")).same_bits(&wanted));
    for (kind, data, wanted) in [
        (0x09, vec![0xff], Tensor::from_vec::<i64>(&[1], vec![-1])),
        (0x0b, vec![0xff, 0xfe], Tensor::from_vec::<i64>(&[1], vec![-2])),
        (0x0c, vec![0, 0, 1, 0], Tensor::from_vec::<i64>(&[1], vec![256])),
        (0x0d, 1.5f32.to_be_bytes().to_vec(), Tensor::from_vec(&[1], vec![1.5f32])),
        (0x0e, (-2.5f64).to_be_bytes().to_vec(), Tensor::from_vec(&[1], vec![-2.5f64])),
    ] {
        assert!(idx::decode(&idx_file(kind, &[1], &data)).expect("readable").same_bits(&wanted), "kind {kind}");
    }
}

#[test]
fn idx_files_that_lie_are_refused() {
    let data = [0; 6];
    for (bytes, expected) in [
        (idx_file(0x08, &[2, 4], &data), "holds 6 bytes"),
        (idx_file(0x08, &[2, 2], &data), "holds 6 bytes"),
        (idx_file(0x08, &[u32::MAX; 4], &data), "holds 6 bytes"),
        (idx_file(0x08, &[0, u32::MAX, u32::MAX, u32::MAX], &data), "holds 6 bytes"),
        (idx_file(0x0a, &[6], &data), "found 10"),
        (vec![0, 0, 8, 200, 0, 0], "200 axes"),
        (vec![0, 0, 8, 3, 0, 0], "ends before their extents"),
        (vec![0, 0, 8], "expected an IDX file"),
        (b"\x89PNG\r\n".to_vec(), "expected an IDX file"),
    ] {
        let problem = idx::decode(&bytes).expect_err(expected);
        assert!(problem.contains(expected), "{problem}");
    }
    let packed = gzipped(&[7; 1000]);
    assert!(gzip::decode(&packed[..packed.len() - 9]).expect_err("cut").contains("cut off"));
    let mut wrong_sum = packed.clone();
    let at = packed.len() - 6;
    wrong_sum[at] ^= 1;
    assert!(gzip::decode(&wrong_sum).expect_err("a checksum").contains("damaged"));
    assert!(gzip::decode(b"plain text").expect_err("no gzip").contains("expected a file compressed by gzip"));
}

/// Files cut at every byte, with every byte changed, and random bytes: an error or a tensor, never a panic.
#[test]
fn damaged_files_never_panic() {
    let grey = Tensor::from_vec(&[4, 4], (0..16).map(|i| f64::from(i) / 15.0).collect());
    type Decoder = fn(&[u8]) -> bool;
    let idx_file = idx_file(0x0b, &[2, 3], &[0; 12]);
    let kinds: [(Vec<u8>, Decoder); 7] = [
        (npz::encode(&named()).expect("writable"), |b| npz::decode(b).is_ok()),
        (gzipped(&idx_file), |b| gzip::decode(b).is_ok_and(|b| idx::decode(&b).is_ok())),
        (idx_file, |b| idx::decode(b).is_ok()),
        (npy::encode(&grey).expect("writable"), |b| npy::decode(b).is_ok()),
        (safetensors::encode(&named()).expect("writable"), |b| safetensors::decode(b).is_ok()),
        (png::encode(&grey).expect("writable"), |b| png::decode(b).is_ok()),
        (csv::encode(&grey).expect("writable"), |b| csv::decode(b).is_ok()),
    ];
    for (kind, (bytes, decodes)) in kinds.iter().enumerate() {
        assert!(decodes(bytes));
        for length in 0..bytes.len() {
            // A table may be cut anywhere between numbers, a picture after its pixels.
            assert!(!decodes(&bytes[..length]) || kind >= 5, "kind {kind} cut at {length}");
        }
        for at in 0..bytes.len() {
            for value in [0, 1, 0x7f, 0x80, 0xff, b'9', b'(', b'"', b',', bytes[at] ^ 1] {
                let mut damaged = bytes.clone();
                damaged[at] = value;
                decodes(&damaged);
            }
        }
        for key in 0..500 {
            let words = random::split(key, 40);
            let mut noise: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
            decodes(&noise);
            // Behind a true beginning as well.
            let kept = words[0] as usize % bytes.len();
            noise.splice(0..0, bytes[..kept].iter().copied());
            decodes(&noise);
        }
    }
}

#[test]
fn the_sandbox_holds() {
    let folder = Folder::new("sandbox");
    let (inside, outside, extra) = (folder.0.join("inside"), folder.0.join("outside"), folder.0.join("extra"));
    for f in [&inside, &outside, &extra] {
        std::fs::create_dir_all(f.join("sub")).expect("a folder");
        std::fs::write(f.join("a.csv"), "1\n").expect("a file");
    }
    let files = Sandbox::new(&inside, std::slice::from_ref(&extra)).expect("folders exist");
    assert_eq!(array(files.load("a.csv")).item(), 1.0);
    assert_eq!(array(files.load("./sub/../a.csv")).item(), 1.0);
    assert_eq!(array(files.load("../extra/a.csv")).item(), 1.0);
    assert_eq!(array(files.load(extra.join("a.csv").to_str().expect("text"))).item(), 1.0);
    assert_eq!(array(files.load(inside.join("a.csv").to_str().expect("text"))).item(), 1.0);
    for path in [
        "../outside/a.csv",
        "sub/../../outside/a.csv",
        "/etc/passwd.csv",
        outside.join("a.csv").to_str().expect("text"),
        "..",
    ] {
        assert!(problem(files.load(path)).contains("outside the folders"), "{path}: {}", problem(files.load(path)));
        assert!(problem(files.write(path, b"x", true)).contains("outside the folders"), "{path}");
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::symlink;
        symlink(outside.join("a.csv"), inside.join("out.csv")).expect("a link");
        symlink("../outside", inside.join("out")).expect("a link");
        symlink("a.csv", inside.join("in.csv")).expect("a link");
        assert_eq!(array(files.load("in.csv")).item(), 1.0);
        for path in ["out.csv", "out/a.csv"] {
            assert!(problem(files.load(path)).contains("leads outside"), "{path}: {}", problem(files.load(path)));
        }
        assert!(files.write("out/b.csv", b"x", true).is_err());
        assert!(!outside.join("b.csv").exists());
        // Replacing a link replaces the link, not what it leads to.
        files.write("out.csv", b"2\n", true).expect("writable");
        assert_eq!(std::fs::read_to_string(outside.join("a.csv")).expect("untouched"), "1\n");
        assert_eq!(files.files(".").expect("readable"), ["a.csv", "in.csv", "out.csv"]);
    }
    assert!(problem(files.load("none.csv")).contains("no such file"));
    assert!(problem(files.load("sub.csv/x.csv")).contains("no such file"));
    assert!(problem(files.load("")).contains("empty"));
    assert!(problem(files.load("a.txt")).contains("found `.txt`"));
    assert!(files.load("a\0.csv").is_err());
    assert!(matches!(files.load("sub"), Ok(Loaded::Folder(names)) if names.is_empty()));
    assert!(problem(files.write("sub", b"x", true)).contains("is a folder"));
    assert!(Sandbox::new(&folder.0.join("missing"), &[]).is_err());
}

#[test]
fn nothing_is_overwritten_unless_told() {
    let folder = Folder::new("overwrite");
    let files = sandbox(&folder.0);
    files.write("x.csv", b"1\n", false).expect("new");
    assert!(problem(files.write("x.csv", b"2\n", false)).contains("exists already"));
    assert_eq!(files.read("x.csv").expect("readable"), b"1\n");
    files.write("x.csv", b"2\n", true).expect("told to");
    assert_eq!(files.read("x.csv").expect("readable"), b"2\n");
    let left: Vec<_> = std::fs::read_dir(&folder.0).expect("readable").collect();
    assert_eq!(left.len(), 1, "no temporary file is left");
}

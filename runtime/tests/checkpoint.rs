//! Checkpoints: exact, the last two kept, damaged ones refused.

use dp_runtime::checkpoint::*;
use dp_runtime::io::Sandbox;
use dp_runtime::tensor::Tensor;
use std::path::PathBuf;

fn folder(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("dp-checkpoint-{}-{name}", std::process::id()));
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).expect("a temporary folder");
    path
}

fn example(step: u64) -> Checkpoint {
    Checkpoint {
        step,
        tensors: vec![
            ("adam.m".into(), Tensor::from_vec(&[2, 2], vec![0.1, -0.0, f64::NAN, step as f64])),
            ("count".into(), Tensor::scalar(7i64)),
            ("done".into(), Tensor::scalar(true)),
            ("key".into(), Tensor::scalar(u64::MAX - 1)),
            ("net.θ".into(), Tensor::from_vec(&[3], vec![1.5f32, -2.25, 1e-40])),
        ],
        metadata: vec![("program".into(), "lista.dp".into()), ("seed".into(), "12345678901234567890".into())],
    }
}

fn assert_same(a: &Checkpoint, b: &Checkpoint) {
    assert_eq!((a.step, &a.metadata, a.tensors.len()), (b.step, &b.metadata, b.tensors.len()));
    for ((x, s), (y, t)) in a.tensors.iter().zip(&b.tensors) {
        assert!(x == y && s.same_bits(t), "{x}: {s:?} against {y}: {t:?}");
    }
}

#[test]
fn exact_and_the_last_two_are_kept() {
    let path = folder("kept");
    let files = Sandbox::new(&path, &[]).expect("the folder exists");
    assert!(load_last(&files, "run/lista").expect("readable").is_none());
    for step in [10, 20, 30, 1_000_000_000_000] {
        save(&files, "run/lista", &example(step)).expect("writable");
        // Another name in the same folder is not touched.
        save(&files, "run/lista.more", &example(1)).expect("writable");
        let found = load_last(&files, "run/lista").expect("readable").expect("there is one");
        assert_same(&found.checkpoint, &example(step));
        assert!(found.refused.is_empty());
    }
    let names = files.files("run").expect("readable");
    assert_eq!(
        names,
        ["lista.000000000030.safetensors", "lista.1000000000000.safetensors", "lista.more.000000000001.safetensors"]
    );
    // Going on from an earlier step leaves no later one behind.
    save(&files, "run/lista", &example(40)).expect("writable");
    assert_same(&load_last(&files, "run/lista").expect("readable").expect("there is one").checkpoint, &example(40));
    remove_all(&files, "run/lista").expect("removable");
    assert_eq!(files.files("run").expect("readable"), ["lista.more.000000000001.safetensors"]);
    std::fs::remove_dir_all(path).expect("removable");
}

#[test]
fn a_damaged_one_is_refused_and_the_one_before_used() {
    let path = folder("damaged");
    let files = Sandbox::new(&path, &[]).expect("the folder exists");
    save(&files, "c", &example(1)).expect("writable");
    save(&files, "c", &example(2)).expect("writable");
    let last = "c.000000000002.safetensors";
    let whole = files.read(last).expect("readable");
    let recovers = |bytes: &[u8]| {
        files.write(last, bytes, true).expect("writable");
        let found = load_last(&files, "c").expect("readable").expect("there is one");
        assert_same(&found.checkpoint, &example(1));
        assert_eq!(found.refused.len(), 1);
    };
    for length in (0..whole.len()).step_by(7) {
        recovers(&whole[..length]);
    }
    for at in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 1 << (at % 8);
        recovers(&damaged);
    }
    // Both damaged: an error, not a silent new start.
    files.write("c.000000000001.safetensors", b"", true).expect("writable");
    assert!(load_last(&files, "c").expect_err("all damaged").path.contains("000002"));
    std::fs::remove_dir_all(path).expect("removable");
}

#[test]
fn the_checksum_is_the_usual_one() {
    assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    assert_eq!(crc32(b""), 0);
}

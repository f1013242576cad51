//! Ctrl-C, by sending the signal to this process and to a child.
#![cfg(unix)]

use dp_runtime::interrupt;
use std::process::Command;
use std::time::{Duration, Instant};

/// Set in the child that is to end by the second signal.
const CHILD: &str = "DP_INTERRUPT_CHILD";

fn interrupt_this_process() {
    let id = std::process::id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().expect("kill can be run").success());
}

fn wait_until_requested() {
    let start = Instant::now();
    while !interrupt::requested() {
        assert!(start.elapsed() < Duration::from_secs(20), "the signal did not arrive");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn the_first_asks_and_the_second_ends() {
    interrupt::install();
    interrupt::install();
    assert!(!interrupt::requested());
    interrupt_this_process();
    wait_until_requested();
    assert!(interrupt::flag().load(std::sync::atomic::Ordering::SeqCst));
    if std::env::var(CHILD).is_ok() {
        interrupt_this_process();
        std::thread::sleep(Duration::from_secs(20));
        panic!("still running after the second signal");
    }
    interrupt::clear();
    assert!(!interrupt::requested());
    // After an answered request the next one asks again.
    interrupt_this_process();
    wait_until_requested();
    interrupt::clear();

    let this = std::env::current_exe().expect("the test's own path");
    let status = Command::new(this).env(CHILD, "1").output().expect("the test can be run").status;
    assert_eq!(status.code(), Some(interrupt::EXIT_STATUS));
}

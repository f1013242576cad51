//! Ctrl-C: the first asks the running program to stop at its next safe point, the second ends at once. In a session
//! every one only asks.

use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

static REQUESTED: AtomicBool = AtomicBool::new(false);
static INSTALLED: Once = Once::new();

/// The exit status of a process ended by the keyboard, as shells report it: 128 + SIGINT.
pub const EXIT_STATUS: i32 = 130;

/// Installs the handler of Ctrl-C; further calls do nothing. Where no handler can be installed (another
/// part of the process has one), Ctrl-C keeps the meaning it had.
pub fn install() {
    INSTALLED.call_once(|| {
        let _ = ctrlc::try_set_handler(|| {
            if REQUESTED.swap(true, Ordering::SeqCst) {
                std::process::exit(EXIT_STATUS);
            }
        });
    });
}

/// As `install`, but no number of Ctrl-C ends the process: a session outlives what runs in it.
pub fn install_patient() {
    INSTALLED.call_once(|| {
        let _ = ctrlc::try_set_handler(|| REQUESTED.store(true, Ordering::SeqCst));
    });
}

/// True once the user has asked to stop.
pub fn requested() -> bool {
    REQUESTED.load(Ordering::Relaxed)
}

/// Forgets the request, when it has been answered.
pub fn clear() {
    REQUESTED.store(false, Ordering::SeqCst);
}

/// The flag itself, for compiled code that looks at it between steps.
pub fn flag() -> &'static AtomicBool {
    &REQUESTED
}

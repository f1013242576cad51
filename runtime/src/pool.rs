//! Threads for large kernels.
//!
//! A region is cut into parts whose numbers do not depend on the threads; each part is done once, by whichever thread
//! comes first, and no two parts write the same memory. So results are the same at any number of threads. A
//! region inside another, or beside one of another thread, is done by its own thread alone. Workers wait for the
//! next region for some tens of microseconds before they sleep.
//!
//! Safety. A region's work is borrowed by the workers only until the region ends: the caller waits until no worker is
//! in it, and a worker enters it only under the lock under which the caller takes it back.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// How long a worker waits awake.
const AWAKE: Duration = Duration::from_micros(50);

/// The work of a region, its lifetime left out.
#[derive(Clone, Copy)]
struct Work(*const (dyn Fn(usize) + Sync));

// The work is `Sync`, and lives until no worker is in its region.
unsafe impl Send for Work {}

/// The region that is open.
struct Region {
    work: Option<Work>,
    parts: usize,
    /// Workers that are in it.
    inside: usize,
}

struct Pool {
    workers: usize,
    /// Held by the thread whose region it is.
    busy: AtomicBool,
    region: Mutex<Region>,
    opened: Condvar,
    left: Condvar,
    /// The number of regions so far; workers watch it while awake.
    count: AtomicUsize,
    /// The next part to do.
    next: AtomicUsize,
}

static POOL: OnceLock<Pool> = OnceLock::new();

/// The most threads to use, 0 for as many as the system has processors.
static WANTED: AtomicUsize = AtomicUsize::new(0);

/// Sets the number of threads, before the first region (later calls can only lower it).
pub fn set_threads(count: usize) {
    WANTED.store(count, Ordering::Relaxed);
}

/// The number of threads that work on a region.
pub fn threads() -> usize {
    match WANTED.load(Ordering::Relaxed) {
        1 => 1,
        0 => pool().workers + 1,
        wanted => wanted.min(pool().workers + 1),
    }
}

/// Calls `work` with each number below `parts`, on several threads if there are some.
pub fn each(parts: usize, work: &(dyn Fn(usize) + Sync)) {
    let alone = || (0..parts).for_each(work);
    if parts < 2 || threads() < 2 {
        return alone();
    }
    let pool = pool();
    if pool.busy.swap(true, Ordering::Acquire) {
        return alone();
    }
    // The lifetime is left out; see the module for why this is sound.
    let borrowed = unsafe {
        std::mem::transmute::<*const (dyn Fn(usize) + Sync + '_), *const (dyn Fn(usize) + Sync + 'static)>(work)
    };
    pool.next.store(0, Ordering::Relaxed);
    {
        let mut region = lock(&pool.region);
        (region.work, region.parts) = (Some(Work(borrowed)), parts);
        pool.count.fetch_add(1, Ordering::Release);
        pool.opened.notify_all();
    }
    pool.take_parts(parts, work);
    let mut region = lock(&pool.region);
    region.work = None;
    while region.inside > 0 {
        region = pool.left.wait(region).unwrap_or_else(PoisonError::into_inner);
    }
    drop(region);
    pool.busy.store(false, Ordering::Release);
}

fn lock(region: &Mutex<Region>) -> MutexGuard<'_, Region> {
    region.lock().unwrap_or_else(PoisonError::into_inner)
}

fn pool() -> &'static Pool {
    static STARTED: AtomicBool = AtomicBool::new(false);
    let pool = POOL.get_or_init(|| {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let most = match WANTED.load(Ordering::Relaxed) {
            0 => processors,
            wanted => wanted,
        };
        Pool {
            workers: most - 1,
            busy: AtomicBool::new(false),
            region: Mutex::new(Region { work: None, parts: 0, inside: 0 }),
            opened: Condvar::new(),
            left: Condvar::new(),
            count: AtomicUsize::new(0),
            next: AtomicUsize::new(0),
        }
    });
    if !STARTED.swap(true, Ordering::AcqRel) {
        for number in 0..pool.workers {
            // A thread that cannot be had is one fewer: its parts are done by the others.
            let _ = std::thread::Builder::new().name(format!("dp-{number}")).spawn(|| pool.serve());
        }
    }
    pool
}

impl Pool {
    fn take_parts(&self, parts: usize, work: &(dyn Fn(usize) + Sync)) {
        loop {
            let part = self.next.fetch_add(1, Ordering::Relaxed);
            if part >= parts {
                return;
            }
            work(part);
        }
    }

    /// A worker's life.
    fn serve(&self) {
        let mut seen = 0;
        loop {
            let start = Instant::now();
            while self.count.load(Ordering::Acquire) == seen && start.elapsed() < AWAKE {
                std::hint::spin_loop();
            }
            let mut region = lock(&self.region);
            while self.count.load(Ordering::Acquire) == seen {
                region = self.opened.wait(region).unwrap_or_else(PoisonError::into_inner);
            }
            seen = self.count.load(Ordering::Acquire);
            let Some(Work(work)) = region.work else {
                continue;
            };
            let parts = region.parts;
            region.inside += 1;
            drop(region);
            // The caller waits until this worker has left.
            self.take_parts(parts, unsafe { &*work });
            let mut region = lock(&self.region);
            region.inside -= 1;
            if region.inside == 0 {
                self.left.notify_all();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_is_done_once() {
        for round in 0..200 {
            let parts = 1 + round % 23;
            let done: Vec<AtomicUsize> = (0..parts).map(|_| AtomicUsize::new(0)).collect();
            each(parts, &|part| {
                // A region inside a region.
                each(3, &|_| {});
                done[part].fetch_add(1, Ordering::Relaxed);
            });
            assert!(done.iter().all(|count| count.load(Ordering::Relaxed) == 1));
        }
    }

    #[test]
    fn regions_of_several_threads_do_not_mix() {
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..100 {
                        let sum = AtomicUsize::new(0);
                        each(10, &|part| {
                            sum.fetch_add(part, Ordering::Relaxed);
                        });
                        assert_eq!(sum.load(Ordering::Relaxed), 45);
                    }
                });
            }
        });
    }
}

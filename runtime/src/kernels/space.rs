//! Working memory of kernels: each thread keeps its own from call to call, so that calls allocate nothing after the first.

use std::cell::RefCell;

/// What the memory is for: kernels that are at work together use different ones.
#[derive(Clone, Copy)]
pub enum Use {
    /// Operands in the order in which a kernel reads them.
    Panels,
    /// The copy of an image.
    Image,
    /// A part of a result.
    Part,
    /// What is summed.
    List,
}

thread_local! {
    static SPACES: RefCell<[Space; 4]> = const { RefCell::new([const { Space(Vec::new()) }; 4]) };
}

/// A cache line.
#[derive(Clone)]
#[repr(align(64))]
struct Line(#[allow(dead_code)] [u64; 8]);

struct Space(Vec<Line>);

/// This thread's memory for a use, at least `count` elements with any bits in them. It stays where it is until the
/// thread asks for more for the same use.
pub fn space<T>(what: Use, count: usize) -> *mut T {
    SPACES.with_borrow_mut(|spaces| {
        let Space(lines) = &mut spaces[what as usize];
        let needed = (count * size_of::<T>()).div_ceil(64);
        if lines.len() < needed {
            lines.resize(needed, Line([0; 8]));
        }
        lines.as_mut_ptr() as *mut T
    })
}

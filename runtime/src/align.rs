//! An allocator that begins large blocks at cache lines.
//!
//! The system's begins them 16 bytes further, so that every other load of 32 bytes and every load of 64 crosses a line, which
//! costs kernels that wait for a near cache up to two fifths of their time. A large block is a block of the system with a line
//! more; how far into it the block begins is noted down right before. Memory that the system knows to be zero stays untouched.

use std::alloc::{GlobalAlloc, Layout, System};
use std::ptr;

/// A cache line.
const LINE: usize = 64;
/// Smaller blocks are the system's.
const LARGE: usize = 4096;

/// The system's allocator, with large blocks aligned.
pub struct Aligned;

fn is_large(layout: Layout) -> bool {
    layout.size() >= LARGE && layout.align() <= 16
}

/// The system's block in which a large block of a size lies.
fn outer(size: usize) -> Option<Layout> {
    Layout::from_size_align(size.checked_add(LINE)?, 16).ok()
}

/// Begins a large block in one of the system's.
unsafe fn begin(at: *mut u8) -> *mut u8 {
    if at.is_null() {
        return at;
    }
    // The system's blocks are aligned to 16, so that there is room for the note.
    let shift = LINE - at as usize % LINE;
    unsafe {
        let block = at.add(shift);
        block.sub(1).write(shift as u8);
        block
    }
}

/// How far a large block begins in the system's.
unsafe fn shift(block: *mut u8) -> usize {
    unsafe { usize::from(block.sub(1).read()) }
}

// A block's layout alone says whose it is, and a note of its beginning lies in front of each of ours.
unsafe impl GlobalAlloc for Aligned {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match outer(layout.size()) {
            Some(outer) if is_large(layout) => unsafe { begin(System.alloc(outer)) },
            _ => unsafe { System.alloc(layout) },
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        match outer(layout.size()) {
            Some(outer) if is_large(layout) => unsafe { begin(System.alloc_zeroed(outer)) },
            _ => unsafe { System.alloc_zeroed(layout) },
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        match outer(layout.size()) {
            Some(outer) if is_large(layout) => unsafe { System.dealloc(block.sub(shift(block)), outer) },
            _ => unsafe { System.dealloc(block, layout) },
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let Ok(new) = Layout::from_size_align(size, layout.align()) else { return ptr::null_mut() };
        let (Some(old_outer), Some(new_outer)) = (outer(layout.size()), outer(size)) else { return ptr::null_mut() };
        unsafe {
            if !is_large(layout) && !is_large(new) {
                return System.realloc(block, layout, size);
            }
            if is_large(layout) && is_large(new) {
                let before = shift(block);
                let at = System.realloc(block.sub(before), old_outer, new_outer.size());
                if at.is_null() {
                    return at;
                }
                let after = LINE - at as usize % LINE;
                if after != before {
                    ptr::copy(at.add(before), at.add(after), layout.size().min(size));
                }
                return begin(at);
            }
            let moved = self.alloc(new);
            if !moved.is_null() {
                ptr::copy_nonoverlapping(block, moved, layout.size().min(size));
                self.dealloc(block, layout);
            }
            moved
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_keep_their_bytes_and_begin_at_lines() {
        for align in [1, 4, 16, 64] {
            for sizes in [[10, 5000, 100_000, 5000, 4095], [4096, 4097, 1 << 20, 3, 1 << 22]] {
                let layout = |size| Layout::from_size_align(size, align).expect("a layout");
                unsafe {
                    let mut block = Aligned.alloc_zeroed(layout(sizes[0]));
                    assert!((0..sizes[0]).all(|i| block.add(i).read() == 0));
                    (0..sizes[0]).for_each(|i| block.add(i).write(i as u8 ^ 90));
                    let mut kept = sizes[0];
                    for pair in sizes.windows(2) {
                        block = Aligned.realloc(block, layout(pair[0]), pair[1]);
                        kept = kept.min(pair[1]);
                        assert!((0..kept).all(|i| block.add(i).read() == i as u8 ^ 90), "{align} {pair:?}");
                        assert!(pair[1] < LARGE || (block as usize).is_multiple_of(LINE), "{align} {pair:?}");
                        block.add(pair[1] - 1).write((pair[1] - 1) as u8 ^ 90);
                    }
                    Aligned.dealloc(block, layout(sizes[4]));
                    let block = Aligned.alloc(layout(1 << 16));
                    assert!((block as usize).is_multiple_of(LINE));
                    Aligned.dealloc(block, layout(1 << 16));
                }
            }
        }
    }
}

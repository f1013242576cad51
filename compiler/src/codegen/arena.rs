//! Lays buffers out in one arena so that those alive at the same time do not overlap.

use super::plan::Buffer;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

/// Every buffer starts at a multiple of this: a cache line.
const ALIGN: u64 = 64;

/// Gives each buffer its offset; returns the size of the arena in bytes. First fit in the order of first use.
pub fn lay_out(buffers: &mut [Buffer]) -> u64 {
    let mut order: Vec<usize> = (0..buffers.len()).filter(|&i| buffers[i].used()).collect();
    order.sort_by_key(|&i| (buffers[i].first, i));
    let mut free: BTreeMap<u64, u64> = BTreeMap::new();
    let mut live: BinaryHeap<Reverse<(usize, u64, u64)>> = BinaryHeap::new();
    let mut top = 0u64;
    for i in order {
        let (first, last) = (buffers[i].first, buffers[i].last);
        while let Some(&Reverse((end, offset, size))) = live.peek() {
            if end >= first {
                break;
            }
            live.pop();
            release(&mut free, offset, size);
        }
        let size = buffers[i].bytes.div_ceil(ALIGN).max(1) * ALIGN;
        let gap = free.iter().find(|&(_, &len)| len >= size).map(|(&offset, &len)| (offset, len));
        let offset = match gap {
            Some((offset, len)) => {
                free.remove(&offset);
                if len > size {
                    free.insert(offset + size, len - size);
                }
                offset
            }
            None => {
                // Grow from the free block at the end, if there is one.
                let start = match free.last_key_value() {
                    Some((&offset, &len)) if offset + len == top => {
                        free.remove(&offset);
                        offset
                    }
                    _ => top,
                };
                top = start.saturating_add(size);
                start
            }
        };
        buffers[i].offset = offset;
        live.push(Reverse((last, offset, size)));
    }
    top
}

/// Puts a block back and merges it with its neighbours.
fn release(free: &mut BTreeMap<u64, u64>, offset: u64, size: u64) {
    let (mut start, mut len) = (offset, size);
    if let Some((&before, &before_len)) = free.range(..offset).next_back()
        && before + before_len == offset
    {
        free.remove(&before);
        start = before;
        len += before_len;
    }
    if let Some(&after_len) = free.get(&(offset + size)) {
        free.remove(&(offset + size));
        len += after_len;
    }
    free.insert(start, len);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn live_buffers_never_overlap() {
        let mut state = 1u64;
        let mut next = |n: u64| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 33) % n
        };
        let mut buffers: Vec<Buffer> = (0..300)
            .map(|_| {
                let first = next(1000) as usize;
                Buffer { bytes: next(5000), first, last: first + next(40) as usize, offset: 0 }
            })
            .collect();
        let total = lay_out(&mut buffers);
        for (i, a) in buffers.iter().enumerate() {
            assert!(a.offset % ALIGN == 0 && a.offset + a.bytes <= total);
            for b in &buffers[..i] {
                let together = a.first <= b.last && b.first <= a.last;
                let apart = a.offset + a.bytes <= b.offset || b.offset + b.bytes <= a.offset;
                assert!(!together || apart || a.bytes == 0 || b.bytes == 0);
            }
        }
        let sum: u64 = buffers.iter().map(|b| b.bytes).sum();
        assert!(total < sum / 4, "{total} of {sum}");
    }
}

//! Lays buffers out in one arena so that those alive at the same time do not overlap.

use super::plan::Buffer;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

/// Every buffer starts at a multiple of this: a cache line.
const ALIGN: u64 = 64;

/// More buffers than this are not laid out by their sizes, which takes time that grows with the square of their number.
const MANY: usize = 1000;

/// Gives each buffer its offset; returns the size of the arena in bytes.
pub fn lay_out(buffers: &mut [Buffer]) -> u64 {
    let mut order: Vec<usize> = (0..buffers.len()).filter(|&i| buffers[i].used()).collect();
    order.sort_by_key(|&i| (buffers[i].first, i));
    let top = by_first_use(buffers, &order);
    if order.len() > MANY || top == most_alive(buffers, &order) {
        return top;
    }
    let offsets: Vec<u64> = buffers.iter().map(|buffer| buffer.offset).collect();
    let other = by_size(buffers, &mut order);
    if other < top {
        return other;
    }
    for (buffer, offset) in buffers.iter_mut().zip(offsets) {
        buffer.offset = offset;
    }
    top
}

/// The bytes that a buffer takes.
fn size(buffer: &Buffer) -> u64 {
    buffer.bytes.div_ceil(ALIGN).max(1) * ALIGN
}

/// The most bytes that are alive at one time, below which no arena can be.
fn most_alive(buffers: &[Buffer], order: &[usize]) -> u64 {
    let mut changes: Vec<(usize, bool, u64)> = Vec::with_capacity(2 * order.len());
    for &i in order {
        changes.push((buffers[i].first, true, size(&buffers[i])));
        changes.push((buffers[i].last + 1, false, size(&buffers[i])));
    }
    // At one time, what ends comes before what begins.
    changes.sort_unstable();
    let (mut alive, mut most) = (0u64, 0);
    for (_, begins, bytes) in changes {
        alive = if begins { alive.saturating_add(bytes) } else { alive.saturating_sub(bytes) };
        most = most.max(alive);
    }
    most
}

/// Large buffers first, each at the lowest place that is free during its life (Pisarchyk and Lee, "Efficient memory management
/// for deep neural net inference", 2020, greedy by size).
fn by_size(buffers: &mut [Buffer], order: &mut [usize]) -> u64 {
    order.sort_by_key(|&i| (Reverse(buffers[i].bytes), buffers[i].first, i));
    let mut placed: Vec<(u64, u64, usize, usize)> = Vec::with_capacity(order.len());
    let mut top = 0;
    for &i in &*order {
        let (first, last, bytes) = (buffers[i].first, buffers[i].last, size(&buffers[i]));
        let mut start = 0u64;
        // In the order of their places.
        for &(offset, end, from, to) in &placed {
            if from <= last && first <= to {
                if start.saturating_add(bytes) <= offset {
                    break;
                }
                start = start.max(end);
            }
        }
        buffers[i].offset = start;
        let entry = (start, start.saturating_add(bytes), first, last);
        top = top.max(entry.1);
        placed.insert(placed.partition_point(|other| *other < entry), entry);
    }
    top
}

/// First fit in the order of first use.
fn by_first_use(buffers: &mut [Buffer], order: &[usize]) -> u64 {
    let mut free: BTreeMap<u64, u64> = BTreeMap::new();
    let mut live: BinaryHeap<Reverse<(usize, u64, u64)>> = BinaryHeap::new();
    let mut top = 0u64;
    for &i in order {
        let (first, last) = (buffers[i].first, buffers[i].last);
        while let Some(&Reverse((end, offset, size))) = live.peek() {
            if end >= first {
                break;
            }
            live.pop();
            release(&mut free, offset, size);
        }
        let size = size(&buffers[i]);
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

    fn overlap(buffers: &[Buffer], total: u64) -> bool {
        buffers.iter().enumerate().any(|(i, a)| {
            assert!(a.offset % ALIGN == 0 && a.offset + a.bytes <= total);
            buffers[..i].iter().any(|b| {
                let together = a.first <= b.last && b.first <= a.last;
                let apart = a.offset + a.bytes <= b.offset || b.offset + b.bytes <= a.offset;
                together && !apart && a.bytes > 0 && b.bytes > 0
            })
        })
    }

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
        let mut order: Vec<usize> = (0..buffers.len()).collect();
        order.sort_by_key(|&i| (buffers[i].first, i));
        let least = most_alive(&buffers, &order);
        let first_fit = by_first_use(&mut buffers, &order);
        assert!(!overlap(&buffers, first_fit) && first_fit >= least);
        let by_size = by_size(&mut buffers, &mut order);
        assert!(!overlap(&buffers, by_size) && by_size >= least);
        let total = lay_out(&mut buffers);
        assert!(!overlap(&buffers, total));
        assert_eq!(total, first_fit.min(by_size));
        let sum: u64 = buffers.iter().map(|b| b.bytes).sum();
        assert!(total < sum / 4, "{total} of {sum}");
    }

    #[test]
    fn small_buffers_do_not_push_a_large_one_up() {
        let buffer = |bytes, first, last| Buffer { bytes, first, last, offset: 0 };
        // The second begins before the first ends, and the large one after that.
        let mut buffers = [buffer(640, 0, 1), buffer(1280, 1, 2), buffer(64000, 2, 3)];
        assert_eq!(lay_out(&mut buffers), 64000 + 1280);
    }
}

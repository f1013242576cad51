//! What tiles sum, as lists: a convolution has far more tiles than kinds of them. Safety: see `kernels`.

use super::{Phase, Plan, blocks};
use std::ops::Range;

/// Blocks of taps in a list, at most.
pub const MOST_BLOCKS: usize = 8;

/// Taps of one row of the kernel that the same results of a tile meet.
#[derive(Clone, Copy)]
pub struct Cell {
    /// What result 0 meets at the first tap, in elements from the first row and column of the tile.
    pub x: isize,
    /// The first tap's place in the list's range.
    pub tap: u32,
    pub count: u16,
    /// The results that meet them.
    pub from: u8,
    pub to: u8,
}

/// Where the elements of an image lie.
#[derive(Clone, Copy)]
pub enum Way {
    /// From channel to channel, row to row, column to column.
    Strides([isize; 3]),
    /// From channel to channel and row to row; columns are sorted by their remainders by the stride.
    Sorted([isize; 2]),
}

/// What a tile sums, in the order in which it does.
pub struct List {
    pub cells: *mut Cell,
    /// Where each block of taps ends.
    pub ends: [usize; MOST_BLOCKS],
    /// What the list depends on: tiles inside the image have the same.
    kind: Option<[usize; 4]>,
}

impl List {
    /// A list that is not filled yet, with room for all taps of its range.
    pub fn new(cells: *mut Cell) -> List {
        List { cells, ends: [0; MOST_BLOCKS], kind: None }
    }

    /// Writes the list of the tile of some columns from `m` on in row `y`, if it is not there yet; phase, range and way are those of the
    /// call before.
    ///
    /// # Safety
    /// As in `kernels`.
    pub unsafe fn fill(
        &mut self,
        plan: &Plan,
        phase: &Phase,
        (y, m): (usize, usize),
        columns: usize,
        taps: &Range<usize>,
        way: Way,
    ) {
        let rows = &plan.rows[y];
        let top = rows.first().copied().unwrap_or((0, 0));
        // The rows that a kernel meets follow from the first and their number.
        let place = if phase.inside(m..m + columns) { usize::MAX } else { m };
        let kind = Some([top.0, rows.len(), place, columns]);
        if self.kind == kind {
            return;
        }
        self.kind = kind;
        let common = phase.common(m..m + columns);
        // Whether taps side by side meet columns that lie equally far apart.
        let even = plan.window.stride[1] == 1 || matches!(way, Way::Strides(_));
        let mut used = 0;
        for (block, end) in blocks(taps.len()).zip(&mut self.ends) {
            let mut runs = plan.runs(y, taps.start + block.start..taps.start + block.end);
            while let Some(run) = runs.next() {
                let (channel, row) = (run.channel as isize, (run.row - top.1) as isize);
                let Range { start, end } = phase.columns(&run.columns, plan.sizes.q);
                let mut at = start;
                while at < end {
                    let tap = &phase.taps[at];
                    let count = if even && common.contains(&at) { end.min(common.end) - at } else { 1 };
                    let inside = |at: isize| (at - m as isize).clamp(0, columns as isize) as u8;
                    let (from, to) = (inside(tap.from), inside(tap.to));
                    if from < to {
                        let x = match way {
                            Way::Strides([c, y, x]) => channel * c + row * y + tap.base * x,
                            Way::Sorted([c, y]) => channel * c + row * y + tap.sorted,
                        };
                        let place = (run.number + tap.t - taps.start) as u32;
                        unsafe { *self.cells.add(used) = Cell { x, tap: place, count: count as u16, from, to } };
                        used += 1;
                    }
                    at += count;
                }
            }
            *end = used;
        }
    }
}

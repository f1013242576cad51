//! The order of the boxes in their columns, and their heights.

use super::layout::{Item, Plan, port};

/// How often the columns are gone through.
const SWEEPS: usize = 16;

/// Orders columns so that few arrows cross: each item goes to the mean place of what it is connected with; the best order that
/// was seen is kept.
pub fn order(plan: &mut Plan) {
    let mut best = places(plan);
    let mut least = crossings(plan, &best);
    let mut current = best.clone();
    for sweep in 0..SWEEPS {
        let count = plan.columns.len();
        let forward = sweep % 2 == 0;
        let columns: Vec<usize> =
            if forward { (1..count).collect() } else { (0..count.saturating_sub(1)).rev().collect() };
        for column in columns {
            let wanted: Vec<f64> =
                (0..plan.columns[column].len()).map(|i| wanted_place(plan, &current, column, i, forward)).collect();
            let mut sequence: Vec<usize> = (0..wanted.len()).collect();
            sequence
                .sort_by(|a, b| wanted[*a].total_cmp(&wanted[*b]).then(current[column][*a].cmp(&current[column][*b])));
            for (place, item) in sequence.into_iter().enumerate() {
                current[column][item] = place;
            }
        }
        let found = crossings(plan, &current);
        if found < least {
            (least, best) = (found, current.clone());
        }
    }
    rearrange(plan, &best);
}

/// For each column the place of each item.
fn places(plan: &Plan) -> Vec<Vec<usize>> {
    plan.columns.iter().map(|column| (0..column.len()).collect()).collect()
}

fn wanted_place(plan: &Plan, places: &[Vec<usize>], column: usize, item: usize, forward: bool) -> f64 {
    let mut found = Vec::new();
    if forward {
        let links = plan.links[column - 1].iter().filter(|link| link.right == item);
        found.extend(links.map(|link| places[column - 1][link.left] as f64));
    } else {
        for link in plan.links[column].iter().filter(|link| link.left == item) {
            found.push(places[column + 1][link.right] as f64 + part_of_port(plan, column + 1, link.right, link.port));
        }
    }
    match found.len() {
        0 => places[column][item] as f64,
        n => found.iter().sum::<f64>() / n as f64,
    }
}

/// How far down on its box an arrow enters, less than 1.
fn part_of_port(plan: &Plan, column: usize, item: usize, port: usize) -> f64 {
    match plan.columns[column][item].node {
        Some(node) => (port as f64 + 0.5) / plan.ports[node].max(1) as f64 - 0.5,
        None => 0.0,
    }
}

/// Pairs of arrows that cross.
fn crossings(plan: &Plan, places: &[Vec<usize>]) -> usize {
    let mut count = 0;
    for (column, links) in plan.links.iter().enumerate() {
        let ends: Vec<(usize, f64)> = links
            .iter()
            .map(|link| {
                let right =
                    places[column + 1][link.right] as f64 + part_of_port(plan, column + 1, link.right, link.port);
                (places[column][link.left], right)
            })
            .collect();
        for (i, a) in ends.iter().enumerate() {
            count += ends[i + 1..].iter().filter(|b| (a.0 < b.0 && a.1 > b.1) || (a.0 > b.0 && a.1 < b.1)).count();
        }
    }
    count
}

/// Puts the items in their places.
fn rearrange(plan: &mut Plan, places: &[Vec<usize>]) {
    for (column, places) in places.iter().enumerate() {
        let mut items: Vec<(usize, Item)> = places.iter().copied().zip(plan.columns[column].drain(..)).collect();
        items.sort_by_key(|(place, _)| *place);
        plan.columns[column] = items.into_iter().map(|(_, item)| item).collect();
    }
    for (column, links) in plan.links.iter_mut().enumerate() {
        for link in links {
            link.left = places[column][link.left];
            link.right = places[column + 1][link.right];
        }
    }
}

/// Gives every item a height at which its arrows are straight, as far as the order allows.
pub fn align(plan: &mut Plan) {
    for column in &mut plan.columns {
        let mut y = 0;
        for item in column {
            item.y = f64::from(y);
            y += item.height + plan.metrics.row_gap;
        }
    }
    let count = plan.columns.len();
    for sweep in 0..2 * SWEEPS {
        let forward = sweep % 2 == 0;
        let columns: Vec<usize> = if forward { (0..count).collect() } else { (0..count).rev().collect() };
        for column in columns {
            // At first what comes from one side, in the end what lies on both.
            let both = sweep >= SWEEPS;
            settle(plan, column, both || forward, both || !forward);
        }
    }
    // In the end every arrow that can goes straight on from its left end, and what begins an arrow goes to it.
    for column in 1..count {
        let wanted = |plan: &Plan, i: usize| straight(plan, column, i, true);
        place_column(plan, column, &wanted);
    }
    for column in (0..count.saturating_sub(1)).rev() {
        let wanted = |plan: &Plan, i: usize| straight(plan, column, i, false);
        place_column(plan, column, &wanted);
    }
    let top = plan.columns.iter().flatten().map(|item| item.y).fold(f64::INFINITY, f64::min);
    for item in plan.columns.iter_mut().flatten() {
        item.y = (item.y - top).round();
    }
}

/// The height at which an item's arrows from the left are straight, or, of what has none, those to the right.
fn straight(plan: &Plan, column: usize, item: usize, forward: bool) -> (f64, f64) {
    let own = &plan.columns[column][item];
    let from_left = column > 0 && plan.links[column - 1].iter().any(|link| link.right == item);
    // The way of the data is to be straight before that of what passes it by.
    let weight = if own.node.is_some() { 30.0 } else { 10.0 };
    match (forward, from_left) {
        (true, true) => (wanted_height(plan, column, item, true, false).0, weight),
        (true, false) => (own.y, 1.0),
        (false, true) => (own.y, 1000.0),
        (false, false) => (wanted_height(plan, column, item, false, true).0, weight),
    }
}

fn settle(plan: &mut Plan, column: usize, from_left: bool, from_right: bool) {
    place_column(plan, column, &|plan, i| wanted_height(plan, column, i, from_left, from_right));
}

/// Puts the items of a column where they are wanted, in their order and apart: the least sum of squared moves, found by joining
/// neighbours that would overlap (Barlow and others, Statistical inference under order restrictions, 1972).
fn place_column(plan: &mut Plan, column: usize, wanted: &dyn Fn(&Plan, usize) -> (f64, f64)) {
    let wanted: Vec<(f64, f64)> = (0..plan.columns[column].len()).map(|i| wanted(plan, i)).collect();
    let gap = f64::from(plan.metrics.row_gap);
    let mut offsets = Vec::new();
    let mut offset = 0.0;
    for item in &plan.columns[column] {
        offsets.push(offset);
        offset += f64::from(item.height) + gap;
    }
    // Blocks of items that touch: where they are wanted, their weight, how many.
    let mut blocks: Vec<(f64, f64, usize)> = Vec::new();
    for ((wanted, weight), offset) in wanted.iter().zip(&offsets) {
        let mut block = (wanted - offset, *weight, 1);
        while let Some(last) = blocks.last().copied().filter(|last| last.0 > block.0) {
            blocks.pop();
            let weight = last.1 + block.1;
            block = ((last.0 * last.1 + block.0 * block.1) / weight, weight, last.2 + block.2);
        }
        blocks.push(block);
    }
    let mut at = 0;
    for (y, _, count) in blocks {
        for _ in 0..count {
            plan.columns[column][at].y = y + offsets[at];
            at += 1;
        }
    }
}

/// Where an item's upper end should be, and how much that matters.
fn wanted_height(plan: &Plan, column: usize, item: usize, from_left: bool, from_right: bool) -> (f64, f64) {
    let own = &plan.columns[column][item];
    let mut found = Vec::new();
    // Long arrows are to be straight above all.
    let weight = |a: &Item, b: &Item| match (a.node, b.node) {
        (None, None) => 8.0,
        (Some(_), None) | (None, Some(_)) => 2.0,
        (Some(_), Some(_)) => 3.0,
    };
    if from_left && column > 0 {
        for link in plan.links[column - 1].iter().filter(|link| link.right == item) {
            let left = &plan.columns[column - 1][link.left];
            let enters = own.node.map_or(0, |node| port(plan, node, link.port));
            found.push((left.y + f64::from(left.height / 2) - f64::from(enters), weight(left, own)));
        }
    }
    if from_right && column + 1 < plan.columns.len() {
        for link in plan.links[column].iter().filter(|link| link.left == item) {
            let right = &plan.columns[column + 1][link.right];
            let enters = right.node.map_or(0, |node| port(plan, node, link.port));
            found.push((right.y + f64::from(enters) - f64::from(own.height / 2), weight(own, right)));
        }
    }
    let total: f64 = found.iter().map(|(_, weight)| weight).sum();
    match total > 0.0 {
        true => (found.iter().map(|(y, weight)| y * weight).sum::<f64>() / total, total),
        false => (own.y, 0.1),
    }
}

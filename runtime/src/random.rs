//! Random numbers as functions of (key, index).
//!
//! A key names a stream of 64-bit words: ChaCha with 8 rounds (Bernstein 2008) whose 256-bit key is the
//! name padded with zeros, whose stream number is the purpose, and whose counter is the word's index.
//! Element `i` of any array of draws therefore depends on the key and `i` alone: not on the array's
//! size, on threads, or on what was drawn before.
//!
//! **Seeds mean the same for ever.** Published figures rest on them: the construction below, from
//! key to word to number, must not change. `runtime/tests/random.rs` holds known values.

use crate::math::scalar::{cos_f64, log_f64, sin_f64};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// What a key's words are used for; the number is ChaCha's stream.
#[derive(Clone, Copy)]
enum Purpose {
    Draw = 0,
    FoldIn = 1,
    Split = 2,
    Permutation = 3,
}

/// The 64-bit words of a key for a purpose, from the one with index `first`.
struct Words(ChaCha8Rng);

impl Words {
    fn new(key: u64, purpose: Purpose, first: u64) -> Words {
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&key.to_le_bytes());
        let mut generator = ChaCha8Rng::from_seed(seed);
        generator.set_stream(purpose as u64);
        // Positions are counted in words of 32 bits.
        generator.set_word_pos(2 * u128::from(first));
        Words(generator)
    }

    fn next(&mut self) -> u64 {
        self.0.next_u64()
    }
}

/// A number in `[0, 1)`: the word's 53 highest bits.
fn unit(word: u64) -> f64 {
    (word >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
}

/// The key for the `i`-th use of `key`.
pub fn fold_in(key: u64, i: u64) -> u64 {
    Words::new(key, Purpose::FoldIn, i).next()
}

/// `n` new keys; the first ones do not depend on `n`.
pub fn split(key: u64, n: usize) -> Vec<u64> {
    let mut keys = vec![0; n];
    split_into(key, &mut keys);
    keys
}

/// `split` into memory of the caller.
pub fn split_into(key: u64, keys: &mut [u64]) {
    let mut words = Words::new(key, Purpose::Split, 0);
    keys.iter_mut().for_each(|new| *new = words.next());
}

/// Independent numbers, uniform on `[0, 1)`, with 53 random bits each.
pub fn uniform_f64(key: u64, out: &mut [f64]) {
    let mut words = Words::new(key, Purpose::Draw, 0);
    for value in out {
        *value = unit(words.next());
    }
}

/// As `uniform_f64` with 24 random bits each: the same numbers, cut off after 24 bits.
pub fn uniform_f32(key: u64, out: &mut [f32]) {
    let mut words = Words::new(key, Purpose::Draw, 0);
    for value in out {
        *value = (words.next() >> 40) as f32 * (1.0 / (1u32 << 24) as f32);
    }
}

/// Independent standard normal numbers, by pairs (Box and Muller 1958): elements `2 j` and `2 j + 1` are made of
/// words `2 j` and `2 j + 1`.
pub fn normal_f64(key: u64, out: &mut [f64]) {
    normal(key, out, |value| value);
}

/// As `normal_f64`: the same numbers, rounded.
pub fn normal_f32(key: u64, out: &mut [f32]) {
    normal(key, out, |value| value as f32);
}

fn normal<T>(key: u64, out: &mut [T], rounded: fn(f64) -> T) {
    let mut words = Words::new(key, Purpose::Draw, 0);
    for pair in out.chunks_mut(2) {
        // 1 - u is in (0, 1], where the logarithm is finite.
        let radius = (-2.0 * log_f64(1.0 - unit(words.next()))).sqrt();
        let angle = 2.0 * std::f64::consts::PI * unit(words.next());
        pair[0] = rounded(radius * cos_f64(angle));
        if let Some(second) = pair.get_mut(1) {
            *second = rounded(radius * sin_f64(angle));
        }
    }
}

/// The numbers `0..n` in random order: sorted by their words.
pub fn permutation(key: u64, n: usize) -> Vec<i64> {
    let mut order = vec![0; n];
    permutation_into(key, &mut order, &mut vec![0; n]);
    order
}

/// `permutation` into memory of the caller, with scratch memory for as many words.
pub fn permutation_into(key: u64, order: &mut [i64], words: &mut [u64]) {
    let mut source = Words::new(key, Purpose::Permutation, 0);
    for (i, (number, word)) in order.iter_mut().zip(&mut *words).enumerate() {
        (*number, *word) = (i as i64, source.next());
    }
    order.sort_unstable_by_key(|&i| (words[i as usize], i));
}

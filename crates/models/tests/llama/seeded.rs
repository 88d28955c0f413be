//! The weights of the random models in `fixtures/llama-two-layers`: the formula of its `make.py`.

/// A hash of 32 bits (Chris Wellons' `lowbias32`).
fn mix(mut x: u32) -> u32 {
    x ^= x >> 16;
    x = x.wrapping_mul(0x7feb_352d);
    x ^= x >> 15;
    x = x.wrapping_mul(0x846c_a68b);
    x ^ (x >> 16)
}

/// FNV-1a of a name.
fn seed_of(name: &str) -> u32 {
    name.bytes().fold(0x811c_9dc5, |seed, byte| (seed ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// The tensor called `name`: uniform numbers in `-a .. a`, or `1 - a .. 1 + a` for a vector.
pub fn weight(name: &str, shape: &[usize]) -> Vec<f32> {
    let seed = seed_of(name);
    let uniform = (0..shape.iter().product::<usize>()).map(|index| {
        let x = mix((index as u32).wrapping_mul(0x9e37_79b9).wrapping_add(seed));
        (x >> 8) as f32 / (1 << 23) as f32 - 1.0
    });
    let [_, columns] = shape else { return uniform.map(|number| 1.0 + 0.5 * number).collect() };
    let gain = match name {
        name if name.contains("q_proj") || name.contains("k_proj") => 2.0,
        name if name.contains("embed") || name.contains("lm_head") => 1.5,
        _ => 1.0,
    };
    let amplitude = (gain * (3.0 / *columns as f64).sqrt()) as f32;
    uniform.map(|number| amplitude * number).collect()
}

//! The weights of the random models in `fixtures`: the formulas of their `make.py`.

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

/// Uniform numbers in `-1 .. 1` that follow from the name of a tensor.
pub fn uniform(name: &str, n: usize) -> impl Iterator<Item = f32> {
    let seed = seed_of(name);
    (0..n).map(move |index| {
        let x = mix((index as u32).wrapping_mul(0x9e37_79b9).wrapping_add(seed));
        (x >> 8) as f32 / (1 << 23) as f32 - 1.0
    })
}

/// The tensor called `name` of `llama-two-layers`: uniform in `-a .. a`, or `1 - a .. 1 + a` for a vector.
pub fn llama(name: &str, shape: &[usize]) -> Vec<f32> {
    let uniform = uniform(name, shape.iter().product());
    let [_, columns] = shape else { return uniform.map(|number| 1.0 + 0.5 * number).collect() };
    let gain = match name {
        name if name.contains("q_proj") || name.contains("k_proj") => 2.0,
        name if name.contains("embed") || name.contains("lm_head") => 1.5,
        _ => 1.0,
    };
    let amplitude = (gain * (3.0 / *columns as f64).sqrt()) as f32;
    uniform.map(|number| amplitude * number).collect()
}

/// The tensor called `name` of `gpt2-two-layers`: uniform in `-a .. a`, or `0.5 .. 1.5` for the factors of a norm.
pub fn gpt2(name: &str, shape: &[usize]) -> Vec<f32> {
    let uniform = uniform(name, shape.iter().product());
    match shape {
        _ if name.ends_with(".bias") => uniform.map(|number| 0.5 * number).collect(),
        [first, second] => {
            let is_product = name.contains(".c_");
            let gain = match name {
                name if name.contains("mlp.c_proj") => 4.0,
                name if name.contains("c_attn") => 2.0,
                _ => 1.5,
            };
            let inputs = if is_product { *first } else { *second };
            let amplitude = (gain * (3.0 / inputs as f64).sqrt()) as f32;
            uniform.map(|number| amplitude * number).collect()
        }
        _ => uniform.map(|number| 1.0 + 0.5 * number).collect(),
    }
}

/// The tensor called `name` of `families`: uniform in `-a .. a`; the factors of a norm in `0.5 .. 1.5`.
pub fn families(name: &str, shape: &[usize]) -> Vec<f32> {
    let uniform = uniform(name, shape.iter().product());
    if name.ends_with("bias") {
        return uniform.map(|number| 0.5 * number).collect();
    }
    if shape.len() == 1 {
        return match name.ends_with("sinks") {
            true => uniform.map(|number| 2.0 * number).collect(),
            false => uniform.map(|number| 1.0 + 0.5 * number).collect(),
        };
    }
    let wide = ["q_proj", "k_proj", "qkv", "query_key_value", "embed", "lm_head", "router", "gate.weight"];
    let gain = if wide.iter().any(|part| name.contains(part)) { 2.0 } else { 1.5 };
    let amplitude = (gain * (3.0 / shape[1] as f64).sqrt()) as f32;
    uniform.map(|number| amplitude * number).collect()
}

//! How much a reader allocates (TRUST T02): at most 64 MiB + 2 × header bytes, whatever the file claims.
//!
//! One test only: the counters belong to the whole process. Also here, because it is about memory: no output
//! holds bytes of the heap (T04).

#![allow(clippy::unwrap_used, unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use formats::metadata::{Strings, read_json};
use formats::{Error, FileBytes, Metadata, TensorSpec, gguf, llama2c, pytorch, safetensors};

/// The system's allocator, counting what lives and the most that ever did.
struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes on to the system's allocator unchanged; only numbers are kept beside it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let live = LIVE.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        PEAK.fetch_max(live, Ordering::Relaxed);
        // SAFETY: the caller upholds `alloc`'s contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the pointer came from `alloc` above with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Reads `bytes`, all of which count as header, and gives what was allocated at the most.
fn check<T>(name: &str, bytes: Vec<u8>, read: impl Fn(&FileBytes) -> Result<T, Error>) -> Result<T, Error> {
    let allowed = (64 << 20) + 2 * bytes.len();
    let file = FileBytes::from_vec("claims", bytes);
    let before = LIVE.load(Ordering::Relaxed);
    PEAK.store(before, Ordering::Relaxed);
    let result = read(&file);
    let used = PEAK.load(Ordering::Relaxed) - before;
    let outcome = if result.is_ok() { "read" } else { "refused" };
    println!("{name}: {outcome}, {} KiB for {} KiB", used >> 10, file.as_slice().len() >> 10);
    assert!(used <= allowed, "{name}: {used} bytes allocated, {allowed} allowed");
    result
}

fn gguf_start(n_tensors: u64, n_metadata: u64) -> Vec<u8> {
    [b"GGUF\x03\0\0\0".as_slice(), &n_tensors.to_le_bytes(), &n_metadata.to_le_bytes()].concat()
}

/// A list of `count` elements of `kind`, each of which is `element`.
fn gguf_list(kind: u32, count: u64, element: &[u8]) -> Vec<u8> {
    let mut bytes = [gguf_start(0, 1).as_slice(), b"\x01\0\0\0\0\0\0\0k", &9u32.to_le_bytes()].concat();
    bytes.extend(kind.to_le_bytes());
    bytes.extend(count.to_le_bytes());
    (0..count).for_each(|_| bytes.extend(element));
    bytes
}

fn gguf_claims() {
    for claim in [1u64 << 20, 1 << 32, 1 << 62, u64::MAX] {
        let padded = |mut bytes: Vec<u8>| {
            bytes.resize(4096, 0);
            bytes
        };
        check("tensor count", padded(gguf_start(claim, 0)), gguf::read).unwrap_err();
        check("metadata count", padded(gguf_start(0, claim)), gguf::read).unwrap_err();
        for kind in 0..=12u32 {
            let mut bytes = gguf_list(kind, 0, &[]);
            let length = bytes.len();
            bytes[length - 8..].copy_from_slice(&claim.to_le_bytes());
            check("list", padded(bytes), gguf::read).unwrap_err();
        }
    }
}

fn dense_gguf() {
    // Headers that are sound and as much work for as few bytes as there can be.
    check("a million empty texts", gguf_list(8, 1 << 20, &[0; 8]), gguf::read).unwrap();
    check("32 MiB of bools", gguf_list(7, 32 << 20, &[1]), gguf::read).unwrap();
    check("32 MiB of numbers", gguf_list(12, 4 << 20, &[0; 8]), gguf::read).unwrap();
    check("65536 empty lists", gguf_list(9, 65_536, &[0; 12]), gguf::read).unwrap();
    let mut metadata = gguf_start(0, 65_536);
    for index in 0..65_536u32 {
        metadata.extend([4u64.to_le_bytes().as_slice(), &index.to_le_bytes().map(|b| b & 0x7f)].concat());
        metadata.extend([0, 0, 0, 0, 7]);
    }
    // The seven-bit keys stand twice.
    check("65536 metadata keys", metadata, gguf::read).unwrap_err();
    let mut metadata = gguf_start(0, 65_536);
    for index in 0..65_536u32 {
        metadata.extend([4u64.to_le_bytes().as_slice(), format!("{index:04x}").as_bytes()].concat());
        metadata.extend([0, 0, 0, 0, 7]);
    }
    check("65536 different keys", metadata, gguf::read).unwrap();
    let mut tensors = gguf_start(131_072, 0);
    for index in 0..131_072u64 {
        tensors.extend([5u64.to_le_bytes().as_slice(), format!("{index:05x}").as_bytes()].concat());
        tensors.extend([1u32.to_le_bytes().as_slice(), &1u64.to_le_bytes(), &24u32.to_le_bytes()].concat());
        tensors.extend((index * 32).to_le_bytes());
    }
    let header = tensors.len();
    tensors.resize(header.next_multiple_of(32) + 131_072 * 32, 0);
    check("131072 tensors", tensors, gguf::read).unwrap();
}

fn dense_safetensors() {
    let file = |header: String| [&(header.len() as u64).to_le_bytes(), header.as_bytes()].concat();
    let entry = |index: usize| format!(r#""{index:x}":{{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}"#);
    let entries = |count| format!("{{{}}}", (0..count).map(entry).collect::<Vec<_>>().join(","));
    check("131072 tensors in JSON", file(entries(131_072)), safetensors::read).unwrap();
    check("a tensor more", file(entries(131_073)), safetensors::read).unwrap_err();
    let text = |length: usize| format!(r#"{{"__metadata__":{{"k":"{}"}}}}"#, r"\n".repeat(length / 2));
    check("a text of 8 MiB, escaped", file(text(8 << 20)), safetensors::read).unwrap();
    check("a text of 50 MB, escaped", file(text(50_000_000)), safetensors::read).unwrap_err();
    let short: Vec<String> = (0..65_537).map(|index| format!(r#""{index:x}":"""#)).collect();
    let pairs = |count: usize| format!(r#"{{"__metadata__":{{{}}}}}"#, short[..count].join(","));
    check("65536 metadata texts", file(pairs(65_536)), safetensors::read).unwrap();
    check("a text more", file(pairs(65_537)), safetensors::read).unwrap_err();
    let shape = format!(r#"{{"w":{{"shape":[{}1]}}}}"#, "1,".repeat(10_000_000));
    check("ten million dimensions", file(shape), safetensors::read).unwrap_err();
    for claim in [1u64 << 20, 99_999_999, 1 << 40, u64::MAX] {
        let bytes = [&claim.to_le_bytes(), b"{".as_slice(), &[b' '; 4096]].concat();
        check("header length", bytes, safetensors::read).unwrap_err();
    }
    check("an object in an object", file("{\"a\":".repeat(200_000)), safetensors::read).unwrap_err();
}

fn dense_llama2c() {
    let file = |header: [i32; 7]| header.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<u8>>();
    let largest = file([262_144, 1_048_576, 4096, 1, 1, -16_777_216, 16_777_216]);
    check("the largest checkpoint", largest, llama2c::read).unwrap_err();
    // The most layers, each as small as can be: 2 + 2 + 4 × 4 + 3 × 2 numbers.
    let mut layers = file([2, 1, 4096, 1, 1, 1, 1]);
    layers.resize(28 + 4 * (2 + 4096 * 26 + 2 + 2), 0);
    check("4096 layers", layers, llama2c::read).unwrap();
    let mut tokens = 1i32.to_le_bytes().to_vec();
    tokens.resize(4 + 8 * 2_000_000, 0);
    check("two million empty tokens", tokens, |file| llama2c::read_tokenizer(file, 2_000_000)).unwrap();
    for vocab_size in [1 << 24, 1 << 60, usize::MAX] {
        let tokens = vec![0; 4096];
        check("vocabulary", tokens, |file| llama2c::read_tokenizer(file, vocab_size)).unwrap_err();
    }
}

/// Pickles that are as much work for as few bytes as there can be.
fn dense_pytorch() {
    let archived = |pickle: &[u8]| formats::fuzz::archived(&[b"\x80\x02", pickle, b"."].concat());
    let many = |name: &str, start: &[u8], part: &[u8], count: usize| {
        check(name, archived(&[start, &part.repeat(count)].concat()), pytorch::read).unwrap_err()
    };
    many("131072 lists", b"", b"]0", 140_000);
    many("tuples in tuples", b"N", b"\x85", 140_000);
    many("values in a list", b"](", &[b"N".repeat(1000).as_slice(), b"e("].concat(), 1_100);
    many("pairs in a dict", b"}(", &[b"N".repeat(1000).as_slice(), b"u("].concat(), 1_100);
    many("one list, copied as a dict", b"](", b"]", 1);
    many("four million instructions", b"", b"N0", 3 << 20);
    let mut pairs = b"](".to_vec();
    (0..20_000).for_each(|_| pairs.extend(b"NN\x86"));
    pairs.extend(b"eq\x00ccollections\nOrderedDict\nq\x01");
    many("a list that becomes a dict, again and again", &pairs, b"h\x01h\x00\x85R0", 10_000);
    many("a memo", b"N", b"r\xff\xff\x07\x00", 3);
    let numbered = (0..520_000u32).flat_map(|index| [b"r".as_slice(), &index.to_le_bytes()].concat());
    many("a memo, number by number", &[b"N".to_vec(), numbered.collect()].concat(), b"", 1);
    let tensor = b"ctorch._utils\n_rebuild_tensor_v2\nq\x00ccollections\nOrderedDict\n)Rq\x01\
        (\x8c\x07storagectorch\nByteStorage\n\x8c\x010\x8c\x03cpuK@tQq\x02";
    let mut tensors = [tensor.as_slice(), b"}("].concat();
    for index in 0..12_000u32 {
        let name = format!("{index:0600}");
        tensors.extend([b"X\x58\x02\0\0".as_slice(), name.as_bytes(), b"h\0(h\x02K\0"].concat());
        tensors.extend(b"(K\x08K\x08t(K\x01K\x08t\x89h\x01tR");
    }
    tensors.extend(b"u");
    let file = check("12000 tensors in several pieces", archived(&tensors), pytorch::read).unwrap();
    assert_eq!((file.tensors().len(), file.parts().len()), (12_000, 2));
    let zip = |count: usize| {
        let mut file = b"PK\x03\x04".to_vec();
        file.resize(50 * count, 0);
        let end = [b"PK\x05\x06\0\0\0\0".as_slice(), &(count as u16).to_le_bytes().repeat(2)].concat();
        let size = (46 * count as u32).to_le_bytes();
        [file, end, [size, (4 * count as u32).to_le_bytes()].concat(), vec![0; 2]].concat()
    };
    check("65535 entries", zip(65_535), pytorch::read).unwrap_err();
}

fn dense_settings() {
    let keys = |count: usize| {
        let keys: Vec<String> = (0..count).map(|index| format!("\"{index:x}\":\"\"")).collect();
        format!("{{{}}}", keys.join(",")).into_bytes()
    };
    check("131072 settings", keys(1 << 17), read_json).unwrap();
    check("a setting more", keys((1 << 17) + 1), read_json).unwrap_err();
    let list = |part: &str, count: usize| format!("{{\"a\":[{}0]}}", part.repeat(count)).into_bytes();
    check("a list of numbers", list("0,", (1 << 17) - 1), read_json).unwrap();
    check("a list of lists", list("[],", (1 << 17) - 1), read_json).unwrap();
    check("a list of texts", list("\"\",", (1 << 17) - 1), read_json).unwrap();
    check("a longer list", list("0,", 10 << 20), read_json).unwrap_err();
    let outer = "p".repeat(1000);
    let inner: Vec<String> = (0..20_000).map(|index| format!("\"{index:x}\":0")).collect();
    let long = format!("{{\"{outer}\":{{{}}}}}", inner.join(",")).into_bytes();
    check("keys in a long key", long, read_json).unwrap_err();
    let text = format!("{{\"a\":\"{}\"}}", "\\n".repeat(8 << 20)).into_bytes();
    check("a text of 16 MiB, escaped", text, read_json).unwrap();
    let map: Vec<String> = (0..100_000).map(|index| format!("\"{index:060}\":\"shard\"")).collect();
    let index = format!("{{\"weight_map\":{{{}}}}}", map.join(",")).into_bytes();
    let missing = |_: &str| Err(Error::MissingPart { file: "index".into(), part: "shard".into() });
    check("an index of 100000 tensors", index, |file| formats::shards::read(file, missing)).unwrap_err();
}

fn contains(bytes: &[u8], canary: &[u8]) -> bool {
    bytes.windows(canary.len()).any(|window| window == canary)
}

/// Fills freed memory of many sizes with a canary, and looks for it in whatever comes out.
fn no_heap_bytes_in_outputs() {
    const CANARY: &[u8] = b"canary-in-the-heap";
    for size in (5..24).map(|power| 1usize << power) {
        drop(
            (0..4)
                .map(|_| CANARY.iter().copied().cycle().take(size).collect::<Vec<u8>>())
                .collect::<Vec<_>>(),
        );
    }
    let tokens: Strings = (0..1000).map(|index| index.to_string()).collect();
    let mut metadata = Metadata::new("f");
    metadata.insert("tokens", tokens.into());
    metadata.insert("general.alignment", 4096u32.into());
    let specs: Vec<TensorSpec> = [3, 500, 70_001]
        .iter()
        .map(|&size| TensorSpec { name: format!("t{size}"), dtype: formats::Dtype::F16, shape: vec![size] })
        .collect();
    let mut writer = gguf::write(Vec::new(), &metadata, &specs).unwrap();
    for spec in &specs {
        writer.append(&vec![7; spec.size_bytes().unwrap() as usize]).unwrap();
    }
    let bytes = writer.finish().unwrap();
    assert!(!contains(&bytes, CANARY), "in a written GGUF");
    let file = formats::read(&FileBytes::from_vec("f", bytes)).unwrap();
    for tensor in file.tensors() {
        for alignment in [64, 4096, 1 << 21] {
            let copy =
                file.file().view(tensor.range.start + 1..tensor.range.end, "t").unwrap().aligned(alignment);
            assert!(copy.is_aligned(alignment) && copy.iter().all(|byte| *byte == 7));
        }
    }
    let writer = safetensors::write(Vec::new(), &Metadata::new("f"), &specs[..1]).unwrap();
    assert!(matches!(writer.finish(), Err(Error::Unbalanced { .. })), "an unfinished file is not given out");
}

#[test]
fn readers_allocate_no_more_than_promised() {
    gguf_claims();
    dense_gguf();
    dense_safetensors();
    dense_llama2c();
    dense_pytorch();
    dense_settings();
    no_heap_bytes_in_outputs();
}

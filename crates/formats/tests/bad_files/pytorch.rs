//! Bad PyTorch checkpoints: archives that say two things, pickles that are none, tensors that cannot be.

use crate::Case;
use crate::archive::{entry, zip, zip_64};

/// Pickles: instructions one behind the other.
pub fn join(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

pub fn text(text: &str) -> Vec<u8> {
    join(&[b"X", &(text.len() as u32).to_le_bytes(), text.as_bytes()])
}

pub fn int(number: i64) -> Vec<u8> {
    join(&[b"\x8a\x08", &number.to_le_bytes()])
}

pub fn global(module: &str, name: &str) -> Vec<u8> {
    format!("c{module}\n{name}\n").into_bytes()
}

pub fn tuple(items: &[Vec<u8>]) -> Vec<u8> {
    join(&[b"(", &items.concat(), b"t"])
}

fn ints(numbers: &[i64]) -> Vec<u8> {
    tuple(&numbers.iter().map(|number| int(*number)).collect::<Vec<_>>())
}

pub fn call(module: &str, name: &str, arguments: &[Vec<u8>]) -> Vec<u8> {
    join(&[&global(module, name), &tuple(arguments), b"R"])
}

fn storage(kind: &str, key: &str, n_elements: i64) -> Vec<u8> {
    let parts = [text("storage"), global("torch", kind), text(key), text("cpu"), int(n_elements)];
    join(&[&tuple(&parts), b"Q"])
}

fn tensor_of(storage: Vec<u8>, first: i64, shape: &[i64], strides: &[i64]) -> Vec<u8> {
    let hooks = call("collections", "OrderedDict", &[]);
    let parts = [storage, int(first), ints(shape), ints(strides), b"\x89".to_vec(), hooks];
    call("torch._utils", "_rebuild_tensor_v2", &parts)
}

/// A tensor over the four numbers that [`archived`] puts beside the pickle.
pub fn tensor(first: i64, shape: &[i64], strides: &[i64]) -> Vec<u8> {
    tensor_of(storage("FloatStorage", "0", 4), first, shape, strides)
}

/// A state dict with one tensor `w`.
fn state(tensor: Vec<u8>) -> Vec<u8> {
    join(&[b"\x80\x02}", &text("w"), &tensor, b"s."])
}

/// An archive with this pickle, and sixteen bytes as its storage.
pub fn archived(pickle: &[u8]) -> Vec<u8> {
    zip(&[entry("a/data.pkl", pickle), entry("a/data/0", &[7; 16])])
}

pub fn sound_pickle() -> Vec<u8> {
    state(tensor(0, &[2, 2], &[2, 1]))
}

pub fn sound() -> Vec<u8> {
    archived(&sound_pickle())
}

/// The form before 1.6, of these five pickles, then the bytes behind them.
fn legacy(pickles: [&[u8]; 5], data: &[u8]) -> Vec<u8> {
    let whole = pickles.map(|pickle| join(&[b"\x80\x02", pickle, b"."]));
    join(&[&whole.concat(), data])
}

const MAGIC: &[u8] = b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";
const VERSION: &[u8] = b"M\xe9\x03";

fn machine(order: &[u8]) -> Vec<u8> {
    join(&[b"}", &text("little_endian"), order, b"s"])
}

fn old_state() -> Vec<u8> {
    join(&[b"}", &text("w"), &tensor(0, &[4], &[1]), b"s"])
}

fn old_keys(keys: &[&str]) -> Vec<u8> {
    join(&[b"](", &keys.iter().flat_map(|key| text(key)).collect::<Vec<u8>>(), b"e"])
}

fn old_data(count: u64, bytes: usize) -> Vec<u8> {
    join(&[&count.to_le_bytes(), &vec![7; bytes]])
}

fn old(keys: &[&str], data: &[u8]) -> Vec<u8> {
    legacy([MAGIC, VERSION, &machine(b"\x88"), &old_state(), &old_keys(keys)], data)
}

pub fn old_sound() -> Vec<u8> {
    old(&["0"], &old_data(4, 16))
}

/// Pickles that are none, or take more than there is.
pub fn pickles() -> Vec<Case> {
    let run = |parts: &[&[u8]]| archived(&join(&[b"\x80\x02", &join(parts), b"."]));
    let many = |part: &[u8], count: usize| run(&[&part.repeat(count)]);
    vec![
        ("nothing", archived(b""), "data.pkl: instruction: needs 1 bytes where 0 are left (byte 40)"),
        ("no end", archived(b"\x80\x02N"), "data.pkl: instruction: needs 1 bytes where 0 are left"),
        ("more behind the end", archived(b"\x80\x02N.N."), "data.pkl: bytes 44..46 of the file belong to no"),
        ("an archive in the archive", archived(&sound()), "data.pkl: PERSID: asks for this instruction"),
        (
            "protocol 1",
            archived(b"\x80\x01N."),
            "data.pkl: PROTO: version 1 is not read, only 2 to 5 (byte 40)",
        ),
        ("protocol 6", archived(b"\x80\x06N."), "PROTO: version 6 is not read"),
        ("protocol 0", archived(b"I1\n."), "data.pkl: INT: asks for this instruction"),
        ("no instruction", run(&[b"\xff"]), "data.pkl: instruction: code 0xff, expected an instruction"),
        ("an empty stack", run(&[b""]), "data.pkl: STOP: an empty stack, expected a value on it (byte 42)"),
        ("a value under a mark", run(&[b"N(0"]), "data.pkl: POP: an empty stack"),
        ("no mark", run(&[b"Nt"]), "data.pkl: TUPLE: no mark, expected a mark on the stack (byte 43)"),
        ("two of three", run(&[b"NN\x87"]), "data.pkl: TUPLE3: too few values"),
        ("a dict of three", run(&[b"(NNNd"]), "data.pkl: DICT: 3 values, expected keys and values in pairs"),
        ("three in a dict", run(&[b"}(NNNu"]), "data.pkl: SETITEMS: 3 values, expected keys and values"),
        ("a pair in a list", run(&[b"]NNs"]), "data.pkl: SETITEM: a list of 0, expected a dict to add to"),
        ("a value in a dict", run(&[b"}Na"]), "data.pkl: APPEND: a dict of 0, expected a list to add to"),
        ("values in a tuple", run(&[b")(NNe"]), "data.pkl: APPENDS: a list of 0, expected a list to add to"),
        (
            "nothing in the memo",
            run(&[b"h\x07"]),
            "data.pkl: BINGET: number 7, expected a number in the memo",
        ),
        (
            "a hole in the memo",
            run(&[b"Nq\x07h\x06"]),
            "data.pkl: BINGET: number 6, expected a number in the",
        ),
        (
            "the largest number in the memo",
            run(&[b"Nr\xff\xff\xff\xff"]),
            "LONG_BINPUT: number in the memo: 4294967295 is over the limit of 524288 (byte 43)",
        ),
        ("a high stack", many(b"N", 70_000), "NONE: height of the stack: 65537 is over the limit of 65536"),
        ("many marks", many(b"(", 70_000), "MARK: marks: 65537 is over the limit of 65536"),
        ("many lists", many(b"]0", 132_000), "EMPTY_LIST: containers: 131073 is over the limit"),
        ("tuples in tuples", run(&[b"N", &b"\x85".repeat(132_000)]), "TUPLE1: containers: 131073 is over"),
        ("a text behind the end", run(&[b"X\xff\xff\xff\xff"]), "BINUNICODE: needs 4294967295 bytes where 1"),
        (
            "the longest text",
            run(&[b"\x8d\xff\xff\xff\xff\xff\xff\xff\xff"]),
            "BINUNICODE8: needs 18446744073709551615 bytes",
        ),
        ("bytes behind the end", run(&[b"B\xff\xff\xff\x7f"]), "BINBYTES: needs 2147483647 bytes where 1"),
        ("a long number behind the end", run(&[b"\x8b\xff\xff\xff\xff"]), "LONG4: needs 4294967295 bytes"),
        ("not text", run(&[b"X\x02\x00\x00\x00a\xff"]), "data.pkl: BINUNICODE: not UTF-8 text (byte 48)"),
        ("a name that is not text", run(&[b"c\xff\nx\n"]), "data.pkl: GLOBAL: not UTF-8 text (byte 43)"),
        ("a name without an end", run(&[b"cos"]), "data.pkl: GLOBAL: needs 4 bytes where 3 are left"),
        ("a long name", run(&[b"c", &b"x".repeat(9999)]), "data.pkl: GLOBAL: 10000 is over the limit of 256"),
        ("a number cut off", run(&[b"J\x01"]), "data.pkl: BININT: needs 4 bytes where 2 are left"),
        ("buffers out of band", run(&[b"\x97"]), "data.pkl: NEXT_BUFFER: asks for this instruction"),
        ("no dict", run(&[b"]"]), "state dict: a list of 0, expected names and tensors"),
        ("a list in itself", run(&[b"]q\x00h\x00a"]), "state dict: a list of 1, expected names and tensors"),
        (
            "a dict in itself",
            run(&[b"}q\x00", &text("model"), b"h\x00s"]),
            "state dict: a dict of 1 with \"model\", expected names and tensors",
        ),
        (
            "no tensors",
            run(&[b"}", &text("lr"), b"K\x01s"]),
            "state dict: a dict of 1 with \"lr\", expected names and tensors, at the top",
        ),
    ]
}

/// Storages and tensors that cannot be.
pub fn tensors() -> Vec<Case> {
    let odd = |shape: &[i64], strides: &[i64]| archived(&state(tensor(0, shape, strides)));
    let stored = |kind, key, count| archived(&state(tensor_of(storage(kind, key, count), 0, &[4], &[1])));
    let persistent = |parts: &[Vec<u8>]| archived(&join(&[b"\x80\x02", &tuple(parts), b"Q."]));
    let float = || global("torch", "FloatStorage");
    let whole = tensor(0, &[4], &[1]);
    let wide = 1i64 << 32;
    vec![
        (
            "a storage that is not there",
            stored("FloatStorage", "1", 4),
            "data.pkl: storage \"1\": no entry of the",
        ),
        ("a storage elsewhere", stored("FloatStorage", "../data/0", 4), "storage \"../data/0\": no entry"),
        ("a number too many", stored("FloatStorage", "0", 5), "storage \"0\": 5 elements of it in 16 bytes"),
        ("a number too few", stored("FloatStorage", "0", 3), "storage \"0\": 3 elements of it in 16 bytes"),
        ("a storage of another width", stored("DoubleStorage", "0", 4), "4 elements of it in 16 bytes"),
        (
            "more than can be counted",
            stored("FloatStorage", "0", i64::MAX),
            "9223372036854775807 elements of it",
        ),
        (
            "less than nothing",
            stored("FloatStorage", "0", -1),
            "BINPERSID: a storage of -1 elements, expected",
        ),
        (
            "a type without numbers",
            stored("ComplexFloatStorage", "0", 2),
            "asks for \"torch.ComplexFloatStorage\"",
        ),
        ("bytes without a type", stored("UntypedStorage", "0", 16), "REDUCE: a storage without a type"),
        (
            "a storage that is a text",
            archived(&join(&[&text("0"), b"Q."])),
            "BINPERSID: \"0\", expected a stor",
        ),
        (
            "half a storage",
            persistent(&[text("storage"), float(), text("0")]),
            "BINPERSID: a list of 3, expected",
        ),
        (
            "a storage by another name",
            persistent(&[text("module"), float(), text("0"), text("cpu"), int(4)]),
            "BINPERSID: \"module\", expected \"storage\"",
        ),
        (
            "a storage of a type that is a text",
            persistent(&[text("storage"), text("FloatStorage"), text("0"), text("cpu"), int(4)]),
            "BINPERSID: a list of 5, expected a storage",
        ),
        (
            "a storage under a number",
            persistent(&[text("storage"), float(), int(0), text("cpu"), int(4)]),
            "BINPERSID: a list of 5, expected a storage",
        ),
        (
            "a view of a storage",
            persistent(&[text("storage"), float(), text("0"), text("cpu"), int(4), ints(&[1, 2])]),
            "BINPERSID: a list of 6, expected a storage",
        ),
        ("one element too many", odd(&[5], &[1]), "tensor \"w\": elements 0..5 of a storage of 16 bytes"),
        ("a row too many", odd(&[3, 2], &[2, 1]), "tensor \"w\": elements 0..6 of a storage of 16 bytes"),
        ("behind the end", archived(&state(tensor(1, &[4], &[1]))), "elements 1..5 of a storage of 16 bytes"),
        (
            "empty, far behind the end",
            archived(&state(tensor(i64::MAX, &[0], &[1]))),
            "tensor \"w\": elements 9223",
        ),
        ("an offset below zero", archived(&state(tensor(-1, &[4], &[1]))), "REDUCE: -1, expected an offset"),
        ("a size below zero", odd(&[-4], &[1]), "data.pkl: REDUCE: -4, expected a size"),
        ("a stride below zero", odd(&[4], &[-1]), "data.pkl: REDUCE: -1, expected a size"),
        (
            "a size that is no number",
            archived(&state(call(
                "torch._utils",
                "_rebuild_tensor",
                &[storage("FloatStorage", "0", 4), int(0), tuple(&[text("4")]), ints(&[1])],
            ))),
            "data.pkl: REDUCE: \"4\", expected a size",
        ),
        (
            "a product that cannot be counted",
            odd(&[wide, wide], &[0, 0]),
            "more elements than can be counted",
        ),
        ("bytes that cannot be counted", odd(&[1 << 62], &[0]), "more bytes than can be counted"),
        (
            "a stride that cannot be counted",
            odd(&[4, 1], &[i64::MAX, 1]),
            "tensor \"w\": elements 0..184467440",
        ),
        (
            "one number for a gigabyte",
            odd(&[1 << 28], &[0]),
            "of F32: more elements than its storage has: it",
        ),
        ("a row for two", odd(&[2, 4], &[0, 1]), "more elements than its storage has"),
        (
            "more strides than sizes",
            odd(&[4], &[1, 1]),
            "1 dimensions and 2 strides, expected as many of both",
        ),
        ("nine dimensions", odd(&[1; 9], &[1; 9]), "a list of 9, expected at most eight dimensions"),
        (
            "a tensor of three parts",
            archived(&state(call("torch._utils", "_rebuild_tensor_v2", &[int(1), int(2), int(3)]))),
            "REDUCE: 3 arguments, expected those of a tensor",
        ),
        (
            "a tensor of nine parts",
            archived(&state(call("torch._utils", "_rebuild_tensor_v2", &vec![int(1); 9]))),
            "REDUCE: a list of 9, expected a tuple of at most eight arguments",
        ),
        (
            "a tensor over a number",
            archived(&state(tensor_of(int(0), 0, &[4], &[1]))),
            "REDUCE: other arguments, expected a storage",
        ),
        (
            "a name twice",
            archived(&join(&[b"\x80\x02}(", &text("w"), &whole, &text("w"), &whole, b"u."])),
            "tensor \"w\": the name stands twice",
        ),
        ("no name", archived(&join(&[b"}", &text(""), &whole, b"s."])), "tensor \"\": an empty name"),
        (
            "a number as name",
            archived(&join(&[b"}K\x01", &whole, b"s."])),
            "a tensor's name: 1, expected a text",
        ),
        (
            "a name of 2000 letters",
            archived(&join(&[b"}", &text(&"n".repeat(2000)), &whole, b"s."])),
            "letters of its name: 2000 is over the limit of 1024",
        ),
        (
            "only a tensor",
            archived(&join(&[&whole, b"."])),
            "state dict: a tensor, expected names and tensors",
        ),
    ]
}

/// Archives that say two things, or hold something else.
pub fn archives() -> Vec<Case> {
    let two = || [entry("a/data.pkl", &sound_pickle()), entry("a/data/0", &[7; 16])];
    let changed = |change: fn(&mut crate::archive::Parts)| {
        let mut parts = two();
        change(&mut parts[1]);
        zip(&parts)
    };
    // Changes of the last 22 bytes.
    let ended = |at: usize, bytes: &[u8]| {
        let mut file = sound();
        let start = file.len() - 22 + at;
        file[start..start + bytes.len()].copy_from_slice(bytes);
        file
    };
    let with = |name: &str, bytes: &[u8]| zip(&[&two()[..], &[entry(name, bytes)]].concat());
    let mut second_end = sound();
    second_end.extend_from_within(second_end.len() - 22..);
    let first = zip(&[entry("b/data.pkl", b"N.")]);
    let mut hidden = two();
    // A whole archive of its own between two entries.
    hidden[1].before = first;
    let many = zip_64(&two(), |record| record[24..40].copy_from_slice(&[0, 0, 16, 0, 0, 0, 0, 0].repeat(2)));
    vec![
        ("four bytes", b"PK\x03\x04".to_vec(), "end of central directory: needs 22 bytes where 4 are left"),
        ("cut", sound()[..200].to_vec(), "end of central directory: 0x"),
        ("a byte more", [sound(), vec![0]].concat(), "expected 0x06054b50 in the last 22 bytes"),
        ("a comment", ended(20, &[1, 0]), "end of central directory: a comment of 1 bytes, expected none"),
        ("two ends", second_end, "central directory: 110 bytes from byte"),
        ("a second disk", ended(4, &[1, 0]), "disks 0x00000001, expected one disk"),
        ("entries elsewhere", ended(8, &[1, 0]), "1 of 2 entries, expected all entries in one file"),
        ("an entry more", ended(8, &[3, 0, 3, 0]), "central directory: needs 138 bytes where 110 are left"),
        ("an entry less", ended(8, &[1, 0, 1, 0]), "central directory: bytes"),
        (
            "no end of entries",
            ended(8, &[255; 4]),
            "fields that point to 64 bits, expected a directory of 64",
        ),
        (
            "a directory elsewhere",
            ended(16, &[1, 0, 0, 0]),
            "bytes from byte 1, expected a directory that ends",
        ),
        (
            "the largest directory",
            ended(12, &[254, 255, 255, 255]),
            "central directory: 4294967294 bytes from",
        ),
        ("a million entries", many, "central directory: 1048576 is over the limit of 65536"),
        (
            "64 bits that disagree",
            zip_64(&two(), |record| record[32] = 3),
            "2 entries here, expected all entries",
        ),
        ("64 bits elsewhere", zip_64(&two(), |record| record[64] = 1), "in 64 bits: byte"),
        ("64 bits of another size", zip_64(&two(), |record| record[4] = 45), "0x06064b50 of 45 bytes"),
        ("64 bits of two disks", zip_64(&two(), |record| record[16] = 1), "disks 0x1 and 2 entries here"),
        (
            "64 bits of another place",
            zip_64(&two(), |record| record[48] ^= 1),
            "expected a directory that ends where its end",
        ),
        (
            "compressed",
            changed(|parts| parts.central_method = 8),
            "entry \"a/data/0\": compression 8, expected none",
        ),
        (
            "compressed by Zstandard",
            changed(|parts| parts.central_method = 93),
            "compression 93, expected none",
        ),
        ("a bomb", changed(|parts| parts.central_size = 1 << 30), "16 bytes for 1073741824 on disk 0"),
        ("encrypted", changed(|parts| parts.flags = 1), "entry \"a/data/0\": an encrypted entry"),
        ("names hidden", changed(|parts| parts.flags = 1 << 13), "an encrypted entry, expected one in clear"),
        (
            "another name inside",
            changed(|parts| parts.local_name = b"a/data/1".to_vec()),
            "than in the directory",
        ),
        ("another method inside", changed(|parts| parts.local_method = 8), "header: another signature, name"),
        (
            "another size inside",
            changed(|parts| parts.local_size = 15),
            "header: another signature, name, size",
        ),
        ("no header inside", changed(|parts| parts.signature = *b"PK\x03\x05"), "header: another signature"),
        ("sizes that should follow", changed(|parts| parts.local_size = 0), "another signature, name, size"),
        ("one place for two", changed(|parts| parts.shift = -30), "overlaps entry \"a/data.pkl\""),
        ("a place inside another", changed(|parts| parts.shift = -1), "overlaps entry \"a/data.pkl\""),
        ("a place behind the end", changed(|parts| parts.shift = 1 << 30), "of the file belong to no tensor"),
        ("a place in 64 bits without any", changed(|parts| parts.central_size = u32::MAX), "an extra field"),
        ("bytes between entries", changed(|parts| parts.before = vec![0; 7]), "belong to no tensor"),
        ("a directory before the directory", zip(&hidden), "entry \"a/data/0\": bytes"),
        (
            "a name that is not text",
            changed(|parts| parts.name = b"a/\xff".to_vec()),
            "a name: not UTF-8 text",
        ),
        ("no name", changed(|parts| parts.name = vec![]), "entry \"\": an empty name, expected a name"),
        ("a long name", changed(|parts| parts.name = vec![b'n'; 1025]), "1025 is over the limit of 1024"),
        ("a name twice", with("a/data/0", b""), "entry \"a/data/0\": the name stands twice"),
        ("a pickle twice", with("a/data.pkl", b"N."), "entry \"a/data.pkl\": the name stands twice"),
        ("a second pickle", with("b/data.pkl", b"N."), "entry \"b/data.pkl\": the name stands twice"),
        ("a pickle without a folder", with("data.pkl", b"N."), "data.pkl\": the name stands twice"),
        ("no pickle", zip(&[entry("a/model.json", b"{}")]), "not a PyTorch checkpoint: it is a zip archive"),
        ("nothing", zip(&[]), "not a PyTorch checkpoint: it is a zip archive"),
        ("a program", with("a/constants.pkl", b"N."), "entry \"a/constants.pkl\": a TorchScript program"),
        (
            "the other byte order",
            with("a/byteorder", b"big"),
            "entry \"a/byteorder\": big-endian files are not",
        ),
        ("no byte order", with("a/byteorder", b"\x1b[2J"), "byteorder\": \\x1b[2J, expected little or big"),
    ]
}

/// The form before 1.6.
pub fn old_files() -> Vec<Case> {
    let data = old_data(4, 16);
    let keys = old_keys(&["0"]);
    let order = machine(b"\x88");
    let system = join(&[&call("os", "system", &[text("true")])]);
    let unread = state(tensor_of(storage("FloatStorage", "0", i64::MAX), 0, &[4], &[1]));
    vec![
        (
            "no magic",
            legacy([b"K\x01", VERSION, &order, &old_state(), &keys], &data),
            "it is a Python pickle",
        ),
        ("a plain pickle", b"\x80\x02}q\0.".to_vec(), "not a PyTorch checkpoint: it is a Python pickle"),
        (
            "a pickle that runs",
            b"\x80\x02cos\nsystem\n(X\x04\0\0\0truetR.".to_vec(),
            "magic: GLOBAL: asks for \"os.",
        ),
        (
            "version 1000",
            legacy([MAGIC, b"M\xe8\x03", &order, &old_state(), &keys], &data),
            "version: 1000, exp",
        ),
        (
            "the other byte order",
            legacy([MAGIC, VERSION, &machine(b"\x89"), &old_state(), &keys], &data),
            "machine: big-endian files are not read",
        ),
        ("no byte order", legacy([MAGIC, VERSION, b"}", &old_state(), &keys], &data), "machine: a dict of 0"),
        (
            "it runs",
            legacy([MAGIC, VERSION, &order, &system, &keys], &data),
            "state dict: GLOBAL: asks for \"os.",
        ),
        (
            "keys that run",
            legacy([MAGIC, VERSION, &order, &old_state(), &system], &data),
            "storage keys: GLOBAL",
        ),
        (
            "no keys",
            legacy([MAGIC, VERSION, &order, &old_state(), b"N"], &data),
            "storage keys: nothing, expected",
        ),
        (
            "a key that is a number",
            legacy([MAGIC, VERSION, &order, &old_state(), b"](K\x01e"], &data),
            "1, expect",
        ),
        ("a key of nothing", old(&["1"], &data), "storage \"1\": a key of no tensor"),
        ("a key too few", old(&[], b""), "storage \"0\": 4 elements, expected a storage of the file"),
        ("a key twice", old(&["0", "0"], &data.repeat(2)), "storage \"0\": the name stands twice"),
        ("another count", old(&["0"], &old_data(3, 16)), "storage \"0\": 3 elements, expected as many as"),
        (
            "a huge count",
            old(&["0"], &old_data(u64::MAX, 16)),
            "18446744073709551615 elements, expected as many",
        ),
        ("a byte less", old(&["0"], &old_data(4, 15)), "storage \"0\": needs 16 bytes where 15 are left"),
        ("a byte more", old(&["0"], &old_data(4, 17)), "the end of the data: bytes"),
        ("cut", old_sound()[..60].to_vec(), "needs"),
        (
            "a storage that cannot be counted",
            legacy(
                [MAGIC, VERSION, &order, &unread[2..unread.len() - 1], &keys],
                &old_data(i64::MAX as u64, 16),
            ),
            "9223372036854775807 elements, expected as many as",
        ),
    ]
}

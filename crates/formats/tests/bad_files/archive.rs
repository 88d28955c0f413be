//! Zip archives made by hand, with every field open to a lie.

/// An entry: what its own header says, and what the directory says.
#[derive(Clone)]
pub struct Parts {
    pub name: Vec<u8>,
    pub local_name: Vec<u8>,
    pub signature: [u8; 4],
    pub data: Vec<u8>,
    /// Bytes between the entry before and this one.
    pub before: Vec<u8>,
    pub flags: u16,
    pub local_method: u16,
    pub central_method: u16,
    pub local_size: u32,
    pub central_size: u32,
    /// How far the directory is wrong about its place.
    pub shift: i64,
}

pub fn entry(name: &str, data: &[u8]) -> Parts {
    let size = data.len() as u32;
    let name = name.as_bytes().to_vec();
    Parts {
        local_name: name.clone(),
        name,
        signature: *b"PK\x03\x04",
        data: data.to_vec(),
        before: Vec::new(),
        flags: 0,
        local_method: 0,
        central_method: 0,
        local_size: size,
        central_size: size,
        shift: 0,
    }
}

/// Entries and directory, and where the directory begins.
fn body(entries: &[Parts]) -> (Vec<u8>, usize) {
    let (mut file, mut directory) = (Vec::new(), Vec::new());
    for parts in entries {
        file.extend(&parts.before);
        let place = (file.len() as i64 + parts.shift) as u32;
        file.extend(parts.signature);
        for field in [20, parts.flags, parts.local_method, 0, 0, 0, 0] {
            file.extend(field.to_le_bytes());
        }
        let size = parts.local_size.to_le_bytes();
        file.extend([size, size].concat());
        file.extend((parts.local_name.len() as u32).to_le_bytes());
        file.extend(&parts.local_name);
        file.extend(&parts.data);
        directory.extend(b"PK\x01\x02\0\0\x14\0");
        for field in [parts.flags, parts.central_method, 0, 0, 0, 0] {
            directory.extend(field.to_le_bytes());
        }
        directory.extend((parts.data.len() as u32).to_le_bytes());
        directory.extend(parts.central_size.to_le_bytes());
        directory.extend((parts.name.len() as u16).to_le_bytes());
        directory.extend([0; 12]);
        directory.extend(place.to_le_bytes());
        directory.extend(&parts.name);
    }
    let start = file.len();
    file.extend(directory);
    (file, start)
}

fn end(count: usize, size: usize, start: usize) -> Vec<u8> {
    let mut end = b"PK\x05\x06\0\0\0\0".to_vec();
    end.extend([(count as u16).to_le_bytes(), (count as u16).to_le_bytes()].concat());
    end.extend([(size as u32).to_le_bytes(), (start as u32).to_le_bytes()].concat());
    end.extend([0; 2]);
    end
}

pub fn zip(entries: &[Parts]) -> Vec<u8> {
    let (mut file, start) = body(entries);
    file.extend(end(entries.len(), file.len() - start, start));
    file
}

/// With a directory of 64 bits, of whose two records (56 and 20 bytes) some are changed.
pub fn zip_64(entries: &[Parts], change: fn(&mut [u8])) -> Vec<u8> {
    let (mut file, start) = body(entries);
    let (count, size, record) = (entries.len() as u64, (file.len() - start) as u64, file.len() as u64);
    let mut records = b"PK\x06\x06".to_vec();
    records.extend(44u64.to_le_bytes());
    records.extend([0; 12]);
    for field in [count, count, size, start as u64] {
        records.extend(field.to_le_bytes());
    }
    records.extend(b"PK\x06\x07\0\0\0\0");
    records.extend(record.to_le_bytes());
    records.extend(1u32.to_le_bytes());
    change(&mut records);
    file.extend(records);
    file.extend([b"PK\x05\x06\0\0\0\0".as_slice(), &[255; 12], &[0; 2]].concat());
    file
}

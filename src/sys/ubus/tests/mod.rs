//! ubus from bytes that can be explained.

mod tables;
mod wire;

/// Bytes as they are written here: hexadecimal, `'text'`, and after `#` what they mean.
fn bytes(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or("");
        for word in line.split_whitespace() {
            match word.strip_prefix('\'') {
                Some(letters) => out.extend_from_slice(letters.trim_end_matches('\'').as_bytes()),
                None => out.extend(
                    (0..word.len()).step_by(2).map(|at| u8::from_str_radix(&word[at..at + 2], 16).unwrap()),
                ),
            }
        }
    }
    out
}

use super::*;

/// `<Envelope>`, twenty times `<a/>`, `</Envelope>`, by gzip(1) and zlib.
const GZIP: &[u8] = &[
    0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0xb3, 0x71, 0xcd, 0x2b, 0x4b, 0xcd, 0xc9,
    0x2f, 0x48, 0xb5, 0xb3, 0x49, 0xd4, 0xa7, 0x2e, 0xd6, 0x87, 0x1b, 0x0d, 0x00, 0xdd, 0x04, 0x80, 0x0d,
    0x65, 0x00, 0x00, 0x00,
];
const ZLIB: &[u8] = &[
    0x78, 0xda, 0xb3, 0x71, 0xcd, 0x2b, 0x4b, 0xcd, 0xc9, 0x2f, 0x48, 0xb5, 0xb3, 0x49, 0xd4, 0xa7, 0x2e,
    0xd6, 0x87, 0x1b, 0x0d, 0x00, 0xad, 0x18, 0x1c, 0x68,
];
const BARE: &[u8] = &[
    0xb3, 0x71, 0xcd, 0x2b, 0x4b, 0xcd, 0xc9, 0x2f, 0x48, 0xb5, 0xb3, 0x49, 0xd4, 0xa7, 0x2e, 0xd6, 0x87,
    0x1b, 0x0d, 0x00,
];
const LIMITS: Limits = Limits { size: 1 << 20, time: Duration::from_secs(3600) };

fn plain() -> Vec<u8> {
    format!("<Envelope>{}</Envelope>", "<a/>".repeat(20)).into_bytes()
}

/// With a name, a comment, a further field and a checksum in its head.
fn gzip_with_everything() -> Vec<u8> {
    let mut bytes = vec![0x1f, 0x8b, 0x08, 0x1f, 1, 2, 3, 4, 0x02, 0x03, 2, 0, b'e', b'x'];
    bytes.extend_from_slice(b"name\0comment\0");
    let checksum = crc32fast::hash(&bytes) as u16;
    bytes.extend_from_slice(&checksum.to_le_bytes());
    bytes.extend_from_slice(&GZIP[10..]);
    bytes
}

/// Gives its bytes one by one, with an interruption before each.
struct Dripping<'a>(&'a [u8], bool);

impl Read for Dripping<'_> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        self.1 = !self.1;
        match self.1 {
            true => Err(ErrorKind::Interrupted.into()),
            false => self.0.read(&mut room[..1]),
        }
    }
}

// Proves: T-35
#[test]
fn t_35_what_a_response_says_of_its_coding() {
    let table: &[(&[&str], Option<Coding>)] = &[
        (&[], None),
        (&[""], None),
        (&["identity"], None),
        (&["Identity", " ,"], None),
        (&["gzip"], Some(Coding::Gzip)),
        (&[" GZip "], Some(Coding::Gzip)),
        (&["x-gzip"], Some(Coding::Gzip)),
        (&["deflate"], Some(Coding::Deflate)),
        (&["identity, deflate"], Some(Coding::Deflate)),
    ];
    for (headers, want) in table {
        let headers: Vec<String> = headers.iter().map(|h| (*h).to_owned()).collect();
        assert_eq!(Coding::of_response(&headers, &["chunked".to_owned()]), Ok(*want), "{headers:?}");
    }
    for (header, word) in [
        ("gzip, gzip", "more than once"),
        ("deflate,gzip", "more than once"),
        ("br", "not known: br"),
        ("compress", "not known"),
        ("x-compress", "not known"),
        ("gzip2", "not known"),
        ("zstd\u{1b}[2J", "not known: zstd?[2J"),
    ] {
        let said = Coding::of_response(&[header.to_owned()], &[]).expect_err(header);
        assert!(said.contains(word), "{header}: {said}");
    }
    let twice = ["gzip".to_owned(), "gzip".to_owned()];
    Coding::of_response(&twice, &[]).expect_err("two headers are one list");
    let long = Coding::of_response(&["z".repeat(10_000)], &[]).expect_err("not known");
    assert!(long.len() < 200, "{long}");
    for way in ["gzip, chunked", "gzip", "chunked, x"] {
        let said = Coding::of_response(&[], &[way.to_owned()]).expect_err(way);
        assert!(said.contains("transfer coding"), "{said}");
    }
}

// Proves: T-34
#[test]
fn t_34_names_of_the_parameter() {
    for (value, want) in
        [("Disabled", None), ("GZIP", Some("gzip")), ("Deflate", Some("deflate")), ("Compress", None)]
    {
        assert_eq!(Coding::of_parameter(value).map(Coding::name), want);
    }
}

#[test]
fn what_others_compressed_is_read() {
    let everything = gzip_with_everything();
    for (coding, bytes) in [
        (Coding::Gzip, GZIP),
        (Coding::Gzip, &everything),
        (Coding::Deflate, ZLIB),
        (Coding::Deflate, BARE),
        // A block that is stored, as it is without its frame.
        (Coding::Deflate, &[&[1, 101, 0, 154, 255], &plain()[..]].concat()),
    ] {
        assert_eq!(coding.decompress(bytes, LIMITS).expect("whole"), plain());
        assert_eq!(coding.decompress(Dripping(bytes, false), LIMITS).expect("in drops"), plain());
    }
    for coding in [Coding::Gzip, Coding::Deflate] {
        assert_eq!(coding.decompress(&[][..], LIMITS).expect("nothing at all"), b"");
    }
}

/// A text that compresses, one that does not, and mixtures.
fn texts() -> Vec<Vec<u8>> {
    let mut seed = 88_172_645_463_325_252_u64;
    let mut random = || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed as u8
    };
    let mut texts = vec![Vec::new(), vec![0], vec![b'x'; 300_000]];
    for length in [1, 2, 100, 32_768, 100_000, 500_000] {
        texts.push((0..length).map(|_| random()).collect());
        texts.push((0..length).map(|n| if n % 7 == 0 { random() } else { b'a' }).collect());
    }
    texts
}

// Proves: T-32
#[test]
fn t_32_what_is_compressed_can_be_read_again() {
    for text in texts() {
        for coding in [Coding::Gzip, Coding::Deflate] {
            let bytes = coding.compress(&text).expect("memory can be read");
            assert_eq!(coding.decompress(&bytes[..], LIMITS).expect("our own"), text);
            let again = coding.compress(&text).expect("memory can be read");
            assert_eq!(bytes, again, "what is sent twice is the same");
            assert!(bytes.len() < text.len() + text.len() / 1000 + 64, "{} of {}", bytes.len(), text.len());
        }
    }
}

// Proves: T-35
#[test]
fn t_35_what_is_no_whole_stream_is_refused() {
    let everything = gzip_with_everything();
    for (coding, bytes) in
        [(Coding::Gzip, GZIP), (Coding::Gzip, &everything), (Coding::Deflate, ZLIB), (Coding::Deflate, BARE)]
    {
        for cut in 1..bytes.len() {
            let result = coding.decompress(&bytes[..cut], LIMITS);
            assert!(result.is_err(), "{coding:?} cut at {cut} of {}", bytes.len());
        }
        for more in [&b"\0"[..], b"\r\n", bytes] {
            let said =
                coding.decompress(&[bytes, more].concat()[..], LIMITS).expect_err("more behind its end");
            assert!(said.to_string().contains("behind its end"), "{said}");
        }
    }
    // The checksums, and the length: byte by byte.
    for at in 30..GZIP.len() {
        let mut bytes = GZIP.to_vec();
        bytes[at] ^= 0x10;
        let said = Coding::Gzip.decompress(&bytes[..], LIMITS).expect_err("a checksum that is wrong");
        assert!(said.to_string().contains("checksum"), "{at}: {said}");
    }
    for at in 22..ZLIB.len() {
        let mut bytes = ZLIB.to_vec();
        bytes[at] ^= 0x10;
        Coding::Deflate.decompress(&bytes[..], LIMITS).expect_err("a checksum that is wrong");
    }
    // Any bit: not taken for another text.
    for at in 0..GZIP.len() * 8 {
        let mut bytes = GZIP.to_vec();
        bytes[at / 8] ^= 1 << (at % 8);
        if let Ok(body) = Coding::Gzip.decompress(&bytes[..], LIMITS) {
            assert_eq!(body, plain(), "bit {at}");
        }
    }
    let dictionary = [&[0x78, 0xf9, 1, 2, 3, 4], BARE].concat();
    for (coding, bytes) in [
        (Coding::Gzip, &plain()[..]),
        (Coding::Gzip, ZLIB),
        (Coding::Gzip, BARE),
        (Coding::Deflate, GZIP),
        (Coding::Deflate, &plain()[..]),
        (Coding::Deflate, &dictionary),
    ] {
        coding.decompress(bytes, LIMITS).expect_err("something else");
    }
}

// Proves: T-35
#[test]
fn t_35_limits() {
    let limits = Limits { size: 100_000, ..LIMITS };
    let exact = vec![b'x'; 100_000];
    let larger = vec![b'x'; 100_001];
    for coding in [Coding::Gzip, Coding::Deflate] {
        let bytes = coding.compress(&exact).expect("memory can be read");
        assert_eq!(coding.decompress(&bytes[..], limits).expect("as large as may be").len(), 100_000);
        // Both ends are bounded: what comes out, and what goes in (the last stream is all blocks
        // that hold nothing).
        let bomb = coding.compress(&vec![0; 8 << 20]).expect("memory can be read");
        let empty = [0, 0, 0, 0xff, 0xff].repeat(30_000);
        let hollow = match coding {
            Coding::Gzip => [&GZIP[..10], &empty].concat(),
            Coding::Deflate => empty,
        };
        for bytes in [coding.compress(&larger).expect("memory can be read"), bomb, hollow.clone()] {
            let said = coding.decompress(&bytes[..], limits).expect_err("too large");
            assert_eq!(said.kind(), ErrorKind::FileTooLarge, "{said}");
        }
        let late = Limits { time: Duration::ZERO, ..LIMITS };
        let said = coding.decompress(&hollow[..], late).expect_err("too late");
        assert!(said.kind() == ErrorKind::FileTooLarge && said.to_string().contains("too long"), "{said}");
    }
}

#[test]
fn a_connection_that_breaks_says_so_itself() {
    struct Broken(usize);
    impl Read for Broken {
        fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
            match GZIP.get(self.0) {
                Some(byte) if self.0 < 20 => {
                    room[0] = *byte;
                    self.0 += 1;
                    Ok(1)
                }
                _ => Err(io::Error::new(ErrorKind::ConnectionReset, "the line is dead")),
            }
        }
    }
    let said = Coding::Gzip.decompress(Broken(0), LIMITS).expect_err("no line");
    assert!(said.kind() == ErrorKind::ConnectionReset && said.to_string().contains("the line is dead"));
    let dead = BufReader::new(Broken(20));
    let said = Coding::Gzip.compressing(dead).read_to_end(&mut Vec::new()).expect_err("no line");
    assert_eq!(said.kind(), ErrorKind::ConnectionReset);
}

//! What a name server answers.

use cwmpd::diagnostics::dns::{Answer, MAX_ADDRESSES, Question, Type};

/// Whatever it is, it is read within limits; the same bytes to the same question are the same answer, and to
/// another question none.
pub fn dns_answer(data: &[u8]) {
    for kind in [Type::A, Type::Aaaa] {
        let question = |id| Question::new("www.example.org", kind, id).expect("a name");
        let Ok(answer) = question(0x1234).answer(data) else { continue };
        assert!(answer.addresses.len() <= MAX_ADDRESSES);
        assert!(answer.addresses.iter().all(|address| address.is_ipv4() == (kind == Type::A)));
        // At most four characters for each octet of a name.
        assert!(answer.name.len() <= 4 * 255 && answer.name.bytes().all(|b| b.is_ascii_graphic()));
        assert_eq!(question(0x1234).answer(data), Ok::<Answer, _>(answer));
        assert!(question(0x4321).answer(data).is_err());
    }
}

//! Packets of UDP Echo (RFC 862) and UDP Echo Plus (TR-143, appendix A.1), for who sends them and who answers.
//!
//! The six numbers of Echo Plus stand at the beginning of the data, 32 bits each: TestGenSN, TestRespSN,
//! TestRespRecvTimeStamp, TestRespReplyTimeStamp, TestRespReplyFailureCount, TestIterationNumber. The first and the
//! last are the client's, the others the responder's.

use std::time::SystemTime;

/// The data of a packet with all numbers.
pub const WHOLE: usize = 24;
/// What a responder needs to fill in its own.
pub const PLUS: usize = 20;

/// What a responder wrote. All 0 where it is one of plain Echo.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Response {
    /// Packets that it has answered, this one included or not: its own count.
    pub number: u32,
    /// When it got the packet, in microseconds of a clock of its own.
    pub received: u32,
    /// When it answered.
    pub replied: u32,
    /// Packets that it could not answer.
    pub failures: u32,
}

/// Microseconds of the wall clock, of which 32 bits stay.
pub fn stamp(time: SystemTime) -> u32 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_micros() as u32)
}

/// The data of a client's packet: as many octets as wanted. Where there is no room for a whole number its lower
/// octets stand.
pub fn request(size: usize, number: u32, iteration: u32) -> Vec<u8> {
    let mut data: Vec<u8> = (0..size).map(|n| n as u8).collect();
    let own = size.min(WHOLE);
    if let Some(numbers) = data.get_mut(..own) {
        numbers.fill(0);
    }
    put(&mut data, 20, iteration);
    let wide = size.min(4);
    if let (Some(place), Some(low)) = (data.get_mut(..wide), number.to_be_bytes().get(4 - wide..)) {
        place.copy_from_slice(low);
    }
    data
}

/// Whether this is what comes back for a request, and what the responder wrote.
pub fn response(request: &[u8], data: &[u8]) -> Option<Response> {
    let own = |packet: &[u8]| -> Vec<u8> {
        let mut copy = packet.to_vec();
        if copy.len() >= PLUS
            && let Some(numbers) = copy.get_mut(4..PLUS)
        {
            numbers.fill(0);
        }
        copy
    };
    if data.len() != request.len() || own(request) != own(data) {
        return None;
    }
    if data.len() < PLUS {
        return Some(Response::default());
    }
    Some(Response {
        number: get(data, 4)?,
        received: get(data, 8)?,
        replied: get(data, 12)?,
        failures: get(data, 16)?,
    })
}

/// Fills in what a responder has to say; a packet that is too small stays as it is.
pub fn answer(data: &mut [u8], response: Response) {
    if data.len() >= PLUS {
        put(data, 4, response.number);
        put(data, 8, response.received);
        put(data, 12, response.replied);
        put(data, 16, response.failures);
    }
}

fn put(data: &mut [u8], at: usize, number: u32) {
    if let Some(place) = data.get_mut(at..at + 4) {
        place.copy_from_slice(&number.to_be_bytes());
    }
}

fn get(data: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(data.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets() {
        assert_eq!(request(1, 0x0102_0304, 9), [4]);
        assert_eq!(request(3, 0x0102_0304, 9), [2, 3, 4]);
        assert_eq!(request(5, 0x0102_0304, 9), [1, 2, 3, 4, 0]);
        let whole = request(26, 0x0102_0304, 9);
        assert_eq!(whole[..4], [1, 2, 3, 4]);
        assert_eq!(whole[4..20], [0; 16]);
        assert_eq!(whole[20..], [0, 0, 0, 9, 24, 25]);
    }

    #[test]
    fn responses() {
        let said = Response { number: 1, received: 2, replied: 3, failures: 4 };
        for (size, known) in
            [(1, Response::default()), (19, Response::default()), (20, said), (24, said), (1400, said)]
        {
            let request = request(size, 7, 1);
            let mut back = request.clone();
            answer(&mut back, said);
            assert_eq!(back.len(), size);
            assert_eq!(response(&request, &back), Some(known), "{size}");
            // Plain echo.
            assert_eq!(response(&request, &request), Some(Response::default()));
        }
        let sent = request(30, 7, 1);
        let changed = |at: usize| {
            let mut back = sent.clone();
            back[at] ^= 1;
            response(&sent, &back)
        };
        assert!(changed(10).is_some());
        assert_eq!((changed(3), changed(23), changed(29)), (None, None, None));
        assert_eq!(response(&sent, &sent[..29]), None);
        assert_eq!(response(&sent, &[]), None);
        assert_eq!(stamp(SystemTime::UNIX_EPOCH + std::time::Duration::from_micros((1 << 32) + 5)), 5);
    }
}

use super::*;
use std::net::Ipv4Addr;

const PEER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 9));
const ROUTER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

fn met(from: IpAddr, kind: u8, code: u8, micros: u64) -> Outcome {
    let trouble = Trouble { icmp: Some((kind, code)), from: Some(from), errno: Errno::EHOSTUNREACH };
    Outcome::Met(trouble, Duration::from_micros(micros))
}

fn hop(outcomes: Vec<Outcome>) -> Hop {
    let mut hop = Hop::default();
    outcomes.into_iter().for_each(|outcome| hop.note(outcome, PEER));
    hop
}

fn texts(hop: &Hop) -> Vec<String> {
    hop.record().into_iter().map(|(_, value)| value).collect()
}

#[test]
fn what_a_hop_is_and_whether_it_is_the_last() {
    use Outcome::{Answered, Silent};
    let unsent = |errno: Errno| Outcome::Unsent(errno.into());
    let cannot = End::Unsent(io::Error::from(Errno::EPERM).to_string());
    let second = || Answered(Duration::from_micros(1500));
    for (outcomes, record, end) in [
        (vec![met(ROUTER, 11, 0, 400), Silent, met(ROUTER, 11, 0, 2600)], ["192.0.2.1", "0", "1,0,3"], None),
        (vec![Silent, Silent], ["", "0", "0,0"], None),
        (vec![met(PEER, 3, 3, 900), Silent], ["192.0.2.9", "3", "1,0"], Some(End::Reached)),
        (vec![second()], ["192.0.2.9", "0", "2"], Some(End::Reached)),
        (vec![met(PEER, 3, 13, 900)], ["192.0.2.9", "13", "1"], Some(End::Reached)),
        (vec![met(ROUTER, 3, 1, 900)], ["192.0.2.1", "1", "1"], Some(End::NoRoute)),
        (vec![met(ROUTER, 3, 13, 900)], ["192.0.2.1", "13", "1"], Some(End::Forbidden)),
        (vec![met(ROUTER, 3, 1, 900), met(PEER, 3, 3, 900)], ["192.0.2.9", "3", "1,1"], Some(End::Reached)),
        (vec![met(PEER, 3, 3, 900), met(ROUTER, 3, 1, 900)], ["192.0.2.1", "1", "1,1"], Some(End::Reached)),
        (vec![unsent(Errno::EPERM)], ["", "0", "0"], Some(cannot)),
        (vec![unsent(Errno::ENETUNREACH)], ["", "0", "0"], Some(End::NoRoute)),
    ] {
        let hop = hop(outcomes);
        let [from, code, times] = record;
        assert_eq!(texts(&hop), [from, from, code, times], "{hop:?}");
        assert_eq!(hop.end, end, "{hop:?}");
    }
}

// Proves: DG-12
#[test]
fn states_and_the_time_of_the_last_hop() {
    let router = || hop(vec![met(ROUTER, 11, 0, 400)]);
    let last = || hop(vec![met(PEER, 3, 3, 2000), Outcome::Silent, met(PEER, 3, 3, 4000)]);
    for (end, hops, state, time) in [
        (Some(End::Reached), vec![router(), last()], "Complete", "3"),
        (None, vec![router(), router()], "Error_MaxHopCountExceeded", "0"),
        (Some(End::NoRoute), vec![router()], "Error_NoRouteToHost", "0"),
        (Some(End::Forbidden), vec![router()], "Error_Other", "0"),
        (Some(End::Unsent("no".into())), vec![], "Error_Other", "0"),
        (Some(End::Late), vec![router()], "Error_Other", "0"),
    ] {
        let report = told(end, &hops, false);
        assert_eq!((report.state, report.values[0].1.as_str()), (state, time));
        assert_eq!(report.tables[0].1.len(), hops.len());
    }
}

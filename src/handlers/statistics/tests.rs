use super::*;

fn at(seconds: u64) -> Moment {
    Moment { mono: Duration::from_secs(seconds), wall: Some(1_790_000_000 + seconds as i64) }
}

fn parameter(mode: Mode, calculation: Calculation) -> Parameter {
    Parameter { number: 1, reference: "Device.X".into(), mode, calculation, ..Parameter::default() }
}

fn set(interval: u32, samples: u32, parameters: Vec<Parameter>) -> Settings {
    Settings { number: 1, interval, samples, parameters, ..Settings::default() }
}

/// Lets the sampler sleep from moment to moment; at each the next of the values is read.
fn run(sampler: &mut Sampler, until: u64, values: &[&str]) -> (Vec<u64>, Vec<u32>) {
    let (mut woken, mut full) = (Vec::new(), Vec::new());
    let mut values = values.iter();
    while let Some(next) = sampler.next().filter(|n| n.as_secs() <= until) {
        woken.push(next.as_secs());
        let value = values.next().map(|v| (*v).to_owned()).filter(|v| v != "-");
        full.extend(sampler.turn(at(next.as_secs()), &mut |_| value.clone()));
    }
    (woken, full)
}

fn texts(sampler: &Sampler) -> Vec<&str> {
    sampler.series(1, 1).unwrap().values.iter().map(|v| v.text.as_str()).collect()
}

fn suspect(sampler: &Sampler) -> Vec<bool> {
    sampler.series(1, 1).unwrap().values.iter().map(|v| v.suspect).collect()
}

#[test]
fn a_ring_of_samples() {
    let mut sampler = Sampler::default();
    sampler.follow(vec![set(60, 3, vec![parameter(Mode::Current, Calculation::Latest)])], at(100));
    let (woken, full) = run(&mut sampler, 400, &["1", "2", "x", "4", "5"]);
    assert_eq!((woken, full), (vec![160, 220, 280, 340, 400], vec![]), "nothing in between");
    assert_eq!(texts(&sampler), ["x", "4", "5"]);
    assert_eq!(suspect(&sampler), [false; 3], "any text is a value");
    let set = sampler.set(1).unwrap();
    assert_eq!(set.samples.iter().map(|s| s.0).collect::<Vec<_>>(), [60, 60, 60]);
    assert_eq!((set.report_start(), set.report_end()), (at(220).wall, at(400).wall));
    assert_eq!((sampler.set(2), sampler.series(1, 2), sampler.series(2, 1)), (None, None, None));
}

/// Intervals end at the reference time plus whole intervals; the first is shorter then.
#[test]
fn by_a_reference_time() {
    let mut settings = set(60, 9, vec![parameter(Mode::Current, Calculation::Latest)]);
    settings.time = Some(1_790_000_000 + 3610);
    let mut sampler = Sampler::default();
    sampler.follow(vec![settings.clone()], at(100));
    assert_eq!(run(&mut sampler, 250, &["1"; 3]).0, [130, 190, 250]);
    assert_eq!(sampler.set(1).unwrap().samples.iter().map(|s| s.0).collect::<Vec<_>>(), [30, 60, 60]);
    // Without a clock they begin when sampling does, and no time is told.
    sampler.follow(vec![], at(300));
    sampler.follow(vec![settings], Moment { wall: None, ..at(300) });
    assert_eq!(sampler.next(), Some(Duration::from_secs(360)));
    assert_eq!(sampler.set(1).unwrap().report_start(), None);
    sampler.turn(at(360), &mut |_| Some("1".into()));
    assert_eq!(suspect(&sampler), [true], "the clock was set in between");
}

#[test]
fn calculations() {
    // 120 s: looked at each 10 s; of twelve looks the values are 1 to 12.
    let looks: Vec<String> = (1..=24).map(|n| n.to_string()).collect();
    let looks: Vec<&str> = looks.iter().map(String::as_str).collect();
    for (mode, calculation, expected) in [
        (Mode::Current, Calculation::Minimum, ["1", "13"]),
        (Mode::Current, Calculation::Maximum, ["12", "24"]),
        (Mode::Current, Calculation::Average, ["6", "18"]),
        (Mode::Change, Calculation::Average, ["0", "12"]),
        (Mode::Change, Calculation::Maximum, ["0", "12"]),
        (Mode::Current, Calculation::Histogram, ["4,5,3", "0,0,12"]),
    ] {
        let mut parameter = parameter(mode, calculation);
        parameter.boundaries = vec![5, 10];
        let mut sampler = Sampler::default();
        sampler.follow(vec![set(120, 2, vec![parameter])], at(0));
        let (woken, _) = run(&mut sampler, 240, &looks);
        assert_eq!(woken, (1..=24).map(|n| n * 10).collect::<Vec<_>>());
        assert_eq!(texts(&sampler), expected, "{mode:?} {calculation:?}");
    }
    // A long interval is looked at no more often than twelve times, a short one not at all in between.
    for (interval, first) in [(3600, 300), (60, 10), (15, 10), (10, 10)] {
        let mut sampler = Sampler::default();
        sampler.follow(vec![set(interval, 2, vec![parameter(Mode::Current, Calculation::Average)])], at(0));
        assert_eq!(sampler.next(), Some(Duration::from_secs(first)), "{interval}");
    }
}

#[test]
fn a_change_of_a_counter() {
    let mut sampler = Sampler::default();
    sampler.follow(vec![set(10, 9, vec![parameter(Mode::Change, Calculation::Latest)])], at(0));
    run(&mut sampler, 90, &["100", "150", "150", "20", "18446744073709551615", "-", "7", "x", "true"]);
    assert_eq!(texts(&sampler), ["0", "50", "0", "-130", "9223372036854775787", "", "0", "", "0"]);
    let wanted = [true, false, false, true, false, true, true, true, true];
    assert_eq!(
        suspect(&sampler),
        wanted,
        "the first, one that went back, what was missing, and one behind it"
    );
}

/// Failures count what becomes out of range, and what goes from one side to the other.
#[test]
fn failures() {
    let mut parameter = parameter(Mode::Current, Calculation::Latest);
    parameter.thresholds = Some((10, 20));
    let mut sampler = Sampler::default();
    sampler.follow(vec![set(10, 99, vec![parameter.clone()])], at(0));
    for (n, (value, failures)) in [
        ("15", 0),
        ("10", 1),
        ("5", 1),
        ("20", 2),
        ("25", 2),
        ("19", 2),
        ("11", 2),
        ("9", 3),
        ("x", 3),
        ("8", 3),
    ]
    .into_iter()
    .enumerate()
    {
        sampler.turn(at(10 * (n as u64 + 1)), &mut |_| Some(value.to_owned()));
        assert_eq!(sampler.series(1, 1).unwrap().failures, failures, "{value}");
    }
    parameter.thresholds = None;
    sampler.follow(vec![set(10, 99, vec![parameter])], at(0));
    sampler.turn(at(10), &mut |_| Some("0".into()));
    assert_eq!(sampler.series(1, 1).unwrap().failures, 0);
}

#[test]
fn when_the_acs_is_to_fetch() {
    for (samples, fetch, expected) in [(3, 3, 3), (3, 1, 9), (3, 4, 0), (3, 0, 0), (9, 9, 1)] {
        let mut settings = set(10, samples, vec![parameter(Mode::Current, Calculation::Latest)]);
        settings.fetch = fetch;
        let mut sampler = Sampler::default();
        sampler.follow(vec![settings], at(0));
        assert_eq!(run(&mut sampler, 90, &["1"; 9]).1.len(), expected, "{samples} {fetch}");
    }
}

/// ForceSample ends the interval under way; the next one ends where it would have anyway.
#[test]
fn a_sample_now() {
    let mut settings = set(60, 9, vec![parameter(Mode::Current, Calculation::Latest)]);
    settings.time = Some(1_790_000_000);
    let mut sampler = Sampler::default();
    sampler.follow(vec![settings], at(0));
    sampler.forced = vec![1, 77];
    assert_eq!(sampler.next(), Some(Duration::ZERO));
    sampler.turn(at(20), &mut |_| Some("1".into()));
    assert_eq!(run(&mut sampler, 120, &["2", "3"]).0, [60, 120]);
    assert_eq!(sampler.set(1).unwrap().samples.iter().map(|s| s.0).collect::<Vec<_>>(), [20, 40, 60]);
}

#[test]
fn what_is_asked_for_changes() {
    let one = set(10, 3, vec![parameter(Mode::Current, Calculation::Latest)]);
    let mut sampler = Sampler::default();
    sampler.follow(vec![one.clone()], at(0));
    run(&mut sampler, 30, &["1", "2", "3"]);
    let other = Settings { number: 2, ..one.clone() };
    sampler.follow(vec![one.clone(), other.clone()], at(35));
    assert_eq!(texts(&sampler), ["1", "2", "3"], "nothing was asked of it");
    sampler.follow(vec![Settings { samples: 4, ..one.clone() }, other], at(36));
    assert_eq!(texts(&sampler), [""; 0], "what was sampled before is another report");
    sampler.follow((0..20).map(|number| Settings { number, ..one.clone() }).collect(), at(40));
    assert!(sampler.set(MAX_SETS as u32 - 1).is_some() && sampler.set(MAX_SETS as u32).is_none());
}

/// However much is asked for, what is kept is bounded.
#[test]
fn bounds() {
    let parameters = (0..MAX_PARAMETERS as u32).map(|number| Parameter {
        number,
        boundaries: vec![1; MAX_BOUNDARIES],
        ..parameter(Mode::Current, Calculation::Latest)
    });
    let settings = set(10, u32::MAX, parameters.collect());
    let mut sampler = Sampler::default();
    sampler.follow(vec![settings], at(0));
    let long = "\u{e9}".repeat(500);
    run(&mut sampler, 2000, &vec![long.as_str(); 200]);
    let series = sampler.series(1, 0).unwrap();
    assert_eq!(series.values.len(), MAX_REPORT_SAMPLES as usize);
    assert!(series.values.iter().all(|v| v.text.chars().count() == MAX_VALUE && v.suspect));
    assert_eq!(sampler.set(1).unwrap().samples.len(), MAX_REPORT_SAMPLES as usize);
}

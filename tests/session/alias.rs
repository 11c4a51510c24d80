//! Rows by their Alias, over the wire: in requests, in answers of both InstanceModes, in the Inform, and
//! as names of rows that a SetParameterValues makes.

use crate::acs::{Acs, Attributes, Fault, Options, Session};
use crate::daemon::Daemon;
use crate::{LONG_WAIT, SOON, agent, agent_at, call, kicked, over, settled};
use std::fs;

const SERVER: &str = "Device.ManagementServer.";
const MODE: &str = "Device.ManagementServer.InstanceMode";
const CREATE: &str = "Device.ManagementServer.AutoCreateInstances";
const SUPPORTED: &str = "Device.ManagementServer.AliasBasedAddressing";
const ROWS: &str = "Device.ManagementServer.InformParameter.";
const STRING: &str = "xsd:string";
const RULES: &str = "Device.X_00D09E_Rule.";

/// Keeps a folder for each rule, with a file for each value; refuses the text `forbidden`.
const SCRIPT: &str = r#"
dir=$1
last() { printf '%s' "${line##*\"$1\":\"}" | sed 's/".*//'; }
while read -r line; do
  id=${line#*\"id\":}; id=${id%%,*}
  op=${line#*\"op\":\"}; op=${op%%\"*}
  key=$(last key)
  printf '%s %s\n' "$op" "$key" >> "$dir/../log"
  body='"values":{}'
  case $op:$line in
  check:*'"Text":"forbidden"'*) body='"error":{"code":9007,"name":"Text","text":"not this"}' ;;
  list:*) body=; for r in "$dir"/*; do [ -e "$r" ] && body="$body,\"${r##*/}\""; done; body="\"keys\":[${body#,}]" ;;
  get:*) if [ -d "$dir/$key" ]; then
      body="\"values\":{\"Text\":\"$(cat "$dir/$key/Text")\",\"Next\":\"$(cat "$dir/$key/Next")\"}"
    else body='"error":{"code":9005,"name":"","text":"no such row"}'; fi ;;
  set:*|undo:*) if [ -d "$dir/$key" ]; then
      case $line in *'"Text":"'*) last Text > "$dir/$key/Text" ;; esac
      case $line in *'"Next":"'*) last Next > "$dir/$key/Next" ;; esac
    else body='"error":{"code":9002,"name":"","text":"no such row"}'; fi ;;
  add:*) mkdir -p "$dir/$key"; : > "$dir/$key/Text"; : > "$dir/$key/Next" ;;
  del:*) rm -rf "$dir/$key" ;;
  esac
  printf '{"id":%s,%s}\n' "$id" "$body"
done
"#;

/// An agent with a table of rules that a script keeps; it makes no session by itself after a failure.
fn with_rules(acs: &Acs, name: &str) -> Daemon {
    let mut daemon = agent_at(&acs.url(), name, LONG_WAIT);
    let dir = daemon.folder.0.display().to_string();
    let overlays = daemon.folder.0.join("overlays");
    fs::create_dir_all(&overlays).expect("a folder");
    fs::create_dir_all(daemon.folder.0.join("rules")).expect("a folder");
    fs::write(daemon.folder.0.join("script"), SCRIPT).expect("a script");
    let rows = format!(
        "[\"{RULES}{{i}}.\"]\nexec = \"sh {dir}/script {dir}/rules\"\ncreate = true\n\
         Alias = {{ type = \"Alias\", write = true }}\nText = {{ type = \"string\", write = true }}\n\
         Next = {{ type = \"ref({RULES}{{i}}.)\", write = true }}\n"
    );
    fs::write(overlays.join("rules.toml"), rows).expect("an overlay");
    daemon.start();
    daemon
}

fn set(session: &mut Session, values: &[(&str, &str)]) -> Result<u32, Fault> {
    let typed = |name: &str| match name.ends_with("Enable") || name == CREATE {
        true => "xsd:boolean",
        false => STRING,
    };
    let list: Vec<(&str, &str, &str)> = values.iter().map(|(n, v)| (*n, typed(n), *v)).collect();
    session.set(&list, "k")
}

/// Name and value of what an answer has.
fn get(session: &mut Session, names: &[&str]) -> Vec<(String, String)> {
    let values = session.get(names).expect("values");
    values.into_iter().map(|v| (v.name, v.value)).collect()
}

fn pair(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

/// N-9, N-12: what the agent says that it can, and how it begins.
// Proves: N-9, N-12
#[test]
fn n_9_what_is_supported() {
    let acs = Acs::start(Options::default());
    let mut daemon = agent(&acs, "alias-supported");
    let mut session = acs.next_session(SOON);
    assert_eq!(session.inform.value(SUPPORTED), Some("true"), "N-9");
    assert_eq!(session.value(MODE).as_deref(), Ok("InstanceNumber"), "the standard's first value");
    assert_eq!(session.value(CREATE).as_deref(), Ok("false"), "the standard's first value");
    assert_eq!(set(&mut session, &[(SUPPORTED, "0")]).expect_err("N-9").parameters[0].1, 9008);
    assert_eq!(set(&mut session, &[(MODE, "Instance")]).expect_err("N-12").parameters[0].1, 9007);
    set(&mut session, &[(MODE, "InstanceAlias"), (CREATE, "1")]).expect("both");
    daemon.kill();
    drop(session);
    daemon.start();
    daemon.wait_ready();
    let mut session = kicked(&acs, &daemon);
    assert_eq!(session.value(MODE).as_deref(), Ok("InstanceAlias"));
    assert_eq!(session.value(CREATE).as_deref(), Ok("true"));
    session.end();
}

/// N-11, N-12, N-13, N-14, R-GPV-12, R-OBJ-9: each RPC takes an Alias for a row and tells names in the
/// form of its request, and what the request left open by InstanceMode.
// Proves: N-11, N-12, N-13, N-14, R-GPV-6, R-GPV-12, R-OBJ-9
#[test]
fn n_14_every_rpc_in_both_modes() {
    let acs = Acs::start(Options::default());
    let _daemon = agent(&acs, "alias-modes");
    let mut session = acs.next_session(SOON);
    let row = |id: &str, name: &str| format!("{ROWS}{id}.{name}");
    assert_eq!(session.add(&format!("{ROWS}[up time]."), "k"), Ok((1, 0)), "R-OBJ-9");
    assert_eq!(session.add(&format!("{ROWS}[up time]."), "k").expect_err("R-OBJ-9").code, 9003);
    assert_eq!(session.add(ROWS, "k"), Ok((2, 0)));
    let events = row("[up time]", "EventList");
    set(&mut session, &[(&events, "1 BOOT"), (&row("[cpe-2]", "EventList"), "2 PERIODIC")])
        .expect("by alias");
    for (mode, first, second) in [("InstanceNumber", "1", "2"), ("InstanceAlias", "[up time]", "[cpe-2]")] {
        set(&mut session, &[(MODE, mode)]).expect("a mode");
        let both = [pair(&row(first, "EventList"), "1 BOOT"), pair(&row(second, "EventList"), "2 PERIODIC")];
        // What was asked is answered by the same name.
        let asked =
            [events.as_str(), &row("2", "EventList"), &row("1", "EventList"), &row("[cpe-2]", "EventList")];
        let got: Vec<String> = get(&mut session, &asked).into_iter().map(|p| p.0).collect();
        assert_eq!(got, asked, "{mode}: N-11, N-14");
        // What was left open goes by the mode.
        assert_eq!(get(&mut session, &[&format!("{ROWS}*.EventList")]), both, "{mode}: R-GPV-6, R-GPV-12");
        let whole = get(&mut session, &[ROWS]);
        assert!(both.iter().all(|p| whole.contains(p)) && whole.len() == 8, "{mode}: {whole:?}");
        let everything = get(&mut session, &["Device."]);
        assert!(both.iter().all(|p| everything.contains(p)), "{mode}");
        let names = |path: &str, next: bool, s: &mut Session| {
            s.names(path, next).expect("names").into_iter().map(|n| n.0).collect::<Vec<_>>()
        };
        assert_eq!(
            names(ROWS, true, &mut session),
            [format!("{ROWS}{first}."), format!("{ROWS}{second}.")],
            "{mode}"
        );
        let below = names(&format!("{ROWS}[up time]."), true, &mut session);
        assert!(below.contains(&events) && below.len() == 4, "{mode}: {below:?}");
        assert!(names("Device.", false, &mut session).contains(&row(second, "Alias")), "{mode}");
        let attributes = session.get_attributes(&[&format!("{ROWS}*.Enable"), &events]).expect("attributes");
        let told: Vec<&str> = attributes.iter().map(|a| a.name.as_str()).collect();
        assert_eq!(told, [row(first, "Enable").as_str(), &row(second, "Enable"), &events], "{mode}");
        // Faults tell names as they were written.
        let bad = row("[up time]", "Enable");
        assert_eq!(set(&mut session, &[(&bad, "maybe")]).expect_err("9006").parameters[0].0, bad, "{mode}");
        for bad in ["[nobody]", "[cpe-3]", "3", "*", "[up"] {
            let fault = set(&mut session, &[(&row(bad, "Enable"), "1")]).expect_err(bad);
            assert_eq!(fault.parameters[0].1, 9005, "{mode}: {bad}");
        }
    }
    let notify = Attributes { name: row("[up time]", "Enable"), notification: Some(1), access_list: None };
    session.set_attributes(&[notify]).expect("by alias");
    assert_eq!(session.get_attributes(&[&row("1", "Enable")]).expect("it")[0].notification, Some(1));
    assert_eq!(session.delete(&format!("{ROWS}[up time]."), "k"), Ok(0));
    assert_eq!(session.delete(&format!("{ROWS}[up time]."), "k").expect_err("gone").code, 9005);
    session.end();
}

/// I-7, I-5: the Inform names rows by InstanceMode, whoever named them and however; what it told is told.
// Proves: I-7, I-5, N-12
#[test]
fn i_7_the_inform() {
    let acs = Acs::start(Options::default());
    let daemon = agent(&acs, "alias-inform");
    let mut session = acs.next_session(SOON);
    for (alias, name) in [
        ("me", "[me].EventList"),
        ("other", "1.Alias"),
        ("all", "*.ParameterName"),
        ("nobody", "[not there].Alias"),
    ] {
        session.add(&format!("{ROWS}[{alias}]."), "").expect("a row");
        let (enable, what) = (format!("{ROWS}[{alias}].Enable"), format!("{ROWS}[{alias}].ParameterName"));
        set(&mut session, &[(&enable, "1"), (&what, &format!("{ROWS}{name}"))]).expect("what to inform");
    }
    let passive =
        Attributes { name: format!("{ROWS}[me].EventList"), notification: Some(1), access_list: None };
    session.set_attributes(&[passive]).expect("passive");
    session.end();
    over(&daemon);
    let names = |session: &Session| -> Vec<String> {
        let all = session.inform.parameters.iter().map(|v| v.name.clone());
        all.filter_map(|n| n.strip_prefix(ROWS).map(str::to_owned)).collect()
    };
    let mut session = kicked(&acs, &daemon);
    let by_number = [
        "1.EventList",
        "1.Alias",
        "1.ParameterName",
        "2.ParameterName",
        "3.ParameterName",
        "4.ParameterName",
    ];
    assert_eq!(names(&session), by_number, "N-12");
    assert_eq!(session.inform.codes(), ["2 PERIODIC"]);
    set(&mut session, &[(MODE, "InstanceAlias")]).expect("the other mode");
    session.end();
    over(&daemon);
    daemon.ask(&["set", &format!("{ROWS}[me].EventList=1 BOOT,2 PERIODIC,4 x")]);
    daemon.ask(&["set", &format!("{ROWS}1.EventList=2 PERIODIC,4 VALUE")]);
    call(&acs, &daemon);
    let session = acs.next_session(SOON);
    let by_alias = [
        "[me].Alias",
        "[me].ParameterName",
        "[other].ParameterName",
        "[all].ParameterName",
        "[nobody].ParameterName",
    ];
    let told = names(&session);
    assert!(by_alias.iter().all(|n| told.iter().any(|t| t == n)), "I-7: {told:?}");
    assert!(told.iter().all(|n| n.starts_with('[')), "I-7: {told:?}");
    assert_eq!(session.inform.codes(), ["6 CONNECTION REQUEST", "4 VALUE CHANGE"]);
    assert_eq!(session.inform.value(&format!("{ROWS}[me].EventList")), Some("2 PERIODIC,4 VALUE"), "I-7");
    assert_eq!(session.inform.value(SUPPORTED), Some("true"), "what lies in no table has its name");
    session.end();
    over(&daemon);
    let session = kicked(&acs, &daemon);
    assert_eq!(session.inform.codes(), ["2 PERIODIC"], "told once, by whatever name");
    session.end();
}

/// R-SPV-21, R-SPV-22: rows are made when the ACS has allowed it, with all of the set or not at all.
// Proves: R-SPV-21, R-SPV-22
#[test]
fn r_spv_21_rows_made_on_the_way() {
    let acs = Acs::start(Options::default());
    let mut daemon = agent(&acs, "alias-made");
    let mut session = acs.next_session(SOON);
    let cell = |alias: &str, name: &str| format!("{ROWS}[{alias}].{name}");
    let (enable, name, code) =
        (cell("serial", "Enable"), cell("serial", "ParameterName"), "Device.DeviceInfo.ProvisioningCode");
    let list = [
        (enable.as_str(), "1"),
        (code, "made"),
        (name.as_str(), "Device.DeviceInfo.SerialNumber"),
        (&cell("class", "ParameterName"), "Device.DeviceInfo.ProductClass"),
    ];
    let fault = set(&mut session, &list).expect_err("R-SPV-21: not allowed");
    let told: Vec<(&str, u16)> = fault.parameters.iter().map(|p| (p.0.as_str(), p.1)).collect();
    assert_eq!(told, [(list[0].0, 9005), (list[2].0, 9005), (list[3].0, 9005)], "R-SPV-21");
    // The permission holds from the next request on.
    let early = [(CREATE, "1"), (enable.as_str(), "1")];
    assert_eq!(set(&mut session, &early).expect_err("R-SPV-21").parameters[0].1, 9005);
    set(&mut session, &[(CREATE, "1")]).expect("allowed");
    for bad in [(code, "x".repeat(65)), ("Device.Nowhere", String::new()), (&cell("9", "Enable"), "1".into())]
    {
        let mut spoiled = list.to_vec();
        spoiled.push((bad.0, &bad.1));
        if bad.0 == code {
            spoiled.remove(1);
        }
        assert_eq!(set(&mut session, &spoiled).expect_err("R-SPV-22").parameters.len(), 1);
        assert_eq!(session.names(ROWS, true), Ok(vec![]), "R-SPV-22: nothing is left");
        assert_eq!(session.value(&format!("{SERVER}InformParameterNumberOfEntries")).as_deref(), Ok("0"));
    }
    assert_eq!(set(&mut session, &list), Ok(0), "R-SPV-21");
    assert_eq!(session.names(ROWS, true).expect("rows").len(), 2, "one row for each alias, numbered from 1");
    assert_eq!(
        get(&mut session, &[&format!("{ROWS}1.")]),
        [
            pair(&format!("{ROWS}1.Enable"), "true"),
            pair(&format!("{ROWS}1.Alias"), "serial"),
            pair(&format!("{ROWS}1.ParameterName"), "Device.DeviceInfo.SerialNumber"),
            pair(&format!("{ROWS}1.EventList"), ""),
        ]
    );
    assert_eq!(session.value(&cell("class", "Enable")).as_deref(), Ok("false"), "a default");
    set(&mut session, &[(&cell("class", "Enable"), "1"), (CREATE, "0")]).expect("what is there is set");
    assert_eq!(
        set(&mut session, &[(&cell("more", "Enable"), "1")]).expect_err("no more").parameters[0].1,
        9005
    );
    daemon.kill();
    drop(session);
    daemon.start();
    daemon.wait_ready();
    let mut session = kicked(&acs, &daemon);
    assert_eq!(session.inform.value("Device.DeviceInfo.SerialNumber"), Some("S1"), "it outlives a power cut");
    assert_eq!(session.inform.value("Device.DeviceInfo.ProductClass"), Some("Box"));
    assert_eq!(session.value(code).as_deref(), Ok("made"));
    // A shell makes rows with `add`, whatever the ACS has allowed itself.
    set(&mut session, &[(CREATE, "1")]).expect("allowed");
    session.end();
    over(&daemon);
    assert_eq!(daemon.cli(&["set", &format!("{}=1", cell("mine", "Enable"))]).status.code(), Some(1));
}

/// R-SPV-22: rows that a script keeps are made before they are set, and go when their values are refused.
// Proves: R-SPV-22
#[test]
fn r_spv_22_rows_of_a_script() {
    let acs = Acs::start(Options::default());
    let mut daemon = with_rules(&acs, "alias-script");
    let mut session = acs.next_session(SOON);
    set(&mut session, &[(CREATE, "1"), (MODE, "InstanceAlias")]).expect("allowed");
    let cell = |alias: &str, name: &str| format!("{RULES}[{alias}].{name}");
    let (a, b, next) = (cell("a", "Text"), cell("b", "Text"), cell("a", "Next"));
    let rows = |daemon: &Daemon| fs::read_dir(daemon.folder.0.join("rules")).expect("a folder").count();
    let fault = set(&mut session, &[(&a, "first"), (&b, "forbidden"), (&next, &format!("{RULES}[b]"))]);
    let fault = fault.expect_err("R-SPV-22: the script refuses");
    assert_eq!(
        (fault.parameters.len(), fault.parameters[0].0.as_str(), fault.parameters[0].1),
        (1, b.as_str(), 9007)
    );
    assert_eq!((rows(&daemon), session.names(RULES, true)), (0, Ok(vec![])), "R-SPV-22");
    let done = fs::read_to_string(daemon.folder.0.join("log")).expect("the script's log");
    let (made, gone) = (done.matches("\nadd ").count(), done.matches("\ndel ").count());
    assert_eq!((made, gone), (2, 2), "{done}");
    assert!(!done.contains("\nset "), "{done}");
    assert_eq!(set(&mut session, &[(&a, "first"), (&b, "second"), (&next, &format!("{RULES}[b]"))]), Ok(0));
    assert_eq!(rows(&daemon), 2);
    let mut got = get(&mut session, &[RULES]);
    got.retain(|p| !p.0.ends_with("Alias"));
    let empty = cell("b", "Next");
    let want = [pair(&a, "first"), pair(&next, &format!("{RULES}[b]")), pair(&b, "second"), pair(&empty, "")];
    assert_eq!(got, want, "N-12: in references too");
    daemon.kill();
    drop(session);
    daemon.start();
    daemon.wait_ready();
    let mut session = kicked(&acs, &daemon);
    assert_eq!(session.value(&a).as_deref(), Ok("first"));
    assert_eq!(session.value(&format!("{RULES}1.Next")).expect("a value"), format!("{RULES}[b]"));
    session.delete(&format!("{RULES}[b]."), "").expect("a row");
    assert_eq!(rows(&daemon), 1);
    session.end();
}

/// The command line takes aliases too; it answers with numbers, whatever the ACS likes to see.
// Proves: N-11, N-13
#[test]
fn aliases_in_a_shell() {
    let acs = Acs::start(Options::default());
    let daemon = settled(&acs, "alias-shell");
    let mut session = kicked(&acs, &daemon);
    set(&mut session, &[(MODE, "InstanceAlias")]).expect("a mode");
    session.end();
    over(&daemon);
    assert_eq!(daemon.ask(&["add", &format!("{ROWS}[a=[b]x].")]), format!("{ROWS}1.\n"));
    daemon.ask(&["set", &format!("{ROWS}[a=[b]x].EventList=1 BOOT")]);
    assert_eq!(
        daemon.ask(&["get", &format!("{ROWS}[a=[b]x].EventList")]),
        format!("{ROWS}1.EventList=1 BOOT\n")
    );
    assert_eq!(daemon.ask(&["names", "--next-level", ROWS]), format!("{ROWS}1.\n"));
    assert_eq!(daemon.ask(&["add", ROWS]), format!("{ROWS}2.\n"));
    daemon.ask(&["del", &format!("{ROWS}[a=[b]x].")]);
    assert_eq!(daemon.ask(&["names", "--next-level", ROWS]), format!("{ROWS}2.\n"));
}

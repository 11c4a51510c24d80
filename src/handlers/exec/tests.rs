//! The handler against small shell scripts.

use super::answer::{MAX_TEXT, plain};
use super::script::{COMPLAINTS_IN, Complaints};
use super::*;
use crate::handlers::probe::Folder;
use crate::model::grammar::schema_from;
use crate::model::schema::Schema;
use crate::sys::child::{Child, MAX_LINE};
use std::cell::Cell;
use std::path::Path;
use std::rc::Rc;
use std::time::Instant;

const ROWS: &str = r#"
["Device.X_T.{i}."]
exec  = "SCRIPT"
create = true
Name   = { type = "string", write = true }
Count  = { type = "unsignedInt", write = true }
Secret = { type = "string", write = true, hidden = true }
Lower  = { type = "ref()", write = true }
Other  = { type = "string", exec = "OTHER", write = true }
["Device.X_T.{i}.Sub.{i}."]
exec = "SCRIPT"
A = { type = "string" }
"#;

/// A deadline for what will answer, and for what will not.
const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(50);

/// What every script begins with: the request is in `$line`, its id in `$id`, and `$log` takes notes.
const HEAD: &str = r#"
log=$1
ok() { printf '{"id":%s,"values":{%s}}\n' "$id" "$1"; }
no() { printf '{"id":%s,"error":{"code":%s,"name":"%s","text":"%s"}}\n' "$id" "$1" "$2" "$3"; }
while read -r line; do
  printf '%s\n' "$line" >> "$log"
  id=${line#*\"id\":}; id=${id%%,*}
  op=${line#*\"op\":\"}; op=${op%%\"*}
"#;

struct Bench {
    folder: Folder,
    schema: Schema,
    exec: Exec,
    clock: Rc<Cell<Duration>>,
    epoch: u32,
    script: String,
    other: String,
}

impl Bench {
    /// Scripts whose loop has this body; the second serves `Other`.
    fn new(body: &str) -> Bench {
        Bench::with(body, "ok")
    }

    fn with(body: &str, other: &str) -> Bench {
        let folder = Folder::new();
        let script = |name: &str, body: &str| {
            folder.file(name, &format!("{HEAD}{body}\ndone\n"));
            format!("sh {0}/{name} {0}/{name}.log", folder.root().display())
        };
        let (script, other) = (script("script", body), script("other", other));
        let rows = ROWS.replace("SCRIPT", &script).replace("OTHER", &other);
        let schema = schema_from(&[("rows.toml", &rows)], &[]).unwrap();
        let clock = Rc::new(Cell::new(Duration::from_secs(1000)));
        let time = clock.clone();
        let exec = Exec::new(LONG, Box::new(move || time.get()));
        Bench { folder, schema, exec, clock, epoch: 1, script, other }
    }

    fn row<'a>(&'a self, path: &str, keys: &'a [&'a str]) -> Row<'a> {
        let object = self.schema.find_object(path).unwrap();
        Row { object, arg: &self.script, keys, numbers: &[1, 2][..keys.len()] }
    }

    fn call<R>(&mut self, keys: &[&str], call: impl FnOnce(&mut Exec, &Ctx<'_>, &Row<'_>) -> R) -> R {
        let mut exec =
            std::mem::replace(&mut self.exec, Exec::new(Duration::ZERO, Box::new(|| Duration::ZERO)));
        let ctx = Ctx { epoch: self.epoch, root: Path::new("/r") };
        let done = call(&mut exec, &ctx, &self.row("Device.X_T.{i}.", keys));
        self.exec = exec;
        done
    }

    /// The wanted values, `-` for what is not filled.
    fn get(&mut self, names: &[&str]) -> Result<String, String> {
        let (script, other) = (self.script.clone(), self.other.clone());
        self.call(&["k1"], |exec, ctx, row| {
            let mut out = Fields::default();
            out.reset(names.len());
            let arg = |name: &str| {
                if name == "Other" { other.as_str() } else { script.as_str() }
            };
            let want: Vec<Want<'_>> =
                names.iter().map(|n| Want { param: row.object.param(n).unwrap(), arg: arg(n) }).collect();
            exec.get(ctx, row, &want, &mut out).map_err(|f| f.text)?;
            let text = |i| match out.references(i) {
                Some(refs) => {
                    refs.map(|(o, k)| format!("{o}<{}>", k.join(","))).collect::<Vec<_>>().join(" ")
                }
                None => out.get(i).unwrap_or("-").to_owned(),
            };
            Ok((0..names.len()).map(text).collect::<Vec<_>>().join("|"))
        })
    }

    fn list(&mut self) -> Result<Vec<String>, String> {
        self.call(&[], |exec, ctx, row| {
            let mut out = Keys::default();
            exec.list(ctx, row, &mut out)
                .map(|()| out.iter().map(str::to_owned).collect())
                .map_err(|f| f.text)
        })
    }

    fn change<R>(
        &mut self,
        values: &[(&str, &str)],
        call: impl FnOnce(&mut Exec, &Ctx<'_>, &Row<'_>, &Change<'_>) -> R,
    ) -> R {
        let (script, other) = (self.script.clone(), self.other.clone());
        self.call(&["k1"], |exec, ctx, row| {
            let keys = ["eth0".to_owned()];
            let sets: Vec<Set<'_>> = values
                .iter()
                .map(|(name, value)| Set {
                    param: row.object.param(name).unwrap(),
                    arg: if *name == "Other" { &other } else { &script },
                    value,
                    refers: (*name == "Lower").then_some(&keys[..]),
                })
                .collect();
            call(exec, ctx, row, &Change::Set(&sets))
        })
    }

    fn judge(&mut self, values: &[(&str, &str)]) -> Vec<(usize, u16, String)> {
        self.change(values, |exec, ctx, row, change| {
            let mut bad = Vec::new();
            exec.check(ctx, row, change, &mut bad);
            bad.into_iter().map(|(i, f)| (i, f.code.0, f.text)).collect()
        })
    }

    /// The requests that the script has seen.
    fn seen(&self) -> Vec<String> {
        self.folder.text("script.log").lines().map(str::to_owned).collect()
    }

    fn later(&mut self, time: Duration) {
        self.clock.set(self.clock.get() + time);
        self.epoch += 1;
    }
}

#[test]
fn a_row_is_one_request_and_a_list_gives_keys() {
    let mut b = Bench::new(
        r#"case $op in
        list) echo "{\"id\":$id,\"keys\":[\"k1\",\"k 2\"]}" ;;
        get) ok "\"Name\":\"a \\u00e9\",\"Count\":7,\"More\":1,\"Secret\":null,\"Lower\":{\"object\":\"Device.A.{i}.\",\"keys\":[\"eth0\"]}" ;;
        esac"#,
    );
    assert_eq!(b.list().unwrap(), ["k1", "k 2"]);
    assert_eq!(b.get(&["Name", "Secret", "Count", "Lower"]).unwrap(), "a é|-|7|Device.A.{i}.<eth0>");
    assert_eq!(
        b.seen(),
        [
            r#"{"v":1,"id":1,"op":"list","object":"Device.X_T.{i}.","key":"","values":{}}"#,
            concat!(
                r#"{"v":1,"id":2,"op":"get","object":"Device.X_T.{i}.","key":"k1","#,
                r#""values":{"Count":null,"Lower":null,"Name":null,"Secret":null}}"#
            ),
        ]
    );
    let row = Row {
        object: b.schema.find_object("Device.X_T.{i}.Sub.{i}.").unwrap(),
        ..b.row("Device.X_T.{i}.", &["o", "i"])
    };
    let place = Place::of(&row);
    assert_eq!((place.parents, place.key), (&["o"][..], "i"));
    let place = Place::table(&row);
    assert_eq!((place.parents, place.key), (&["o", "i"][..], ""));
}

#[test]
fn a_set_is_checked_staged_set_and_undone() {
    let mut b = Bench::new(r#"case $op in get) ok '"Name":"old","Stray":1' ;; *) ok ;; esac"#);
    let values = [("Name", "n\"1"), ("Lower", "Device.A.1")];
    assert_eq!(b.judge(&values), []);
    let saved = b.change(&values, |e, c, r, ch| e.stage(c, r, ch)).unwrap();
    b.change(&values, |e, c, r, ch| e.commit(c, r, ch)).unwrap();
    b.change(&values, |e, c, r, ch| e.undo(c, r, ch, &saved)).unwrap();
    let seen = b.seen();
    let of = |i: usize| seen[i].split_once("\"op\":").unwrap().1;
    assert_eq!(
        of(0),
        r#""check","change":"set","object":"Device.X_T.{i}.","key":"k1","refers":{"Lower":["eth0"]},"values":{"Lower":"Device.A.1","Name":"n\"1"}}"#
    );
    assert_eq!(of(1), r#""get","object":"Device.X_T.{i}.","key":"k1","values":{"Lower":null,"Name":null}}"#);
    assert_eq!(
        of(2),
        r#""set","object":"Device.X_T.{i}.","key":"k1","refers":{"Lower":["eth0"]},"values":{"Lower":"Device.A.1","Name":"n\"1"}}"#
    );
    assert_eq!(
        of(3),
        r#""undo","change":"set","object":"Device.X_T.{i}.","key":"k1","values":{"Lower":null,"Name":"old"}}"#
    );
}

#[test]
fn a_script_without_undo_or_check_gets_along() {
    let mut b =
        Bench::new(r#"case $op in get) ok '"Name":"old"' ;; set) ok ;; *) no 9000 "" "what?" ;; esac"#);
    let values = [("Name", "new")];
    assert_eq!(b.judge(&values), []);
    let saved = b.change(&values, |e, c, r, ch| e.stage(c, r, ch)).unwrap();
    b.change(&values, |e, c, r, ch| e.undo(c, r, ch, &saved)).unwrap();
    let last = b.seen().pop().unwrap();
    assert!(last.contains(r#""op":"set""#) && last.ends_with(r#""values":{"Name":"old"}}"#), "{last}");
}

#[test]
fn an_error_goes_to_the_parameter_it_names_and_repeats_no_hidden_value() {
    let mut b = Bench::with(
        r#"case $line in
        *bad*) no 9007 Count "too\tmany" ;;
        *s3cret*) no 9007 "" "s3cret is weak" ;;
        *odd*) no 77 "" "" ;;
        *) ok ;;
        esac"#,
        r#"no 9001 Other never"#,
    );
    let judged = b.judge(&[("Name", "bad"), ("Other", "x"), ("Count", "1")]);
    assert_eq!(judged, [(2, 9007, "too many".to_owned()), (1, 9001, "never".to_owned())]);
    assert_eq!(b.judge(&[("Secret", "s3cret")]), [(0, 9007, "the script refuses the value".to_owned())]);
    assert_eq!(b.judge(&[("Name", "odd")])[0].1, 9002);
    let long = "x".repeat(MAX_LINE);
    assert_eq!(b.judge(&[("Name", &long)])[0].1, 9004);
    // None of this makes it down.
    assert_eq!(b.judge(&[("Name", "fine")]), []);
}

#[test]
fn rows_are_added_under_the_key_the_script_gives_or_the_number() {
    let mut b = Bench::new(
        r#"case $line in *'"number":5'*) echo "{\"id\":$id,\"key\":\"wan5\"}" ;; *check*) no 9000 ;; *) ok ;; esac"#,
    );
    assert_eq!(b.call(&[], |e, c, r| e.add_key(c, r, 5)).unwrap(), "wan5");
    assert_eq!(b.call(&[], |e, c, r| e.add_key(c, r, 6)).unwrap(), "6");
    b.call(&["6"], |e, c, r| {
        assert_eq!(e.stage(c, r, &Change::Add), Ok(b"{}".to_vec()));
        e.commit(c, r, &Change::Add).unwrap();
        e.undo(c, r, &Change::Add, b"{}").unwrap();
        let mut bad = Vec::new();
        e.check(c, r, &Change::Delete, &mut bad);
        assert_eq!(bad, []);
        let saved = e.stage(c, r, &Change::Delete).unwrap();
        e.commit(c, r, &Change::Delete).unwrap();
        e.undo(c, r, &Change::Delete, &saved).unwrap();
    });
    let seen = b.seen();
    let ops: Vec<&str> =
        seen.iter().map(|l| l.split_once("\"op\":").unwrap().1.split_once(",\"object").unwrap().0).collect();
    assert_eq!(
        ops,
        [
            r#""check","change":"add""#,
            r#""check","change":"add""#,
            r#""add""#,
            r#""del","change":"add""#,
            r#""check","change":"del""#,
            r#""get""#,
            r#""del","change":"del""#,
            r#""undo","change":"del""#,
        ]
    );
    assert!(
        seen[5].ends_with(r#""values":{"Count":null,"Lower":null,"Name":null,"Secret":null}}"#),
        "{}",
        seen[5]
    );
}

#[test]
fn a_row_made_under_another_key_is_removed_again() {
    let mut b = Bench::new(r#"case $op in add) echo "{\"id\":$id,\"key\":\"mine\"}" ;; *) ok ;; esac"#);
    assert!(b.call(&["6"], |e, c, r| e.commit(c, r, &Change::Add)).is_err());
    let last = b.seen().pop().unwrap();
    assert!(last.contains(r#""op":"del""#) && last.contains(r#""key":"mine""#), "{last}");
}

#[test]
fn two_scripts_of_one_row_fail_apart() {
    let mut b = Bench::with(r#"ok '"Name":"a"'"#, "exit 1");
    assert_eq!(b.get(&["Name", "Other"]).unwrap(), "a|-");
    assert!(b.get(&["Other"]).is_err());
    assert_eq!(b.get(&["Name"]).unwrap(), "a");
}

#[test]
fn a_row_that_went_away_fills_nothing() {
    let mut b = Bench::new("no 9005 '' gone");
    assert_eq!(b.get(&["Name"]).unwrap(), "-");
}

/// Whatever it does wrong: it comes back, is down, and is asked again after its rest.
#[test]
fn a_script_that_fails_is_down_for_the_rpc_and_a_while_more() {
    let faults = [
        ("hang", "sleep 600"),
        ("take nothing", "exec <&-; sleep 600"),
        ("die", "exit 3"),
        ("close", "exec >&-; sleep 600"),
        ("garbage", "while :; do echo '{\"id\":'; done"),
        ("wrong id", "while :; do echo '{\"id\":99999}'; done"),
        ("overlong", "while :; do printf '0123456789abcdef0123456789abcdef'; done"),
        ("flood", "while :; do echo complaint >&2; done"),
    ];
    for (name, fault) in faults {
        let fault = fault.replace('\'', "'\\''");
        let mut b =
            Bench::new(&format!("if [ -e $log.bad ]; then eval '{fault}'; fi; ok '\"Name\":\"well\"'"));
        assert_eq!(b.get(&["Name"]).as_deref(), Ok("well"), "{name}");
        b.folder.file("script.log.bad", "");
        let waits = ["hang", "take nothing", "flood"].contains(&name);
        b.exec.deadline = if waits { SHORT } else { LONG };
        let why = b.get(&["Name"]).unwrap_err();
        assert_eq!(why.ends_with("in time"), waits, "{name}: {why}");
        b.exec.deadline = LONG;
        std::fs::remove_file(b.folder.root().join("script.log.bad")).unwrap();
        let asked = b.seen().len();
        b.clock.set(b.clock.get() + REST * 3);
        assert!(b.get(&["Name"]).unwrap_err().ends_with("is down"), "{name}: an RPC may last");
        b.later(REST - Duration::from_secs(1));
        assert!(b.get(&["Name"]).unwrap_err().ends_with("is down"), "{name}");
        assert!(b.list().is_err(), "{name}: the script, not the row, is down");
        assert_eq!(b.seen().len(), asked, "{name}: it was left alone");
        b.later(Duration::from_secs(1));
        assert_eq!(b.get(&["Name"]).as_deref(), Ok("well"), "{name}");
    }
}

#[test]
fn a_few_stray_lines_are_passed_over() {
    let mut b = Bench::new(r#"echo debug; echo "{\"id\":0}"; echo; ok '"Name":"a"'"#);
    assert_eq!(b.get(&["Name"]).unwrap(), "a");
    assert_eq!(b.get(&["Name"]).unwrap(), "a");
}

#[test]
fn a_script_that_ended_while_idle_is_started_again() {
    let mut b = Bench::new(r#"ok "\"Name\":\"$$\""; exec >&- <&-; exit"#);
    let first = b.get(&["Name"]).unwrap();
    // Its end is seen as soon as its pipe closes, which it does right after the answer.
    let until = Instant::now() + Duration::from_secs(20);
    while b.exec.scripts[0].child.as_mut().is_some_and(Child::is_open) {
        assert!(Instant::now() < until);
        std::thread::yield_now();
    }
    let second = b.get(&["Name"]).unwrap();
    assert_ne!(first, second);
}

#[test]
fn an_undo_starts_a_script_that_is_down_once() {
    let mut b = Bench::new(
        r#"case $op in set) sleep 600 ;; undo) [ -e $log.bad ] && exit; ok ;; *) ok '"Name":"old"' ;; esac"#,
    );
    let values = [("Name", "new")];
    let saved = b.change(&values, |e, c, r, ch| e.stage(c, r, ch)).unwrap();
    b.exec.deadline = SHORT;
    assert!(b.change(&values, |e, c, r, ch| e.commit(c, r, ch)).is_err());
    b.exec.deadline = LONG;
    assert!(b.get(&["Name"]).is_err());
    for _ in 0..2 {
        b.change(&values, |e, c, r, ch| e.undo(c, r, ch, &saved)).unwrap();
    }
    assert!(b.get(&["Name"]).is_err(), "it is down for everything else");
    b.folder.file("script.log.bad", "");
    assert!(b.change(&values, |e, c, r, ch| e.undo(c, r, ch, &saved)).is_err());
    let asked = b.seen().len();
    assert!(b.change(&values, |e, c, r, ch| e.undo(c, r, ch, &saved)).is_err());
    assert_eq!(b.seen().len(), asked);
}

#[test]
fn a_script_that_is_missing_refuses_changes_before_they_begin() {
    let mut b = Bench::new("ok");
    b.script = "/no/such/script".to_owned();
    let judged = b.judge(&[("Name", "x")]);
    assert_eq!(judged[0].1, 9002);
    assert!(judged[0].2.contains("cannot be started"), "{}", judged[0].2);
    assert!(b.list().unwrap_err().ends_with("is down"));
}

#[test]
fn complaints_are_rationed() {
    let mut complaints = Complaints::default();
    for n in 0..100u64 {
        complaints.tell("s", Duration::from_secs(n / 10), "line");
    }
    assert_eq!(complaints.count, 100);
    complaints.tell("s", COMPLAINTS_IN, "line");
    assert_eq!(complaints.count, 1);
    assert_eq!(plain("a\u{1b}[31m\nb"), "a [31m b");
    assert_eq!(plain(&"ä".repeat(MAX_TEXT + 1)).chars().count(), MAX_TEXT);
}

use super::*;

fn one(text: &str) -> Alternative<'_> {
    alternative(text).unwrap_or_else(|w| panic!("{text}: {w}"))
}

#[test]
fn places() {
    for (text, place) in [
        (
            "uci network.lan.proto",
            Place::Uci(Uci { package: "network", section: Section::Key("lan", ""), option: "proto" }),
        ),
        (
            "uci network.{1}..type | upper",
            Place::Uci(Uci { package: "network", section: Section::Key("{1}", ""), option: ".type" }),
        ),
        (
            "uci system.@system[-1].hostname",
            Place::Uci(Uci { package: "system", section: Section::Nth("system", -1), option: "hostname" }),
        ),
        (
            "uci network.@device[name={1},type=a.b].mtu",
            Place::Uci(Uci {
                package: "network",
                section: Section::First("device", "name={1},type=a.b"),
                option: "mtu",
            }),
        ),
        (
            "uci firewall.@zone[*].name",
            Place::Uci(Uci { package: "firewall", section: Section::All("zone", ""), option: "name" }),
        ),
        (
            "uci wireless.(uci wireless.{1}.device | word 0).channel",
            Place::Uci(Uci {
                package: "wireless",
                section: Section::Key("(uci wireless.{1}.device | word 0)", ""),
                option: "channel",
            }),
        ),
        (
            "uci network.globals:globals.ula_prefix",
            Place::Uci(Uci {
                package: "network",
                section: Section::Key("globals", "globals"),
                option: "ula_prefix",
            }),
        ),
        ("file /proc/uptime | word 0", Place::File("/proc/uptime")),
        ("const a b", Place::Const("a b")),
        (
            "ubus network.device status name={1} statistics.rx_bytes",
            Place::Ubus(Call {
                object: "network.device",
                method: "status",
                arguments: "name={1}",
                path: "statistics.rx_bytes",
            }),
        ),
        (
            "ubus a  b *.@key | upper",
            Place::Ubus(Call { object: "a", method: "b", arguments: "", path: "*.@key" }),
        ),
    ] {
        assert_eq!(one(text).place, place, "{text}");
    }
    let call = "ubus a b x=(ubus c d e=f g) y=1 z[q=r s].t";
    let Place::Ubus(call) = one(call).place else { panic!() };
    assert_eq!(call.arguments().collect::<Vec<_>>(), [("x", "(ubus c d e=f g)"), ("y", "1")]);
    assert_eq!(call.path, "z[q=r s].t");
}

#[test]
fn several_places() {
    let text = "ubus a b c | is x || uci p.(uci q.r.s || const z).o | not || const V";
    let all: Vec<&str> = split(text, " || ").collect();
    assert_eq!(all, ["ubus a b c | is x", "uci p.(uci q.r.s || const z).o | not", "const V"]);
    assert_eq!(alternatives(text).filter(Result::is_ok).count(), 3);
    assert!(is_expression(text) && is_expression("/a | upper") && !is_expression("/a|b"));
}

#[test]
fn places_in_places() {
    let text = "ubus a b x=(uci c.(file /d).e) f[g=(uci h.i.j)] || uci k.@l[m=(const n)].o";
    let mut said = Vec::new();
    each_place(text, &mut |place| {
        said.push(match place {
            Place::Uci(uci) => uci.package.to_owned(),
            Place::Ubus(call) => call.object.to_owned(),
            Place::File(path) => (*path).to_owned(),
            Place::Const(value) => (*value).to_owned(),
        });
    });
    assert_eq!(said, ["a", "c", "/d", "h", "k", "n"]);
}

#[test]
fn paths() {
    use Step::*;
    for (path, want) in [
        ("a.b", vec![Name("a"), Name("b")]),
        ("a[0].b[-1]", vec![Name("a"), At(0), Name("b"), At(-1)]),
        ("*.@key", vec![Each, Key]),
        ("\"a.b[0]\"[*].c", vec![Name("a.b[0]"), Each, Name("c")]),
        ("i[x=a.b,y~c][1]", vec![Name("i"), Where("x=a.b,y~c"), At(1)]),
        ("i[x=(uci a.@b[0].c)].{1}", vec![Name("i"), Where("x=(uci a.@b[0].c)"), Name("{1}")]),
    ] {
        assert_eq!(steps(path).collect::<Vec<_>>(), want, "{path}");
    }
}

#[test]
fn conditions_and_texts() {
    let all: Vec<_> = conditions("a=b|c, d!=e,f~g,h!~,i,!j,k=x=y").collect();
    let short =
        |c: &Condition<'_>| format!("{} {} {:?} {:?}", c.name, c.not, c.test, c.values().collect::<Vec<_>>());
    let all: Vec<String> = all.iter().map(short).collect();
    assert_eq!(
        all,
        [
            "a false Is [\"b\", \"c\"]",
            "d true Is [\"e\"]",
            "f false Has [\"g\"]",
            "h true Has [\"\"]",
            "i false There [\"\"]",
            "j true There [\"\"]",
            "k false Is [\"x=y\"]",
        ]
    );
    let all: Vec<_> = pieces("a{1}-{#2}(uci (x).y.z)é$").collect();
    use Piece::*;
    assert_eq!(all, [Text("a"), Key(0), Text("-"), Number(1), Value("uci (x).y.z"), Text("é"), Own][..7]);
    assert_eq!(pieces("{x}").collect::<Vec<_>>(), [Text("{x}")]);
    assert_eq!(pieces("").count(), 0);
}

#[test]
fn tables() {
    let Ok(Table::Sections(s)) = table(
        "uci wireless.@wifi-iface[mode=ap] | with p.@t[o=$] | from p.@zone.network | from p.s.o | new a=1 b=2 | name x",
    ) else {
        panic!()
    };
    assert_eq!((s.package, s.kind, s.conditions), ("wireless", "wifi-iface", "mode=ap"));
    let extras: Vec<_> = s.extras().map(Result::unwrap).collect();
    let from = |section, option| Extra::From(Uci { package: "p", section, option });
    assert_eq!(
        extras,
        [
            Extra::With("p", "t", "o=$"),
            from(Section::All("zone", ""), "network"),
            from(Section::Key("s", ""), "o"),
            Extra::New("a=1 b=2"),
            Extra::Name("x"),
        ]
    );
    assert!(matches!(table("uci a.b.c[] | upper"), Ok(Table::Values(_))));
    assert!(matches!(table("ubus a b *.@key"), Ok(Table::Values(_))));
    assert!(can_grow("uci a.@b") && !can_grow("uci a.b.c[]"));
}

#[test]
fn what_is_wrong_is_said() {
    for (text, why) in [
        ("uci a.b", "`a.b` is not of the form package.section.option"),
        ("uci a/b.c.d", "`a/b.c.d` is not of the form package.section.option"),
        ("uci a.@b.c", "`@b` says nothing in [ ] of which section"),
        ("uci a.@b[x.c", "`a.@b[x.c` is not of the form package.section.option"),
        ("uci a.{3}.c", "`{3}` is not within {1} to {2}"),
        ("uci a.@b[c={3}].c", "`{3}` is not within {1} to {2}"),
        ("uci a.@b[c d=e].c", "`c d` is no name in a condition"),
        ("ubus a b", "`a b` has no path behind object and method"),
        ("ubus a", "`a` is not of the form OBJECT METHOD [NAME=VALUE …] PATH"),
        ("ubus a b c d", "`c` is no argument: NAME=VALUE"),
        ("ubus a b x={1} @key.y", "nothing is below `@key`"),
        ("ubus a b x[y", "`x[y` is no path"),
        ("ubus a b $", "`$` is the key of a row that is deleted"),
        ("uci a.b.c | nott", "`nott` is no filter"),
        ("uci a.b.c | not 1", "`not` has no arguments"),
        ("uci a.b.c | times x", "`x` is no number"),
        ("uci a.b.c | div 0", "`0` is no factor"),
        ("uci a.b.c | map a", "`a` is not of the form a=b c=d *=e"),
        ("uci a.b.c | ref x", "`ref` names no table"),
        ("uci a.b.c | ref Device.X.{i}.Y.{i}.", "`Device.X.{i}.Y.{i}.` has 2 {i}, and keys are given for 1"),
        ("uci a.b.c || ubs x y z", "`ubs` is none of uci, ubus, file, const"),
        ("uci a.(const b.c", "`a.(const b.c` is not of the form package.section.option"),
        ("uci a.(uci b.(uci c.(uci d.(uci e.f.g).h).i).j).k", "parentheses deeper than 3"),
        ("file x", "`x` is no path from the root"),
        (
            "uci a.b.c | upper | upper | upper | upper | upper | upper | upper | upper | upper",
            "more than 8 filters",
        ),
    ] {
        assert_eq!(judge(text, 2).err().as_deref(), Some(why), "{text}");
    }
    for (text, why) in [
        ("uci a.@b[c={1}]", "`{1}` speaks of an instance, and there is none here"),
        ("uci a.b", "`a.b` is neither package.@type[…] nor package.section.option[]"),
        ("uci a.@b | wit x", "`wit` is none of with, from, new, name"),
        ("uci a.@b | with x", "`x` is not of the form package.@type[option=$]"),
        ("uci a.@b | from x.y", "`x.y` is not of the form package.@type.option"),
        ("uci a.@b | new x", "`x` is not of the form option=value …"),
        ("uci a.@b | name x y", "`x y` is no beginning of a section's name"),
        ("file /a/*", "`file /a/*` lists no rows: uci and ubus do"),
    ] {
        assert_eq!(judge_table(text, 0).err().as_deref(), Some(why), "{text}");
    }
    for (text, why) in [
        ("ubus a b c", "nothing in it is written: there is no `uci`"),
        ("uci a.b..name", "`.name` of a section cannot be written"),
        ("uci a.@b[*].c", "one section is written, and this says all of them"),
        ("uci a.b.c | count", "`count` works in one direction only, so this cannot be written"),
    ] {
        assert_eq!(judge_write(text).err().as_deref(), Some(why), "{text}");
    }
    assert_eq!(judge_write("ubus a b c | count || uci a.b.c | not"), Ok(()));
}

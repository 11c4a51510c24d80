//! Tables of the natives of this subject: what each makes of files and answers, odd ones too.

use super::SPECS;
use crate::handlers::linux::layers::Layer;
use crate::handlers::openwrt::network::naming;
use crate::handlers::openwrt::provider::Provider;
use crate::handlers::openwrt::sources::Sources;
use crate::handlers::probe::{self, Folder};
use crate::model::handler::Ctx;
use crate::sys::ubus::Place;

/// A provider over a folder.
fn provider(name: &str, folder: &Folder) -> Provider {
    let spec = SPECS.iter().find(|s| s.name == name).expect("a provider");
    let place = Place::Recorded(folder.root().to_path_buf());
    Provider { spec, sources: Sources::new(Some(place), None, Default::default()) }
}

/// The values of a row of a fresh provider, as [`probe::line`] puts them.
fn line(folder: &Folder, name: &str, path: &str, keys: &[&str], params: &[&str]) -> String {
    let mut provider = provider(name, folder);
    let values = probe::get(&mut provider, folder.root(), path, keys, params);
    probe::line(&values, params)
}

const SECURITY: &str = "Device.WiFi.AccessPoint.{i}.Security.";
const RADIO: &str = "Device.WiFi.Radio.{i}.";
const STATIONS: &str = "Device.WiFi.AccessPoint.{i}.AssociatedDevice.{i}.";

#[test]
fn encryption_reads_as_netifd_reads_it() {
    for (options, want) in [
        ("", "None|-|Disabled"),
        ("option encryption 'none'", "None|-|Disabled"),
        ("option encryption 'psk'", "WPA-Personal|AES|Disabled"),
        ("option encryption 'psk+tkip'", "WPA-Personal|TKIP|Disabled"),
        ("option encryption 'psk2'", "WPA2-Personal|AES|Disabled"),
        ("option encryption 'psk2+ccmp'\noption ieee80211w '1'", "WPA2-Personal|AES|Optional"),
        ("option encryption 'psk2+tkip+ccmp'\noption ieee80211w '9'", "WPA2-Personal|TKIP,AES|Disabled"),
        ("option encryption 'psk-mixed'", "WPA-WPA2-Personal|AES|Disabled"),
        ("option encryption 'psk-mixed+aes+tkip'", "WPA-WPA2-Personal|TKIP,AES|Disabled"),
        ("option encryption 'sae'\noption ieee80211w '0'", "WPA3-Personal|AES|Required"),
        ("option encryption 'psk3'", "WPA3-Personal|AES|Required"),
        ("option encryption 'sae-mixed'", "WPA3-Personal-Transition|AES|Optional"),
        ("option encryption 'psk3-mixed'\noption ieee80211w '2'", "WPA3-Personal-Transition|AES|Required"),
        ("option encryption 'wpa'", "WPA-Enterprise|AES|Disabled"),
        ("option encryption 'wpa2+ccmp'", "WPA2-Enterprise|AES|Disabled"),
        ("option encryption 'wpa-mixed'", "WPA-WPA2-Enterprise|AES|Disabled"),
        ("option encryption 'wpa3'", "WPA3-Enterprise|AES|Required"),
        ("option encryption 'wpa3-mixed'", "WPA3-Enterprise|AES|Optional"),
        ("option encryption 'wpa3-192'", "WPA3-Enterprise|AES|Required"),
        ("option encryption 'owe'", "OWE|AES|Required"),
        ("option encryption 'wep'\noption key '1'\noption key1 '0102030405'", "WEP-64|-|Disabled"),
        ("option encryption 'wep-open'\noption key '2'\noption key2 's:thirteen chrs'", "WEP-128|-|Disabled"),
        ("option encryption 'wep'\noption key '0102030405060708090a0b0c0d'", "WEP-128|-|Disabled"),
        ("option encryption 'something else'", "None|-|Disabled"),
    ] {
        let f = Folder::new();
        f.file("etc/config/wireless", &format!("config wifi-iface 'a'\n{options}\n"));
        let names = ["ModeEnabled", "EncryptionMode", "MFPConfig"];
        assert_eq!(line(&f, "openwrt_wifi_security", SECURITY, &["a"], &names), want, "{options}");
    }
}

#[test]
fn servers_have_an_older_name() {
    let f = Folder::new();
    f.file(
        "etc/config/wireless",
        "config wifi-iface 'a'\noption server '192.0.2.1'\nconfig wifi-iface 'b'\noption auth_server '192.0.2.2 192.0.2.3'\n",
    );
    let names = ["RadiusServerIPAddr", "SecondaryRadiusServerIPAddr"];
    assert_eq!(line(&f, "openwrt_wifi_security", SECURITY, &["a"], &names), "192.0.2.1|-");
    assert_eq!(line(&f, "openwrt_wifi_security", SECURITY, &["b"], &names), "192.0.2.2|192.0.2.3");
}

/// netifd calls a section without a name as libuci does, and the row has a key of its own.
#[test]
fn sections_without_names() {
    let f = Folder::new();
    f.file(
        "etc/config/wireless",
        "config wifi-device 'radio0'\nconfig wifi-iface\n\toption device 'radio0'\n\toption mode 'ap'\n",
    );
    let mut provider = provider("openwrt_station", &f);
    let package = crate::sys::uci::load(f.root(), "wireless").unwrap().unwrap();
    let section = package.of_kind("wifi-iface").next().unwrap();
    f.file(
        ".cwmpd/ubus/network.wireless/status.json",
        &format!(
            r#"{{"radio0":{{"up":true,"interfaces":[{{"section":"{}","ifname":"wlan0"}}]}}}}"#,
            section.id()
        ),
    );
    f.file(
        ".cwmpd/ubus/hostapd.wlan0/get_clients.json",
        r#"{"freq":5180,"clients":{"02:00:00:00:00:0a":{"auth":true},"not a station":{},"02:00:00:00:00:0b":7}}"#,
    );
    let key = section.key();
    let listed = probe::list(&mut provider, f.root(), STATIONS, &[&key]);
    assert_eq!(listed, ["02:00:00:00:00:0a", "02:00:00:00:00:0b"]);
    let names = ["Status", "Name"];
    assert_eq!(line(&f, "openwrt_wifi_iface", "Device.WiFi.SSID.{i}.", &[&key], &names), "Up|wlan0");
    let ctx = Ctx { epoch: 1, root: f.root() };
    let names = naming::names(&mut provider.sources.borrow_mut(), &ctx);
    assert_eq!(names.on(Layer::Ssid, "wlan0").map(|n| n.key.as_str()), Some(&*key), "the kernel's side");
}

#[test]
fn states_of_a_network() {
    let file = |disabled: &str| {
        format!(
            "config wifi-device 'radio0'\nconfig wifi-iface 'a'\n option device 'radio0'\n option mode 'ap'\n option disabled '{disabled}'\n"
        )
    };
    let status = |failed: bool, interface: &str| {
        format!(r#"{{"radio0":{{"up":true,"retry_setup_failed":{failed},"interfaces":[{interface}]}}}}"#)
    };
    let up = r#"{"section":"a","ifname":"wlan0"}"#;
    for (disabled, answer, hostapd, ssid, point) in [
        ("0", status(false, up), "ENABLED", "Up", "Enabled"),
        ("1", status(false, up), "ENABLED", "Down", "Disabled"),
        ("0", status(false, ""), "", "Down", "Disabled"),
        ("0", status(true, ""), "", "Error", "Error"),
        ("0", status(false, up), "DFS", "Down", "Disabled"),
        ("0", status(false, up), "DISABLED", "Error", "Error"),
        // A hostapd without ubus.
        ("0", status(false, up), "", "Up", "Enabled"),
        // A netifd that lies.
        ("0", r#"{"radio0":[1,2],"radio1":{"interfaces":"many"}}"#.to_owned(), "", "Down", "Disabled"),
    ] {
        let f = Folder::new();
        f.file("etc/config/wireless", &file(disabled));
        f.file(".cwmpd/ubus/network.wireless/status.json", &answer);
        if !hostapd.is_empty() {
            f.file(".cwmpd/ubus/hostapd.wlan0/get_status.json", &format!(r#"{{"status":"{hostapd}"}}"#));
        }
        for (path, want) in [("Device.WiFi.SSID.{i}.", ssid), ("Device.WiFi.AccessPoint.{i}.", point)] {
            let got = line(&f, "openwrt_wifi_iface", path, &["a"], &["Status"]);
            assert_eq!(got, want, "{path} {disabled} {answer} {hostapd}");
        }
    }
}

#[test]
fn a_radio_that_nobody_tells_of() {
    let f = Folder::new();
    f.file(
        "etc/config/wireless",
        "config wifi-device 'radio0'\n option hwmode '11a'\n option htmode 'VHT80'\n option channel '44'\n option txpower '20'\n",
    );
    let names = [
        "SupportedFrequencyBands",
        "OperatingFrequencyBand",
        "OperatingStandards",
        "Channel",
        "AutoChannelEnable",
        "OperatingChannelBandwidth",
        "TransmitPower",
        "BasicDataTransmitRates",
        "RegulatoryDomain",
        "ChannelLastSelectionReason",
    ];
    let got = line(&f, "openwrt_radio", RADIO, &["radio0"], &names);
    assert_eq!(got, "-|5GHz|a,n,ac|44|false|80MHz|-|-|-|-");
    assert_eq!(line(&f, "openwrt_radio", RADIO, &["radio9"], &names[..2]), "-|-", "no such radio");
}

#[test]
fn powers_are_percent_of_the_most() {
    let f = Folder::new();
    f.file("etc/config/wireless", "config wifi-device 'radio0'\n option band '2g'\n option txpower '15'\n");
    f.file(
        ".cwmpd/ubus/iwinfo/txpowerlist@radio0.json",
        r#"{"results":[{"dbm":0,"mw":1},{"dbm":10,"mw":10},{"dbm":20,"mw":100},{"mw":7},{"dbm":"x","mw":9}]}"#,
    );
    let names = ["TransmitPowerSupported", "TransmitPower"];
    // 15 dBm are none of its steps: it sends with the next below.
    assert_eq!(line(&f, "openwrt_radio", RADIO, &["radio0"], &names), "1,10,100|10");
}

#[test]
fn stations_with_numbers_beyond_reason() {
    let f = Folder::new();
    f.file("etc/config/wireless", "config wifi-iface 'a'\n option mode 'ap'\n");
    f.file(
        ".cwmpd/ubus/network.wireless/status.json",
        r#"{"radio0":{"interfaces":[{"section":"a","ifname":"wlan0"}]}}"#,
    );
    f.file(
        ".cwmpd/ubus/iwinfo/assoclist@wlan0.json",
        r#"{"results":[{"mac":"02:00:00:00:00:0A","signal":-9223372036854775808,"noise":9223372036854775807,
           "connected_time":9223372036854775807,"tx":{"retries":9223372036854775807,"packets":9223372036854775807,"failed":9223372036854775807}},
           {"mac":"02:00:00:00:00:0B","signal":-70,"noise":-90,"tx":{"retries":1,"packets":0,"rate":6000},"rx":{"eht":true}}]}"#,
    );
    let names =
        ["SNR", "Retransmissions", "OperatingStandard", "LastDataDownlinkRate", "AuthenticationState"];
    let get = |mac| line(&f, "openwrt_station", STATIONS, &["a", mac], &names);
    assert_eq!(get("02:00:00:00:00:0A"), "0|1|g|-|false");
    assert_eq!(get("02:00:00:00:00:0b"), "20|100|be|6000|false");
    assert_eq!(get("02:00:00:00:00:0C"), "-|-|-|-|-", "nobody");
    let sums = ["RetransCount", "FailedRetransCount"];
    let got = line(&f, "openwrt_wifi_iface", "Device.WiFi.SSID.{i}.Stats.", &["a"], &sums);
    assert_eq!(got, "4294967295|4294967295");
}

#[test]
fn a_line_that_does_not_answer_in_full() {
    let f = Folder::new();
    let mut dsl = provider("openwrt_dsl", &f);
    assert!(probe::list(&mut dsl, f.root(), "Device.DSL.Line.{i}.", &[]).is_empty(), "no daemon");
    f.file(
        ".cwmpd/ubus/dsl/metrics.json",
        r#"{"state_num":3,"up":false,"xtse":[1,2,3],"atu_c":{"vendor_id":[181,0,66,68,67,77,300,0],"serial":[83,78,7,32,49]},
           "standard":"G.992.5","downstream":{"snr":-0.4,"latn":12,"satn":"x"}}"#,
    );
    f.file(
        ".cwmpd/ubus/dsl/statistics.json",
        r#"{"snr":{"downstream":{"data":[null,52.5,-40,500]}},"qln":{"upstream":{"data":[-100.5]}},"hlog":{"upstream":{"data":[]}}}"#,
    );
    let names = [
        "XTSUsed",
        "XTUCCountry",
        "XTUCVendor",
        "XTUCVendorSpecific",
        "XTUCSerial",
        "DownstreamNoiseMargin",
        "DownstreamAttenuation",
    ];
    let got = line(&f, "openwrt_dsl", "Device.DSL.Line.{i}.", &["dsl0"], &names);
    assert_eq!(got, "-|B500|4244434D|-|SN 1|-4|-");
    let names = ["SNRpsds", "QLNpsus", "HLOGpsus", "HLOGpsds", "LATNds"];
    let got = line(&f, "openwrt_dsl", "Device.DSL.Line.{i}.TestParams.", &["dsl0"], &names);
    assert_eq!(got, "255,169,0,255|155|-|-|120");
    // In ATM mode there is no PTM.
    f.file("etc/config/network", "config dsl 'dsl'\n option xfer_mode 'atm'\n option annex 'a'\n");
    let mut dsl = provider("openwrt_dsl", &f);
    assert!(probe::list(&mut dsl, f.root(), "Device.PTM.Link.{i}.", &[]).is_empty());
    let got = line(&f, "openwrt_dsl", "Device.DSL.Channel.{i}.", &["dsl0"], &["LinkEncapsulationUsed"]);
    assert_eq!(got, "G.992.3_Annex_K_ATM");
}

#[test]
fn modems_say_nothing_in_two_strokes() {
    let f = Folder::new();
    f.file(
        "etc/config/network",
        "config interface 'm'\n option proto 'modemmanager'\n option device '/sys/m'\nconfig interface 'q'\n option proto 'qmi'\n option modes 'lte'\n",
    );
    f.file(
        ".cwmpd/ubus/modemmanager/dump.json",
        r#"{"modem":[{"device":"/sys/other"},{"device":"/sys/m","3gpp":{"imei":"--"},"signal":{"lte":{"rssi":"--"},"5g":{"rsrp":"-101.50"},"gsm":{"rssi":"-71.00"}},
           "generic":{"access-technologies":["5gnr"],"supported-capabilities":["gsm-umts, lte, 5gnr"],"sim":{"properties":{"iccid":"898820","eid":"--","sim-type":"esim"}},
           "unlock-required":"sim-pin"}}]}"#,
    );
    let path = "Device.Cellular.Interface.{i}.";
    let names = ["IMEI", "RSSI", "RSRP", "RSRQ", "CurrentAccessTechnology", "PreferredAccessTechnology"];
    assert_eq!(line(&f, "openwrt_cellular", path, &["m"], &names), "-|-71|-101|-|NR|Auto");
    assert_eq!(line(&f, "openwrt_cellular", path, &["q"], &names), "-|-|-|-|-|LTE", "uqmi says nothing");
    let names = ["Status", "EID", "Type", "PINCheck"];
    let card = "Device.TrustedElements.SIM.{i}.";
    assert_eq!(line(&f, "openwrt_cellular", card, &["/sys/m"], &names), "Available|-|eSIM|-");
    assert_eq!(probe::list(&mut provider("openwrt_cellular", &f), f.root(), card, &[]), ["/sys/m"]);
}

#[test]
fn rules_of_qos_scripts() {
    let path = "Device.QoS.Classification.{i}.";
    let names = [
        "DestPort",
        "DestPortRangeMax",
        "SourcePort",
        "IPLengthMin",
        "IPLengthMax",
        "DSCPCheck",
        "TrafficClass",
    ];
    for (options, want) in [
        ("", "-1|-1|-1|-|-|-1|-1"),
        ("option portrange '1024-65535'", "1024|65535|-1|-|-|-1|-1"),
        ("option dstports '80'\noption srcports '1:9'", "80|-1|1|-|-|-1|-1"),
        // A list is nothing that the standard could say.
        ("option dstports '22,53'", "-1|-1|-1|-|-|-1|-1"),
        ("option pktsize '-500'", "-1|-1|-1|0|500|-1|-1"),
        ("option pktsize '128-'", "-1|-1|-1|128|0|-1|-1"),
        ("option dscp 'AF41'\noption target 'Bulk'", "-1|-1|-1|-|-|34|2"),
        ("option dscp 'CS6'\noption target 'None'", "-1|-1|-1|-|-|48|-1"),
        ("option dscp '0x2e'", "-1|-1|-1|-|-|46|-1"),
        ("option dscp 'AF'", "-1|-1|-1|-|-|-1|-1"),
        ("option dscp '99'", "-1|-1|-1|-|-|-1|-1"),
    ] {
        let f = Folder::new();
        let group = "config classgroup 'Default'\noption classes 'Express Bulk'\noption default 'Bulk'\n";
        f.file("etc/config/qos", &format!("{group}config classify 'r'\n{options}\n"));
        assert_eq!(line(&f, "openwrt_classification", path, &["r"], &names), want, "{options}");
        assert_eq!(line(&f, "openwrt_classification", "Device.QoS.", &[], &["DefaultTrafficClass"]), "2");
    }
}

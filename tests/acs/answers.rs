//! What the agent's messages hold, as plain data.

use super::soap::{Element, Envelope};

/// An Inform (A.3.3.1).
#[derive(Clone, Debug, Default)]
pub struct Inform {
    pub manufacturer: String,
    pub oui: String,
    pub product_class: String,
    pub serial_number: String,
    /// Event code and CommandKey.
    pub events: Vec<(String, String)>,
    pub max_envelopes: String,
    pub current_time: String,
    pub retry_count: u32,
    pub parameters: Vec<Value>,
    /// The cwmp:ID header.
    pub id: Option<String>,
    /// The whole POST.
    pub xml: String,
}

impl Inform {
    /// The event codes, in their order.
    pub fn codes(&self) -> Vec<&str> {
        self.events.iter().map(|(code, _)| code.as_str()).collect()
    }

    /// The value of a parameter of the list.
    pub fn value(&self, name: &str) -> Option<&str> {
        let found = self.parameters.iter().find(|v| v.name == name)?;
        Some(&found.value)
    }

    pub fn read(envelope: &Envelope, xml: &str) -> Result<Inform, String> {
        let m = &envelope.method;
        let list = |name| m.child(name).ok_or(format!("Inform has no {name}"))?.items();
        let device = m.child("DeviceId").ok_or("Inform has no DeviceId")?;
        let event = |e: &Element| (e.text_of("EventCode").to_string(), e.text_of("CommandKey").to_string());
        Ok(Inform {
            manufacturer: device.text_of("Manufacturer").to_string(),
            oui: device.text_of("OUI").to_string(),
            product_class: device.text_of("ProductClass").to_string(),
            serial_number: device.text_of("SerialNumber").to_string(),
            events: list("Event")?.iter().map(event).collect(),
            max_envelopes: m.text_of("MaxEnvelopes").to_string(),
            current_time: m.text_of("CurrentTime").to_string(),
            retry_count: number(m, "RetryCount")?,
            parameters: list("ParameterList")?.iter().map(Value::read).collect::<Result<_, _>>()?,
            id: envelope.id.clone(),
            xml: xml.to_string(),
        })
    }
}

/// A ParameterValueStruct.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    pub name: String,
    /// `xsd:string` ...
    pub xsi_type: String,
    pub value: String,
}

impl Value {
    pub fn read(element: &Element) -> Result<Value, String> {
        let value = element.child("Value").ok_or("a ParameterValueStruct without Value")?;
        let (xsi_type, text) = value.typed()?;
        let name = element.text_of("Name").to_string();
        Ok(Value { name, xsi_type: xsi_type.to_string(), value: text.to_string() })
    }
}

/// What SetParameterAttributes sets and GetParameterAttributes gives.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Attributes {
    pub name: String,
    /// `None` in a request leaves it as it is.
    pub notification: Option<u8>,
    /// `None` in a request leaves it as it is.
    pub access_list: Option<Vec<String>>,
}

/// A fault of the agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// 9000 ...; 0 for a SOAP fault that is none of CWMP's.
    pub code: u16,
    pub text: String,
    /// `Client` or `Server`.
    pub side: String,
    /// Name, code and text of each SetParameterValuesFault.
    pub parameters: Vec<(String, u16, String)>,
}

impl Fault {
    pub fn read(fault: &Element) -> Result<Fault, String> {
        let side = fault.text_of("faultcode");
        let side = side.rsplit(':').next().unwrap_or_default().to_string();
        let Some(detail) = fault.child("detail").and_then(|d| d.child("Fault")) else {
            let text = fault.text_of("faultstring").to_string();
            return Ok(Fault { code: 0, text, side, parameters: Vec::new() });
        };
        let mut parameters = Vec::new();
        for p in detail.children.iter().filter(|c| c.name == "SetParameterValuesFault") {
            let name = p.text_of("ParameterName").to_string();
            parameters.push((name, number(p, "FaultCode")?, p.text_of("FaultString").to_string()));
        }
        let code = number(detail, "FaultCode")?;
        Ok(Fault { code, text: detail.text_of("FaultString").to_string(), side, parameters })
    }
}

/// The text of a child, as a number.
pub fn number<T: std::str::FromStr>(element: &Element, name: &str) -> Result<T, String> {
    let text = element.text_of(name);
    text.parse().map_err(|_| format!("{name} of {} is {text:?}", element.name))
}

/// A boolean as XML Schema writes it.
pub fn truth(text: &str) -> Result<bool, String> {
    match text {
        "1" | "true" => Ok(true),
        "0" | "false" => Ok(false),
        _ => Err(format!("{text:?} is no boolean")),
    }
}

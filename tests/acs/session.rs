//! One CWMP session, as a dialogue: each method sends one RPC of the ACS and gives its answer.

use super::answers::{Attributes, Fault, Inform, Value, number, truth};
use super::http::Reply;
use super::soap::{self, Count, Element, Envelope, escape};
use super::state::{Post, Shared, empty};
use super::transfers::Told;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The session of an Inform. Dropping it ends it as [`Session::end`] does.
pub struct Session {
    pub(super) shared: Arc<Shared>,
    number: usize,
    /// What the agent said of itself.
    pub inform: Inform,
    /// Requests of the agent that were answered on the way (TransferComplete, GetRPCMethods ...).
    pub requests: Vec<Envelope>,
    /// What it told of transfers.
    pub(super) told: Told,
    /// Counts our requests, for their IDs.
    asked: u32,
    ended: bool,
    /// The agent is expected to be killed: see [`Session::doomed`].
    doomed: bool,
}

/// What [`Session::get_count`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counted {
    /// Values in the answer.
    pub values: usize,
    /// Values that its `arrayType` promised.
    pub declared: Option<usize>,
    /// Bytes of the POST's body.
    pub bytes: u64,
    /// From the request to the last byte of the answer.
    pub time: Duration,
}

impl Session {
    /// Takes up an Inform, which is not answered yet.
    #[track_caller]
    pub(super) fn new(shared: Arc<Shared>, number: usize, inform: Post) -> Session {
        let Post::Envelope(envelope, xml) = inform else { unreachable!("a session begins with an Inform") };
        let inform = Inform::read(&envelope, &xml).unwrap_or_else(|e| panic!("{e}\n{xml}"));
        Session {
            shared,
            number,
            inform,
            requests: Vec::new(),
            told: Told::default(),
            asked: 0,
            ended: false,
            doomed: false,
        }
    }

    /// Whether the agent may be killed during this session: when it is gone, the dialogue then unwinds
    /// without a word, to be caught or joined.
    pub fn doomed(&mut self, doomed: bool) {
        self.doomed = doomed;
    }

    fn lost(&self, what: &str) -> ! {
        let why = format!("{what}: {}", self.shared.state().story());
        if self.doomed {
            std::panic::resume_unwind(Box::new(why));
        }
        panic!("{why}");
    }

    /// Sends the InformResponse.
    #[track_caller]
    pub fn answer_inform(&mut self) {
        let body = "<{c}:InformResponse><MaxEnvelopes>1</MaxEnvelopes></{c}:InformResponse>";
        let id = self.inform.id.clone();
        self.answer(id.as_deref(), body);
    }

    /// SetParameterValues: path, type, value. Gives the Status.
    #[track_caller]
    pub fn set(&mut self, values: &[(&str, &str, &str)], key: &str) -> Result<u32, Fault> {
        let item = |(name, kind, value): &(&str, &str, &str)| {
            let (name, value) = (escape(name), escape(value));
            format!(
                "<ParameterValueStruct><Name>{name}</Name><Value xsi:type=\"{kind}\">{value}</Value></ParameterValueStruct>"
            )
        };
        let items: Vec<String> = values.iter().map(item).collect();
        let list = self.array("ParameterList", "{c}:ParameterValueStruct", &items);
        let answer = self.ask("SetParameterValues", &(list + &element("ParameterKey", key)))?;
        Ok(self.must(number(&answer, "Status")))
    }

    /// GetParameterValues.
    #[track_caller]
    pub fn get(&mut self, names: &[&str]) -> Result<Vec<Value>, Fault> {
        let list = self.names_list(names);
        let answer = self.ask("GetParameterValues", &list)?;
        Ok(self.list(&answer, Value::read))
    }

    /// The value of one parameter.
    #[track_caller]
    pub fn value(&mut self, name: &str) -> Result<String, Fault> {
        let values = self.get(&[name])?;
        match <[Value; 1]>::try_from(values) {
            Ok([value]) => Ok(value.value),
            Err(all) => panic!("{} values for {name}", all.len()),
        }
    }

    /// GetParameterValues whose answer is counted and not kept: for trees that fill more than the
    /// 16 MiB of other answers.
    #[track_caller]
    pub fn get_count(&mut self, names: &[&str]) -> Counted {
        let list = self.names_list(names);
        self.ready();
        self.shared.state().live.iter_mut().for_each(|l| l.counting = true);
        let started = Instant::now();
        let post = self.exchange("GetParameterValues", &list);
        let time = started.elapsed();
        match post {
            Post::Counted(Count { values, declared, method }, bytes) if method.ends_with("Response") => {
                Counted { values, declared, bytes, time }
            }
            other => panic!("GetParameterValues was answered by {other:?}"),
        }
    }

    /// GetParameterNames: paths with whether they can be written.
    #[track_caller]
    pub fn names(&mut self, path: &str, next_level: bool) -> Result<Vec<(String, bool)>, Fault> {
        let level = u8::from(next_level).to_string();
        let arguments = element("ParameterPath", path) + &element("NextLevel", &level);
        let answer = self.ask("GetParameterNames", &arguments)?;
        Ok(self.list(&answer, |e| Ok((e.text_of("Name").to_string(), truth(e.text_of("Writable"))?))))
    }

    /// SetParameterAttributes.
    #[track_caller]
    pub fn set_attributes(&mut self, attributes: &[Attributes]) -> Result<(), Fault> {
        let item = |a: &Attributes| {
            let strings = |list: &Vec<String>| list.iter().map(|s| element("string", s)).collect::<Vec<_>>();
            let access = self.array(
                "AccessList",
                "xsd:string",
                &strings(a.access_list.as_ref().unwrap_or(&Vec::new())),
            );
            let notification = a.notification.unwrap_or(0).to_string();
            let arguments = [
                element("Name", &a.name),
                element("NotificationChange", if a.notification.is_some() { "1" } else { "0" }),
                element("Notification", &notification),
                element("AccessListChange", if a.access_list.is_some() { "1" } else { "0" }),
                access,
            ];
            format!("<SetParameterAttributesStruct>{}</SetParameterAttributesStruct>", arguments.concat())
        };
        let items: Vec<String> = attributes.iter().map(item).collect();
        let list = self.array("ParameterList", "{c}:SetParameterAttributesStruct", &items);
        self.ask("SetParameterAttributes", &list).map(drop)
    }

    /// GetParameterAttributes.
    #[track_caller]
    pub fn get_attributes(&mut self, names: &[&str]) -> Result<Vec<Attributes>, Fault> {
        let list = self.names_list(names);
        let answer = self.ask("GetParameterAttributes", &list)?;
        Ok(self.list(&answer, |e| {
            let access = e.child("AccessList").ok_or("no AccessList")?.items()?;
            Ok(Attributes {
                name: e.text_of("Name").to_string(),
                notification: Some(number(e, "Notification")?),
                access_list: Some(access.iter().map(|s| s.text.clone()).collect()),
            })
        }))
    }

    /// AddObject: instance number and Status.
    #[track_caller]
    pub fn add(&mut self, object: &str, key: &str) -> Result<(u32, u32), Fault> {
        let arguments = element("ObjectName", object) + &element("ParameterKey", key);
        let answer = self.ask("AddObject", &arguments)?;
        Ok((self.must(number(&answer, "InstanceNumber")), self.must(number(&answer, "Status"))))
    }

    /// DeleteObject: Status.
    #[track_caller]
    pub fn delete(&mut self, object: &str, key: &str) -> Result<u32, Fault> {
        let arguments = element("ObjectName", object) + &element("ParameterKey", key);
        let answer = self.ask("DeleteObject", &arguments)?;
        Ok(self.must(number(&answer, "Status")))
    }

    /// Reboot.
    #[track_caller]
    pub fn reboot(&mut self, command_key: &str) -> Result<(), Fault> {
        self.ask("Reboot", &element("CommandKey", command_key)).map(drop)
    }

    /// FactoryReset.
    #[track_caller]
    pub fn factory_reset(&mut self) -> Result<(), Fault> {
        self.ask("FactoryReset", "").map(drop)
    }

    /// ScheduleInform.
    #[track_caller]
    pub fn schedule_inform(&mut self, seconds: u32, command_key: &str) -> Result<(), Fault> {
        let delay = element("DelaySeconds", &seconds.to_string());
        self.ask("ScheduleInform", &(delay + &element("CommandKey", command_key))).map(drop)
    }

    /// GetRPCMethods.
    #[track_caller]
    pub fn get_rpc_methods(&mut self) -> Result<Vec<String>, Fault> {
        let answer = self.ask("GetRPCMethods", "")?;
        let list = answer.child("MethodList").ok_or("no MethodList".to_string());
        let list = self.must(list.and_then(Element::items));
        Ok(list.iter().map(|s| s.text.clone()).collect())
    }

    /// Sends any method with arguments written as XML; `{c}` stands for CWMP's prefix.
    ///
    /// # Errors
    /// The agent's fault.
    #[track_caller]
    pub fn ask(&mut self, method: &str, arguments: &str) -> Result<Element, Fault> {
        self.ready();
        match self.exchange(method, arguments) {
            Post::Envelope(envelope, xml) if envelope.method.name == "Fault" => {
                Err(Fault::read(&envelope.method).unwrap_or_else(|e| panic!("{e}\n{xml}")))
            }
            Post::Envelope(envelope, _) if envelope.method.name == format!("{method}Response") => {
                Ok(envelope.method)
            }
            other => panic!("{method} was answered by {other:?}"),
        }
    }

    /// Sends bytes as a 200 and gives the body of the POST that follows, empty for an empty POST.
    #[track_caller]
    pub fn raw(&mut self, xml: impl Into<Vec<u8>>) -> String {
        self.ready();
        self.reply(Reply::envelope(xml));
        match self.peek() {
            Post::Envelope(_, xml) => xml,
            _ => String::new(),
        }
    }

    /// Waits for a request of the agent and leaves it unanswered, with its whole POST.
    #[track_caller]
    pub fn next_request(&mut self) -> (Envelope, String) {
        let post = self.peek();
        self.judge(&post);
        match post {
            Post::Envelope(envelope, xml) if envelope.is_request() => (*envelope, xml),
            other => panic!("no request of the agent but {other:?}"),
        }
    }

    /// Answers the waiting request of the agent with a fault, 8005 for instance.
    #[track_caller]
    pub fn refuse(&mut self, code: u16) {
        let (request, _) = self.next_request();
        let fault = self.shared.state().options.dialect.fault(code);
        self.answer(request.id.as_deref(), &fault);
    }

    /// Whether the messages from now on hold the agent's requests.
    pub fn hold(&mut self, hold: bool) {
        self.shared.change(|state| state.options.dialect.hold_requests = hold.then_some(true));
    }

    /// Waits for the agent's next POST and leaves it unanswered: an empty one, an answer, or a
    /// request, which the next RPC would answer by itself.
    #[track_caller]
    pub fn peek(&mut self) -> Post {
        let time = self.shared.state().options.patience;
        let found = self.shared.wait(time, |state| match state.live.as_ref() {
            Some(live) if live.number == self.number && !live.over => live.post.clone().map(Some),
            _ => Some(None),
        });
        match found {
            Some(Some(post)) => post,
            Some(None) => self.lost(&format!("session {} is over", self.number)),
            None => self.lost(&format!("no POST within {time:?}")),
        }
    }

    /// Answers the waiting POST as told, whatever it is.
    #[track_caller]
    pub fn reply(&mut self, reply: Reply) {
        let sent = self.shared.reply(self.number, reply);
        sent.unwrap_or_else(|e| self.lost(&e));
    }

    /// Answers the waiting POST with nothing, and the session goes on (C-14).
    #[track_caller]
    pub fn reply_empty(&mut self) {
        let reply = empty(&self.shared.state().options);
        self.reply(reply);
    }

    /// Has the agent no more to say, answers with nothing; then the session is over.
    #[track_caller]
    pub fn end(mut self) {
        self.ready();
        self.finish();
    }

    fn finish(&mut self) {
        self.ended = true;
        let reply = empty(&self.shared.state().options);
        // Over before the answer goes out: the agent may POST once more as soon as it has it.
        let how = format!("ended with {}", reply.status);
        self.shared.change(|state| state.end(self.number, &how));
        if let Err(error) = self.shared.reply(self.number, reply) {
            self.shared.change(|state| state.last = format!("session {} broke off: {error}", self.number));
        }
    }

    /// Waits for a POST that our request can answer; requests of the agent are answered meanwhile.
    #[track_caller]
    pub fn ready(&mut self) {
        loop {
            let post = self.peek();
            self.judge(&post);
            match post {
                Post::Envelope(envelope, _) if envelope.is_request() => self.answer_request(*envelope),
                _ => return,
            }
        }
    }

    #[track_caller]
    pub(super) fn answer_request(&mut self, request: Envelope) {
        let method = &request.method.name;
        let body = match method.as_str() {
            "Inform" => return self.answer_inform(),
            "GetRPCMethods" => {
                let methods: Vec<String> =
                    self.shared.state().options.methods.iter().map(|m| element("string", m)).collect();
                if methods.is_empty() {
                    self.requests.push(request);
                    return self.refuse(8000);
                }
                self.array("MethodList", "xsd:string", &methods)
            }
            _ => String::new(),
        };
        let body = format!("<{{c}}:{method}Response>{body}</{{c}}:{method}Response>");
        let id = request.id.clone();
        self.requests.push(request);
        self.answer(id.as_deref(), &body);
    }

    /// Answers a request of the agent.
    #[track_caller]
    fn answer(&mut self, id: Option<&str>, body: &str) {
        let xml = {
            let dialect = &self.shared.state().options.dialect;
            dialect.envelope(dialect.answer_id(id), body)
        };
        self.reply(Reply::envelope(xml));
    }

    /// Sends a request and waits for the POST that answers it.
    #[track_caller]
    fn exchange(&mut self, method: &str, arguments: &str) -> Post {
        self.asked += 1;
        let id = format!("acs {}-{}", self.number, self.asked);
        let body = format!("<{{c}}:{method}>{arguments}</{{c}}:{method}>");
        let (xml, has_id) = {
            let dialect = &self.shared.state().options.dialect;
            (dialect.envelope(Some(&id), &body), dialect.id != soap::Id::Missing)
        };
        self.reply(Reply::envelope(xml));
        let post = self.peek();
        if let Post::Envelope(envelope, xml) = &post {
            let expected = Some(id).filter(|_| has_id);
            assert!(envelope.id == expected, "E-10: the ID is not {expected:?}\n{xml}");
        }
        post
    }

    pub(super) fn array(&self, name: &str, kind: &str, items: &[String]) -> String {
        self.shared.state().options.dialect.array(name, kind, items)
    }

    fn names_list(&self, names: &[&str]) -> String {
        let items: Vec<String> = names.iter().map(|n| element("string", n)).collect();
        self.array("ParameterNames", "xsd:string", &items)
    }

    #[track_caller]
    fn list<T>(&self, answer: &Element, read: impl Fn(&Element) -> Result<T, String>) -> Vec<T> {
        let list = answer.child("ParameterList").ok_or("no ParameterList".to_string());
        let items = self.must(list.and_then(Element::items));
        items.iter().map(|e| self.must(read(e))).collect()
    }

    #[track_caller]
    pub(super) fn must<T>(&self, result: Result<T, String>) -> T {
        result.unwrap_or_else(|e| panic!("{e}: {}", self.shared.state().story()))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if !self.ended {
            self.finish();
        }
    }
}

/// An argument of a method.
pub(super) fn element(name: &str, text: &str) -> String {
    format!("<{name}>{}</{name}>", escape(text))
}

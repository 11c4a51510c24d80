//! Values that must fit each other: judged as they will stand after a SetParameterValues, whatever of them is in it.

use super::fault::Code;
use super::request::ParameterValue;
use super::schema::ObjectId;
use super::set::Checked;
use super::tree::{Tree, Writer};
use crate::sys::sorted::SortedMap;
use std::rc::Rc;

/// Names of parameters that do not fit each other, and why.
pub type Misfits = (Vec<String>, String);

/// Judges values that are to be set with those that stay: an object's path, and names behind it with their values. Of
/// tables the object is the row of the outermost one, and the names are those of all that lies in it.
pub type Together = Rc<dyn Fn(&mut Tree, &str, &[(String, String)]) -> Result<(), Misfits>>;

impl Tree {
    /// Has values judged together by who gives them their meaning.
    pub fn judge_together_with(
        &mut self,
        judge: impl Fn(&mut Tree, &str, &[(String, String)]) -> Result<(), Misfits> + 'static,
    ) {
        self.together = Rc::new(judge);
    }

    /// Those of the misfits that are to be set get the fault.
    pub(super) fn check_together(
        &mut self,
        checked: &[(usize, Checked)],
        bad: &mut SortedMap<usize, (Code, String)>,
    ) {
        let mut objects: SortedMap<String, Vec<(usize, String, String)>> = SortedMap::new();
        for (at, one) in checked {
            let (above, depth) = self.outermost(one.object);
            let mut object = String::new();
            self.served.write_path(above, one.place.numbers().get(..depth).unwrap_or(&[]), &mut object);
            let path = self.param_path(one.object, &one.place.numbers, one.param);
            let name = path.strip_prefix(&object).unwrap_or(&path).to_owned();
            objects.entry(object).or_default().push((*at, name, one.value.clone()));
        }
        let judge = self.together.clone();
        for (object, own) in objects {
            let set: Vec<(String, String)> =
                own.iter().map(|(_, name, value)| (name.clone(), value.clone())).collect();
            let Err((names, why)) = judge(self, &object, &set) else { continue };
            for (at, ..) in own.iter().filter(|(_, name, _)| names.contains(name)) {
                bad.entry(*at).or_insert_with(|| (Code::INVALID_VALUE, why.clone()));
            }
        }
    }

    /// The row of the outermost table that an object lies in, and how many `{i}` it has; an object that lies in none
    /// is itself.
    fn outermost(&self, object: ObjectId) -> (ObjectId, usize) {
        match self.served.tables(object).first() {
            Some(table) => (*table, 1),
            None => (object, 0),
        }
    }

    /// Judges a value as if it were to be set; its canonical form. `name` is a full path.
    ///
    /// # Errors
    /// Why it cannot be set.
    pub fn judge_value(&mut self, name: &str, value: &str) -> Result<String, String> {
        let target = self.resolve(name, false).map_err(|fault| fault.text)?;
        let entry = ParameterValue { name: name.to_owned(), value: value.to_owned(), xsi_type: None };
        let checked = self.check_entry(&entry, &target, Writer::Acs { parameter_key: "" });
        checked.map(|checked| checked.value).map_err(|(_, why)| why)
    }
}

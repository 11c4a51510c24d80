//! Values that must fit each other: judged as they will stand after a SetParameterValues, whatever of them is in it.

use super::fault::Code;
use super::schema::ObjectId;
use super::set::Checked;
use super::tree::Tree;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// Names of parameters of an object that do not fit each other, and why.
pub type Misfits = (&'static [&'static str], String);

/// Judges an object's values that are to be set, with those that stay: the object's path, names and values.
pub type Together = Rc<dyn Fn(&mut Tree, &str, &[(String, String)]) -> Result<(), Misfits>>;

impl Tree {
    /// Has values judged together by who gives them their meaning; of objects that are no rows of tables.
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
        bad: &mut BTreeMap<usize, (Code, String)>,
    ) {
        let objects: BTreeSet<ObjectId> =
            checked.iter().filter(|(_, one)| one.place.depth == 0).map(|(_, one)| one.object).collect();
        for object in objects {
            let path = self.served.schema.object(object).path().to_owned();
            let own = || checked.iter().filter(|(_, one)| one.object == object);
            let name = |one: &Checked| self.served.schema.param(one.param).name().to_owned();
            let set: Vec<(String, String)> = own().map(|(_, one)| (name(one), one.value.clone())).collect();
            let judge = self.together.clone();
            let Err((names, why)) = judge(self, &path, &set) else { continue };
            for ((at, _), (name, _)) in own().zip(&set) {
                if names.contains(&name.as_str()) {
                    bad.entry(*at).or_insert_with(|| (Code::INVALID_VALUE, why.clone()));
                }
            }
        }
    }
}
